"""Measurements on disk, a case at a time, so that an interrupted run goes on where it stopped."""

import json
import os
from dataclasses import asdict

from benchmarks.results import Result

NAME = "benchmarks.json"


class Store:
    """The JSON file of one run.

    Parameters
    ----------
    folder : pathlib.Path
        Where it lies.
    settings : Settings
        Sizes of this run.
    machine : dict
        See `benchmarks.machine`.

    Attributes
    ----------
    discarded : bool
        Whether the file has cases of other settings or of another machine; they are dropped with
        the first new case.
    """

    def __init__(self, folder, settings, machine):
        self.path = folder / NAME
        self.machine = machine
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
        self._cases[name] = {
            "seconds": round(seconds, 1),
            "results": [result.as_dict() for result in results],
        }
        text = json.dumps(self._head | {"cases": self._cases}, indent=1)
        new = self.path.with_suffix(".tmp")
        new.write_text(text + "\n", encoding="utf-8")
        os.replace(new, self.path)

    def results(self, name):
        """Results of a finished case."""
        return [Result.from_dict(stored) for stored in self._cases[name]["results"]]

    @property
    def seconds(self):
        """Time of all finished cases."""
        return sum(case["seconds"] for case in self._cases.values())
