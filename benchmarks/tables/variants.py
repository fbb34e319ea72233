"""Variants of the default: chosen on validation rows, confirmed on test rows of other tables.

Test rows of the tables to choose on are never looked at here.
"""

import ast

from benchmarks.tables import accuracy, data
from benchmarks.tables.models import DEFAULT, fitted, ours
from benchmarks.tables.statistics import compared, counts, holm, p_value, paired, told

FIELDS = ("role", "variant", "table", "net", "fraction", "seed")
# By role: names of variants and their parameters.
FULL = accuracy.FULL.but(variants={"choose": {}, "confirm": {}})
QUICK = accuracy.QUICK.but(variants=FULL.variants)
SHOWN = {"choose": "validation", "confirm": "test"}


def parse(text):
    """Name and parameters of ``"NAME=dict(alpha=0.3)"`` or ``"NAME={'alpha': 0.3}"``.

    The name that is returned has the parameters in it, so that one that changes is another.
    """
    name, code, params = literals(text, lambda name, params: ours(1, 0.0, 0, **params))
    return f"{name}: {code}", params


def literals(text, check):
    """Name, code and parameters of such a text; ``check(name, params)`` may refuse them."""
    name, _, code = map(str.strip, text.partition("="))
    try:
        tree = ast.parse(code, mode="eval").body
        if isinstance(tree, ast.Call) and tree.func.id == "dict" and not tree.args:
            params = {word.arg: ast.literal_eval(word.value) for word in tree.keywords}
        else:
            params = dict(ast.literal_eval(tree))
        check(name, params)
    except (SyntaxError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"A variant must be NAME=dict(parameter=literal, ...), not {text!r}: {error}"
        ) from error
    return name, code, params


def runs(settings):
    """Yield all runs, those of the default beside the variants."""
    for role, variants in settings.variants.items():
        for seed in range(settings.seeds if variants else 0):
            for table in [name for name in data.names(settings) if data.role(name) == role]:
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
            yield compared(f"variant {variant}", of, measure, variant, DEFAULT, **how)


def tables(rows):
    """Yield for both roles: every variant less the default, over all fractions and for each."""
    for role, of in rows.groupby("role"):
        title = f"Variants to {role}, {SHOWN[role]} rows of {of['table'].nunique()} tables"
        yield f"{title}, less the default", _beside(of, SHOWN[role])
        for fraction, some in of.groupby("fraction"):
            yield f"{title}, {fraction:.0%} gone, less the default", _beside(some, SHOWN[role])


def _beside(rows, part):
    table = rows[["variant"]].drop_duplicates().sort_values("variant")
    table = table[table["variant"] != DEFAULT]
    for measure in ("accuracy", "logloss", "epochs", "seconds"):
        column = measure if measure in rows else f"{part}_{measure}"
        found = [paired(rows, column, name, DEFAULT, "variant") for name in table["variant"]]
        table[measure] = [told(differences, measure) for differences in found]
        if column != measure:
            table[f"{measure}: won / tied / lost"] = [counts(of, measure) for of in found]
            table[f"{measure}: p"] = [f"{p:.3f}" for p in holm(list(map(p_value, found)))]
    return table
