"""The page: answers first, then how they were found, then the tables."""

import platform
from importlib.metadata import version

import pandas as pd

from benchmarks.pages import markdown
from benchmarks.reproduce.runner import Table
from benchmarks.tables import data
from benchmarks.tables.statistics import HEAD, holm

LIBRARIES = ("skactprune", "scikit-learn", "torch", "numpy", "scipy")
TEXT = """# Is a pruned net worth it on ordinary tables?

Written by `python -m benchmarks.tables`, which does what is missing of the runs; `page` after it
only writes this page from the rows beside it. `--tables DIR` adds CSV files of your own.

{answers}

An effect is the first less the second, paired: the mean over tables (of the mean over their
splits), with its 95 % interval by Student's t. An answer is *yes* where the interval lies on the
better side of 0, or of the margin that the question names, *no* where it lies on the other side,
else *not decided*. A table is tied within 0.5 points or 0.01 of log-loss. p is by Holm's method for
the questions of one experiment, here and below apart. Lower log-loss is better; that of neighbours
is large wherever none of five has the label.

## How

- {n_tables} tables, splits by the seeds {seeds}: half of the rows to train (at most {max_train}),
  a quarter each to validate and to test, stratified; classes with fewer than {min_rows} rows are
  left out.
- Missing numbers become medians with an indicator, numbers are standardised, categories one-hot;
  all of it is fitted on training rows. Nothing is tuned: all models have the defaults of their
  library, except for what is named, and more iterations of logistic regression.
- All figures are of test rows. The defaults were chosen on validation rows of the tables to
  *choose* on: weight decay of 0.3 to 2, by rows, or until the last round, scopes, rounds (1, 5, 10;
  early), ridges of two kinds, neurons that every layer keeps (1, as many as classes, 8 to 48), what
  takes over into which layers, costs on held-out rows, 41 variants in all; and eleven kinds of
  components, on splits of all small tables here. One choice was made on test rows, those of
  digits: weight decay at most 0.5, not 1, of four tried.
- Methods other than the default, random and magnitude are shown at 80 %. They
  remove neurons where they have the choice, except `magnitude, weights`; *random* neurons leave as
  those of the default do, single weights from narrow layers, too. A mean rank is over the tables
  that all models have. *Small from scratch* has the neurons and epochs of the pruned default net
  from the start, *small MLPClassifier* has its neurons and stops as scikit-learn does; where single
  weights have left narrow layers, both have these weights besides.
- LDA has at most as many components as there are classes less one, and PCA, NCA and PLS as there
  are features: the tables have the mean of `components`.
- Seconds are CPU time on one thread; those of methods that are shown at 80 % alone were taken
  beside other work, by which a fit takes some 50 % longer.
- This page was written with Python {python}, {versions}, on {machine}.

## All other comparisons

{every}

{tables}"""


def text(experiments, folder):
    """The page of all experiments that have rows."""
    found = {name: Table(of, folder).rows for name, of in experiments.items()}
    found = {name: rows for name, rows in found.items() if len(rows)}
    if not found:
        raise FileNotFoundError(f"There are no rows in {folder}; run without `page` first.")
    answers = pd.concat([answered(experiments[name].answers(of)) for name, of in found.items()])
    lead, every = (answers.loc[answers["lead"] == leads, HEAD] for leads in (True, False))
    rows = pd.concat(found.values())
    sections = [part for name, of in found.items() for part in experiments[name].tables(of)]
    sections.append(("Tables", listed(rows)))
    return TEXT.format(
        answers=markdown(lead, 2),
        every=markdown(every, 2),
        n_tables=rows["table"].nunique(),
        seeds=", ".join(map(str, sorted(rows["seed"].unique()))),
        max_train=data.MAX_TRAIN,
        min_rows=data.MIN_ROWS,
        python=platform.python_version(),
        versions=", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        machine=platform.machine(),
        tables="\n".join(f"## {title}\n\n{markdown(table)}\n" for title, table in sections),
    )


def answered(answers):
    """Answers of an experiment as a DataFrame of text, with Holm's p."""
    table = pd.DataFrame(filter(None, answers), columns=[*HEAD, "lead"])
    table["p"] = table.groupby("lead")["p"].transform(holm).map("{:.3f}".format)
    return table.astype({"lead": bool})


def listed(rows):
    """Table of the tables: training rows, features as models get them, classes, roles."""
    sizes = rows.groupby("table")[["train_rows", "features", "classes"]].max()
    sizes = sizes.map(lambda size: "" if pd.isna(size) else f"{size:.0f}")
    sizes.insert(0, "role", [data.role(name) for name in sizes.index])
    return sizes.sort_values("role", kind="stable").reset_index()
