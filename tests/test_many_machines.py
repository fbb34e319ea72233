"""A search gives the same on one process, on many, and on a cluster; all that it needs travels."""

import os
import subprocess
import sys

SCRIPT = """
import pickle
import sys
import warnings
from contextlib import nullcontext

import numpy as np
import torch
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from skorch.callbacks import Callback
from threadpoolctl import threadpool_info, threadpool_limits

from skactprune import PrunedMLPClassifier, ScorePruning, register

warnings.simplefilter("ignore")
X, y = load_iris(return_X_y=True)


@register("mine")
class Mine(ScorePruning):
    criterion = "magnitude"

    def __init__(self):
        pass


class StopsLate:
    # One of scikit-learn's.
    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        return context.task_name == "epoch" and fitted_estimator.n_iter_ >= 8


class Fails(Callback):
    # One of skorch's.
    def on_epoch_end(self, net, **kwargs):
        if net.weight_decay > 0.4:
            raise ArithmeticError("too much decay")


def n_epochs(net, X, y):
    return net.n_iter_


def n_threads(net, X, y):
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


SCORING = {"accuracy": "accuracy", "epochs": n_epochs, "threads": n_threads}
NET = PrunedMLPClassifier(
    (10,),
    max_iter=10,
    learning_rate_init=0.02,
    dropout=0.1,
    random_state=0,
    net_params={"callbacks": [Fails()]},
).set_callbacks(StopsLate())
GRID = [
    {"method": ["mine", "random"], "weight_decay": [0.1]},
    {"method": ["mine"], "weight_decay": [0.45]},
]


def grid(backend):
    # Failed fits have no score, in all backends alike, or an error that arrives.
    grid = GridSearchCV(clone(NET), GRID, cv=2, scoring=SCORING, refit=False)
    with backend():
        results = grid.fit(X, y).cv_results_
        halving = HalvingGridSearchCV(
            clone(NET), GRID, cv=2, min_resources=30, random_state=0, refit=False
        )
        results |= {f"halving {k}": v for k, v in halving.fit(X, y).cv_results_.items()}
        # Last: after an error that arrives, joblib starts new processes.
        try:
            failing = {"param_grid": {"weight_decay": [0.45]}, "error_score": "raise"}
            clone(grid).set_params(**failing).fit(X, y)
        except ArithmeticError as error:
            assert "too much decay" in str(error)
        else:
            raise AssertionError("a fit should have failed")
    return {k: np.asarray(v) for k, v in results.items() if "_time" not in k}


def global_state():
    _, keys, position, *_ = np.random.get_state()
    return keys.tolist(), position, torch.get_rng_state().tolist()


def on_cluster():
    # With one thread in all, nothing would be sent.
    cluster = LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None)
    with cluster, Client(cluster):
        return grid(lambda: parallel_config(backend="dask"))


if __name__ == "__main__":
    # In workers of a cluster, a BLAS has one thread by itself.
    found = {"dask": on_cluster()}
    torch.set_num_threads(1)
    before = global_state()
    with threadpool_limits(1):
        expected = grid(nullcontext)
        found["threading"] = grid(lambda: parallel_config(backend="threading", n_jobs=2))
    found["loky"] = grid(lambda: parallel_config("loky", n_jobs=2, inner_max_num_threads=1))
    assert global_state() == before
    decayed = expected["param_weight_decay"].astype(float) > 0.4
    assert np.isnan(expected["mean_test_accuracy"][decayed]).all()
    assert (expected["mean_test_epochs"][~decayed] == 8).all()
    assert (expected["mean_test_threads"][~decayed] == 1).all()
    assert len(set(expected["mean_test_accuracy"][~decayed])) == 2
    for backend, results in found.items():
        assert list(results) == list(expected), backend
        for name, values in results.items():
            np.testing.assert_array_equal(values, expected[name], f"{name} of {backend}")
    with open(sys.argv[1], "wb") as file:
        net = clone(NET).set_callbacks().set_params(method="mine", net_params=None)
        pickle.dump(net.fit(X, y), file)
    print("searched")
"""
ELSEWHERE = """
import pickle
import sys
import warnings

from sklearn.datasets import load_iris

warnings.simplefilter("ignore")
X, y = load_iris(return_X_y=True)
with open(sys.argv[1], "rb") as file:
    net = pickle.load(file)
assert net.predict(X).shape == (150,)
assert "torch" not in sys.modules
net.net_
net.fit(X, y)
print("trained")
"""


def test_searches_and_pickles_are_the_same_everywhere(tmp_path):
    # How many threads there are is left to the backends.
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    env = {name: value for name, value in os.environ.items() if name not in threads}
    for name, script, said in (("a.py", SCRIPT, "searched"), ("b.py", ELSEWHERE, "trained")):
        path = tmp_path / name
        path.write_text(script)
        command = [sys.executable, str(path), str(tmp_path / "net.pkl")]
        ran = subprocess.run(command, capture_output=True, text=True, env=env)
        assert ran.stdout.strip() == said, ran.stderr
