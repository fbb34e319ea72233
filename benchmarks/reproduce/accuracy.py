"""Claims C1 and C3: accuracy and rank of pruned nets beside their rivals."""

import pandas as pd

from benchmarks.reproduce import runner
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
from benchmarks.reproduce.statistics import accuracies, compared, mean_sd, paired, seeds
from skactprune.methods import Activation, ActivationMagnitude, Ganguli2024, Magnitude, Random

FIELDS = ("dataset", "method", "fraction", "rounds", "seed")
FULL = runner.FULL.but(epochs=50, fractions=(0.8, 0.85, 0.9), rounds=(5, 10))
QUICK = FULL.but(**runner.QUICK, epochs=20, fractions=(0.8, 0.9), rounds=(5,))
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
PAPER, EXACT = ("count", "count x magnitude"), ("count, exact", "count x magnitude, exact")
# What the verdicts rest on: more seeds than the rest, and some with other numbers of rounds, too.
CENTRAL, THOROUGH_SEEDS = (*PAPER, "magnitude, global"), 2
SCRATCH = "small from scratch"
RETRAINED = [f"{name}, retrained" for name in RECONSTRUCTIONS]
RIVALS = ["pruned", *RECONSTRUCTIONS, *RETRAINED, SCRATCH]
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
                methods = METHODS if seed < THOROUGH_SEEDS else (*CENTRAL, *EXACT)
                for method in methods if rounds == fewest else CENTRAL:
                    for fraction in settings.fractions:
                        yield dataset, method, fraction, rounds, seed


def execute(settings, folder, dataset, method, fraction, rounds, seed):
    """Rows of a run: the net itself and, for the paper's methods, its rivals of the same size."""
    rows = Rows.load(dataset, settings.n_rows)

    def net(hidden=settings.hidden, **params):
        return estimator(rows, hidden, settings.epochs, seed, **params)

    dense, row = kept(folder / ".dense" / f"accuracy-{dataset}-{seed}.joblib", net(), rows)
    if method == "dense":
        return [{"model": "dense"} | row]
    how = {"method": METHODS[method], "prune_fraction": fraction, "n_prune_rounds": rounds}
    pruned, row = fitted(net(**how), rows)
    found = [{"model": "pruned"} | row | {"sparsity": pruned.sparsity_}]
    thorough = method in PAPER and rounds == min(settings.rounds) and seed < THOROUGH_SEEDS
    left = since_first_round(pruned) if thorough else None
    for name in RECONSTRUCTIONS:
        smaller = low_rank(name, dense, split(row["ranks"]))
        found += low_rank_rows(name, smaller, rows, left, seed)
    if thorough:
        sizes = [coef.shape[1] for coef in pruned.coefs_[:-1]]
        found.append({"model": SCRATCH} | fitted(net(sizes), rows)[1])
    return found


def since_first_round(net):
    """Epochs that a net was trained for after it was first pruned."""
    return net.n_iter_ - net.pruning_history_[0]["epoch"]


def low_rank_rows(name, net, rows, epochs, seed):
    """Rows of a `LowRankNet`: as it is and, unless `epochs` is None, trained on for so many."""
    found = [{"model": name} | describe(net, rows)]
    if epochs is not None:
        found.append(found[0] | retrained(net, rows, epochs, seed))
        found[1]["model"] = f"{name}, retrained"
    return found


# -- what is made of them, here and in `defaults` and `whitened` -------------------------------


def tables(rows):
    """Yield the nets by method, and rivals at the ranks of the pruned nets."""
    yield "methods", methods_table(rows)
    yield "rivals", rivals_table(fewest_rounds(rows), PAPER, RIVALS)


def methods_table(rows):
    """Accuracies, sizes and epochs of pruned and dense nets by fraction and rounds."""
    keys = ["dataset", "rounds", "fraction", "method"]
    columns = accuracies("{} %") | {
        "hidden weights gone %": ("sparsity", lambda of: f"{100 * of.mean():.1f}"),
        "live neurons (seed 0)": ("live", "first"),
        "ranks (seed 0)": ("ranks", "first"),
        "epochs": ("epochs", mean_sd(0, 1)),
        "n": ("seed", seeds),
    }
    table = rows[rows["model"].isin(["pruned", "dense"])].groupby(keys).agg(**columns)
    table.loc[table.index.get_level_values("rounds") == 0, "hidden weights gone %"] = "0"
    shown = table.index.get_level_values("rounds").map(lambda of: str(of) if of else "-")
    table.insert(0, "rounds", shown)
    return _labelled(table)


def rivals_table(rows, methods, models):
    """Test accuracies of these models beside the nets pruned by some methods."""
    groups = rows[rows["method"].isin(methods)].groupby(["dataset", "method", "fraction"])
    by_model = rows.groupby([*groups.keys, "model"])["test_accuracy"].agg(mean_sd()).unstack()
    table = groups.agg(**{"ranks (seed 0)": ("ranks", "first")})
    return _labelled(table.join(by_model[models].fillna("")).assign(n=groups["seed"].agg(seeds)))


def _labelled(table):
    """Table that begins with data and method, and fraction, which are in its index."""
    dataset, method, fraction = (
        table.index.get_level_values(name) for name in ("dataset", "method", "fraction")
    )
    table.insert(0, "data, method", dataset + ", " + method)
    table.insert(1, "fraction", fraction.map(lambda of: percent(of) if of else "-"))
    return table


def fewest_rounds(rows):
    """Rows of dense nets and of the smallest number of rounds that there is."""
    rounds = rows["rounds"]
    return rows[rounds.isin([0, rounds[rounds > 0].min()])]


def percent(fraction):
    """A share for a table."""
    return f"{100 * fraction:.0f} %"


AXES = {"xlabel": "share of the weights pruned", "ylabel": "test accuracy, %"}


def figures(rows, folder):
    """Yield accuracy by fraction, and rivals at the ranks of the pruned nets."""
    yield FRACTIONS, fractions_figure(rows, METHODS, 8)
    of = fewest_rounds(rows)
    of = of[of["method"].isin(PAPER)]
    of = of.assign(model=ordered(of["model"], RIVALS), y=100 * of["test_accuracy"])
    title = "The pruned net and dense nets of the same hidden ranks"
    figure, _ = curves(of, "fraction", "y", "model", "dataset", "method", title=title, **AXES)
    yield AT_THE_SAME_RANKS, figure


def fractions_figure(rows, methods, shown_points):
    """Figure of test accuracy by fraction, down to `shown_points` below the dense net."""
    of = fewest_rounds(rows).assign(y=100 * rows["test_accuracy"])
    dense, pruned = (of[of["model"] == model] for model in ("dense", "pruned"))
    fractions = pruned["fraction"].drop_duplicates()
    of = pd.concat([pruned, dense.drop(columns="fraction").merge(fractions, how="cross")])
    of = of.assign(method=ordered(of["method"], [*methods, "dense"]))
    title = "Test accuracy of pruned nets; what leaves below is in the table"
    columns = "fraction", "y", "method", None, "dataset"
    figure, axes = curves(of, *columns, title=title, size=(4.6, 3.6), **AXES)
    for (_, dataset), ax in axes.items():
        # A net that has collapsed would leave no room for the differences of the others.
        ax.set_ylim(bottom=dense.loc[dense["dataset"] == dataset, "y"].mean() - shown_points)
    return figure


def answers(rows):
    """Claims C1 and C3, one answer for each score."""
    five = fewest_rounds(rows)

    def differences(of, *column_name_rival):
        return paired(of, "test_accuracy", *column_name_rival, "fraction", percent)

    found, pruned = [], five[five["model"] == "pruned"]
    for method in (*PAPER, *EXACT):
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
