"""Which features a model uses."""

import numpy as np

from skactprune._validation import check_fitted


class FeatureSupport:
    """Mixin: `get_support`, from `unused_features_` and `n_features_in_`."""

    def get_support(self, indices=False):
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
        used[self.unused_features_] = False
        return np.flatnonzero(used) if indices else used
