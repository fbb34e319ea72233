"""Claims C2, C4 (what a round does to the singular values) and C5: spectra of pruned nets."""

import numpy as np
from sklearn.base import clone

from benchmarks.reproduce.answers import Answer, by_dataset, interval
from benchmarks.reproduce.moments import Moments, pack, thin
from benchmarks.reproduce.pictures import PICTURED, keep_picture, picture_name
from benchmarks.reproduce.protocol import DeadlineTrigger, Rows, estimator
from benchmarks.reproduce.runs import two_seeds_first
from benchmarks.reproduce.spectra_figures import draw_finished
from benchmarks.reproduce.tables import finished, markdown, seeds, spread
from skactprune.methods import Activation, Ganguli2024, Magnitude
from skactprune.spectra import singular_values, spectrum_summary

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "method", "regrow", "seed")
METHODS = {
    "count": Ganguli2024(),
    "count, exact": Activation("weight", "global"),
    "count x magnitude": Ganguli2024(criterion="activation_magnitude"),
    "magnitude": Magnitude(scope="global", schedule="geometric"),
}
FRACTION, ROUNDS = 0.8, 5
# What is called low and full, in shares of full rank.
LOW, FULL = 0.5, 0.9
stage = two_seeds_first


def runs(settings):
    """Yield all runs: every method, with weights that stay zero (0) and that may regrow (1)."""
    for seed in range(settings.seeds):
        for dataset in settings.spectra_datasets:
            for method in METHODS:
                for regrow in (0, 1):
                    yield dict(zip(FIELDS, (dataset, method, regrow, seed), strict=True))


def execute(run, settings, folder):
    """Rows of a run: a hidden layer each, before and after every round and at the end.

    The first seed also leaves a picture of its weights for `draw`.
    """
    rows = Rows.load(run["dataset"], settings.n_rows)
    epochs, moments = settings.spectra_epochs, Moments()
    net = estimator(
        rows,
        run["seed"],
        clone(METHODS[run["method"]]).set_params(regrow=bool(run["regrow"])),
        FRACTION,
        ROUNDS,
        max_iter=epochs,
        trigger=DeadlineTrigger(deadline=epochs * 3 // 5),
        callbacks=[moments],
    ).fit(rows.X, rows.y)
    shapes = [mask.shape for mask in net.masks_]
    found = []
    for at in moments.rounds_:
        for moment in ("before", "after"):
            place = {"moment": moment, "round": at["round"], "epoch": at["epoch"]}
            found += [place | layer for layer in _layers(at[moment][0][:-1], shapes)]
    place = {"moment": "end", "round": ROUNDS, "epoch": net.n_iter_}
    coefs = moments.end_[0][:-1]
    weights = sum(shape[0] * shape[1] for shape in shapes)
    place["net_sparsity"] = 1 - sum(map(np.count_nonzero, coefs)) / weights
    place |= rows.accuracies(net.predict)
    found += [place | layer for layer in _layers(coefs, shapes)]
    if run["seed"] == 0 and not run["regrow"] and run["method"] in PICTURED:
        keep_picture(net, folder / picture_name(run["dataset"], run["method"]))
    return found


def _layers(coefs, shapes):
    """Measures of hidden matrices that may have been cut; those that left count as zeros."""
    rows = []
    # The weights are float32, which sets the tolerance of the rank.
    for coef, shape, row in zip(coefs, shapes, spectrum_summary(coefs, np.float32), strict=True):
        values = np.zeros(min(shape))
        values[: min(coef.shape)] = singular_values(coef)
        row |= {"layer": row["layer"] + 1, "full": min(shape)}
        row["sparsity"] = 1 - np.count_nonzero(coef) / np.prod(shape)
        row["singular_values"] = pack(thin(values))
        rows.append(row)
    return rows


# -- what is said of them -------------------------------------------------------------------


def draw(table, folder):
    """Write the figures, of all seeds that are finished; see `draw_finished`."""
    if (table := _finished(table)) is not None:
        draw_finished(table, folder)


def _finished(table):
    """Rows of finished seeds; None where there is none."""
    table = finished(table, FIELDS)
    n_runs = len(table[["method", "regrow"]].drop_duplicates())
    return table if n_runs == 2 * len(METHODS) else None


def shares(table, method, regrow, moment="end", measure="rank"):
    """Rank of the hidden matrices as a share of full rank.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    method : str
        A key of `METHODS`.
    regrow : {0, 1}
        Whether weights may regrow.
    moment : {"before", "after", "end"}, default="end"
        Before or after the last round, or the end of training.
    measure : {"rank", "effective_rank"}, default="rank"
        Which rank.

    Returns
    -------
    ndarray of shape (n_seeds,)
        Mean over the hidden layers.
    """
    rows = table[(table.method == method) & (table.regrow == regrow) & (table.moment == moment)]
    rows = rows[rows["round"] == rows["round"].max()]
    return (rows[measure] / rows["full"]).groupby(rows["seed"]).mean().to_numpy()


def level(values):
    """Where the 95 % interval of the mean share lies: "low", "between" or "full".

    "unknown" where a limit of these lies in the interval, and for one seed, which has none.
    """
    mean, half = interval(values)
    low, high = mean - half, mean + half
    if high < LOW:
        return "low"
    if low > FULL:
        return "full"
    return "between" if low >= LOW and high <= FULL else "unknown"


def answers(table):
    """Verdicts on C2 and C5 for each data set; "low" and "full" as `level` has it."""
    if (table := _finished(table)) is None:
        return []
    return by_dataset(table, _answers)


def _answers(table):
    magnitude = shares(table, "magnitude", 0)
    found = [_sparse_and_low(table, method, magnitude) for method in list(METHODS)[:3]]
    return [*found, *(_remains(table, method) for method in list(METHODS)[:2])]


def _sparse_and_low(table, method, magnitude):
    rank = shares(table, method, 0)
    end = table[(table.method == method) & (table.regrow == 0) & (table.moment == "end")]
    sparse = end["net_sparsity"].min() >= FRACTION - 0.005
    levels = level(rank), level(magnitude)
    verdict = "no"
    if "unknown" in levels:
        verdict = f"not decided by {seeds(table)}"
    elif sparse and levels == ("low", "full"):
        verdict = "yes"
    elif sparse and levels[0] == "low":
        verdict = "only the first half: magnitude pruning does not keep nearly full rank either"
    elif sparse and levels == ("between", "full"):
        verdict = "only relatively: below magnitude pruning, but above half"
    return Answer(
        "C2",
        f"Do hidden matrices become sparse and of low rank by {method}, and stay of nearly full "
        "rank by magnitude?",
        verdict,
        f"sparsity {end['net_sparsity'].mean():.0%}, rank {_share(rank)} of full; "
        f"magnitude {_share(magnitude)} ({seeds(table)})",
        f"spectra-ranks-{table['dataset'].iloc[0]}.png",
    )


def _remains(table, method):
    at = {
        (name, moment): shares(table, name, 1, moment)
        for name in (method, "magnitude")
        for moment in ("after", "end")
    }
    levels = level(at[method, "end"]), level(at["magnitude", "end"])
    kept, lost = levels[0] == "low", levels[1] == "full"
    verdict = "yes" if kept and lost else "no"
    if "unknown" in levels:
        verdict = f"not decided by {seeds(table)}"
    elif kept != lost:
        verdict = f"only for {method if kept else 'magnitude'}"
    texts = [
        f"{name}: rank {_share(at[name, 'after'])} of full after the last round, "
        f"{_share(at[name, 'end'])} after retraining"
        for name in (method, "magnitude")
    ]
    return Answer(
        "C5",
        f"Does the low rank remain when pruned weights may regrow: kept by {method}, lost by "
        "magnitude?",
        verdict,
        f"{'; '.join(texts)} ({seeds(table)})",
        f"spectra-end-{table['dataset'].iloc[0]}.png",
    )


def _share(values):
    mean, half = interval(100 * values)
    return f"{mean:.0f} %" if np.isnan(half) else f"{mean:.0f} ± {half:.0f} %"


def section(table):
    """Part of the page: how it was done, tables and figures."""
    title = "## Spectra of the hidden matrices"
    if (table := _finished(table)) is None:
        return f"{title}\n\nNo seed is finished."
    parts = [
        title,
        f"The authors' net and optimizer, at most {int(table['epoch'].max())} epochs, "
        f"{FRACTION:.0%} pruned in {ROUNDS} rounds, the last by epoch "
        f"{int(table[table.moment == 'after']['epoch'].max())}, {seeds(table)}. *count* and "
        "*count x magnitude* take the fraction as the authors do, of the whole net and without the "
        "weights that die with their neuron, so that more is gone; *count, exact* and *magnitude* "
        "end at it. Pruned weights stay zero, or may regrow: then every round sets "
        "weights to zero and "
        "the next step of the optimizer may change them. Rank is that of the matrix stored in "
        "float32 (singular values computed in float64), as a share of the full rank of the "
        "original matrix; effective rank is the exponential of the entropy of the singular "
        "values. Tables show mean ± standard deviation over seeds; in the table of answers, ± is "
        f"half a 95 % interval. *Low* there means that the interval lies below {LOW:.0%} of full "
        f"rank, *nearly full* that it lies above {FULL:.0%}; where one of these limits is inside, "
        "nothing is decided.",
    ]
    for dataset, rows in table.groupby("dataset"):
        parts += [f"### {dataset}", _ends(rows), _by_layer(rows), _falls(rows)]
        parts += [
            f"![{text}](reproduction/spectra-{name}-{dataset}.png)"
            for name, text in (
                ("ranks", "Rank before and after every round"),
                ("ratios", "Fall of the singular values in every round"),
                ("end", "Singular values after retraining"),
                ("weights", "Weights that are left"),
            )
        ]
    return "\n\n".join(parts)


def _pairs(table):
    """Rows of every method with and without regrowth, with its name for a table."""
    for regrow in (0, 1):
        for method in METHODS:
            rows = table[(table.method == method) & (table.regrow == regrow)]
            yield method + ", regrowth" * regrow, rows


def _ends(table):
    header = ["at the end", "sparsity %", "rank %", "effective rank %", "stable rank"]
    header += [f"{part} accuracy %" for part in ("train", "validation", "test")]
    lines = []
    for name, rows in _pairs(table):
        method, regrow = rows["method"].iloc[0], rows["regrow"].iloc[0]
        end = rows[rows.moment == "end"]
        per_seed = end.groupby("seed")
        lines.append(
            [
                name,
                spread(per_seed["net_sparsity"].first(), scale=100),
                *(
                    spread(shares(table, method, regrow, measure=measure), scale=100)
                    for measure in ("rank", "effective_rank")
                ),
                spread(per_seed["stable_rank"].mean()),
                *(
                    spread(per_seed[f"{part}_accuracy"].first(), scale=100)
                    for part in ("train", "validation", "test")
                ),
            ]
        )
    return markdown(header, lines)


def _by_layer(table):
    full = table.groupby("layer")["full"].first()
    header = ["rank at the end", *(f"layer {layer} of {size}" for layer, size in full.items())]
    lines = []
    for name, rows in _pairs(table):
        end = rows[rows.moment == "end"].groupby("layer")
        lines.append([name, *(spread(group["rank"], 0) for _, group in end)])
    return markdown(header, lines)


def _falls(table):
    last = int(table["round"].max())
    header = ["nuclear norm after / before", *(f"round {i}" for i in range(1, last + 1))]
    header.append(f"end / before round {last}")
    lines = []
    for name, rows in _pairs(table):
        total = rows.groupby(["round", "seed", "moment"])["nuclear_norm"].sum().unstack()
        ratio = total["after"] / total["before"]
        lines.append([name, *(spread(ratio[i], 2) for i in range(1, last + 1))])
        lines[-1].append(spread((total["end"] / total["before"])[last], 2))
    text = "What a round does to the singular values, summed over the hidden layers:"
    return f"{text}\n\n{markdown(header, lines)}"
