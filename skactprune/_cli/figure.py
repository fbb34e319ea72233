"""The figure: accuracy against rank, singular values before and after pruning."""

import io
import warnings
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

from skactprune._cli.experiment import (
    ACTIVATION,
    ACTIVATION_MAGNITUDE,
    AT_ONE_FRACTION,
    BOOSTING,
    COMPONENTS_AT_ONE_FRACTION,
    DEFAULT,
    DENSE,
    KERNEL_PCA,
    LDA_CLASSIFIER,
    LOGISTIC,
    MAGNITUDE,
    NCA_CLASSIFIER,
    PCA_CLASSIFIER,
    RANDOM,
    SMALL,
    WITHOUT_FRACTION,
)
from skactprune._cli.text import shown
from skactprune.spectra import numerical_rank, singular_values

# Okabe and Ito's colours, which the colour-blind tell apart.
STYLE = {
    DENSE: {"color": "#000000", "linestyle": "--"},
    DEFAULT: {"color": "#D55E00", "marker": "o"},
    ACTIVATION: {"color": "#E69F00", "marker": "P"},
    ACTIVATION_MAGNITUDE: {"color": "#E69F00", "marker": "D"},
    MAGNITUDE: {"color": "#0072B2", "marker": "s"},
    RANDOM: {"color": "#7F7F7F", "marker": "x"},
    SMALL: {"color": "#56B4E9", "marker": "<"},
    KERNEL_PCA: {"color": "#009E73", "marker": "^"},
    LOGISTIC: {"color": "#CC79A7", "linestyle": ":"},
    BOOSTING: {"color": "#0072B2", "linestyle": "-."},
    PCA_CLASSIFIER: {"color": "#CC79A7", "marker": "v"},
    LDA_CLASSIFIER: {"color": "#CC79A7", "marker": "*", "markersize": 9},
    NCA_CLASSIFIER: {"color": "#CC79A7", "marker": "d"},
}
CURVES = (DEFAULT, RANDOM, SMALL, KERNEL_PCA, PCA_CLASSIFIER)


def draw(fits, settings, title):
    """Draw the figure.

    Parameters
    ----------
    fits : dict
        From `skactprune._cli.experiment.run`.
    settings : Settings
        Those of the run.
    title : str
        Above the figure.

    Returns
    -------
    bytes
        PNG file.
    """
    n_hidden = len(settings.hidden)
    width = 5.5 + 3.5 * n_hidden
    figure = Figure(figsize=(width, 5.4), layout="constrained")
    axes = figure.subplots(1, 1 + n_hidden, width_ratios=[1.5, *[1] * n_hidden])
    for ax in axes[2:]:
        ax.sharey(axes[1])
    # The title has names of the user's, in which a dollar sign is one.
    figure.suptitle(fill(shown(title), int(13 * width)), fontsize=9, parse_math=False)
    _accuracy(axes[0], fits, settings)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8
    )
    for layer, ax in enumerate(axes[1:]):
        _spectra(ax, fits, settings, layer)
    axes[1].set_ylabel("singular value")
    axes[1].set_ylim(bottom=0)
    axes[1].legend(fontsize=8)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Characters that the font lacks become boxes, in names only.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, dpi=110, format="png")
    return file.getvalue()


def _accuracy(ax, fits, settings):
    for name in CURVES:
        fractions = sorted(f for method, f in fits if method == name)
        # A reconstruction stands beside the pruned net whose ranks it was given.
        beside = DEFAULT if name == KERNEL_PCA else name
        x = [_mean_rank(fits[beside, f]) for f in fractions]
        scores = [_test_accuracies(fits[name, f]) for f in fractions]
        _band(ax, x, scores, name)
        if name == DEFAULT:
            _write_fractions(ax, x, scores, fractions)
    at = settings.prune_fraction
    for name in (*AT_ONE_FRACTION, *COMPONENTS_AT_ONE_FRACTION):
        scores = [_test_accuracies(fits[name, at])]
        ax.errorbar(
            _mean_rank(fits[name, at]),
            np.mean(scores),
            *_deviations(scores),
            label=f"{name} ({at:.0%})" if name in AT_ONE_FRACTION else name,
            capsize=2,
            linestyle="none",
            **STYLE[name],
        )
    for name in WITHOUT_FRACTION:
        accuracy = np.mean(_test_accuracies(fits[name, None]))
        ax.axhline(accuracy, label=name, linewidth=1, **STYLE[name])
    ax.set_xlabel("rank of the last hidden layer, or components")
    ax.set_ylabel("test accuracy (%)")
    spread = f"mean ± standard deviation of {settings.seeds} seeds"
    ax.set_title(f"accuracy, {spread}" if settings.seeds > 1 else "accuracy", fontsize=9)
    ax.grid(alpha=0.3)


def _test_accuracies(fits):
    return [100 * fit.row["test_accuracy"] for fit in fits]


def _mean_rank(fits):
    return np.mean([fit.ranks[-1] for fit in fits])


def _band(ax, x, scores, name):
    means = np.mean(scores, axis=1)
    ax.plot(x, means, label=name, **STYLE[name])
    for deviations in _deviations(scores):
        ax.fill_between(
            x, means - deviations, means + deviations, color=STYLE[name]["color"], alpha=0.15
        )


def _write_fractions(ax, x, scores, fractions):
    for rank, mean, fraction in zip(x, np.mean(scores, axis=1), fractions, strict=True):
        ax.annotate(
            f"{fraction:.0%}",
            (rank, mean),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=8,
            color=STYLE[DEFAULT]["color"],
        )


def _deviations(scores):
    """Standard deviations in a list, which is empty where there is one seed only."""
    return [np.std(scores, axis=1, ddof=1)] if len(scores[0]) > 1 else []


def _spectra(ax, fits, settings, layer):
    at = settings.prune_fraction
    for name, key in (
        ("before: dense MLP", (DENSE, None)),
        (f"after: {DEFAULT}", (DEFAULT, at)),
        (f"after: {MAGNITUDE}", (MAGNITUDE, at)),
    ):
        kernel = fits[key][0].model.coefs_[layer]
        values = singular_values(kernel)[: numerical_rank(kernel)]
        style = {k: v for k, v in STYLE[key[0]].items() if k != "marker"}
        ax.plot(np.arange(1, len(values) + 1), values, label=name, **style)
    ax.set_xlabel("index")
    ax.set_title(f"singular values of hidden layer {layer + 1}, first seed", fontsize=9)
    ax.grid(alpha=0.3)
