"""Tables of what was measured, for the page."""

import numpy as np
import pandas as pd

from benchmarks.bench import count
from benchmarks.cases import CASES
from benchmarks.pages import markdown

SCALES = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")), "bytes": ((1e6, "MB"), (1e3, "kB"))}


def tables(store, elsewhere=None):
    """Machine, targets and cases of a `Store` as Markdown, by name.

    `elsewhere` has results of the same cases by another number of threads.
    """
    cases = {name: store.results(name) for name in CASES if store.has(name)}
    aimed = [r for results in cases.values() for r in results if r.target is not None]
    met = f"{sum(result.met for result in aimed)} of {len(aimed)} met.\n\n"
    return {"machine": machine(store), "targets": met + targets(aimed, elsewhere)} | {
        name: case(results) for name, results in cases.items()
    }


def machine(store):
    """What the measurements were made on, as a list."""
    facts, sizes = store.machine, store.settings
    pools = facts["pools"].items()
    kernels = [f"{name} ({pool['kernels']})" for name, pool in pools if pool["kernels"]]
    versions = [f"{name} {version}" for name, version in facts["versions"].items()]
    lines = (
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}; "
        f"threads as the libraries set them unless noted; {sizes.name} sizes, "
        f"{sizes.alternations} alternations",
        ", ".join([f"Python {facts['python']}", *versions]),
        ", ".join([f"kernels: torch {facts['torch kernels']}", *kernels]),
        f"{store.seconds / 60:.0f} minutes in all",
    )
    return "\n".join(f"- {line}" for line in lines)


def targets(results, elsewhere=None):
    """Table of the ratios that have a target."""
    others = {
        f"with {count(n, 'thread')}": {result.place: _ratio(result) for result in found}
        for n, found in (elsewhere or {}).items()
    }
    rows = [
        _place(result)
        | {
            "against": result.against,
            "target": f"≤ {result.target:g}",
            "ratio": _ratio(result),
            "times or sizes": " : ".join(
                _amount(of, result) for of in (result.values, result.others)
            ),
            "": "met" if result.met else "**missed**",
        }
        | {name: ratios.get(result.place, "") for name, ratios in others.items()}
        for result in results
    ]
    return markdown(pd.DataFrame(rows), texts=4)


def case(results):
    """Table of all results of a case."""
    rows = [
        _place(result)
        | {
            "time or size": _amount(result.values, result),
            "against": result.against or "",
            "its time or size": _amount(result.others, result),
            "ratio": _ratio(result),
        }
        for result in results
    ]
    return markdown(pd.DataFrame(rows), texts=3)


def _place(result):
    return {"what": result.what, "on": result.where, "side": result.side}


def _ratio(result):
    if result.others is None:
        return ""
    median, low, high = (f"{number:.3g}" for number in result.ratio)
    return median if low == high == median else f"{median} [{low}, {high}]"


def _amount(values, result):
    if values is None:
        return ""
    value, scales = float(np.median(values)), SCALES[result.unit]
    scale, name = next((pair for pair in scales if value >= pair[0]), scales[-1])
    return f"{value / scale:.3g} {name}"
