"""Tables and figures of what is finished, for the page."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.pages import markdown
from benchmarks.reproduce.figures import save
from benchmarks.reproduce.runner import Table
from benchmarks.reproduce.statistics import Answer

NAME = "reproduction.md"
MEASUREMENTS = Path("docs/benchmarks.json")


def results(experiments, folder, draw=True):
    """Tables in Markdown by name, of all experiments that have rows; their figures are drawn.

    An experiment has functions of its rows: ``tables(rows)`` yields names and DataFrames of
    strings, ``figures(rows, folder)`` names of files and figures, ``answers(rows)`` is a list of
    `Answer`. `folder` has the rows and gets the figures.
    """
    tables, found = {}, cost_of_a_round()
    for name, experiment in experiments.items():
        rows = Table(experiment, folder).rows
        if rows.empty:
            continue
        for part, table in experiment.tables(rows):
            tables[f"{name}-{part}"] = markdown(table)
        for file, figure in experiment.figures(rows, folder) if draw else ():
            save(figure, folder / file)
        found += experiment.answers(rows)
    found = pd.DataFrame(found, columns=Answer._fields)
    found["figure"] = found["figure"].map(lambda file: file and f"[figure]({folder.name}/{file})")
    beyond = found["claim"] == "-"
    claims = found[~beyond].sort_values("claim", kind="stable")
    for name, table in (("claims", claims), ("beyond", found[beyond])):
        tables[f"answers-{name}"] = markdown(table, texts=len(Answer._fields))
    return tables


def cost_of_a_round():
    """Claim C7 from the measurements of ``python -m benchmarks``, if they are there."""
    if not MEASUREMENTS.exists():
        return []
    measured = json.loads(MEASUREMENTS.read_text("utf-8"))["cases"]["svd"]["results"]
    ratios = {f"{one['side']}, {one['where']}": one["ratio"]["median"] for one in measured}
    dear = [name for name, ratio in ratios.items() if ratio >= 1]
    verdict = f"yes, except for {'; '.join(dear)}" if dear else "yes"
    first, *_, before_last, last = (f"{ratio:.2g} x ({name})" for name, ratio in ratios.items())
    return [
        Answer(
            "C7",
            "Does a pruning round cost less than one SVD of the same matrices?",
            "no" if len(dear) == len(ratios) else verdict,
            f"from {first} to {before_last} and {last} of an SVD; see benchmarks.md",
        )
    ]
