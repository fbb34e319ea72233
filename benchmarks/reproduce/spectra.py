"""Claims C2 and C5, and what a round does to the singular values: spectra of pruned nets."""

import joblib
import numpy as np
from sklearn.base import clone

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import curves, ordered, panels, stacked
from benchmarks.reproduce.moments import ROUNDING, Moments, exploded, pack, thin
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.runner import replace
from benchmarks.reproduce.statistics import (
    Answer,
    by_dataset,
    interval,
    mean_sd,
    seeds,
    with_interval,
)
from skactprune.methods import Activation, Ganguli2024, Magnitude
from skactprune.spectra import singular_values, spectrum_summary

FIELDS = ("dataset", "method", "regrow", "seed")
FULL = runner.FULL.but(epochs=16)
QUICK = FULL.but(**runner.QUICK, epochs=10)
METHODS = {
    "count": Ganguli2024(),
    "count, exact": Activation("weight", "global"),
    "count x magnitude": Ganguli2024(criterion="activation_magnitude"),
    "magnitude": Magnitude(scope="global", schedule="geometric"),
}
FRACTION, ROUNDS = 0.8, 5
# What is called low and full, in shares of full rank.
LOW, FULL_RANK = 0.5, 0.9
# Weights of the first seed are shown in so many greys.
PICTURED, LEVELS = ("count", "count, exact", "magnitude"), 7


def runs(settings):
    """Yield all runs: every method, with weights that stay zero (0) and that may regrow (1)."""
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            for method in METHODS:
                for regrow in (0, 1):
                    yield dataset, method, regrow, seed


def execute(settings, folder, dataset, method, regrow, seed):
    """Rows of a run: a hidden layer each, before and after every round and at the end.

    The first seed also leaves its weights for a figure.
    """
    rows, moments = Rows.load(dataset, settings.n_rows), Moments()
    how = {"prune_fraction": FRACTION, "n_prune_rounds": ROUNDS, "callbacks": [moments]}
    how["method"] = clone(METHODS[method]).set_params(regrow=bool(regrow))
    net = estimator(rows, settings.hidden, settings.epochs, seed, **how).fit(rows.X, rows.y)
    shapes = [mask.shape for mask in net.masks_]
    found = []
    for at in moments.rounds_:
        for moment in ("before", "after"):
            place = {"moment": moment, "round": at["round"], "epoch": at["epoch"]}
            found += [place | layer for layer in layers(at[moment][0][:-1], shapes)]
    coefs = moments.end_[0][:-1]
    left = sum(map(np.count_nonzero, coefs)) / sum(a * b for a, b in shapes)
    place = {"moment": "end", "round": ROUNDS, "epoch": net.n_iter_, "net_sparsity": 1 - left}
    place |= rows.accuracies(net.predict)
    found += [place | layer for layer in layers(coefs, shapes)]
    if seed == 0 and not regrow and method in PICTURED:
        keep_picture(net, picture(folder, dataset, method))
    return found


def layers(coefs, shapes):
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


def picture(folder, dataset, method):
    """File of the weights of a run, which no table needs."""
    return folder / ".dense" / f"spectra-{dataset}-{method}.joblib"


def keep_picture(net, path):
    """Keep abs(w) of the hidden layers in their original shapes, in levels of a byte.

    0 is for a weight that is zero, and 1 to `LEVELS`, which 5 % of them reach, for the others.
    """
    pictures, previous = [], np.arange(net.masks_[0].shape[0])
    for mask, live, coef in zip(net.masks_, net.live_neurons_, net.coefs_[:-1], strict=True):
        whole = np.zeros(mask.shape)
        whole[np.ix_(previous, live)] = np.abs(coef)
        top = np.quantile(whole[whole > 0], 0.95)
        # Rounded up: only what is exactly zero gets level 0.
        pictures.append(np.ceil((whole / top).clip(max=1) * LEVELS).astype(np.uint8))
        previous = live
    replace(path, lambda path: joblib.dump(pictures, path, compress=True))


# -- what is made of them ---------------------------------------------------------------------


def tables(rows):
    """Yield for each data set: the nets at the end, ranks by layer, and the fall in every round."""
    for dataset, of in _named(rows).groupby("dataset"):
        yield f"ends-{dataset}", _ends(of)
        yield f"ranks-{dataset}", _by_layer(of)
        yield f"falls-{dataset}", _falls(of)


def _named(rows):
    """Rows with the name of what they are of, in the order of the tables, and shares of rank."""
    names = [method + then for then in ("", ", regrowth") for method in METHODS]
    name = rows["method"] + rows["regrow"].map({0: "", 1: ", regrowth"})
    shares = {f"{of}_share": rows[of] / rows["full"] for of in ("rank", "effective_rank")}
    return rows.assign(name=ordered(name, names), **shares)


def _ends(rows):
    shown = {
        "net_sparsity": "sparsity %",
        "rank_share": "rank %",
        "effective_rank_share": "effective rank %",
        "stable_rank": "stable rank",
    }
    shown |= {f"{of}_accuracy": f"{of} accuracy %" for of in ("train", "validation", "test")}
    end = rows[rows["moment"] == "end"]
    per_seed = end.groupby(["name", "seed"], observed=True)[list(shown)].mean()
    how = dict.fromkeys(shown, mean_sd()) | {"stable_rank": mean_sd(1, 1)}
    table = per_seed.groupby("name", observed=True).agg(how).rename(columns=shown)
    return table.rename_axis("at the end").reset_index()


def _by_layer(rows):
    end = rows[rows["moment"] == "end"]
    table = end.groupby(["name", "layer"], observed=True)["rank"].agg(mean_sd(0, 1)).unstack()
    full = rows.groupby("layer")["full"].first()
    table.columns = [f"layer {layer} of {size}" for layer, size in full.items()]
    return table.rename_axis("rank at the end").reset_index()


def _falls(rows):
    keys = ["name", "round", "seed", "moment"]
    total = rows.groupby(keys, observed=True)["nuclear_norm"].sum().unstack()
    last = f"end / before round {ROUNDS}"
    ratios = {"round": total["after"] / total["before"], last: total["end"] / total["before"]}
    texts = {
        column: ratio.groupby(["name", "round"], observed=True).agg(mean_sd(2, 1)).unstack()
        for column, ratio in ratios.items()
    }
    table = texts["round"].add_prefix("round ").assign(**{last: texts[last][ROUNDS]})
    table.columns.name = None
    return table.rename_axis("nuclear norm after / before").reset_index()


def shares(rows, method, regrow, moment="end"):
    """Rank of the hidden matrices as a share of full rank, the mean over them, a number a seed.

    The moment is "before" or "after" the last round, or the "end" of training.
    """
    of = rows[(rows.method == method) & (rows.regrow == regrow) & (rows.moment == moment)]
    of = of[of["round"] == of["round"].max()]
    return (of["rank"] / of["full"]).groupby(of["seed"]).mean().to_numpy()


def level(values):
    """Where the 95 % interval of the mean share lies: "low", "between" or "full".

    "unknown" where a limit of these lies in the interval, and for one seed, which has none.
    """
    mean, half = interval(values)
    low, high = mean - half, mean + half
    if high < LOW:
        return "low"
    if low > FULL_RANK:
        return "full"
    return "between" if low >= LOW and high <= FULL_RANK else "unknown"


def answers(rows):
    """Verdicts on C2 and C5 for each data set; "low" and "full" as `level` has it."""
    return by_dataset(rows, _answers)


def _answers(rows):
    by_method = [sparse_and_low(rows, method) for method in list(METHODS)[:3]]
    return [*by_method, *(remains(rows, method) for method in list(METHODS)[:2])]


def sparse_and_low(rows, method):
    """Claim C2: "only relatively" below magnitude pruning, but above half of full rank."""
    rank, magnitude = shares(rows, method, 0), shares(rows, "magnitude", 0)
    end = rows[(rows.method == method) & (rows.regrow == 0) & (rows.moment == "end")]
    verdict, n = "no", seeds(rows["seed"])
    if "unknown" in (levels := (level(rank), level(magnitude))):
        verdict = f"not decided by {n}"
    elif end["net_sparsity"].min() >= FRACTION - 0.005:
        named = {("low", "full"): "yes", ("between", "full"): "only relatively"}
        verdict = named.get(levels, "only the first half" if levels[0] == "low" else "no")
    question = (
        f"Do hidden matrices become sparse and of low rank by {method}, and stay of nearly full "
        "rank by magnitude?"
    )
    effect = (
        f"sparsity {end['net_sparsity'].mean():.0%}, rank {_share(rank)} of full; "
        f"magnitude {_share(magnitude)} ({n})"
    )
    return Answer("C2", question, verdict, effect, f"spectra-ranks-{rows['dataset'].iloc[0]}.png")


def remains(rows, method):
    """Claim C5: whether a method keeps the low rank and magnitude loses it, with regrowth."""
    names, n = (method, "magnitude"), seeds(rows["seed"])
    after, end = ([shares(rows, name, 1, at) for name in names] for at in ("after", "end"))
    levels = [level(of) for of in end]
    kept, lost = levels[0] == "low", levels[1] == "full"
    verdict = "yes" if kept and lost else "no"
    if "unknown" in levels:
        verdict = f"not decided by {n}"
    elif kept != lost:
        verdict = f"only for {method if kept else 'magnitude'}"
    question = (
        f"Does the low rank remain when pruned weights may regrow: kept by {method}, lost by "
        "magnitude?"
    )
    texts = [
        f"{name}: rank {_share(a)} of full after the last round, {_share(b)} after retraining"
        for name, a, b in zip(names, after, end, strict=True)
    ]
    effect = f"{'; '.join(texts)} ({n})"
    return Answer("C5", question, verdict, effect, f"spectra-end-{rows['dataset'].iloc[0]}.png")


def _share(values):
    return f"{with_interval(100 * values, 0)} %"


# -- figures ----------------------------------------------------------------------------------


def figures(rows, folder):
    """Yield for each data set: ranks, falls and ends of spectra, and weights that are left."""
    rows = rows.assign(
        method=ordered(rows["method"], METHODS),
        kept=rows["regrow"].map({0: "pruned weights stay zero", 1: "pruned weights may regrow"}),
        layer=rows["layer"].map("layer {}".format),
    )
    position = {"xlabel": "position in the spectrum, %\n(0: largest σ)", "marker": ""}
    for dataset, of in rows.groupby("dataset"):
        yield f"spectra-ranks-{dataset}.png", _ranks_figure(dataset, of)
        figure, axes = curves(
            _ratios(of),
            *("position", "ratio", "round", "method", "layer"),
            title="What a pruning round leaves of each singular value (1: unchanged, 0: gone); "
            f"{dataset}, a line a round",
            ylabel="σ after / σ before",
            sharex=True,
            sharey=True,
            **position,
        )
        next(iter(axes.values())).set_ylim(0, 1.05)
        yield f"spectra-ratios-{dataset}.png", figure
        first = (of["moment"] == "before") & (of["round"] == 1) & (of["method"] == "magnitude")
        method = of["method"].astype(str).where(~first, "before the first round")
        shown = of.assign(method=method)[first | (of["moment"] == "end")]
        figure, _ = curves(
            exploded(shown, "singular_values"),
            *("position", "singular_values", "method", "kept", "layer"),
            title=f"Singular values after pruning and retraining; {dataset}",
            ylabel="singular value σ",
            sharex=True,
            sharey="col",
            **position,
        )
        yield f"spectra-end-{dataset}.png", figure
        if all(picture(folder, dataset, method).exists() for method in PICTURED):
            yield f"spectra-weights-{dataset}.png", _weights_figure(dataset, folder)


def _ranks_figure(dataset, rows):
    """Rank and effective rank through the rounds, without and with regrowth."""
    x = rows["round"] + rows["moment"].map({"before": -0.15, "after": 0.15, "end": 0.6})
    shares = {of: 100 * rows[of] / rows["full"] for of in ("rank", "effective_rank")}
    by_layer = stacked(rows.assign(x=x), shares)
    keys = ["of", "x", "method", "kept", "seed"]
    figure, _ = curves(
        by_layer.groupby(keys, observed=True, as_index=False)["y"].mean(),
        *("x", "y", "method", "of", "kept"),
        title=f"Rank of the hidden matrices while 80 % of their weights are pruned; {dataset}",
        xlabel="pruning round (left: before it, right: after it), then the end of training",
        ylabel="% of full rank,\nmean of the hidden layers",
        marker="",
        size=(5.0, 2.9),
        sharex=True,
        sharey=True,
    )
    return figure


def _ratios(rows):
    """What is left of every singular value after a round, of methods that differ."""
    rows = rows[(rows["regrow"] == 0) & (rows["method"] != "count, exact")]
    keys = ["method", "layer", "round", "seed", "position"]
    values = exploded(rows, "singular_values").set_index([*keys, "moment"])["singular_values"]
    values = values.unstack()[["before", "after"]].dropna()
    largest = values["before"].groupby(keys[:-1], observed=True).transform("max")
    values = values[values["before"] > ROUNDING * largest]
    return (values["after"] / values["before"]).rename("ratio").reset_index()


def _weights_figure(dataset, folder):
    """Weights of two hidden layers that are left at the end, first seed."""
    title = f"{dataset}: weights left after pruning 80 % (white: zero; dark: large), first seed"
    figure, axes = panels(title, 2, len(PICTURED))
    for column, method in zip(axes.T, PICTURED, strict=True):
        levels = joblib.load(picture(folder, dataset, method))
        for ax, layer in zip(column, (1, 3), strict=True):
            shown = levels[layer - 1]
            ax.imshow(shown, "Greys", vmin=0, vmax=LEVELS, aspect="auto")
            left = 100 * np.count_nonzero(shown) / shown.size
            ax.set_title(f"{method}, hidden layer {layer}: {left:.0f} % left", fontsize=9)
            ax.set(xlabel="neuron", ylabel="input of the neuron")
            ax.grid(visible=False)
    return figure
