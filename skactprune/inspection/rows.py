"""The row of a comparison: what is told of every fitted model, in one place."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skactprune.inspection.scoring import scores_of
from skactprune.inspection.sizes import hidden_ranks, live_neurons, n_parameters, net_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from skactprune._types import ScoringLike

__all__ = ["model_row", "timed_fit"]


def model_row(
    model: Any,
    splits: Mapping[str, tuple[Any, ...] | None],
    *,
    scoring: ScoringLike | None = "accuracy",
    seconds: float = np.nan,
    **labels: Any,
) -> dict[str, Any]:
    """Describe a fitted model: scores, sparsity, live neurons, ranks, size, time.

    Parameters
    ----------
    model : classifier
        Fitted: a net, a `LowRankNet`, or any other. In a pipeline, the net is found.
    splits : dict of str to (X, y) or None
        Rows to score on by name, such as ``{"train": (X_train, y_train), "test": (X_test,
        y_test)}``. None where there are none: the score is NaN.
    scoring : str, callable, list, tuple, set, dict or None, default="accuracy"
        As in `compare_with_pca`.
    seconds : float, default=NaN
        What the fit took.
    **labels
        Further columns, such as ``method="pruned net"``; they come first.

    Returns
    -------
    row : dict
        With the labels and the keys

        - ``{name}_accuracy`` for every split, or the names of the scores that are asked for;
        - ``sparsity``: share of the hidden layers' original weights that is gone, NaN where the
          model does not tell; ``live_neurons`` and ``ranks``: of every hidden layer, None where
          there is no net;
        - ``parameters``: see `n_parameters`;
        - ``fit_seconds``.

    See Also
    --------
    compare_with_pca : Rows of a whole comparison.

    Examples
    --------
    >>> import numpy as np
    >>> from skactprune.inspection import ArrayNet, model_row
    >>> net = ArrayNet([np.eye(2), np.eye(2)], [np.zeros(2), np.zeros(2)])
    >>> row = model_row(net, {"test": ([[3.0, 1.0], [0.0, 2.0]], [0, 0])}, method="identity")
    >>> row["method"], row["test_accuracy"], row["ranks"], row["parameters"]
    ('identity', 0.5, [2], 8)
    """
    return {
        **labels,
        **scores_of(model, splits, scoring),
        **_net_columns(net_of(model)),
        "parameters": n_parameters(model),
        "fit_seconds": seconds,
    }


def _net_columns(net: Any) -> dict[str, Any]:
    if net is None:
        return {"sparsity": np.nan, "live_neurons": None, "ranks": None}
    return {
        "sparsity": getattr(net, "sparsity_", np.nan),
        "live_neurons": [len(live) for live in live_neurons(net)],
        "ranks": hidden_ranks(net),
    }


def timed_fit(model: Any, X: ArrayLike, y: ArrayLike, **params: Any) -> tuple[Any, float]:
    """Fit, and tell how long it took.

    Parameters
    ----------
    model : estimator
        Is fitted.
    X, y : array-like
        Rows and labels.
    **params
        Parameters of the fit, such as ``sample_weight``.

    Returns
    -------
    model : estimator
        The same, fitted.
    seconds : float
        Of the fit; what torch imports for its first optimizer is not counted.

    Raises
    ------
    KeyboardInterrupt
        On an interrupt, which estimators of neural networks turn into a warning; a net that is
        half trained must not be compared with others.
    """
    # Imports a lot the first time; the first fit must not look slower than the next.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    interrupted = "Training interrupted"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=interrupted)
        start = perf_counter()
        try:
            model.fit(X, y, **params)
        except UserWarning as warning:
            if not str(warning).startswith(interrupted):
                raise
            raise KeyboardInterrupt from warning
        return model, perf_counter() - start
