"""The claims of the activation-pruning paper put to the test: ``python -m benchmarks.reproduce``.

One module an experiment: what is fitted with what settings, which rows come out, and the tables,
figures and answers that are made of them.
"""

from importlib import import_module

# In the order of the page.
EXPERIMENTS = {
    name: import_module(f"{__name__}.{name}")
    for name in (
        "accuracy whitened defaults spectra nuclear reduction unlabeled variant scores lenet"
    ).split()
}
