"""Singular values of the hidden layers of nets, side by side."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.inspection.display import COLORS, Display, fitted_net
from skactprune.spectra import numerical_rank, singular_values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["SpectrumDisplay"]

STYLES = [
    {"color": COLORS["black"], "linestyle": "--"},
    {"color": COLORS["vermilion"], "linestyle": "-"},
    {"color": COLORS["blue"], "linestyle": "-."},
    {"color": COLORS["green"], "linestyle": ":"},
]


class SpectrumDisplay(Display):
    """Singular values of every hidden weight matrix, of one net or of several.

    Parameters
    ----------
    spectra : dict of str to list of array-like
        By the name of the net: for each hidden layer the singular values, largest first.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        The panels, one a layer.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : list of list of matplotlib Line2D
        For every layer the spectra of the nets, in their order.

    See Also
    --------
    skactprune.spectra.singular_values : The numbers.

    Notes
    -----
    Those that are zero in the precision of the weights, see
    `skactprune.spectra.numerical_rank`, are left out: a line ends where the rank does.

    Examples
    --------
    >>> from sklearn.base import clone
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import SpectrumDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), max_iter=30, tol=0.1, random_state=0).fit(X, y)
    >>> dense = clone(net).set_params(prune_fraction=0).fit(X, y)
    >>> nets = {"dense": dense, "pruned": net}
    >>> display = SpectrumDisplay.from_estimators(nets)  # doctest: +SKIP
    """

    def __init__(self, spectra: dict[str, list[NDArray[Any]]]) -> None:
        self.spectra = spectra

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, before: Any = None, ax: Axes | NDArray[Any] | None = None
    ) -> Self:
        """Draw the spectra of a fitted net.

        Parameters
        ----------
        estimator : estimator
            A fitted net with ``coefs_``, or a pipeline with one.
        before : estimator, default=None
            The net to stand beside: a pruned net does not keep the weights that it had before, but
            its dense twin, ``clone(net).set_params(prune_fraction=0)``, is as good once it is
            fitted, and so is the `MLPClassifier` that `from_sklearn` was given.
        ax : matplotlib Axes or array of them, default=None
            See `plot`.

        Returns
        -------
        SpectrumDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            If there are no fitted nets with as many hidden layers, at least one, or `ax` does not
            fit.
        """
        nets = {} if before is None else {"before": before}
        name = type(fitted_net(estimator)).__name__ if before is None else "after"
        return cls.from_estimators(nets | {name: estimator}, ax=ax)

    @classmethod
    def from_estimators(
        cls, estimators: dict[str, Any], *, ax: Axes | NDArray[Any] | None = None
    ) -> Self:
        """Draw the spectra of several fitted nets.

        Parameters
        ----------
        estimators : dict of str to estimator
            Fitted nets, or pipelines with one, by the names that they get.
        ax : matplotlib Axes or array of them, default=None
            See `plot`.

        Returns
        -------
        SpectrumDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            As `from_estimator`.
        """
        spectra = {
            name: [_shown(kernel) for kernel in fitted_net(estimator).coefs_[:-1]]
            for name, estimator in estimators.items()
        }
        return cls(spectra).plot(ax)

    def plot(self, ax: Axes | NDArray[Any] | None = None) -> Self:
        """Draw a panel a layer.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: an Axes a layer, or one that is divided; None makes a figure.

        Returns
        -------
        SpectrumDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If the nets have not as many hidden layers, at least one, or `ax` has another number of
            Axes, or is one that cannot be divided.
        """
        depths = {name: len(layers) for name, layers in self.spectra.items()}
        n_layers = next(iter(depths.values()), 0)
        if not n_layers or len(set(depths.values())) > 1:
            raise ValueError(
                f"The nets must have as many hidden layers, at least one, got {depths}."
            )
        axes = self._panels(ax, n_layers, 3, size=(4.2, 3.6), sharey=True)
        locator = self._matplotlib()[1].MaxNLocator
        # Black is for what stands before something.
        styles = STYLES[1:] if len(self.spectra) == 1 else STYLES
        self.lines_ = []
        for depth, panel in enumerate(axes):
            lines = []
            for (name, layers), style in zip(self.spectra.items(), cycle(styles), strict=False):
                values = layers[depth]
                how = {"label": f"{name}: rank {len(values)}", **style}
                # One value alone is no line.
                how |= {"marker": "."} if len(values) == 1 else {}
                lines += panel.plot(np.arange(1, len(values) + 1), values, **how)
            self.lines_.append(lines)
            panel.set_title(f"hidden layer {depth + 1}", fontsize=10)
            panel.set_xlabel("index")
            panel.xaxis.set_major_locator(locator(nbins="auto", integer=True, min_n_ticks=1))
            panel.grid(alpha=0.3)
            panel.legend(fontsize=8)
            place = panel.get_subplotspec()
            if depth == 0 or (place is not None and place.is_first_col()):
                panel.set_ylabel("singular value")
        # Not before all are drawn: from here on, the range stays.
        for panel in axes:
            panel.set_ylim(bottom=0)
        return self


def _shown(kernel: NDArray[Any]) -> NDArray[Any]:
    return singular_values(kernel)[: numerical_rank(kernel)]
