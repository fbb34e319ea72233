"""Which features a model uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skactprune._validation import check_fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FeatureSupport:
    """Mixin: `get_support`, from `unused_features_` and `n_features_in_`."""

    n_features_in_: int

    def get_support(self, indices: bool = False) -> NDArray[Any]:
        """Which features are used, as scikit-learn's selectors tell it.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return indices instead of a mask.

        Returns
        -------
        ndarray
            A bool for every feature, False for `unused_features_`; or, with `indices`, the indices
            of those that are used.
        """
        check_fitted(self)
        used = np.ones(self.n_features_in_, dtype=bool)
        used[self.unused_features_] = False  # type: ignore[attr-defined]
        return np.flatnonzero(used) if indices else used
