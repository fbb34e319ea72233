"""Claims C1 and C3: accuracy and rank of pruned nets beside their rivals."""

import pandas as pd

from benchmarks.reproduce.figures import curves, ordered
from benchmarks.reproduce.nets import (
    RECONSTRUCTIONS,
    describe,
    fitted,
    kept,
    low_rank,
    retrained,
    split,
)
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.runner import BOTH, HIDDEN, Settings
from benchmarks.reproduce.statistics import compared, mean_sd, paired, seeds
from skactprune.methods import Activation, ActivationMagnitude, Ganguli2024, Magnitude, Random

FIELDS = ("dataset", "method", "fraction", "rounds", "seed")
FULL = Settings(
    seeds=5,
    datasets=BOTH,
    n_rows=None,
    hidden=HIDDEN,
    epochs=50,
    fractions=(0.8, 0.85, 0.9),
    rounds=(5, 10),
)
QUICK = FULL.but(
    seeds=2,
    datasets=("fashion-mnist",),
    n_rows=10_000,
    epochs=20,
    fractions=(0.8, 0.9),
    rounds=(5,),
)
# "exact": prune_fraction is what is gone in the end, weights that die with their neuron included.
METHODS = {
    "count": Ganguli2024(),
    "count x magnitude": Ganguli2024(criterion="activation_magnitude"),
    "count, exact": Activation("weight", "global"),
    "count, exact, layer": Activation("neuron", "layer"),
    "count x magnitude, exact": ActivationMagnitude("weight", "global"),
    "magnitude, global": Magnitude(scope="global", schedule="geometric"),
    "magnitude, layer": Magnitude(scope="layer", schedule="geometric"),
    "random": Random(),
}
PAPER = ("count", "count x magnitude")
# What the verdicts rest on: more seeds than the rest, and some with other numbers of rounds, too.
CENTRAL = (*PAPER, "magnitude, global")
DECIDING = (*CENTRAL, "count, exact", "count x magnitude, exact")
THOROUGH_SEEDS = 2
SCRATCH = "small from scratch"
RIVALS = ["pruned", *RECONSTRUCTIONS, *(f"{name}, retrained" for name in RECONSTRUCTIONS), SCRATCH]
# Half a point lower counts as equally accurate.
MARGIN = 0.005
FRACTIONS, AT_THE_SAME_RANKS = "accuracy-fractions.png", "accuracy-rivals.png"


def runs(settings):
    """Yield all runs: the dense net, and methods at every fraction and number of rounds."""
    fewest = min(settings.rounds)
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield dataset, "dense", 0.0, 0, seed
            for rounds in settings.rounds:
                methods = METHODS if seed < THOROUGH_SEEDS else DECIDING
                for method in methods if rounds == fewest else CENTRAL:
                    for fraction in settings.fractions:
                        yield dataset, method, fraction, rounds, seed


def execute(settings, folder, dataset, method, fraction, rounds, seed):
    """Rows of a run: the net itself and, for the paper's methods, its rivals of the same size."""
    rows = Rows.load(dataset, settings.n_rows)

    def net(**params):
        return estimator(rows, **{"hidden": settings.hidden, "seed": seed} | params)

    path = folder / ".dense" / f"accuracy-{dataset}-{seed}.joblib"
    dense, row = kept(path, net(epochs=settings.epochs), rows)
    if method == "dense":
        return [{"model": "dense"} | row]
    how = {"method": METHODS[method], "prune_fraction": fraction, "n_prune_rounds": rounds}
    pruned, row = fitted(net(epochs=settings.epochs, **how), rows)
    found = [{"model": "pruned"} | row | {"sparsity": pruned.sparsity_}]
    thorough = method in PAPER and rounds == min(settings.rounds) and seed < THOROUGH_SEEDS
    left, ranks = pruned.n_iter_ - pruned.pruning_history_[0]["epoch"], split(row["ranks"])
    for name in RECONSTRUCTIONS:
        smaller = low_rank(name, dense, ranks)
        row = describe(smaller, rows)
        found.append({"model": name} | row)
        if thorough:
            row |= retrained(smaller, rows, left, seed)
            found.append({"model": f"{name}, retrained"} | row)
    if thorough:
        sizes = [coef.shape[1] for coef in pruned.coefs_[:-1]]
        _, row = fitted(net(epochs=settings.epochs, hidden=sizes), rows)
        found.append({"model": SCRATCH} | row)
    return found


# -- what is made of them, here and in `defaults` ---------------------------------------------


def tables(rows):
    """Yield the nets by method, and rivals at the ranks of the pruned nets."""
    yield "methods", methods_table(rows)
    yield "rivals", rivals_table(fewest_rounds(rows), PAPER, RIVALS)


def methods_table(rows):
    """Accuracies, sizes and epochs of pruned and dense nets by fraction and rounds."""
    nets = rows[rows["model"].isin(["pruned", "dense"])]
    keys = ["dataset", "rounds", "fraction", "method"]
    table = nets.groupby(keys, as_index=False).agg(
        **{
            f"{part} %": (f"{part}_accuracy", mean_sd()) for part in ("train", "validation", "test")
        },
        **{
            "hidden weights gone %": ("sparsity", lambda of: f"{100 * of.fillna(0).mean():.1f}"),
            "live neurons (seed 0)": ("live", "first"),
            "ranks (seed 0)": ("ranks", "first"),
            "epochs": ("epochs", mean_sd(0, 1)),
            "n": ("seed", seeds),
        },
    )
    table.loc[table["rounds"] == 0, "hidden weights gone %"] = "0"
    table["rounds"] = table["rounds"].map(lambda rounds: str(rounds) if rounds else "-")
    return _labelled(table.drop(columns=keys[:1]).assign(dataset=table["dataset"]), "rounds")


def rivals_table(rows, methods, models):
    """Test accuracies of these models beside the nets pruned by some methods."""
    groups = rows[rows["method"].isin(methods)].groupby(["dataset", "method", "fraction"])
    by_model = groups.apply(lambda of: of.groupby("model")["test_accuracy"].agg(mean_sd()))
    by_model = by_model.unstack() if by_model.index.nlevels > 3 else by_model
    table = groups.agg(ranks=("ranks", "first")).rename(columns={"ranks": "ranks (seed 0)"})
    table = table.join(by_model[models].fillna("")).assign(n=groups["seed"].agg(seeds))
    return _labelled(table.reset_index())


def _labelled(table, *then):
    """Table that begins with data and method, fraction, and the columns `then`."""
    named = table["dataset"] + ", " + table["method"]
    fraction = table["fraction"].map(lambda of: percent(of) if of else "-")
    table = table.assign(**{"data, method": named, "fraction": fraction})
    first = ["data, method", "fraction", *then]
    others = [name for name in table if name not in (*first, "dataset", "method")]
    return table[first + others]


def fewest_rounds(rows):
    """Rows of dense nets and of the smallest number of rounds that there is."""
    rounds = rows["rounds"]
    return rows[rounds.isin([0, rounds[rounds > 0].min()])]


def percent(fraction):
    """A share for a table."""
    return f"{100 * fraction:.0f} %"


def figures(rows, folder):
    """Yield accuracy by fraction, and rivals at the ranks of the pruned nets."""
    yield FRACTIONS, fractions_figure(rows, METHODS, 8)
    of = fewest_rounds(rows)
    of = of[of["method"].isin(PAPER)]
    figure, _ = curves(
        of.assign(model=ordered(of["model"], RIVALS), accuracy=100 * of["test_accuracy"]),
        *("fraction", "accuracy", "model", "dataset", "method"),
        title="The pruned net and dense nets of the same hidden ranks",
        xlabel="share of the weights pruned",
        ylabel="test accuracy, %",
    )
    yield AT_THE_SAME_RANKS, figure


def fractions_figure(rows, methods, shown_points):
    """Figure of test accuracy by fraction, down to `shown_points` below the dense net."""
    of = fewest_rounds(rows)
    dense = of[of["model"] == "dense"].drop(columns="fraction")
    pruned = of[of["model"] == "pruned"]
    everywhere = dense.merge(pruned["fraction"].drop_duplicates(), how="cross")
    of = pd.concat([pruned, everywhere])
    figure, axes = curves(
        of.assign(method=ordered(of["method"], [*methods, "dense"]), y=100 * of["test_accuracy"]),
        *("fraction", "y", "method", None, "dataset"),
        title="Test accuracy of pruned nets; what leaves below is in the table",
        xlabel="share of the weights pruned",
        ylabel="test accuracy, %",
        size=(4.6, 3.6),
    )
    for (_, dataset), ax in axes.items():
        # A net that has collapsed would leave no room for the differences of the others.
        top = 100 * dense.loc[dense["dataset"] == dataset, "test_accuracy"].mean()
        ax.set_ylim(bottom=top - shown_points)
    return figure


def answers(rows):
    """Claims C1 and C3, one answer for each score."""
    five = fewest_rounds(rows)

    def differences(of, column, name, rival):
        return paired(of, "test_accuracy", (column, name), rival, "fraction", percent)

    found, pruned = [], five[five["model"] == "pruned"]
    for method in (*PAPER, *(f"{method}, exact" for method in PAPER)):
        question = f"Is {method} as accurate as global magnitude at the same fraction?"
        cells = differences(pruned, "method", method, "magnitude, global")
        found += compared("C1", question, cells, MARGIN, FRACTIONS)
    for method in PAPER:
        for then in ("", ", retrained"):
            question = (
                f"Does the net pruned by {method} beat the dense net with its kernels "
                f"reconstructed by PCA at the same ranks{then}?"
            )
            of = five[five["method"] == method]
            cells = differences(of, "model", "pruned", f"kernel PCA{then}")
            found += compared("C3", question, cells, 0.0, AT_THE_SAME_RANKS)
    return found
