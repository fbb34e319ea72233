"""Claim C4: does a round do to the singular values what a nuclear norm in the loss does?"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq, root_scalar

from benchmarks.reproduce.figures import curves, ordered, panels
from benchmarks.reproduce.moments import ROUNDING, Moments, Start, exploded, pack, thin, unpack
from benchmarks.reproduce.nets import join, split
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.runner import BOTH, HIDDEN, Settings
from benchmarks.reproduce.statistics import (
    Answer,
    by_dataset,
    interval,
    mean_sd,
    points,
    seeds,
    with_interval,
)
from skactprune import WeightedNuclearNorm
from skactprune.methods import Ganguli2024
from skactprune.spectra import effective_rank, numerical_rank, singular_values

FIELDS = ("dataset", "part", "alpha", "seed")
FULL = Settings(
    seeds=5,
    datasets=BOTH,
    n_rows=None,
    hidden=HIDDEN,
    epochs=16,
    rate=0.01,
    batch=32,
    # Rounds whose effect is compared, and strengths of the penalty, the paper's first.
    rounds=(1, 3, 5),
    alphas=(1.0, 1e-3),
)
QUICK = FULL.but(seeds=2, datasets=("fashion-mnist",), n_rows=10_000, epochs=10)
FRACTION, ROUNDS = 0.8, 5
SLOPES = {"linear": lambda n: np.arange(1.0, n + 1.0), "uniform": np.ones}
SVD_EVERY, MAX_STEPS = 100, 3
# Accuracy that counts as the same, in points.
MARGIN = 0.5
# What happened to the singular values, with its name in figures.
EFFECTS = {
    "round": "pruning round",
    "training": "an epoch without penalty",
    "linear": "penalty λ Σ i σ_i, as strong",
    "uniform": "penalty λ Σ σ_i, as strong",
    "paper": "penalty λ Σ i σ_i, λ of the paper",
}


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
    return WeightedNuclearNorm(
        alpha, weights=slopes, solver="proximal", svd_every_n_steps=SVD_EVERY, **params
    )


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
    """Rows on what a round, training and penalties do to the spectra of the same net.

    Parameters
    ----------
    moment : dict
        A round that `Moments` kept.
    rows : Rows
        What is trained on for one epoch.
    settings : Settings
        Rate and batch of that, and the strength of the paper's penalty, the first of ``alphas``.
    seed : int
        For the order of the rows, the same with and without a penalty.

    Returns
    -------
    list of dict
        A row for every hidden layer and ``effect``: "round", "training" (an epoch without a
        penalty), and an epoch with the penalty "linear" or "uniform", whose ``strength`` leaves
        the share of the nuclear norm that the round leaves, or "paper". ``norm_before`` and
        ``norm_after`` are nuclear norms of the layer, where before is for a penalty the epoch
        without it; ``lower_half`` is the share of the fall that happens in the smaller half of the
        spectrum; ``profile`` holds the ratios of the singular values.
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
    """Strength with which an epoch leaves a share of the nuclear norm.

    Parameters
    ----------
    plain : list of ndarray
        Spectra after the epoch without a penalty.
    target : float
        Share of their sum that is to be left.
    slopes : {"linear", "uniform"}
        Weights of the penalty.
    steps : float
        Length of all steps of the epoch together.
    penalized : callable
        From a strength to the spectra after the epoch with the penalty.

    Returns
    -------
    alpha : float
        The strength.
    spectra : list of ndarray
        Spectra with the penalty.
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
    """How the singular values of a layer changed, those of a smaller matrix followed by zeros.

    Parameters
    ----------
    old, new : ndarray of shape (n_old,) and (n_new,), n_new <= n_old
        Before and after, largest first.

    Returns
    -------
    dict
        ``norm_before``, ``norm_after``, ``lower_half`` and ``profile`` of a row of `compare`.
    """
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
        yield f"effects-{dataset}", _effects(of)
        yield f"rivals-{dataset}", _rivals(of[of.effect == "end"])


def _effects(rows):
    rows = rows[rows.effect != "end"].sort_values(["round", "layer", "seed"])
    lines = []
    for i, here in rows.groupby("round"):
        ours = unpack(here[here.effect == "round"]["profile"])
        for effect in EFFECTS:
            part = here[here.effect == effect]
            by_seed = part.groupby("seed")
            norms = by_seed[["norm_before", "norm_after"]].sum()
            cells = {
                "effect": effect,
                "round": f"{i:.0f}",
                "λ": _strength(by_seed["strength"].first()),
                "nuclear norm left": mean_sd(2, 1)(norms["norm_after"] / norms["norm_before"]),
                "of the fall in the smaller half %": mean_sd(0)(by_seed["lower_half"].mean()),
            }
            theirs = unpack(part["profile"])
            near = {
                "distance to the round": np.abs(ours - theirs).mean(axis=1),
                "correlation with the round": _correlations(ours, theirs),
            }
            for name, values in near.items():
                per_seed = pd.Series(values, index=part.index).groupby(part["seed"])
                # NaN for one layer leaves the cell empty, and the mean would pass over it.
                cells[name] = mean_sd(2, 1)(per_seed.agg(lambda of: of.mean(skipna=False)))
            empty = {"round": list(near), "training": ["of the fall in the smaller half %"]}
            lines.append(cells | dict.fromkeys(empty.get(effect, []), ""))
    return pd.DataFrame(lines)


def _strength(alphas):
    return "" if alphas.isna().any() else f"{alphas.mean():.2g}"


def _correlations(ours, theirs):
    """Correlations of the profiles; NaN where one has the same value everywhere."""
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (x - x.mean(axis=1, keepdims=True) for x in (ours, theirs))
        found = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where((np.ptp(ours, axis=1) == 0) | (np.ptp(theirs, axis=1) == 0), np.nan, found)


def _nets(ends):
    """Rows of every net that was trained to the end with its name, in the order of the table."""
    names = {alpha: f"λ Σ i σ_i, λ = {alpha:g}" for alpha in sorted(ends["alpha"].unique())}
    names[0] = "dense"
    pruned = "pruned by count"
    name = ends["alpha"].map(names).where(ends["part"] == "penalty", pruned)
    return ends.assign(net=ordered(name, [*names.values(), pruned]))


def _rivals(ends):
    def by_layer(fields):
        means = np.mean([split(field) for field in fields], axis=0)
        return ", ".join(f"{mean:.0f}" for mean in means)

    parts = ("train", "validation", "test")
    table = (
        _nets(ends)
        .groupby("net", observed=True)
        .agg(
            **{
                "rank": ("ranks", by_layer),
                "effective rank": ("effective_ranks", by_layer),
                "effective rank %": ("effective_share", mean_sd()),
                "epochs": ("epochs", mean_sd(0, 1)),
            },
            **{f"{part} accuracy %": (f"{part}_accuracy", mean_sd()) for part in parts},
        )
    )
    return table.reset_index()


def distances(rows, slopes):
    """How far profiles of rounds are from those of a penalty, and of rounds of other seeds.

    The distance of two profiles is the mean absolute difference of the ratios of singular values
    at the same positions in the spectrum, here averaged over layers, rounds and data sets.

    Parameters
    ----------
    rows : DataFrame
        Of the experiment.
    slopes : {"linear", "uniform"}
        Weights of the penalty.

    Returns
    -------
    to_penalty, to_seeds : ndarray of shape (n_seeds,)
        `to_seeds` is the mean over all other seeds; NaN where there is none.
    """
    place = ["dataset", "round", "layer", "seed"]
    n_seeds = rows["seed"].nunique()
    ours, theirs = (
        unpack(rows[rows.effect == effect].sort_values(place)["profile"]).reshape(
            -1, n_seeds, len(rows.loc[rows.effect == effect, "profile"].iloc[0].split())
        )
        for effect in ("round", slopes)
    )
    between = np.abs(ours[:, :, None] - ours[:, None]).mean(axis=(0, 3)).sum(axis=1)
    others = n_seeds - 1
    to_seeds = between / others if others else np.full(1, np.nan)
    return np.abs(ours - theirs).mean(axis=(0, 2)), to_seeds


def verdict(differences, margin=0.0):
    """Whether the 95 % interval lies above ``-margin`` ("yes") or below ("no")."""
    mean, half = interval(differences)
    if mean - half > -margin:
        return "yes"
    n = len(differences)
    return "no" if mean + half < -margin else f"not decided by {n} seed{'s' * (n != 1)}"


def answers(rows):
    """Verdicts on C4 for each data set, and on the penalty to the end instead of pruning."""
    return by_dataset(rows, _answers)


def _answers(rows):
    dataset, n, found = rows["dataset"].iloc[0], seeds(rows["seed"]), []
    for slopes, norm in (("linear", "weighted nuclear norm Σ i σ_i"), ("uniform", "nuclear norm")):
        to_penalty, to_seeds = distances(rows, slopes)
        between = ""
        if len(to_seeds) > 1:
            between = f", by {with_interval(to_seeds, '{:.2f}')} between seeds"
        found.append(
            Answer(
                "C4",
                f"Is the fall of the singular values in a round that of the {norm} in the loss?",
                verdict(to_seeds - to_penalty),
                f"σ after / σ before differs by {with_interval(to_penalty, '{:.2f}')} from that of "
                f"the penalty of equal strength{between} ({n})",
                f"nuclear-profiles-{dataset}.png",
            )
        )
    measures = ["test_accuracy", "effective_share"]
    ends = rows[rows.effect == "end"].set_index(["part", "alpha", "seed"])[measures].sort_index()
    pruned = ends.loc["rounds", 0.0]
    for alpha in ends.loc["penalty"].index.unique("alpha")[1:]:
        rival = ends.loc["penalty", alpha]
        difference = rival["test_accuracy"] - pruned["test_accuracy"]
        ranks = (100 * net["effective_share"].mean() for net in (rival, pruned))
        found.append(
            Answer(
                "-",
                f"Is a net trained with Σ i σ_i in the loss, λ = {alpha:g}, as accurate as one "
                "pruned by count?",
                verdict(100 * difference, MARGIN),
                f"{points(difference)}; effective rank {{:.0f}} % of full, pruned "
                "{:.0f} %".format(*ranks),
                f"nuclear-rivals-{dataset}.png",
            )
        )
    return found


def figures(rows, folder):
    """Yield for each data set: profiles of the effects, and nets trained to the end."""
    for dataset, of in rows.groupby("dataset"):
        profiles = exploded(of[of.effect != "end"], "profile")
        figure, axes = curves(
            profiles.assign(
                effect=ordered(profiles["effect"].map(EFFECTS), EFFECTS.values()),
                round=profiles["round"].map("round {:.0f}".format),
                layer=profiles["layer"].map("hidden layer {:.0f}".format),
            ),
            *("position", "profile", "effect", "round", "layer"),
            title="Share of each singular value that is left: by a round, and by a nuclear norm in "
            f"the loss; {dataset}",
            xlabel="position in the spectrum, %\n(0: largest σ)",
            ylabel="σ after / σ before",
            marker="",
            sharex=True,
            sharey=True,
        )
        next(iter(axes.values())).set_ylim(-0.05, 1.25)
        yield f"nuclear-profiles-{dataset}.png", figure
        yield f"nuclear-rivals-{dataset}.png", _ends(of[of.effect == "end"], dataset)


def _ends(ends, dataset):
    """Test accuracy against effective rank of nets that were trained to the end."""
    title = f"Accuracy and rank: pruned, and trained with a nuclear norm\n{dataset}"
    figure, axes = panels(f"{title}; mean ± 1 standard deviation", 1, 1, size=(6.0, 3.6))
    for net, rows in _nets(ends).groupby("net", observed=True):
        values = 100 * rows[["effective_share", "test_accuracy"]]
        style = {"fmt": "o", "capsize": 2, "label": net}
        axes[0, 0].errorbar(*values.mean(), *values.std()[::-1], **style)
    axes[0, 0].set_xlabel("effective rank, % of full rank, mean of the hidden layers")
    axes[0, 0].set_ylabel("test accuracy, %")
    axes[0, 0].legend(fontsize=8)
    return figure
