"""Checks of parameters that a single constraint cannot state."""

from numbers import Integral


def hidden_sizes(params):
    """Sizes of the hidden layers before pruning, as a list of int.

    Parameters
    ----------
    params : estimator
        Its ``hidden_layer_sizes``, or the sizes of its ``init_estimator``.

    Raises
    ------
    ValueError
        For sizes that are not positive integers.
    """
    sizes = params.hidden_layer_sizes
    if params.init_estimator is not None:
        sizes = [coef.shape[1] for coef in params.init_estimator.coefs_[:-1]]
    sizes = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes={params.hidden_layer_sizes!r} must be integers > 0.")
    return [int(size) for size in sizes]


def check_init_estimator(init_estimator):
    """Raise ValueError for an `init_estimator` that lacks the attributes of a fitted classifier."""
    if init_estimator is not None and not all(
        hasattr(init_estimator, name) for name in ("coefs_", "intercepts_", "classes_")
    ):
        raise ValueError(
            f"init_estimator={init_estimator!r} must be a fitted MLPClassifier, in a "
            "FrozenEstimator so that clones stay fitted, or None."
        )
