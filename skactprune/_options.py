"""Options of methods, schedules and triggers: what each may be, and one message for all of them."""

from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval

FINITE = Interval(Real, None, None, closed="neither")
POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
# With both ends, with one, and with none of them.
SHARE = Interval(Real, 0, 1, closed="both")
POSITIVE_SHARE = Interval(Real, 0, 1, closed="right")
FRACTION = Interval(Real, 0, 1, closed="neither")
COUNT = Interval(Integral, 1, None, closed="left")
COUNT_OR_ZERO = Interval(Integral, 0, None, closed="left")


def check_options(owner: object, **allowed: Any) -> None:
    """Raise ValueError for an option that has no value that it may have.

    Parameters
    ----------
    owner : object
        Has options as attributes.
    **allowed : Interval or sequence
        For each of them the range of a number, where a bool is none, or a sequence of what it may
        be, values and ranges.
    """
    for name, what in allowed.items():
        value, choices = getattr(owner, name), [what] if isinstance(what, Interval) else list(what)
        ranges = [choice for choice in choices if isinstance(choice, Interval)]
        values = [choice for choice in choices if not isinstance(choice, Interval)]
        in_range = any(some.is_satisfied_by(value) for some in ranges)
        if in_range and not isinstance(value, bool):
            continue
        if not (isinstance(value, Hashable) and value in values):
            must = " or ".join([*map(str, ranges), *map(repr, values)] if ranges else [])
            raise ValueError(
                f"{name}={value!r} of {type(owner).__name__} must be {must or f'one of {values}'}."
            )
