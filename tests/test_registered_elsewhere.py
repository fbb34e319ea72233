"""Methods that were registered in a script work in its other processes, too."""

import subprocess
import sys

SCRIPT = """
import pickle
import sys
import warnings

import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skactprune import PrunedMLPClassifier, ScorePruning, register

warnings.simplefilter("ignore")


@register("mine")
class Mine(ScorePruning):
    criterion = "magnitude"

    def __init__(self):
        pass


if __name__ == "__main__":
    X, y = load_iris(return_X_y=True)
    net = PrunedMLPClassifier((10,), max_iter=20, learning_rate_init=0.02, random_state=0)
    grid = {"method": ["mine", "magnitude"]}
    one, two = (
        GridSearchCV(net, grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
        for n_jobs in (1, 2)
    )
    scores = [search.cv_results_["mean_test_score"] for search in (one, two)]
    np.testing.assert_array_equal(*scores)
    with open(sys.argv[1], "wb") as file:
        pickle.dump(net.set_params(method="mine").fit(X, y), file)
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


def test_searches_and_pickles_know_registered_methods(tmp_path):
    for name, script, said in (("a.py", SCRIPT, "searched"), ("b.py", ELSEWHERE, "trained")):
        path = tmp_path / name
        path.write_text(script)
        command = [sys.executable, str(path), str(tmp_path / "net.pkl")]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.stdout.strip() == said, ran.stderr
