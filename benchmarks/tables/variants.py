"""Variants of the default: chosen on validation rows, confirmed on test rows of other tables.

Test rows of the tables to choose on are never looked at here.
"""

import ast

from benchmarks.reproduce.statistics import mean_sd
from benchmarks.tables import data
from benchmarks.tables.accuracy import FULL as ACCURACY
from benchmarks.tables.accuracy import QUICK as FEW
from benchmarks.tables.models import DEFAULT, fitted, ours
from benchmarks.tables.statistics import compared, counts, holm, p_value, paired, told

FIELDS = ("role", "variant", "table", "net", "fraction", "seed")
# By role: names of variants and their parameters.
FULL = ACCURACY.but(variants={"choose": {}, "confirm": {}})
QUICK = FEW.but(variants=FULL.variants)
PARTS = {"choose": "validation", "confirm": "test"}


def parse(text):
    """Name and parameters of ``"NAME=dict(alpha=0.3)"`` or ``"NAME={'alpha': 0.3}"``.

    The name that is returned has the parameters in it, so that one that changes is another.
    """
    name, _, code = text.partition("=")
    try:
        tree = ast.parse(code.strip(), mode="eval").body
        if isinstance(tree, ast.Call) and tree.func.id == "dict" and not tree.args:
            params = {word.arg: ast.literal_eval(word.value) for word in tree.keywords}
        else:
            params = dict(ast.literal_eval(tree))
        ours(1, 0.0, 0, **params)
    except (SyntaxError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"A variant must be NAME=dict(parameter=literal, ...), not {text!r}: {error}"
        ) from error
    return f"{name}: {code.strip()}", params


def runs(settings):
    """Yield all runs, those of the default beside the variants."""
    for role, variants in settings.variants.items():
        for seed in range(settings.seeds if variants else 0):
            for table in data.names(settings, role):
                for net in map(str, settings.nets):
                    for fraction in settings.fractions:
                        for variant in (DEFAULT, *variants):
                            yield role, variant, table, net, fraction, seed


def execute(settings, folder, role, variant, table, net, fraction, seed):
    """The row of a run, with measures of the rows that its role may see."""
    params = {} if variant == DEFAULT else settings.variants[role][variant]
    parts = data.split(table, settings.csv_folder, seed)
    row = fitted(ours(ast.literal_eval(net), fraction, seed, **params), parts)[1]
    hidden = {"choose": "test_", "confirm": "validation_"}[role]
    return [{name: value for name, value in row.items() if not name.startswith(hidden)}]


def answers(rows):
    """Variants that were confirmed, beside the default, on test rows."""
    of = rows[rows["role"] == "confirm"]
    for variant in sorted(set(of["variant"]) - {DEFAULT}):
        for measure in ("accuracy", "logloss"):
            how = {"model": "variant", "lead": True}
            yield compared(f"Variant {variant}", of, measure, variant, DEFAULT, **how)


def tables(rows):
    """Yield for both roles: every variant less the default, with Holm's p."""
    for role, of in rows.groupby("role"):
        names = sorted(set(of["variant"]) - {DEFAULT})
        table, part = of.iloc[:0][["variant"]].assign(), PARTS[role]
        table["variant"] = names
        for measure in ("accuracy", "logloss", "epochs", "seconds"):
            column = measure if measure in of else f"{part}_{measure}"
            found = [paired(of, column, name, DEFAULT, "variant") for name in names]
            table[measure] = [told(differences, measure) for differences in found]
            if measure in ("accuracy", "logloss"):
                table[f"{measure}: won / tied / lost"] = [counts(d, measure) for d in found]
                adjusted = holm([p_value(differences) for differences in found])
                table[f"{measure}: p"] = [f"{p:.3f}" for p in adjusted]
        means = of.groupby("variant")[f"{part}_accuracy"].apply(mean_sd(1))
        note = f"less the default, {means[DEFAULT]} % right; {of['table'].nunique()} tables"
        yield f"Variants to {role}: {part} rows, {note}", table
