"""Claim C4: does a round do to the singular values what a nuclear norm in the loss does?"""

import numpy as np
import pandas as pd

from benchmarks.reproduce.answers import Answer, by_dataset, interval, points
from benchmarks.reproduce.moments import Moments, unpack
from benchmarks.reproduce.nets import join, split
from benchmarks.reproduce.nuclear_effects import SVD_EVERY, compare, penalty_of
from benchmarks.reproduce.nuclear_figures import draw_finished, rivals
from benchmarks.reproduce.protocol import RATE, DeadlineTrigger, Rows, estimator
from benchmarks.reproduce.runs import two_seeds_first
from benchmarks.reproduce.tables import finished, markdown, seeds, spread
from skactprune.methods import Ganguli2024
from skactprune.penalties import WEIGHTS
from skactprune.spectra import effective_rank, numerical_rank

__all__ = ["FIELDS", "answers", "draw", "execute", "runs", "section", "stage"]

FIELDS = ("dataset", "part", "alpha", "seed")
FRACTION, ROUNDS = 0.8, 5
# Accuracy that counts as the same, in points.
MARGIN = 0.5
stage = two_seeds_first


def runs(settings):
    """Yield all runs.

    "rounds" prunes and compares every round with penalties; "penalty" trains with one to the end,
    without one where alpha is 0.
    """
    for seed in range(settings.seeds):
        for dataset in settings.spectra_datasets:
            yield _run(dataset, "rounds", 0.0, seed)
            for alpha in (0.0, *settings.nuclear_alphas):
                yield _run(dataset, "penalty", alpha, seed)


def _run(*values):
    return dict(zip(FIELDS, values, strict=True))


def execute(run, settings, folder):
    """Rows of a run: one of the net at the end, and one for every layer, round and effect."""
    rows, seed = Rows.load(run["dataset"], settings.n_rows), run["seed"]
    epochs = settings.spectra_epochs
    params = {"max_iter": epochs, "trigger": DeadlineTrigger(deadline=epochs * 3 // 5)}
    if run["part"] == "penalty":
        penalty = penalty_of(run["alpha"], "linear")
        net = estimator(rows, seed, callbacks=[penalty], **params).fit(rows.X, rows.y)
        return [_at_the_end(net, rows)]
    moments = Moments()
    net = estimator(rows, seed, Ganguli2024(), FRACTION, ROUNDS, callbacks=[moments], **params)
    found = [_at_the_end(net.fit(rows.X, rows.y), rows)]
    for at in moments.rounds_:
        if at["round"] in settings.nuclear_rounds:
            effects = compare(at, rows, seed, settings.nuclear_alphas[0])
            found += [{"round": at["round"]} | row for row in effects]
    return found


def _at_the_end(net, rows):
    hidden = net.coefs_[:-1]
    full = np.array([min(mask.shape) for mask in net.masks_])
    effective = np.array([effective_rank(coef) for coef in hidden])
    return rows.accuracies(net.predict) | {
        "effect": "end",
        "epochs": net.n_iter_,
        "ranks": join(numerical_rank(coef) for coef in hidden),
        "effective_ranks": join(effective.round()),
        "effective_share": float(np.mean(effective / full)),
    }


# -- what is said of them -------------------------------------------------------------------


def draw(table, folder):
    """Write the figures, of all seeds that are finished; see `draw_finished`."""
    if (table := _finished(table)) is not None:
        draw_finished(table, folder)


def _finished(table):
    """Rows of finished seeds; None where there is none."""
    table = finished(table, FIELDS)
    return table if set(table["part"]) == {"rounds", "penalty"} else None


def distances(table, slopes):
    """How far profiles of rounds are from those of a penalty, and of rounds of other seeds.

    The distance of two profiles is the mean absolute difference of the ratios of singular values
    at the same positions in the spectrum, here averaged over layers, rounds and data sets.

    Parameters
    ----------
    table : DataFrame
        Of the experiment.
    slopes : {"linear", "uniform"}
        Weights of the penalty.

    Returns
    -------
    to_penalty, to_seeds : ndarray of shape (n_seeds,)
        `to_seeds` is the mean over all other seeds; NaN where there is none.
    """
    place = ["dataset", "round", "layer", "seed"]
    rows = {
        effect: table[table.effect == effect].sort_values(place) for effect in ("round", slopes)
    }
    ours, theirs = (unpack(part["profile"]) for part in rows.values())
    n_seeds = rows["round"]["seed"].nunique()
    ours, theirs = (values.reshape(-1, n_seeds, values.shape[1]) for values in (ours, theirs))
    between = np.abs(ours[:, :, None] - ours[:, None]).mean(axis=(0, 3)).sum(axis=1)
    others = n_seeds - 1
    to_seeds = between / others if others else np.full(1, np.nan)
    return np.abs(ours - theirs).mean(axis=(0, 2)), to_seeds


def verdict(to_penalty, to_seeds):
    """Whether a penalty is no farther from a round than the round of another seed is.

    "yes" if the 95 % interval of the paired difference ends at or below zero, "no" if it begins
    above.
    """
    mean, half = interval(to_penalty - to_seeds)
    if mean + half <= 0:
        return "yes"
    return "no" if mean - half > 0 else _undecided(to_penalty)


def answers(table):
    """Verdicts on C4 for each data set, and on the penalty to the end instead of pruning."""
    if (table := _finished(table)) is None:
        return []
    return by_dataset(table, _answers)


def _answers(table):
    dataset = table["dataset"].iloc[0]
    found = []
    for slopes, norm in (("linear", "weighted nuclear norm Σ i σ_i"), ("uniform", "nuclear norm")):
        to_penalty, to_seeds = distances(table, slopes)
        between = f", by {_half(to_seeds)} between seeds" if len(to_seeds) > 1 else ""
        found.append(
            Answer(
                "C4",
                f"Is the fall of the singular values in a round that of the {norm} in the loss?",
                verdict(to_penalty, to_seeds),
                f"σ after / σ before differs by {_half(to_penalty)} from that of the penalty of "
                f"equal strength{between} ({seeds(table)})",
                f"nuclear-profiles-{dataset}.png",
            )
        )
    ends = table[table.effect == "end"]
    pruned = _per_seed(ends[ends.part == "rounds"])
    for alpha in sorted(ends[ends.part == "penalty"]["alpha"].unique())[1:]:
        rival = _per_seed(ends[(ends.part == "penalty") & (ends.alpha == alpha)])
        difference = rival["test_accuracy"] - pruned["test_accuracy"]
        found.append(
            Answer(
                "-",
                f"Is a net trained with Σ i σ_i in the loss, λ = {alpha:g}, as accurate as one "
                "pruned by count?",
                _as_accurate(100 * difference.to_numpy()),
                f"{points(difference)}; effective rank {100 * rival['effective_share'].mean():.0f}"
                f" % of full, pruned {100 * pruned['effective_share'].mean():.0f} %",
                f"nuclear-rivals-{dataset}.png",
            )
        )
    return found


def _undecided(values):
    return f"not decided by {len(values)} seed{'s' * (len(values) != 1)}"


def _half(values):
    mean, half = interval(values)
    return f"{mean:.2f}" if np.isnan(half) else f"{mean:.2f} ± {half:.2f}"


def _per_seed(rows):
    return rows.groupby("seed")[["test_accuracy", "effective_share"]].mean()


def _as_accurate(differences):
    """Verdict on differences of accuracies in points: "yes" above ``-MARGIN``."""
    mean, half = interval(differences)
    if mean - half > -MARGIN:
        return "yes"
    return "no" if mean + half < -MARGIN else _undecided(differences)


def section(table):
    """Part of the page: how it was done, tables and figures."""
    title = "## A round and a nuclear norm"
    if (table := _finished(table)) is None:
        return f"{title}\n\nNo seed is finished."
    ends = table[table.effect == "end"]
    parts = [
        title,
        f"A net is pruned by count in {ROUNDS} rounds, {FRACTION:.0%}, as the authors do "
        f"({seeds(table)}). From its weights before a round, sizes included, one epoch is trained "
        "without a penalty and, with the same order of the rows, one with a penalty: "
        "λ Σ i σ_i (*linear*, as the paper has it) or λ Σ σ_i (*uniform*), λ so that the same "
        "share of the nuclear norm of the hidden matrices is left as by the round, found on the "
        "training rows; and λ Σ i σ_i with the paper's λ (*paper*). The effect of a penalty is σ "
        "with it / σ without it after that epoch; that of a round σ after / σ before. Masks are "
        f"not held in these epochs. A step of the optimizer with a penalty moves σ_i by {RATE} λ i "
        "(*uniform*: without i), and the loss pulls against it. Penalties are "
        "minimized by proximal steps, an exact one for "
        f"every {SVD_EVERY} steps of the optimizer together, because a decomposition a step takes "
        "longer than the step. *Equal* means in the table of answers: profiles of σ after / σ "
        "before are, over layers and rounds, no farther from those of the penalty than from those "
        "of the same round of another seed (95 % interval of the paired difference).",
    ]
    for dataset, rows in table.groupby("dataset"):
        parts += [
            f"### {dataset}",
            _effects(rows),
            f"![Profiles of a round and of penalties](reproduction/nuclear-profiles-{dataset}.png)",
            "Trained to the end, at most "
            f"{int(ends['epochs'].max())} epochs, the penalty in every other epoch after training "
            f"accuracy passed 0.70, output layer included. As accurate: the interval lies above "
            f"-{MARGIN:g} points.",
            _rivals(rows[rows.effect == "end"]),
            f"![Accuracy and rank of rivals](reproduction/nuclear-rivals-{dataset}.png)",
        ]
    return "\n\n".join(parts)


def _effects(table):
    header = [
        "effect",
        "round",
        "λ",
        "nuclear norm left",
        "of the fall in the smaller half %",
        "distance to the round",
        "correlation with the round",
    ]
    lines = []
    for i in sorted(table["round"].dropna().unique()):
        here = table[table["round"] == i].sort_values(["layer", "seed"])
        ours = unpack(here[here.effect == "round"]["profile"])
        for effect in ("round", "training", *WEIGHTS, "paper"):
            part = here[here.effect == effect]
            theirs = unpack(part["profile"])
            gap = np.abs(ours - theirs).mean(axis=1)
            alpha = part.groupby("seed")["strength"].first()
            norms = part.groupby("seed")[["norm_before", "norm_after"]].sum()
            lower = part.groupby("seed")["lower_half"].mean()
            lines.append(
                [
                    effect,
                    f"{i:.0f}",
                    "" if alpha.isna().any() else f"{alpha.mean():.2g}",
                    spread(norms["norm_after"] / norms["norm_before"], 2),
                    "" if effect == "training" else spread(lower, 0, 100),
                    "" if effect == "round" else spread(_mean_by(part["seed"], gap), 2),
                    "" if effect == "round" else _correlation(part["seed"], ours, theirs),
                ]
            )
    text = "Nuclear norm of all hidden layers together; the other columns are means over them:"
    return f"{text}\n\n{markdown(header, lines)}"


def _mean_by(seed, values):
    return pd.Series(values, index=seed.index).groupby(seed).mean()


def _correlation(seed, ours, theirs):
    """Mean correlation of the profiles; empty where one has the same value everywhere."""
    flat = [np.ptp(a) == 0 or np.ptp(b) == 0 for a, b in zip(ours, theirs, strict=True)]
    if any(flat):
        return ""
    found = [np.corrcoef(a, b)[0, 1] for a, b in zip(ours, theirs, strict=True)]
    return spread(_mean_by(seed, found), 2)


def _rivals(ends):
    header = ["net", "rank", "effective rank", "effective rank %", "epochs"]
    header += [f"{part} accuracy %" for part in ("train", "validation", "test")]
    lines = []
    for name, rows in rivals(ends):
        lines.append(
            [
                name,
                *(_by_layer(rows[column]) for column in ("ranks", "effective_ranks")),
                spread(rows["effective_share"], scale=100),
                spread(rows["epochs"], 0),
                *(spread(rows[f"{p}_accuracy"], 1, 100) for p in ("train", "validation", "test")),
            ]
        )
    return markdown(header, lines)


def _by_layer(fields):
    return ", ".join(f"{mean:.0f}" for mean in np.mean([split(field) for field in fields], axis=0))
