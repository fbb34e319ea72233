"""How often each neuron fires, and which of them are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skactprune.inspection.display import COLORS, Display, fitted_net

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FiringDisplay"]


class FiringDisplay(Display):
    """Firing rate of every hidden neuron, with those marked that were pruned.

    Parameters
    ----------
    rates : list of array-like of shape (n_neurons,)
        For each hidden layer in its original size, the share of rows in which a neuron fired.
    live_neurons : list of array-like of int
        For each hidden layer the indices of the neurons that are left.

    Attributes
    ----------
    ax_ : ndarray of matplotlib Axes
        The panels, one a layer.
    figure_ : matplotlib Figure
        The figure that they are in.
    bars_ : list of matplotlib BarContainer
        For each layer a bar a neuron, in the order in which they are drawn.
    order_ : list of int ndarray
        For each layer the indices of the neurons in that order.

    See Also
    --------
    skactprune.methods.Activation : Removes the neurons that fire least.

    Notes
    -----
    A neuron fires where its pre-activation is positive. Rates are over the rows that were counted
    in training, for a neuron that was pruned those until then: what it would have done later,
    nobody knows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skactprune import PrunedMLPClassifier
    >>> from skactprune.inspection import FiringDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = PrunedMLPClassifier((20,), max_iter=30, tol=0.1, random_state=0).fit(X, y)
    >>> display = FiringDisplay.from_estimator(net)  # doctest: +SKIP
    """

    def __init__(self, rates: list[ArrayLike], live_neurons: list[ArrayLike]) -> None:
        self.rates = rates
        self.live_neurons = live_neurons

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, sort: bool = True, ax: Axes | NDArray[Any] | None = None
    ) -> Self:
        """Draw the firing rates of a fitted net.

        Parameters
        ----------
        estimator : PrunedMLPClassifier or the like, or a pipeline with one
            Fitted, with a `method` that counts.
        sort : bool, default=True
            See `plot`.
        ax : matplotlib Axes or array of them, default=None
            See `plot`.

        Returns
        -------
        FiringDisplay

        Raises
        ------
        ImportError
            If there is no matplotlib.
        NotFittedError, ValueError
            If there is no fitted net that has counted, or `ax` does not fit.
        """
        net = fitted_net(estimator, "firing_rates_", "live_neurons_")
        if net.firing_rates_ is None:
            raise ValueError(
                f"There are no firing rates to draw: method={net.method!r} counts nothing. "
                '"activation" and "activation_surgeon" are among those that do.'
            )
        return cls(net.firing_rates_, net.live_neurons_).plot(ax, sort=sort)

    def plot(self, ax: Axes | NDArray[Any] | None = None, *, sort: bool = True) -> Self:
        """Draw a panel a layer, with a bar a neuron.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            Where to draw: an Axes a layer, or one that is divided; None makes a figure.
        sort : bool, default=True
            Whether to put those that fire most first, or to leave neurons in their order.

        Returns
        -------
        FiringDisplay
            The same.

        Raises
        ------
        ImportError
            If there is no matplotlib.
        ValueError
            If there is no layer, or `ax` has another number of Axes, or is one that cannot be
            divided.
        """
        if not len(self.rates):
            raise ValueError("There are no firing rates to draw: the net has no hidden layer.")
        axes = self._panels(ax, len(self.rates), 1, size=(7.2, 2.2), sharey=True)
        self.bars_, self.order_ = [], []
        for depth, panel in enumerate(axes):
            rates = np.asarray(self.rates[depth])
            live = np.isin(np.arange(len(rates)), self.live_neurons[depth])
            order = np.argsort(-rates, kind="stable") if sort else np.arange(len(rates))
            colors = np.where(live, COLORS["blue"], COLORS["orange"])[order]
            bars = panel.bar(np.arange(len(rates)), rates[order], width=0.85, color=colors)
            # Seen where a rate is 0, too.
            gone = np.flatnonzero(~live[order])
            cross = {"color": COLORS["black"], "markersize": min(3, 300 / len(rates))}
            panel.plot(gone, np.full(len(gone), -0.05), "x", **cross)
            self.bars_.append(bars)
            self.order_.append(order)
            panel.set_ylim(-0.1, 1.02)
            panel.set_xlim(-0.7, len(rates) - 0.3)
            panel.set_ylabel("firing rate")
            panel.yaxis.set_major_formatter(self._matplotlib()[1].PercentFormatter(1, decimals=0))
            panel.xaxis.set_major_locator(self._matplotlib()[1].MaxNLocator(integer=True))
            panel.set_title(f"hidden layer {depth + 1}", fontsize=10, loc="left")
            _legend(panel, bars, live[order])
        axes[-1].set_xlabel("neurons, those that fire most first" if sort else "neuron")
        return self


def _legend(panel: Axes, bars: BarContainer, live: NDArray[np.bool_]) -> None:
    """Say how many are left, above the panel, where no bar is hidden."""
    kinds = ((live, "left"), (~live, "pruned (×)"))
    shown = [(bars[int(np.argmax(of))], f"{of.sum()} {name}") for of, name in kinds if of.any()]
    above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    panel.legend(*zip(*shown, strict=True), ncols=2, fontsize=8, frameon=False, **above)
