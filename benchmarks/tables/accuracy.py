"""The pruned net beside other ways of pruning, nets of its size, and models without layers."""

from ast import literal_eval

from benchmarks.reproduce import runner
from benchmarks.tables import data, models
from benchmarks.tables.models import DEFAULT, DENSE, fitted, ours
from benchmarks.tables.statistics import compared, ranks

FIELDS = ("table", "net", "fraction", "method", "seed")
FULL = runner.Settings(
    seeds=3, nets=((100,), (128, 64)), fractions=(0.8, 0.9, 0.95), csv_folder=None, only=None
)
FEW = ("iris", "wine", "breast_cancer", "digits", "flips-20", "moons-noise")
QUICK = FULL.but(seeds=2, nets=((100,),), fractions=(0.8, 0.95), only=FEW)
RIVALS = (models.SCRATCH, models.SKLEARN, models.RANDOM, models.MAGNITUDE, *models.OTHERS)


def runs(settings):
    """Yield all runs; models without layers or pruning are fitted once."""
    for seed in range(settings.seeds):
        for table in data.names(settings):
            yield from ((table, "-", 0.0, name, seed) for name in models.OTHERS)
            for net in map(str, settings.nets):
                yield table, net, 0.0, DENSE, seed
                for fraction in settings.fractions:
                    ways = models.pruning() if fraction == settings.fractions[0] else models.CORE
                    yield from ((table, net, fraction, way, seed) for way in ways)


def execute(settings, folder, table, net, fraction, method, seed):
    """The row of a run; that of the default has those of the rivals of its size, too."""
    parts = data.split(table, settings.csv_folder, seed)
    if method in models.OTHERS:
        model = models.OTHERS[method](seed)
    else:
        params = {} if method == DENSE else models.pruning()[method]
        model = ours(literal_eval(net), fraction, seed, **params)
    model, row = fitted(model, parts)
    rows = [{"model": method} | row]
    for name, rival in models.of_live_size(model, seed) if method == DEFAULT else ():
        rows.append({"model": name} | fitted(rival, parts)[1])
    return rows


def answers(rows):
    """The default beside its rivals at every fraction, by accuracy and by log-loss."""
    for net, fraction, of in by_net(rows):
        what = f"{net}, pruned to {100 * (1 - fraction):.0f} %"
        for measure in ("accuracy", "logloss"):
            lead = fraction == 0.8 and measure == "accuracy"
            yield compared(what, of, measure, DEFAULT, DENSE, as_good=True, lead=lead)
            for rival in RIVALS:
                yield compared(what, of, measure, DEFAULT, rival, lead=lead)


def by_net(rows):
    """Yield each net and fraction with their rows, and those of what has none."""
    for net in sorted(set(rows["net"]) - {"-"}):
        of = rows[rows["net"].isin(("-", net))]
        for fraction in sorted(set(of["fraction"]) - {0}):
            yield net, fraction, of[of["fraction"].isin((0, fraction))]


def tables(rows):
    """Yield for each net and fraction, of the splits that all models have: means and mean ranks."""
    for net, fraction, of in by_net(rows):
        splits = set.intersection(*of.groupby("model")["seed"].agg(set))
        what = f"{net}, {100 * fraction:.0f} % of the hidden weights gone"
        yield f"{what} (splits: {len(splits)})", ranks(of[of["seed"].isin(splits)])
