"""Pages whose prose people write, with tables that a command puts between two comments."""

import re

PLACE = re.compile(r"(<!-- table: (\S+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def markdown(table, texts=1):
    """Table of a DataFrame of strings, whose first columns, `texts` in all, are no numbers."""
    rule = ["---"] * texts + ["---:"] * (len(table.columns) - texts)
    rows = (table.columns, rule, *table.itertuples(index=False))
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in rows)


def fill(text, tables):
    """Put tables into the places of a page; a place without one stays as it is.

    A place begins with ``<!-- table: NAME -->`` and ends with ``<!-- end -->``, both on lines of
    their own.
    """

    def filled(match):
        return f"{match[1]}{tables[match[2]]}\n" if match[2] in tables else match[0]

    return PLACE.sub(filled, text)


def write(path, tables, docs):
    """Put tables into the page at `path` if it is in the folder `docs`; else write them alone."""
    if path.parent == docs:
        text = fill(path.read_text("utf-8"), tables)
    else:
        text = "\n".join(f"## {name}\n\n{table}\n" for name, table in tables.items())
    path.write_text(text, encoding="utf-8")


def places(text):
    """Names of the places of a page, in order."""
    return [match[2] for match in PLACE.finditer(text)]
