"""Options that are numbers, of everything that checks them in one place."""

from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils._param_validation import Interval

from skactprune._options import COUNT, FRACTION, POSITIVE, check_options


@pytest.mark.parametrize(
    ("allowed", "value"),
    [
        (COUNT, np.int64(3)),
        (FRACTION, np.float32(0.5)),
        (POSITIVE, 1),
        ((COUNT, None), None),
        (("a", "b"), "b"),
        ((True, False), False),
    ],
)
def test_what_is_allowed(allowed, value):
    check_options(SimpleNamespace(option=value), option=allowed)


@pytest.mark.parametrize(
    ("allowed", "value", "must"),
    [
        (COUNT, 0, r"an int in the range \[1, inf\)"),
        (COUNT, 2.0, r"an int in the range \[1, inf\)"),
        (COUNT, True, r"an int in the range \[1, inf\)"),
        (COUNT, None, r"an int in the range \[1, inf\)"),
        ((COUNT, None), "a", r"an int in the range \[1, inf\) or None"),
        (FRACTION, 1, r"a float in the range \(0.0, 1.0\)"),
        (POSITIVE, np.inf, r"a float in the range \(0.0, inf\)"),
        (POSITIVE, np.nan, r"a float in the range \(0.0, inf\)"),
        (POSITIVE, np.ones(2), r"a float in the range \(0.0, inf\)"),
        (("a", "b"), "c", r"one of \['a', 'b'\]"),
        (("a", "b"), ["a"], r"one of \['a', 'b'\]"),
        (Interval(Integral, 1, 8, closed="both"), 9, r"an int in the range \[1, 8\]"),
        (Interval(Real, 1, None, closed="left"), 0.5, r"a float in the range \[1.0, inf\)"),
    ],
)
def test_what_is_refused_is_named_with_what_is_allowed(allowed, value, must):
    with pytest.raises(ValueError, match=f"option=.* of SimpleNamespace must be {must}"):
        check_options(SimpleNamespace(option=value), option=allowed)
