"""Is a pruned net worth it on ordinary tables? ``python -m benchmarks.tables``.

One module an experiment, as in `benchmarks.reproduce`, whose runner does the runs.
"""

from importlib import import_module

# In the order of the page.
EXPERIMENTS = {
    name: import_module(f"{__name__}.{name}")
    for name in "accuracy reduction shapes stopping variants".split()
}
