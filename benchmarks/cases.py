"""All cases, in the order of the page: each gets a `Bench` and returns a list of `Result`."""

from benchmarks import fit, memory, predict, rounds, scaling, size

CASES = {
    "fit": fit.dense_fit,
    "shrink": fit.shrinking_fit,
    "counting": fit.counting,
    "round": rounds.one_round,
    "authors": rounds.authors,
    "svd": rounds.against_svd,
    "predict": predict.many_rows,
    "one-row": predict.one_row,
    "size": size.files,
    "memory": memory.peak_memory,
    "start": memory.cold_start,
    "rows": scaling.rows,
    "width": scaling.width,
    "rounds": scaling.n_rounds,
}
# They read Linux's account of a process.
LINUX = ("memory", "rows")
