"""The Markdown page."""

from benchmarks.cases import CASES
from benchmarks.store import NAME as JSON_NAME

NAME = "benchmarks.md"
COLUMNS = ("what", "on", "side", "time or size", "against", "its time or size", "ratio")
SCALES = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")), "bytes": ((1e6, "MB"), (1e3, "kB"))}


def page(store, settings):
    """Markdown of all finished cases.

    Parameters
    ----------
    store : Store
        The cases.
    settings : Settings
        Of the run.

    Returns
    -------
    str
    """
    cases = {name: store.results(name) for name in CASES if store.has(name)}
    lines = ["# Benchmarks", "", *_introduction(store, settings), ""]
    aimed = [r for results in cases.values() for r in results if r.target is not None]
    if aimed:
        lines += ["## Targets", "", *_targets(aimed), ""]
    for name, results in cases.items():
        lines += [f"## {CASES[name].title}", "", *_table(results), ""]
    missing = [name for name in CASES if name not in cases]
    if missing:
        lines += [f"Not run: {', '.join(missing)}.", ""]
    return "\n".join(lines)


def _introduction(store, settings):
    machine = store.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    kernels = ", ".join(
        f"{name} ({pool['kernels']})" for name, pool in machine["pools"].items() if pool["kernels"]
    )
    quick = settings.name == "quick"
    caution = ["", "**A quick run: small data and few alternations, for a first look.**"]
    return [
        "Made by `python -m benchmarks" + " --quick" * quick + f"`, which also wrote {JSON_NAME} "
        "with every single measurement. The sides of a comparison ran in turn in one process, "
        f"{settings.alternations} times each unless noted, another one first every time. A ratio "
        "is the median of the ratios of the alternations, with their quartiles in brackets; below "
        "1, the side on the left took less. Times and sizes are medians. All data is float32.",
        *caution * quick,
        "",
        f"- {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"{settings.threads} thread{'s' * (settings.threads > 1)} for every library unless noted",
        f"- Python {machine['python']}, {versions}",
        f"- kernels: torch {machine['torch kernels']}, {kernels}",
        f"- {store.seconds / 60:.0f} minutes in all",
    ]


def _targets(results):
    met = sum(result.met for result in results)
    header = ("what", "on", "side", "against", "target", "ratio", "times or sizes", "")
    rows = [
        (
            result.what,
            result.where,
            result.side,
            result.against,
            f"≤ {result.target:g}",
            _ratio(result),
            f"{_amount(result.median, result.unit)} : {_amount(result.other_median, result.unit)}",
            "met" if result.met else "**missed**",
        )
        for result in results
    ]
    reasons = [
        f"- {result.what}, {result.where}, against {result.against}: {result.if_missed}"
        for result in results
        if result.if_missed and not result.met
    ]
    lines = [f"{met} of {len(results)} met.", "", *_markdown(header, rows, numbers_from=4)]
    return lines + (["", "Why some are missed:", "", *reasons] if reasons else [])


def _table(results):
    rows = [
        (
            result.what,
            result.where,
            result.side,
            _amount(result.median, result.unit),
            result.against or "",
            "" if result.others is None else _amount(result.other_median, result.unit),
            "" if result.others is None else _ratio(result),
        )
        for result in results
    ]
    notes = dict.fromkeys(f"- {r.what}: {r.note}" for r in results if r.note)
    return [*_markdown(COLUMNS, rows, numbers_from=3), *([""] if notes else []), *notes]


def _markdown(header, rows, numbers_from):
    rule = ["---"] * numbers_from + ["---:"] * (len(header) - numbers_from)
    return ["| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)]


def _ratio(result):
    median, low, high = (f"{number:.3g}" for number in result.ratio)
    return median if low == high == median else f"{median} [{low}, {high}]"


def _amount(value, unit):
    scale, name = next((pair for pair in SCALES[unit] if value >= pair[0]), SCALES[unit][-1])
    return f"{value / scale:.3g} {name}"
