"""Input features that leave: how many, which may, and what becomes of the first layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from skactprune.nets.matrices import matrix
from skactprune.pruning import surgery
from skactprune.pruning.masks import Masks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from numpy.typing import NDArray

    from skactprune.pruning.choice import AnyLayout
    from skactprune.pruning.state import State

    # How other features take over; see `Run.drop_features`.
    FeatureRefit: TypeAlias = Callable[
        [NDArray[np.bool_], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]
    ]


def without_features(layout: AnyLayout, n_gone: int) -> Masks:
    """Masks of the net before any round, as if it had never had so many of its features."""
    (n_out, n_in), *others = layout.shapes
    return Masks(layout.of_shapes([(n_out, n_in - n_gone), *others]))


def telling_features(run: State) -> NDArray[np.bool_]:
    """Which features are read and vary; see `Run.telling_features`."""
    features = run.probe("Features")
    if features.deviation is None:
        raise ValueError(
            f"prune_features={run.features!r} needs rows that are an array of numbers."
        )
    return features.vary & run.masks.current[0].any(axis=0)


def let_features_go(run: State, gone: NDArray[np.bool_], refit: FeatureRefit | None = None) -> None:
    """Let features go for good; see `Run.drop_features`."""
    first, mean = run.layers[0], run.probe("Features").mean
    weight = matrix(first.weight).double().cpu().numpy()
    if refit is None:
        new, change = np.where(gone, 0.0, weight), weight[:, gone] @ mean[gone]
    else:
        new, change = refit(gone, weight)
    masks = [run.masks.current[0] & ~gone, *run.masks.current[1:]]
    with run.transaction(), torch.no_grad():
        values = [torch.from_numpy(new).to(first.weight)]
        biases = [first.get_parameter("bias") + torch.from_numpy(change).to(first.bias)]
        surgery.replace([first], surgery.optimizers_of(run.net), values, biases)
        run.dropped = run.dropped | gone
        run.keep(masks, cut=False)
