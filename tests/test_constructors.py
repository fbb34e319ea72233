"""What constructors say of parameters that are misspelt."""

import inspect
import pickle

import pytest
from sklearn.base import BaseEstimator

import skactprune
from skactprune import methods, schedules, triggers
from skactprune.pruning.method import Method

CLASSES = {
    f"{module.__name__}.{name}": value
    for module in (skactprune, methods, schedules, triggers)
    for name in module.__all__
    if inspect.isclass(value := getattr(module, name)) and issubclass(value, BaseEstimator)
}
WITH_PARAMETERS = {
    name: cls for name, cls in CLASSES.items() if cls.__init__ is not object.__init__
}


class Grandchild(skactprune.PrunedMLPClassifier):
    """Somebody else's."""


@pytest.mark.parametrize("cls", [*WITH_PARAMETERS.values(), Grandchild])
def test_an_error_names_the_class_that_was_called(cls):
    with pytest.raises(TypeError, match=rf"^{cls.__name__}\.__init__\(\) .*'prune_fracton'"):
        cls(prune_fracton=0.5)


def test_what_is_inherited_is_otherwise_the_same():
    parent, child = skactprune.PrunedMLPClassifier, Grandchild
    assert inspect.signature(child) == inspect.signature(parent)
    assert child((5,), alpha=0.5).get_params() == parent((5,), alpha=0.5).get_params()
    assert pickle.loads(pickle.dumps(child(alpha=0.5))).alpha == 0.5


def test_a_constructor_of_its_own_stays():
    def __init__(self, quality=1.0):
        self.quality = quality

    own = type("Own", (Method,), {"__init__": __init__})
    assert own.__init__ is __init__
