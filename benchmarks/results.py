"""What a case hands back."""

import math
from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """One quantity, of two sides or of one.

    Parameters
    ----------
    what : str
        What is measured.
    where : str
        On which data and net.
    side : str
        Whose it is.
    values : list of float
        Measurements, one an alternation.
    against, others : str and list of float, optional
        The other side, and its measurements in the same alternations.
    unit : {"s", "bytes", ""}
        Of the measurements.
    target : float, optional
        Largest ratio of the two that is good enough.
    note : str
        How to read it.
    if_missed : str
        Reason to give if the target is missed.
    """

    what: str
    where: str
    side: str
    values: list[float]
    against: str | None = None
    others: list[float] | None = None
    unit: str = "s"
    target: float | None = None
    note: str = ""
    if_missed: str = ""

    @property
    def ratio(self):
        """Median of the ratios, an alternation each, and their quartiles; None for one side."""
        if self.others is None:
            return None
        ratios = np.divide(self.values, self.others)
        low, median, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        return float(median), float(low), float(high)

    @property
    def median(self):
        """Median of the measurements."""
        return float(np.median(self.values))

    @property
    def other_median(self):
        """Median of the measurements of the other side; NaN where there is none."""
        return math.nan if self.others is None else float(np.median(self.others))

    @property
    def met(self):
        """Whether the target is met; None without one."""
        return None if self.target is None else self.ratio[0] <= self.target

    def as_dict(self):
        """For JSON: what was measured, and what follows from it."""
        ratio = self.ratio and dict(
            zip(("median", "lower_quartile", "upper_quartile"), self.ratio, strict=True)
        )
        return asdict(self) | {"ratio": ratio, "met": self.met}

    @classmethod
    def from_dict(cls, stored):
        """Read what `as_dict` wrote."""
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__})


def held_against(values, side, others, **about):
    """Results of one side against several others.

    Parameters
    ----------
    values : dict of str to list of float
        Measurements of all sides.
    side : str
        One of them.
    others : dict of str to float or None
        Other sides, and the targets of the ratio to each.
    **about
        Further fields of every `Result`.

    Returns
    -------
    list of Result
    """
    return [
        Result(
            side=side,
            values=values[side],
            against=other,
            others=values[other],
            target=target,
            **about,
        )
        for other, target in others.items()
    ]
