"""What notebooks show of estimators: a summary of fitted nets, and links to the documentation."""

import html
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import skactprune
from skactprune import PrunedMLPClassifier
from skactprune.methods import Magnitude

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_iris(return_X_y=True)
API = Path(__file__).parents[1] / "docs" / "api" / "index.rst"


def net(**params):
    defaults = {"hidden_layer_sizes": (12, 8), "max_iter": 6, "prune_fraction": 0.5}
    return PrunedMLPClassifier(**defaults | {"random_state": 0} | params)


def captions(estimator):
    found = re.findall('<div class="caption">(.*?)</div>', estimator_html_repr(estimator))
    return [html.unescape(caption) for caption in found]


def test_a_fitted_net_shows_what_became_of_it():
    est = net(prune_features=0.5).fit(X, y)
    one, other = (len(live) for live in est.live_neurons_)
    ranks = ", ".join(str(np.linalg.matrix_rank(coef)) for coef in est.coefs_[:-1])
    gone = 1 - sum(mask.sum() for mask in est.masks_) / (4 * 12 + 12 * 8)
    expected = f"4-12-8-3 → {est.get_support().sum()}-{one}-{other}-3 · sparsity {gone:.0%}"
    assert captions(est) == [f"{expected} · ranks {ranks} · {est.n_iter_} epochs"]
    assert captions(make_pipeline(StandardScaler(), est).fit(X, y))[0].startswith("4-12-8-3 → ")


def test_what_is_as_it_was_has_no_arrow():
    assert captions(net(prune_fraction=0, max_iter=2).fit(X, y < 1))[0].startswith("4-12-8-1 · ")
    linear = net(hidden_layer_sizes=(), prune_fraction=0, max_iter=2).fit(X, y)
    assert captions(linear) == ["4-3 · sparsity 0% · 2 epochs"]


def test_an_unfitted_net_shows_what_scikit_learn_shows():
    fitted = net().fit(X, y)
    for est in (net(), clone(fitted), make_pipeline(StandardScaler(), net())):
        assert captions(est) == []
        assert "<span>Not fitted</span>" in estimator_html_repr(est)
    start = FrozenEstimator(MLPClassifier((3,), max_iter=2, random_state=0).fit(X, y))
    assert "MLPClassifier" in estimator_html_repr(net(init_estimator=start))
    with config_context(display="text"):
        assert not hasattr(fitted, "_repr_html_")


def test_what_is_the_users_is_escaped():
    labels = np.array(["<b>a</b>", "<b>b</b>", "<b>c</b>"])[y]
    est = net(net_params={"callbacks__<i>x</i>": None}, max_iter=2)
    shown = estimator_html_repr(est)
    assert "<i>x</i>" not in shown and html.escape("<i>x</i>") in shown
    shown = estimator_html_repr(net(max_iter=2).fit(X, labels))
    assert "<b>a</b>" not in shown and html.escape("<b>a") in shown


def public_estimators():
    """Estimators of the API reference, by the name that their page has."""
    module, found = "skactprune", {}
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            home = __import__(module, fromlist=["_"])
            value = getattr(home, line.strip())
            if isinstance(value, type) and issubclass(value, BaseEstimator):
                found[f"{module}.{line.strip()}"] = value
    return found


@pytest.mark.parametrize("page", public_estimators())
def test_links_lead_to_the_page_of_the_class(page):
    cls = public_estimators()[page]
    # Abstract classes and those with parameters that must be given can be linked to, too.
    link = cls.__new__(cls)._get_doc_link()
    assert re.fullmatch(rf"https://[\w.]+/[\w/]+/api/generated/{re.escape(page)}\.html", link)


def test_pages_of_parameters_and_attributes_are_linked():
    est = net(max_iter=2).fit(X, y)
    shown = estimator_html_repr(est)
    for name in ("prune_fraction", "firing_rates_", "pruning_history_"):
        assert f"{est._get_doc_link()}#:~:text={name}" in shown


def test_classes_of_others_have_no_link_to_these_docs():
    class Mine(Magnitude):
        pass

    assert Mine()._get_doc_link() == "" != Magnitude()._get_doc_link()
    assert skactprune.PrunedMLPClassifier in public_estimators().values()
