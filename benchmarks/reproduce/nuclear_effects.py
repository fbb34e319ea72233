"""What a round, an epoch of training and a nuclear norm do to the singular values of one net."""

import numpy as np
from scipy.optimize import brentq, root_scalar

from benchmarks.reproduce.moments import ROUNDING, Moments, Start, pack, thin
from benchmarks.reproduce.protocol import BATCH, RATE, estimator
from skactprune import WeightedNuclearNorm
from skactprune.penalties import WEIGHTS
from skactprune.spectra import singular_values

SVD_EVERY = 100
MAX_STEPS = 3


def penalty_of(alpha, slopes, **params):
    """The paper's penalty, by exact proximal steps for `SVD_EVERY` steps of the optimizer each."""
    return WeightedNuclearNorm(
        alpha, weights=slopes, solver="proximal", svd_every_n_steps=SVD_EVERY, **params
    )


def compare(moment, rows, seed, strong):
    """Rows on what a round, training and penalties do to the spectra of the same net.

    Parameters
    ----------
    moment : dict
        A round that `Moments` kept.
    rows : Rows
        What is trained on for one epoch.
    seed : int
        For the order of the rows, the same with and without a penalty.
    strong : float
        Strength of the paper's penalty.

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
    before, after = (_spectra(moment[name]) for name in ("before", "after"))
    plain = _spectra(_epoch(moment["before"], rows, seed, 0.0, "uniform"))
    n_steps = -(-len(rows.X) // BATCH)
    found = {"round": (np.nan, before, after), "training": (np.nan, before, plain)}
    for slopes in WEIGHTS:
        found[slopes] = matched(
            plain,
            _left(before, after),
            slopes,
            n_steps,
            lambda alpha, slopes=slopes: _spectra(
                _epoch(moment["before"], rows, seed, alpha, slopes)
            ),
        )
    paper = _spectra(_epoch(moment["before"], rows, seed, strong, "linear"))
    found["paper"] = (strong, plain, paper)
    return [
        {"effect": effect, "strength": alpha, "layer": layer} | profile(old, new)
        for effect, (alpha, *spectra) in found.items()
        for layer, (old, new) in enumerate(zip(*spectra, strict=True), start=1)
    ]


def _epoch(start, rows, seed, alpha, slopes):
    """Weights after one epoch from `start` with a penalty from its first step on."""
    coefs, _ = start
    moments = Moments()
    penalty = penalty_of(alpha, slopes, start_accuracy=0, every_n_epochs=1)
    estimator(
        rows,
        seed,
        hidden_layer_sizes=[coef.shape[1] for coef in coefs[:-1]],
        max_iter=1,
        callbacks=[Start(*start), penalty, moments],
    ).fit(rows.X, rows.y)
    return moments.end_


def _spectra(net):
    """Singular values of the hidden matrices of a pair ``(coefs, intercepts)``."""
    return [singular_values(coef) for coef in net[0][:-1]]


def _left(before, after):
    """Nuclear norm of all layers after / before."""
    return sum(s.sum() for s in after) / sum(s.sum() for s in before)


def matched(plain, target, slopes, n_steps, penalized):
    """Strength with which an epoch leaves a share of the nuclear norm.

    Parameters
    ----------
    plain : list of ndarray
        Spectra after the epoch without a penalty.
    target : float
        Share of their sum that is to be left.
    slopes : {"linear", "uniform"}
        Weights of the penalty.
    n_steps : int
        Steps of the epoch.
    penalized : callable
        From a strength to the spectra after the epoch with the penalty.

    Returns
    -------
    alpha : float
        The strength.
    plain, spectra : list of ndarray
        Spectra without and with the penalty.
    """
    fall = [n_steps * RATE * WEIGHTS[slopes](len(s)) for s in plain]

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
    return float(np.exp(best)), plain, tried[best]


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
