"""All cases, in the order of the report."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import fit, memory, predict, rounds, scaling, size


@dataclass(frozen=True)
class Case:
    """What ``--only`` names.

    Parameters
    ----------
    run : callable
        Gets a `Bench` and returns a list of `Result`.
    title : str
        Heading in the report.
    weight : float
        About how many seconds of a full run it takes, for the progress bar.
    linux : bool
        Whether it reads Linux's account of a process.
    """

    run: Callable
    title: str
    weight: float
    linux: bool = False


CASES = {
    "fit": Case(fit.dense_fit, "Fit without pruning", 95),
    "shrink": Case(fit.shrinking_fit, "Fit while the net shrinks", 90),
    "counting": Case(fit.counting, "Counting who fires", 65),
    "round": Case(rounds.one_round, "One pruning round", 15),
    "authors": Case(rounds.authors, "The authors' protocol", 15),
    "svd": Case(rounds.against_svd, "A round against a singular value decomposition", 210),
    "predict": Case(predict.many_rows, "Predictions of many rows", 20),
    "one-row": Case(predict.one_row, "Predictions of one row", 10),
    "size": Case(size.files, "Files", 10),
    "memory": Case(memory.peak_memory, "Memory", 140, linux=True),
    "start": Case(memory.cold_start, "Cold start", 40),
    "rows": Case(scaling.rows, "Cost against rows", 150, linux=True),
    "width": Case(scaling.width, "Cost against width", 80),
    "rounds": Case(scaling.n_rounds, "Cost against rounds", 60),
}
