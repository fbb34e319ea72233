"""Claim C4: does a round do to the singular values what a nuclear norm in the loss does?"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq, root_scalar

from benchmarks.reproduce import runner
from benchmarks.reproduce.figures import curves, ordered, panels
from benchmarks.reproduce.moments import ROUNDING, Moments, Start, exploded, pack, thin
from benchmarks.reproduce.nets import join, split
from benchmarks.reproduce.protocol import BATCH, RATE, Rows, estimator
from benchmarks.reproduce.statistics import (
    Answer,
    accuracies,
    by_dataset,
    mean_sd,
    points,
    seeds,
    side,
    with_interval,
)
from skactprune import WeightedNuclearNorm
from skactprune.methods import Ganguli2024
from skactprune.spectra import effective_rank, numerical_rank, singular_values

FIELDS = ("dataset", "part", "alpha", "seed")
# With the rounds whose effect is compared, and strengths of the penalty, the paper's first.
FULL = runner.FULL.but(epochs=16, rate=RATE, batch=BATCH, rounds=(1, 3, 5), alphas=(1.0, 1e-3))
QUICK = FULL.but(**runner.QUICK, epochs=10)
FRACTION, ROUNDS = 0.8, 5
SLOPES = {"linear": lambda n: np.arange(1.0, n + 1.0), "uniform": np.ones}
SVD_EVERY, MAX_STEPS = 100, 3
# Half a point lower counts as equally accurate.
MARGIN = 0.005
# What happened to the singular values, with its name in figures.
EFFECTS = {
    "round": "pruning round",
    "training": "an epoch without penalty",
    "linear": "penalty λ Σ i σ_i, as strong",
    "uniform": "penalty λ Σ σ_i, as strong",
    "paper": "penalty λ Σ i σ_i, λ of the paper",
}
PRUNED = "pruned by count"


def runs(settings):
    """Yield all runs.

    "rounds" prunes and compares every round with penalties; "penalty" trains with one to the end,
    without one where alpha is 0.
    """
    for seed in range(settings.seeds):
        for dataset in settings.datasets:
            yield dataset, "rounds", 0.0, seed
            for alpha in (0.0, *settings.alphas):
                yield dataset, "penalty", alpha, seed


def execute(settings, folder, dataset, part, alpha, seed):
    """Rows of a run: one of the net at the end, and one for every layer, round and effect."""
    rows, moments = Rows.load(dataset, settings.n_rows), Moments()
    how = {"callbacks": [_penalty(alpha, "linear")]}
    if part == "rounds":
        how = {"method": Ganguli2024(), "prune_fraction": FRACTION, "n_prune_rounds": ROUNDS}
        how["callbacks"] = [moments]
    net = _estimator(rows, settings, seed, **how).fit(rows.X, rows.y)
    found = [_at_the_end(net, rows)]
    for at in moments.rounds_ if part == "rounds" else ():
        if at["round"] in settings.rounds:
            found += [{"round": at["round"]} | row for row in compare(at, rows, settings, seed)]
    return found


def _penalty(alpha, slopes, **params):
    """The paper's penalty, by exact proximal steps for `SVD_EVERY` steps of the optimizer each."""
    how = {"solver": "proximal", "svd_every_n_steps": SVD_EVERY}
    return WeightedNuclearNorm(alpha, weights=slopes, **how, **params)


def _estimator(rows, settings, seed, **params):
    how = {"hidden": settings.hidden, "epochs": settings.epochs} | params
    rates = {"learning_rate_init": settings.rate, "batch_size": settings.batch}
    return estimator(rows, seed=seed, **how, **rates)


def _at_the_end(net, rows):
    hidden = net.coefs_[:-1]
    effective = np.array([effective_rank(coef) for coef in hidden])
    return rows.accuracies(net.predict) | {
        "effect": "end",
        "epochs": net.n_iter_,
        "ranks": join(numerical_rank(coef) for coef in hidden),
        "effective_ranks": join(effective.round()),
        "effective_share": float(np.mean(effective / [min(mask.shape) for mask in net.masks_])),
    }


# -- what a round, an epoch of training and penalties do to the same net ------------------------


def compare(moment, rows, settings, seed):
    """Rows on what a round that `Moments` kept, training and penalties do to the same spectra.

    Each is of a hidden layer and an ``effect``: "round", "training" (an epoch without a penalty),
    and an epoch, the order of the rows the same, with the penalty "linear" or "uniform", whose
    ``strength`` leaves the share of the nuclear norm that the round leaves, or with the "paper"'s.
    ``norm_before`` and ``norm_after`` are nuclear norms of the layer, where before is for a penalty
    the epoch without it; ``lower_half`` is the share of the fall that happens in the smaller half
    of the spectrum; ``profile`` holds the ratios of the singular values.
    """

    def epoch(alpha, slopes):
        """Spectra after one epoch with a penalty from its first step on."""
        coefs, end = moment["before"][0], Moments()
        penalty = _penalty(alpha, slopes, start_accuracy=0, every_n_epochs=1)
        how = {"hidden": [coef.shape[1] for coef in coefs[:-1]], "epochs": 1}
        how["callbacks"] = [Start(*moment["before"]), penalty, end]
        _estimator(rows, settings, seed, **how).fit(rows.X, rows.y)
        return _spectra(end.end_)

    before, after = (_spectra(moment[name]) for name in ("before", "after"))
    plain = epoch(0.0, "uniform")
    found = {"round": (np.nan, before, after), "training": (np.nan, before, plain)}
    steps = -(-len(rows.X) // settings.batch) * settings.rate
    for slopes in SLOPES:
        alpha, with_penalty = matched(
            plain, _left(before, after), slopes, steps, lambda alpha, of=slopes: epoch(alpha, of)
        )
        found[slopes] = (alpha, plain, with_penalty)
    found["paper"] = (settings.alphas[0], plain, epoch(settings.alphas[0], "linear"))
    return [
        {"effect": effect, "strength": alpha, "layer": layer} | profile(old, new)
        for effect, (alpha, *spectra) in found.items()
        for layer, (old, new) in enumerate(zip(*spectra, strict=True), start=1)
    ]


def _spectra(net):
    """Singular values of the hidden matrices of a pair ``(coefs, intercepts)``."""
    return [singular_values(coef) for coef in net[0][:-1]]


def _left(before, after):
    """Nuclear norm of all layers after / before."""
    return sum(s.sum() for s in after) / sum(s.sum() for s in before)


def matched(plain, target, slopes, steps, penalized):
    """Strength with which an epoch leaves a share `target` of the nuclear norm, and its spectra.

    `plain` are the spectra after the epoch without a penalty, `steps` is the length of all of its
    steps together, and `penalized` gives the spectra with a penalty of a strength.
    """
    fall = [steps * SLOPES[slopes](len(s)) for s in plain]

    def error_without_training(log_alpha):
        pulled = [s - np.exp(log_alpha) * f for s, f in zip(plain, fall, strict=True)]
        return _left(plain, [s.clip(min=0) for s in pulled]) - target

    # The loss pulls against the penalty, so that this is where the search begins.
    guess = brentq(error_without_training, -40, 20)
    tried = {}

    def error(log_alpha):
        tried[log_alpha] = penalized(float(np.exp(log_alpha)))
        return _left(plain, tried[log_alpha]) - target

    root_scalar(error, method="secant", x0=guess, x1=guess + 0.3, xtol=0.01, maxiter=MAX_STEPS)
    best = min(tried, key=lambda log_alpha: abs(_left(plain, tried[log_alpha]) - target))
    return float(np.exp(best)), tried[best]


def profile(old, new):
    """How the singular values of a layer changed, those of a smaller matrix followed by zeros."""
    new = np.pad(new, (0, len(old) - len(new)))
    fall = old - new
    known = np.count_nonzero(old > ROUNDING * old[0])
    return {
        "norm_before": old.sum(),
        "norm_after": new.sum(),
        "lower_half": fall[len(fall) // 2 :].sum() / fall.sum() if fall.sum() > 0 else np.nan,
        "profile": pack(thin(new[:known] / old[:known])),
    }


# -- what is made of them ---------------------------------------------------------------------


def tables(rows):
    """Yield for each data set: effects of every round, and nets trained to the end."""
    for dataset, of in rows.groupby("dataset"):
        yield f"effects-{dataset}", _effects(of[of.effect != "end"])
        yield f"rivals-{dataset}", _rivals(of[of.effect == "end"])


def _effects(rows):
    rows = rows.assign(effect=ordered(rows["effect"], EFFECTS))
    by_seed = rows.groupby(["round", "effect", "seed"], observed=True)
    sums, means = (
        by_seed[["norm_before", "norm_after", "lower_half"]].agg(f) for f in ("sum", "mean")
    )
    measures = {
        "nuclear norm left": (sums["norm_after"] / sums["norm_before"], mean_sd(2, 1)),
        "of the fall in the smaller half %": (means["lower_half"], mean_sd(0)),
        "distance to the round": (_distances(rows), mean_sd(2, 1)),
        "correlation with the round": (_correlations(rows), mean_sd(2, 1)),
    }
    keys = ["round", "effect"]
    strength = by_seed["strength"].first().groupby(keys, observed=True).mean()
    table = pd.DataFrame({"λ": strength.map(lambda of: "" if np.isnan(of) else f"{of:.2g}")})
    for name, (values, how) in measures.items():
        table[name] = values.groupby(level=keys, observed=True).agg(how)
    table = table.reset_index()
    # An epoch without a penalty may let the norm grow, and a round is not compared with itself.
    table.loc[table["effect"] == "training", "of the fall in the smaller half %"] = ""
    table.loc[table["effect"] == "round", list(measures)[2:]] = ""
    table["round"] = table["round"].map("{:.0f}".format)
    return table[["effect", "round", *table.columns[2:]]]


def _profiles(rows):
    """Profiles of the effects, a column each, by round, layer, seed and position."""
    keys = ["round", "layer", "seed", "position"]
    return exploded(rows, "profile").pivot(index=keys, columns="effect", values="profile")


def _distances(rows):
    """Mean absolute differences of the profiles from those of the round."""
    values = _profiles(rows)
    gaps = values.sub(values["round"], axis=0).abs()
    return gaps.stack().groupby(level=["round", "effect", "seed"], observed=True).mean()


def _correlations(rows):
    """Correlations with the profiles of the round; NaN where one is the same everywhere."""

    def by_layer(values):
        return values.groupby(level=["round", "layer", "seed"])

    values = _profiles(rows)
    centered = values - by_layer(values).transform("mean")
    products = by_layer(centered.mul(centered["round"], axis=0)).sum()
    squares = by_layer(centered**2).sum()
    found = products / np.sqrt(squares.mul(squares["round"], axis=0))
    found = found.where(by_layer(values).nunique() > 1).groupby(level=["round", "seed"])
    means = found.agg(lambda of: of.mean(skipna=False))
    return means.rename_axis(columns="effect").stack(future_stack=True)


def _nets(ends):
    """Rows of every net that was trained to the end with its name, in the order of the table."""
    names = {alpha: f"λ Σ i σ_i, λ = {alpha:g}" for alpha in sorted(ends["alpha"].unique())}
    names[0] = "dense"
    name = ends["alpha"].map(names).where(ends["part"] == "penalty", PRUNED)
    return ends.assign(net=ordered(name, [*names.values(), PRUNED]))


def _rivals(ends):
    def by_layer(fields):
        means = np.mean([split(field) for field in fields], axis=0)
        return ", ".join(f"{mean:.0f}" for mean in means)

    columns = {
        "rank": ("ranks", by_layer),
        "effective rank": ("effective_ranks", by_layer),
        "effective rank %": ("effective_share", mean_sd()),
        "epochs": ("epochs", mean_sd(0, 1)),
    }
    table = _nets(ends).groupby("net", observed=True).agg(**columns, **accuracies())
    return table.reset_index()


def distances(rows, slopes):
    """How far profiles of rounds are from those of a penalty, and of rounds of other seeds.

    The distance of two profiles is the mean absolute difference of the ratios of singular values
    at the same positions in the spectrum, here averaged over layers and rounds; a number a seed
    each, the second the mean over all other seeds, NaN where there is none.
    """
    values = _profiles(rows[rows.effect.isin(("round", slopes))])
    to_penalty = (values["round"] - values[slopes]).abs().groupby("seed").mean()
    by_seed = values["round"].unstack("seed")
    to_seeds = [
        by_seed.drop(columns=i).sub(by_seed[i], axis=0).abs().stack().mean() for i in by_seed
    ]
    return to_penalty.to_numpy(), np.array(to_seeds)


def verdict(differences, margin=0.0):
    """Whether the 95 % interval lies above ``-margin`` ("yes") or below ("no")."""
    n = len(differences)
    undecided = f"not decided by {n} seed{'s' * (n != 1)}"
    return {1: "yes", -1: "no", 0: undecided}[side(differences, margin)]


def answers(rows):
    """Verdicts on C4 for each data set, and on the penalty to the end instead of pruning."""
    return by_dataset(rows, _answers)


def _answers(rows):
    dataset, n, found = rows["dataset"].iloc[0], seeds(rows["seed"]), []
    for slopes, norm in (("linear", "weighted nuclear norm Σ i σ_i"), ("uniform", "nuclear norm")):
        to_penalty, to_seeds = distances(rows, slopes)
        between = f", by {with_interval(to_seeds)} between seeds" if len(to_seeds) > 1 else ""
        question = f"Is the fall of the singular values in a round that of the {norm} in the loss?"
        effect = (
            f"σ after / σ before differs by {with_interval(to_penalty)} from that of the penalty "
            f"of equal strength{between} ({n})"
        )
        judged, file = verdict(to_seeds - to_penalty), f"nuclear-profiles-{dataset}.png"
        found.append(Answer("C4", question, judged, effect, file))
    measures = ["test_accuracy", "effective_share"]
    ends = rows[rows.effect == "end"].set_index(["part", "alpha", "seed"])[measures].sort_index()
    pruned = ends.loc["rounds", 0.0]
    for alpha in ends.loc["penalty"].index.unique("alpha")[1:]:
        rival = ends.loc["penalty", alpha]
        difference = (rival - pruned)["test_accuracy"].dropna()
        question = (
            f"Is a net trained with Σ i σ_i in the loss, λ = {alpha:g}, as accurate as one "
            "pruned by count?"
        )
        ranks = [f"{100 * net['effective_share'].mean():.0f} %" for net in (rival, pruned)]
        effect = f"{points(difference)}; effective rank {ranks[0]} of full, pruned {ranks[1]}"
        judged, file = verdict(difference, MARGIN), f"nuclear-rivals-{dataset}.png"
        found.append(Answer("-", question, judged, effect, file))
    return found


def figures(rows, folder):
    """Yield for each data set: profiles of the effects, and nets trained to the end."""
    for dataset, of in rows.groupby("dataset"):
        profiles = exploded(of[of.effect != "end"], "profile")
        names = {name: f"{name} {{:.0f}}".format for name in ("round", "layer")}
        profiles = profiles.assign(
            effect=ordered(profiles["effect"].map(EFFECTS), EFFECTS.values()),
            **{name: profiles[name].map(form) for name, form in names.items()},
        )
        figure, axes = curves(
            profiles,
            *("position", "profile", "effect", "round", "layer"),
            title=f"{dataset}: share of each singular value that is left, by a round and by a "
            "nuclear norm in the loss",
            xlabel="position in the spectrum, %\n(0: largest σ)",
            ylabel="σ after / σ before",
            marker="",
            sharex=True,
            sharey=True,
        )
        next(iter(axes.values())).set_ylim(-0.05, 1.25)
        yield f"nuclear-profiles-{dataset}.png", figure
        yield f"nuclear-rivals-{dataset}.png", _ends(_nets(of[of.effect == "end"]), dataset)


def _ends(ends, dataset):
    """Test accuracy against effective rank of nets that were trained to the end."""
    title = f"Accuracy and rank: pruned, and trained with a nuclear norm\n{dataset}"
    figure, axes = panels(f"{title}; mean ± 1 standard deviation", 1, 1, size=(6.0, 3.6))
    ax = axes[0, 0]
    for net, rows in ends.groupby("net", observed=True):
        values = 100 * rows[["effective_share", "test_accuracy"]]
        ax.errorbar(*values.mean(), *values.std()[::-1], fmt="o", capsize=2, label=net)
    ax.set(xlabel="effective rank, % of full, mean of the layers", ylabel="test accuracy, %")
    ax.legend(fontsize=8)
    return figure
