"""All cases, in the order of the page: each gets a `Bench` and returns a list of `Result`."""

from benchmarks import fit, footprint, predict, rounds, scaling, search

CASES = {
    "fit": fit.dense_fit,
    "double": fit.double_fit,
    "default": fit.default_fit,
    "search": search.grids,
    "limit": fit.against_limit,
    "shrink": fit.shrinking_fit,
    "counting": fit.counting,
    "round": rounds.one_round,
    "default-rounds": rounds.default_rounds,
    "authors": rounds.authors,
    "svd": rounds.against_svd,
    "predict": predict.many_rows,
    "one-row": predict.one_row,
    "size": footprint.files,
    "memory": footprint.peak_memory,
    "start": footprint.cold_start,
    "rows": scaling.rows,
    "width": scaling.width,
    "rounds": scaling.n_rounds,
}
# They read Linux's account of a process.
LINUX = ("memory", "rows")
