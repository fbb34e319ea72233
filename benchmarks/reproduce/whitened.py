"""Claim C3 beside its fairest rival: kernels rebuilt for the inputs that they get."""

from benchmarks.reproduce import accuracy
from benchmarks.reproduce.accuracy import (
    METHODS,
    PAPER,
    low_rank_rows,
    percent,
    rivals_table,
    since_first_round,
)
from benchmarks.reproduce.nets import RECONSTRUCTIONS, WHITENED, fitted, kept, low_rank, split
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.statistics import compared, paired

FIELDS = ("dataset", "method", "fraction", "seed")
FULL, QUICK = accuracy.FULL.but(seeds=3), accuracy.QUICK
NAMES = [*RECONSTRUCTIONS, WHITENED]
# Trained on, too; truncated SVD is in `accuracy`.
AGAIN = ("kernel PCA", WHITENED)
MODELS = ["pruned", *NAMES, *(f"{name}, retrained" for name in AGAIN)]


def runs(settings):
    """Yield all runs: the paper's methods at every fraction, in the fewest rounds."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for method in PAPER:
                for fraction in settings.fractions:
                    yield dataset, method, fraction, seed


def execute(settings, folder, dataset, method, fraction, seed):
    """Rows of a run: the pruned net and, of its ranks, the dense net of the same seed rebuilt."""
    rows = Rows.load(dataset, settings.n_rows)

    def net(**params):
        return estimator(rows, settings.hidden, settings.epochs, seed, **params)

    # The dense nets of `accuracy`.
    dense, _ = kept(folder / ".dense" / f"accuracy-{dataset}-{seed}.joblib", net(), rows)
    rounds = min(settings.rounds)
    how = {"method": METHODS[method], "prune_fraction": fraction, "n_prune_rounds": rounds}
    pruned, row = fitted(net(**how), rows)
    found, left = [{"model": "pruned"} | row], since_first_round(pruned)
    for name in NAMES:
        smaller = low_rank(name, dense, split(row["ranks"]), rows.X if name == WHITENED else None)
        found += low_rank_rows(name, smaller, rows, left if name in AGAIN else None, seed)
    return found


def tables(rows):
    """Yield test accuracies at the same ranks."""
    yield "rivals", rivals_table(rows, PAPER, MODELS)


def figures(rows, folder):
    """No figure: the table has all of it."""
    return ()


def answers(rows):
    """Claim C3 with the rival that knows the data, and whether that one is the stronger."""
    found = []

    def ask(of, name, rival, question):
        cells = paired(of, "test_accuracy", "model", name, rival, "fraction", percent)
        found.extend(compared("C3", question, cells, 0.0, ""))

    for method in PAPER:
        of = rows[rows["method"] == method]
        for then in ("", ", retrained"):
            question = (
                f"Does the net pruned by {method} beat the dense net with its kernels rebuilt by "
                f"whitened SVD at the same ranks{then}?"
            )
            ask(of, "pruned", WHITENED + then, question)
            question = f"At the ranks of {method}: does whitened SVD beat kernel PCA{then}?"
            ask(of, WHITENED + then, f"kernel PCA{then}", question)
    return found
