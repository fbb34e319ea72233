"""The page that leads with the answers."""

import json
from importlib import import_module
from pathlib import Path

from benchmarks.reproduce.answers import Answer
from benchmarks.reproduce.tables import markdown

NAME = "reproduction.md"
MEASUREMENTS = Path("docs/benchmarks.json")


def write(tables, settings, folder, page):
    """Draw the figures of all experiments that have results, and write the page.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Results by experiment, in the order of the page.
    settings : Settings
        How much was run.
    folder : pathlib.Path
        For the figures.
    page : pathlib.Path
        File to write.
    """
    modules = {
        name: import_module(f"benchmarks.reproduce.{name}")
        for name, table in tables.items()
        if len(table)
    }
    for name, module in modules.items():
        module.draw(tables[name], folder)
    found = [answer for name, module in modules.items() for answer in module.answers(tables[name])]
    found += cost_of_a_round()
    found.sort(key=lambda answer: answer.claim)
    claims = _answers([answer for answer in found if answer.claim != "-"])
    beyond = _answers([answer for answer in found if answer.claim == "-"])
    sections = [module.section(tables[name]) for name, module in modules.items()]
    head = _HEAD.format(claims=claims, beyond=beyond, command=_command(settings))
    # What is said there was read off the full runs.
    short = [_SHORT] if settings.name == "full" else []
    text = "\n\n".join([head, *short, *sections, _protocol(settings), _LIMITS]) + "\n"
    page.write_text(text.replace("(reproduction/", f"({folder.name}/"), encoding="utf-8")


def cost_of_a_round():
    """Claim C7 from the measurements of ``python -m benchmarks``, if they are there."""
    if not MEASUREMENTS.exists():
        return []
    results = json.loads(MEASUREMENTS.read_text("utf-8"))["cases"]["svd"]["results"]
    ratios = {
        (result["side"], result["where"]): result["ratio"]["median"]
        for result in results
        if result["against"].startswith("numpy")
    }
    cheaper = [ratio < 1 for ratio in ratios.values()]
    dear = [f"{side}, {where}" for (side, where), ratio in ratios.items() if ratio >= 1]
    verdict = "yes" if all(cheaper) else f"yes, except for {'; '.join(dear)}"
    shown = [f"{ratio:.2g} x ({side}, {where})" for (side, where), ratio in ratios.items()]
    return [
        Answer(
            "C7",
            "Does a pruning round cost less than one SVD of the same matrices?",
            verdict if any(cheaper) else "no",
            f"from {shown[0]} to {shown[-2]} and {shown[-1]} of an SVD; see benchmarks.md",
        )
    ]


def _answers(found):
    rows = []
    for answer in found:
        figure = f"[figure](reproduction/{answer.figure})" if answer.figure else ""
        rows.append([answer.claim, answer.question, answer.verdict, answer.effect, figure])
    table = markdown(["claim", "question", "answer", "effect", "figure"], rows)
    return table.replace("---:", "---")


def _command(settings):
    return "python -m benchmarks.reproduce" + (" --quick" if settings.name == "quick" else "")


_HEAD = """# "Activation-Based Pruning of Neural Networks", put to the test

The paper (Ganguli & Chong, Algorithms 17(1):48, 2024) removes the weights of the neurons that fired
least often in training, and makes seven claims. Here they are tested independently, on
images, with seeds and intervals. Regenerate everything with

```
{command}
```

## Answers

An answer follows from a rule: *yes* where the 95 % interval (Student's t, paired by seed) of the
difference lies above zero, or above -0.5 points where "as accurate as" is asked; *no* where it
lies below; *not decided* where it does not say, which two seeds rarely do.

{claims}

What the paper does not claim, "-", and what this package adds:

{beyond}"""


_SHORT = """## In short, and what makes a claim hold that fails

- **C1** fails for the plain count. With the authors' accounting, the weights that die with their
  neurons come on top, so that at 90 % next to nothing is left. Counting them in (*exact*) mends
  that collapse; what is left, some tenths of a point on MNIST and about two points on Fashion-MNIST
  on average, these seeds rarely decide. Multiplying the count with the magnitude, the paper's
  second score, comes within half a point of magnitude on average everywhere.
- **C2** holds for the count on both data sets; count x magnitude keeps more than half of full rank.
- **C3** holds for the count beside the reconstruction as the paper has it. It fails beside the same
  reconstruction trained on for as long as the pruned net was, and nothing here makes it hold.
- **C4** fails: a round removes directions and leaves the others nearly as they are, a nuclear norm
  shrinks all of them, the smaller ones more. What does hold is that the penalty, at a thousandth of
  the paper's strength, leads to nets of as low an effective rank.
- **C5** holds.
- **C6** holds on average; shares of labels one by one need more seeds than there are.
- **C7** holds; where whole neurons leave, more so in wide layers.

Beyond the paper, the *activation surgeon*, the default here, has on average the best curve of all
where whole neurons leave: at each of three sizes it is above every other score, the small net from
scratch and the kernel PCA of the dense net, which has nearly twice the weights, though not at each
of them by more than the seeds spread. On validation rows, firing deviation times the norms of
incoming and outgoing weights does as well once the others take over: that seems to matter more than
the score. With two fifths of the neurons the net is level with the dense one. Where single weights
leave, it is level with the best, within a tenth of a point on average. It reaches all marks on
LeNet-300-100. With the estimator's plain training, single weights by magnitude are as accurate or
more, at full rank."""


def _protocol(settings):
    rows = "all 54 000" if settings.n_rows is None else f"{settings.n_rows}"
    return f"""## Protocol

The authors' network and training: 784-300-200-100-50-10, ReLU, plain SGD with learning rate 0.01,
batches of 32, pixels in [0, 1], the first tenth of the training set for validation ({rows}
rows to train on), rounds when the training accuracy reaches 0.80 and then each (0.98 - 0.80) / K
higher, the end at 0.98 or after three ticks of a validation loss above 1.1 times its minimum and
rising. It differs from theirs in these points:

- at most {settings.max_epochs} epochs, not 500, and a round is done by a deadline (round i of K by
  epoch {settings.max_epochs * 3 // 5} i / K) where its accuracy is not reached: a net that has lost
  too much to reach the next mark would keep its weights otherwise;
- ticks of the validation loss are counted after the last round only: a round raises the loss;
- biases are drawn as the weights are (scikit-learn's initialization), where theirs begin at zero;
- firing is counted in training's own forward passes, as the paper says, not on 32 images an epoch;
- PCA is scikit-learn's with the full solver; theirs is randomized and without a seed.

Every run has one thread. Training, validation and test accuracies are those of the net after its
last epoch. Nothing was chosen on the test set, but that the dense LeNet kept the common training;
see there."""


_LIMITS = """## Limits

Seeds are few where "n" says so; an interval of two seeds is wide. Two data sets of small images and
one architecture say little about others. Early stopping and deadlines decide how long a net
recovers from its last round, and so a part of every difference."""
