"""What a case hands back, and its file, so that an interrupted run goes on where it stopped."""

import json
import os
from dataclasses import asdict, dataclass, fields, replace

import numpy as np

NAME = "benchmarks.json"


def name_of(threads):
    """Name of the file of a thread setting."""
    return NAME if threads is None else f"benchmarks-{threads}.json"


@dataclass(frozen=True)
class Result:
    """One quantity, of two sides or of one, measured in the same alternations."""

    what: str
    where: str
    side: str
    values: list[float]
    against: str | None = None
    others: list[float] | None = None
    # Or "bytes".
    unit: str = "s"
    # Largest ratio of the two that is good enough.
    target: float | None = None

    @property
    def ratio(self):
        """Median of the ratios, an alternation each, and their quartiles; None for one side."""
        if self.others is None:
            return None
        low, median, high = np.quantile(np.divide(self.values, self.others), [0.25, 0.5, 0.75])
        return float(median), float(low), float(high)

    @property
    def place(self):
        """What is measured, without the figures."""
        return self.what, self.where, self.side, self.against

    @property
    def met(self):
        """Whether the target is met; None without one."""
        return None if self.target is None else self.ratio[0] <= self.target

    def as_dict(self):
        """For JSON: what was measured, and what follows from it."""
        names = "median", "lower_quartile", "upper_quartile"
        ratio = self.ratio and dict(zip(names, self.ratio, strict=True))
        return asdict(self) | {"ratio": ratio, "met": self.met}


def held_against(values, side, others, **about):
    """Results of one side against others, a dict from these to the targets of the ratios.

    `values` has the measurements of all sides, `about` further fields of every `Result`.
    """
    about |= {"side": side, "values": values[side]}
    return [
        Result(**about, against=other, others=values[other], target=target)
        for other, target in others.items()
    ]


def elsewhere(folder, settings):
    """Results of finished cases by number of threads, where all other settings are the same."""
    found = {}
    for path in sorted(folder.glob("benchmarks-*.json")):
        stored = json.loads(path.read_text("utf-8"))
        n = stored["settings"]["threads"]
        if stored["settings"] == json.loads(json.dumps(asdict(replace(settings, threads=n)))):
            store = Store(folder, replace(settings, threads=n), stored["machine"])
            found[n] = [r for name in stored["cases"] for r in store.results(name)]
    return found


class Store:
    """The JSON file of a run with these settings on this machine, see `benchmarks.machine`.

    ``discarded`` says whether it has cases of other settings or of another machine, which are
    dropped with the first new case.
    """

    def __init__(self, folder, settings, machine):
        self.path = folder / name_of(settings.threads)
        self.machine, self.settings = machine, settings
        self._head = json.loads(json.dumps({"settings": asdict(settings), "machine": machine}))
        stored = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
        same = all(stored.get(name) == value for name, value in self._head.items())
        self.discarded = not same and bool(stored.get("cases"))
        self._cases = stored["cases"] if same else {}

    def has(self, name):
        """Whether the case is finished."""
        return name in self._cases

    def put(self, name, seconds, results):
        """Keep a finished case."""
        results = [result.as_dict() for result in results]
        self._cases[name] = {"seconds": round(seconds, 1), "results": results}
        new = self.path.with_suffix(".tmp")
        text = json.dumps(self._head | {"cases": self._cases}, indent=1)
        new.write_text(text + "\n", encoding="utf-8")
        os.replace(new, self.path)

    def results(self, name):
        """Results of a finished case."""
        known = [field.name for field in fields(Result)]
        stored = self._cases[name]["results"]
        return [Result(**{name: result[name] for name in known}) for result in stored]

    @property
    def seconds(self):
        """Time of all finished cases."""
        return sum(case["seconds"] for case in self._cases.values())
