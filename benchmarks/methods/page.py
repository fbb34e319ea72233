"""The page: the published figures first, then all methods at the same compressions."""

import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

from benchmarks.methods.published import DENSE_ERROR, MARKS
from benchmarks.methods.settings import AT_MARKS, DENSE, LONGER, lineup, system, told
from benchmarks.pages import markdown
from benchmarks.reproduce.lenet import reached
from benchmarks.reproduce.statistics import interval, mean_sd, seeds

LIBRARIES = ("skactprune", "scikit-learn", "torch", "numpy")
# Of all weights in float32.
DENSE_BYTES = 4 * 266_200
SHORT = 0.995
TEXT = """# All methods beside each other: LeNet-300-100 on MNIST

Written by `python -m benchmarks.methods`, which does what is missing of the runs; `page` after it
only writes this page from the rows beside it.

{answers}

Our error is that of the {n_test} test rows after the last epoch, mean ± standard deviation over
seeds; nothing is chosen on them. Most published figures are single numbers,
several of them the best error that was seen in training, which flatters. An answer is *yes* where
our mean is not above the published error, *on average* where the 95 % interval of our mean by
Student's t has it inside.
The published dense net has {dense_error} %, ours, trained in the same way as the pruned ones and as
long as those that are not called *longer*, {dense} %. Compression is all weights, output layer
included, over those that are not zero; of bytes, all weights in float32 over the bytes of the file
of the compact model in the storage "codebook", its indices and code table included. Some methods
are asked for less than a published compression, as weights that matter to no output become zero
besides those that are pruned.

## At the same compression

{tables}
- *reached*: compression of every seed at least; the output layer is not pruned here, so that the
  hidden layers lose more. *Parameters*: weights that are not zero, and biases. *FLOPs*: of one
  row, by dense products of the layers that are left, or of their two factors; single zeros do not
  count less. *Pixels*: inputs that have a weight. *Device*: where the net was trained. *Time*: CPU
  time of the fit over that of the dense net on the same device, of the seeds that ran on the same
  machine and with the same code.
- A method that cannot be pruned this far is at the nearest that it can do, with a note.
- movement keeps weights of pixels that are always dark, which nothing but the penalty moves; they
  end at zero, so that it reaches more than it is asked for, with the fewer useful weights the less
  is asked.
- ganguli2024, the authors' protocol, takes its fraction of all weights, and does not count those
  that die of what it removes: asked for this much, it leaves next to nothing.

## How

All nets train {epochs} epochs with "adam", a learning rate of {rate} that falls along half a cosine
in the last two fifths, batches of {batch}, alpha={alpha}, and dropout that fades as weights leave;
{rounds} rounds for methods that have rounds. Those called *longer*, which are for published figures
alone, train {longer} times as many epochs. Pixels are in [0, 1]. What a method has besides
is that of earlier experiments with this net, but for some, of which settings were compared on
validation rows with one seed, most of them by `python -m benchmarks.methods choose`: eleven of
snip, thirteen of rigl, seven of l0, seven of variational_dropout, and six that remove pixels, for
the size of VIB's net.

{options}

Python {python}, {versions}, on {machine}.
"""


def current(rows):
    """Rows of the parameters that methods have now."""
    now = {DENSE: "-"} | {name: told(params) for name, params in lineup().items()}
    return rows[rows["options"] == rows["method"].map(now)]


def text(rows, settings):
    """The page of the rows of `benchmarks.methods.lenet`."""
    rows = current(rows)
    if rows.empty:
        raise FileNotFoundError("There are no rows of the present settings; run without `page`.")
    if "test_error" not in rows:
        raise ValueError(f"All runs were refused, the first with: {rows['note'].iloc[0]}")
    from benchmarks.reproduce import lenet

    dense = rows.loc[rows["method"] == DENSE, "test_error"]
    there = {name: told(of) for name, of in lineup().items() if name in set(rows["method"])}
    options = pd.DataFrame(there.items(), columns=["method", "parameters"])
    return TEXT.format(
        # What is known of misses is known of all rows and epochs.
        answers=markdown(answers(rows, reasons=settings.n_rows is None), 2),
        n_test="10 000" if settings.n_rows is None else "first",
        dense_error=DENSE_ERROR,
        dense=mean_sd(2)(dense),
        tables="\n".join(f"### {title}\n\n{markdown(of)}\n" for title, of in tables(rows))
        or "No method was run at these compressions yet.\n",
        epochs=settings.epochs,
        longer=LONGER["epochs"],
        rate=lenet.RATE,
        batch=lenet.BATCH,
        alpha=lenet.ALPHA,
        rounds=lenet.ROUNDS,
        options=markdown(options, 2),
        python=platform.python_version(),
        versions=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        machine=platform.machine(),
    )


def answers(rows, reasons=True):
    """A row for every published figure: ours at its compression, and if not met, why."""
    return pd.DataFrame([_answer(rows, mark, reasons) for mark in MARKS])


def _answer(rows, mark, reasons):
    of = rows[(rows["method"] == mark.method) & (rows["compression"] == mark.run_at)]
    errors, ratios = _measured(of, mark)
    said = {"our error %": "", "n": "", "reached": "", "at most the published error?": "no run"}
    why = ""
    if len(errors):
        mean = interval(errors)[0]
        met = reached(errors, mark.error)
        if ratios.min() < SHORT * mark.compression:
            met = "not at that compression"
        elif mean > mark.error:
            met += f", {mean - mark.error:.2f} points more"
        why = mark.why if reasons and met.startswith("no") else ""
        n = seeds(of.loc[errors.index, "seed"])
        smallest = f"{ratios.min():.1f}x"
        said = dict(zip(said, (mean_sd(2, 1)(errors), n, smallest, met), strict=True))
    return {
        "published": mark.system,
        "method here": mark.method,
        "compression": f"{mark.compression:g}x" + " in bytes" * (mark.unit == "bytes"),
        "error %": f"{mark.error:g}" + f" ({mark.note})" * bool(mark.note),
        **said,
        "best of all here, at least as small": _best(rows, mark),
        "why": why,
    }


def _measured(of, mark):
    """Errors in % and compressions in the unit of a mark; empty where they are not there."""
    error, ratio = "test_error", of["reached"]
    if mark.unit == "bytes":
        if "bytes_codebook" not in of:
            return of["reached"][:0], of["reached"][:0]
        error, ratio = "error_codebook", DENSE_BYTES / of["bytes_codebook"]
    known = of[error].notna()
    return 100 * of.loc[known, error], ratio[known]


def _best(rows, mark):
    """The lowest mean error of all methods whose nets are at least as small, as text."""
    found = []
    for (name, _), of in rows[rows["method"] != DENSE].groupby(["method", "compression"]):
        errors, ratios = _measured(of, mark)
        if len(errors) and ratios.min() >= SHORT * mark.compression:
            found.append((errors.mean(), f"{mean_sd(2, 1)(errors)}, {name}"))
    return min(found)[1] if found else ""


def tables(rows):
    """Yield for every compression that is not of published figures alone: methods, best first."""
    dense = rows[rows["method"] == DENSE]
    others = rows[(rows["compression"] > 1) & ~rows["method"].isin(AT_MARKS)]
    for compression, of in others.groupby("compression"):
        marked = {system(mark.method) for mark in MARKS if mark.run_at == compression}
        if set(map(system, of["method"])) - marked:
            title = f"{100 * (1 - 1 / compression):.0f} % of the weights gone, {compression:g}x"
            yield title, _table(pd.concat([dense, of]))


def _table(rows):
    dense = rows[rows["method"] == DENSE].groupby("device")["seconds"].mean()
    rows = rows.assign(seconds=rows["seconds"] / rows["device"].map(dense))
    columns = {
        "error %": ("test_error", mean_sd(2)),
        "training error %": ("train_error", mean_sd(2)),
        "reached": ("reached", lambda of: "" if of.isna().any() else f"{of.min():.1f}x"),
        "parameters": ("parameters", mean_sd(0, 1)),
        "live neurons": ("live", "first"),
        "ranks": ("ranks", "first"),
        "pixels": ("inputs", mean_sd(0, 1)),
        "FLOPs": ("flops", mean_sd(0, 1)),
        "device": ("device", lambda of: ", ".join(sorted(set(of)))),
        "time": ("seconds", lambda of: mean_sd(2, 1)(of.dropna())),
        **{
            f"bytes, {name.removeprefix('bytes_')}": (name, mean_sd(0, 1))
            for name in rows.columns
            if name.startswith("bytes_")
        },
        "n": ("seed", seeds),
        "note": ("note", lambda of: "" if of.iloc[0] == "-" else of.iloc[0].replace("|", "/")),
    }
    by_method = rows.groupby("method")
    order = by_method["test_error"].mean().sort_values(na_position="last").index
    table = by_method.agg(**columns).loc[order]
    return table.fillna("").replace(np.nan, "").reset_index()
