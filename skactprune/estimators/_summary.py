"""What a fitted net tells of itself in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sklearn.utils.metaestimators import available_if

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Summarized(Protocol):
    """What a summary needs of a fitted net."""

    coefs_: list[NDArray[Any]]
    masks_: list[NDArray[Any]]
    live_neurons_: list[NDArray[Any]]
    unused_features_: NDArray[Any]
    n_features_in_: int
    sparsity_: float
    n_iter_: int

    @property
    def hidden_ranks_(self) -> list[int]: ...


def sizes_before_and_after(net: Summarized) -> tuple[list[int], list[int]]:
    """Sizes of the layers, input and output included, before pruning and now.

    Parameters
    ----------
    net : BasePrunedMLP
        Fitted.

    Returns
    -------
    before, after : list of int
        Features that nothing reads do not count in the latter.
    """
    n_features, n_outputs = net.n_features_in_, net.coefs_[-1].shape[1]
    before = [n_features, *(mask.shape[1] for mask in net.masks_), n_outputs]
    used = n_features - len(net.unused_features_)
    return before, [used, *(len(live) for live in net.live_neurons_), n_outputs]


def summary(net: Summarized) -> str:
    """Sizes, sparsity, ranks and epochs.

    Parameters
    ----------
    net : BasePrunedMLP
        Fitted.

    Returns
    -------
    str
    """
    before, after = ("-".join(map(str, sizes)) for sizes in sizes_before_and_after(net))
    told = [before if before == after else f"{before} → {after}", f"sparsity {net.sparsity_:.0%}"]
    if net.hidden_ranks_:
        told.append("ranks " + ", ".join(map(str, net.hidden_ranks_)))
    return " · ".join([*told, f"{net.n_iter_} epochs"])


class ShowsSummary:
    """Mixin: once it is fitted, its HTML representation has the summary below its name."""

    @available_if(lambda net: net.__sklearn_is_fitted__())
    def _sk_visual_block_(self: Summarized) -> Any:
        # If this moves, scikit-learn shows what it shows of any estimator.
        from sklearn.utils._repr_html.estimator import _VisualBlock

        about = {"names": type(self).__name__, "name_details": str(self)}
        return _VisualBlock("single", self, **about, name_caption=summary(self))
