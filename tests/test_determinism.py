"""One seed, one result, whatever else happens; and nothing global is touched."""

import hashlib
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import make_classification

from skactprune import Activation, Ganguli2024, PrunedMLPClassifier, Random

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"
)
X, y = make_classification(
    n_samples=90, n_features=8, n_informative=6, n_redundant=0, n_classes=3, random_state=0
)
ESTIMATORS = {
    "default": PrunedMLPClassifier((15, 10)),
    "sgd, dropout": PrunedMLPClassifier((15, 10), solver="sgd", dropout=0.3),
    "random": PrunedMLPClassifier((15, 10), method=Random(granularity="weight")),
    "sample": PrunedMLPClassifier((15, 10), method=Ganguli2024(counting="sample"), dropout=0.2),
    "early stopping": PrunedMLPClassifier((15, 10), early_stopping=True, method=Activation()),
    "float32": PrunedMLPClassifier((15, 10), dtype="float32", n_components=1),
}
for _clf in ESTIMATORS.values():
    _clf.set_params(random_state=3, max_iter=8, batch_size=16, prune_fraction=0.6)


def bits(clf):
    """All that a fit leaves behind, to the last bit."""
    arrays = [*clf.coefs_, *clf.intercepts_, *clf.masks_, *(clf.activation_counts_ or [])]
    arrays += [clf.predict_proba(X), clf.transform(X), np.array(clf.loss_curve_)]
    return [hashlib.sha256(array.tobytes()).hexdigest()[:8] for array in arrays]


def fitted_bits(clf, seed=None):
    clf = clone(clf)
    if seed is not None:
        clf.set_params(random_state=seed)
    return bits(clf.fit(X, y))


def draw_from_global_generators(n):
    torch.rand(n)
    np.random.rand(n)  # noqa: NPY002


def global_states():
    numpy_state = np.random.get_state()[1]  # noqa: NPY002
    return [hashlib.sha256(s).hexdigest()[:8] for s in (torch.get_rng_state().numpy(), numpy_state)]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_same_seed_same_bits_whatever_was_drawn_before(name):
    expected = fitted_bits(ESTIMATORS[name])
    draw_from_global_generators(7)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert fitted_bits(ESTIMATORS[name]) == expected
    assert fitted_bits(ESTIMATORS[name], seed=4) != expected


@pytest.mark.parametrize("name", ESTIMATORS)
def test_global_generators_are_left_alone(name):
    clf = clone(ESTIMATORS[name])
    before = global_states()
    clf.fit(X, y)
    clf.predict_proba(X)
    clf.transform(X)
    if not clf.early_stopping:
        clf.partial_fit(X, y)
    assert global_states() == before


def test_no_seed_means_another_result_every_time_even_after_seeding_the_global_generators():
    results = []
    for _ in range(2):
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        results.append(bits(PrunedMLPClassifier((5,), max_iter=2).fit(X, y)))
    assert results[0] != results[1]


def test_threads_do_not_disturb_each_other():
    jobs = [(name, seed) for name in ESTIMATORS for seed in (0, 1)]
    expected = [fitted_bits(ESTIMATORS[name], seed) for name, seed in jobs]
    before = global_states()
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda job: fitted_bits(ESTIMATORS[job[0]], job[1]), jobs))
    assert found == expected
    assert global_states() == before


def test_processes_give_the_same_bits():
    expected = [fitted_bits(clf) for clf in ESTIMATORS.values()]
    found = Parallel(n_jobs=2)(delayed(quiet_fitted_bits)(clf) for clf in ESTIMATORS.values())
    assert found == expected


def quiet_fitted_bits(clf):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        return fitted_bits(clf)


def test_a_generator_object_is_used_and_goes_on():
    random_state = np.random.RandomState(3)
    clf = PrunedMLPClassifier((10,), random_state=random_state, max_iter=4)
    first = bits(clf.fit(X, y))
    second = bits(clf.fit(X, y))
    assert first != second
    again = PrunedMLPClassifier((10,), random_state=np.random.RandomState(3), max_iter=4)
    assert bits(again.fit(X, y)) == first
    assert bits(again.fit(X, y)) == second


def test_fitting_twice_gives_the_same_bits():
    clf = clone(ESTIMATORS["default"])
    assert bits(clf.fit(X, y)) == bits(clf.fit(X, y))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_partial_fit_for_all_epochs_prunes_as_fit_does(name):
    clf = clone(ESTIMATORS[name]).set_params(early_stopping=False, tol=0)
    # Every call starts from the order of its rows, as in MLPClassifier.
    clf.set_params(shuffle=False)
    whole = clone(clf).fit(X, y)
    for _ in range(8):
        clf.partial_fit(X, y, classes=[0, 1, 2])
    assert bits(clf) == bits(whole)
    for row, other in zip(clf.pruning_history_, whole.pruning_history_, strict=True):
        assert row.keys() == other.keys()
        assert row | {"seconds": 0} == other | {"seconds": 0}


FORKED = """
import os
import torch
from sklearn.datasets import make_classification
from skactprune import PrunedMLPClassifier

torch.set_num_threads(2)
X, y = make_classification(300, 40, random_state=0)
clf = PrunedMLPClassifier((300, 200), max_iter=2, n_prune_rounds=1, random_state=0).fit(X, y)
expected = clf.predict_proba(X).tobytes()
child = os.fork()
if not child:
    os._exit(clf.predict_proba(X).tobytes() != expected)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_that_is_forked_after_a_fit_predicts():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=120)
