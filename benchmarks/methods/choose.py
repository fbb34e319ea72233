"""Settings of a method, compared on validation rows; test rows are not looked at."""

from benchmarks.methods import settings as ways
from benchmarks.methods.lenet import fitted
from benchmarks.methods.settings import asked, lineup, told
from benchmarks.reproduce.nets import join, size
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.statistics import mean_sd

FIELDS = ("method", "options", "compression", "seed")
FULL = ways.FULL.but(seeds=2, compressions=(20, 50), tried={})
QUICK = ways.QUICK.but(tried={})


def runs(settings):
    """Yield all runs: every setting that is tried, beside the present one."""
    for seed in range(settings.seeds):
        for method, tried in settings.tried.items():
            for options in options_of(method, tried):
                for compression in settings.compressions:
                    yield method, options, float(compression), seed


def options_of(method, tried):
    """Parameters by their text, those of now first."""
    now = lineup()[method]
    return {told(now): now} | {told(now | params): now | params for params in tried}


def execute(settings, folder, method, options, compression, seed):
    """The row of a run, trained without the validation rows."""
    rows = Rows.load(settings.dataset, settings.n_rows)
    sizes = (rows.X.shape[1], *settings.hidden, len(set(rows.y)))
    params = options_of(method, settings.tried[method])[options]
    net, seconds, note = fitted(settings, asked(compression, sizes, params), seed, params, rows)
    row = {"seconds": seconds, "note": note}
    if net is None:
        return [row]
    weights = sum(int((coef != 0).sum()) for coef in net.coefs_)
    return [
        row
        | {
            "validation_error": 1 - net.score(rows.X_val, rows.y_val),
            "reached": size(sizes) / weights,
            "live": join(coef.shape[1] for coef in net.coefs_[:-1]),
        }
    ]


def table(rows):
    """Validation errors in % by method, setting and compression, as a DataFrame of text."""
    columns = {"error %": ("validation_error", mean_sd(2)), "note": ("note", "first")}
    return rows.groupby(["method", "options", "compression"]).agg(**columns).reset_index()
