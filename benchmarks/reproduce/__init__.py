"""The claims of the activation-pruning paper put to the test: ``python -m benchmarks.reproduce``.

One module an experiment: what is fitted with what settings, which rows come out, and the tables,
figures and answers that are made of them.
"""

from benchmarks.reproduce import (
    accuracy,
    defaults,
    lenet,
    nuclear,
    reduction,
    scores,
    spectra,
    unlabeled,
    variant,
)

_IN_THE_ORDER_OF_THE_PAGE = (
    accuracy,
    defaults,
    spectra,
    nuclear,
    reduction,
    unlabeled,
    variant,
    scores,
    lenet,
)
EXPERIMENTS = {module.__name__.rpartition(".")[2]: module for module in _IN_THE_ORDER_OF_THE_PAGE}
