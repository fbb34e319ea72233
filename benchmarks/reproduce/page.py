"""Tables and figures of what is finished, into the page."""

import json
from pathlib import Path

import pandas as pd

from benchmarks.pages import markdown
from benchmarks.reproduce.figures import save
from benchmarks.reproduce.runner import table_of
from benchmarks.reproduce.statistics import Answer

NAME = "reproduction.md"
MEASUREMENTS = Path("docs/benchmarks.json")


def results(experiments, folder, draw=True):
    """Draw the figures of all experiments that have rows, and make their tables.

    Parameters
    ----------
    experiments : dict of str to module
        Each with ``FIELDS`` and functions of its rows: ``tables(rows)`` yields names and DataFrames
        of strings, ``figures(rows, folder)`` names of files and figures, ``answers(rows)`` is a
        list of `Answer`.
    folder : pathlib.Path
        Where the tables of the runs lie, and for the figures.
    draw : bool, default=True
        Whether figures are drawn.

    Returns
    -------
    dict of str to str
        Markdown by name.
    """
    tables, found = {}, cost_of_a_round()
    for name, experiment in experiments.items():
        rows = table_of(experiment, folder).rows
        if rows.empty:
            continue
        for part, table in experiment.tables(rows):
            tables[f"{name}-{part}"] = markdown(table)
        for file, figure in experiment.figures(rows, folder) if draw else ():
            save(figure, folder / file)
        found += experiment.answers(rows)
    claims = sorted((a for a in found if a.claim != "-"), key=lambda answer: answer.claim)
    tables["answers-claims"] = answers_table(claims, folder)
    tables["answers-beyond"] = answers_table([a for a in found if a.claim == "-"], folder)
    return tables


def answers_table(answers, folder):
    """Markdown of answers, their figures in this folder beside the page."""
    table = pd.DataFrame(answers, columns=Answer._fields)
    linked = table["figure"].map(lambda name: name and f"[figure]({folder.name}/{name})")
    return markdown(table.assign(figure=linked), texts=len(Answer._fields))


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
