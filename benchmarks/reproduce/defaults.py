"""The estimator's own defaults in place of the authors' protocol: accuracy beside rivals."""

from benchmarks.reproduce import accuracy
from benchmarks.reproduce.accuracy import MARGIN, SCRATCH, fewest_rounds, percent
from benchmarks.reproduce.nets import RECONSTRUCTIONS, describe, fitted, kept, low_rank, split
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import compared, paired
from skactprune import PrunedMLPClassifier

FIELDS = accuracy.FIELDS
FULL, QUICK = accuracy.FULL.but(epochs=20), accuracy.QUICK.but(epochs=10)
DEFAULT = PrunedMLPClassifier().method
# Each with its default options.
METHODS = ("activation", "activation_magnitude", "magnitude", "random", DEFAULT)
RIVALS = ["pruned", *RECONSTRUCTIONS, SCRATCH]
FIGURE = "defaults-fractions.png"
QUESTIONS = (
    ("method", "magnitude", MARGIN, "as accurate as magnitude pruning of single weights"),
    ("method", "activation", 0.0, "more accurate than without the neurons that fire least"),
    ("method", "random", 0.0, "more accurate than without random neurons"),
    ("model", SCRATCH, 0.0, "more accurate than a net of its sizes from scratch"),
    ("model", "kernel PCA", 0.0, "more accurate than the dense net with kernels by PCA"),
)


def runs(settings):
    """Yield all runs: the dense net, and every method; more rounds for the default only."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield dataset, "dense", 0.0, 0, seed
            for fraction in settings.fractions:
                for rounds in settings.rounds:
                    for method in METHODS if rounds == min(settings.rounds) else (DEFAULT,):
                        yield dataset, method, fraction, rounds, seed


def execute(settings, folder, dataset, method, fraction, rounds, seed):
    """Rows of a run: the net itself and, beside the default, its rivals of the same size."""
    rows = Rows.load(dataset, settings.n_rows)

    def net(hidden=settings.hidden, **params):
        how = {"prune_fraction": 0, "max_iter": settings.epochs, "random_state": seed}
        return PrunedMLPClassifier(hidden, **how | params)

    dense, row = kept(folder / ".dense" / f"defaults-{dataset}-{seed}.joblib", net(), rows)
    if method == "dense":
        return [{"model": "dense"} | row]
    how = {"method": method, "prune_fraction": fraction, "n_prune_rounds": rounds}
    pruned, row = fitted(net(**how), rows)
    found = [{"model": "pruned"} | row | {"sparsity": pruned.sparsity_}]
    if method != DEFAULT or rounds > min(settings.rounds):
        return found
    for name in RECONSTRUCTIONS:
        smaller = low_rank(name, dense, split(row["ranks"]))
        found.append({"model": name} | describe(smaller, rows))
    sizes = [coef.shape[1] for coef in pruned.coefs_[:-1]]
    return [*found, {"model": SCRATCH} | fitted(net(sizes), rows)[1]]


def tables(rows):
    """Yield the nets by method, and the rivals of the default."""
    yield "methods", accuracy.methods_table(rows)
    yield "rivals", accuracy.rivals_table(fewest_rounds(rows), (DEFAULT,), RIVALS)


def figures(rows, folder):
    """Yield accuracy by fraction."""
    yield FIGURE, accuracy.fractions_figure(rows, METHODS, 3)


def answers(rows):
    """Answers by the 95 % intervals of the paired differences."""
    nets, found = fewest_rounds(rows), []
    # Of each column: what the rows beside the default's have in common with them, and its value.
    beside = {
        "method": (nets[nets["model"] == "pruned"], DEFAULT),
        "model": (nets[nets["method"] == DEFAULT], "pruned"),
    }
    for column, rival, margin, text in QUESTIONS:
        of, name = beside[column]
        cells = paired(of, "test_accuracy", column, name, rival, "fraction", percent)
        question = f"Is a net pruned by the estimator's defaults {text}?"
        found += compared("-", question, cells, margin, FIGURE)
    return found
