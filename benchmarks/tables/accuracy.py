"""The pruned net beside other ways of pruning, nets of its size, and models without layers."""

from ast import literal_eval

from benchmarks.reproduce import runner
from benchmarks.tables import data
from benchmarks.tables.models import (
    DEFAULT,
    DENSE,
    LINEAR,
    MAGNITUDE,
    OTHERS,
    RANDOM,
    SCRATCH,
    SKLEARN,
    TREES,
    fitted,
    of_live_size,
    ours,
    pruning,
)
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "net", "fraction", "method", "seed")
FULL = runner.Settings(
    seeds=3, nets=((100,), (128, 64)), fractions=(0.8, 0.9, 0.95), csv_folder=None, only=None
)
FEW = ("iris", "wine", "breast_cancer", "digits", "flips-20", "moons-noise")
QUICK = FULL.but(seeds=2, nets=((100,),), fractions=(0.8, 0.95), only=FEW)
# With what counts as equally good: half a point where the rival is larger.
RIVALS = {DENSE: 0.005, SCRATCH: 0, SKLEARN: 0, RANDOM: 0, MAGNITUDE: 0, LINEAR: 0, TREES: 0}


def runs(settings):
    """Yield all runs; models without layers or pruning are fitted once."""
    for seed in range(settings.seeds):
        for table in data.names(settings):
            yield from ((table, "-", 0.0, name, seed) for name in OTHERS)
            for net in map(str, settings.nets):
                yield table, net, 0.0, DENSE, seed
                for fraction in settings.fractions:
                    for method in pruning():
                        yield table, net, fraction, method, seed


def execute(settings, folder, table, net, fraction, method, seed):
    """The row of a run; that of the default has those of the rivals of its size, too."""
    parts = data.split(table, settings.csv_folder, seed)
    if method in OTHERS:
        model = OTHERS[method](seed)
    else:
        params = {} if method == DENSE else pruning()[method]
        model = ours(literal_eval(net), fraction, seed, **params)
    model, row = fitted(model, parts)
    rows = [{"model": method} | row]
    for name, rival in of_live_size(model, seed).items() if method == DEFAULT else ():
        rows.append({"model": name} | fitted(rival, parts)[1])
    return rows


def answers(rows):
    """The default beside its rivals at every fraction, by accuracy and by log-loss."""
    for fraction in sorted(set(rows["fraction"]) - {0}):
        of = rows[rows["fraction"].isin((0, fraction))]
        for measure in ("accuracy", "logloss"):
            for rival, margin in RIVALS.items():
                what = f"A net pruned to {100 * (1 - fraction):.0f} %"
                lead = fraction == 0.8 and measure == "accuracy"
                yield compared(what, of, measure, DEFAULT, rival, margin, lead=lead)


def tables(rows):
    """Yield for each fraction: means over tables, and mean ranks."""
    for fraction in sorted(set(rows["fraction"]) - {0}):
        of = rows[rows["fraction"].isin((0, fraction))]
        yield f"All models, {100 * fraction:.0f} % of the hidden weights gone", ranks(of, "model")
