"""A register knows its members by name, finds those of its home, and says what it lacks."""

import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest

from skactprune import PrunedMLPClassifier
from skactprune._register import Register
from skactprune.methods import METHODS, ScoredMethod, get_method, register
from skactprune.pruning.method import know_methods, outside_methods


class Red:
    pass


@pytest.fixture
def colours():
    register = Register("colour")
    register.add("red")(Red)
    register.add("blue")("#0000ff")
    return register


def test_members_are_found_by_name_and_other_values_are_themselves(colours):
    assert colours.look_up("red") is Red
    assert colours.look_up("blue") == "#0000ff"
    for value in (3, None, Red(), [1]):
        assert colours.look_up(value) is value
        assert colours.make(value) is value
    assert type(colours.make("red")) is Red
    assert colours.make("red") is not colours.make("red")


def test_names_come_in_the_order_in_which_they_were_added(colours):
    assert list(colours) == ["red", "blue"]
    assert len(colours) == 2
    assert "red" in colours
    for other in ("green", [], None, Red):
        assert other not in colours
    assert repr(colours) == "<Register of colour: red, blue>"


def test_unknown_names_and_classes_are_refused(colours):
    with pytest.raises(
        ValueError, match=r"^colour='green' is unknown. Known names: 'blue', 'red'.$"
    ):
        colours.look_up("green")
    with pytest.raises(TypeError, match=r"colour=<class .*Red'> must be an object: Red\(\.\.\.\)"):
        colours.look_up(Red)


def test_a_name_is_given_once(colours):
    assert colours.add("red")(Red) is Red
    assert colours.add("scarlet")(Red) is Red
    with pytest.raises(ValueError, match="^name='red' is taken by Red.$"):
        colours.add("red")(int)
    with pytest.raises(ValueError, match="^name='blue' is taken by '#0000ff'.$"):
        colours.add("blue")(int)
    assert colours.look_up("red") is Red
    assert list(colours) == ["red", "blue", "scarlet"]


def make_package(folder, name, **modules):
    package = folder / name
    package.mkdir()
    for module, text in ({"__init__": "", "family": FAMILY.format(name)} | modules).items():
        (package / f"{module}.py").write_text(text)


FAMILY = "from skactprune._register import Register\nFAMILY = Register('thing', home='{}')\n"
MEMBER = "from {0}.family import FAMILY\nFAMILY.add({1!r})({1!r})\n"


@pytest.fixture
def imported(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("first", [list, len, lambda f: f.look_up("one"), lambda f: "one" in f])
def test_members_are_discovered_at_the_first_look_up(imported, first):
    make_package(
        imported,
        "found_things",
        one=MEMBER.format("found_things", "one"),
        # It looks up while it is being imported itself.
        two=MEMBER.format("found_things", "two") + "FAMILY.look_up('two'), len(FAMILY)\n",
        _hidden="raise ImportError('not to be imported')\n",
    )
    from found_things.family import FAMILY

    assert "found_things.one" not in sys.modules
    first(FAMILY)
    assert sorted(FAMILY) == ["one", "two"]
    FAMILY.add("three")(3)
    assert sorted(FAMILY) == ["one", "three", "two"]


def test_members_that_cannot_be_imported_are_told_each_time(imported):
    make_package(imported, "broken_things", bad="raise ImportError('no such luck')\n")
    from broken_things.family import FAMILY

    for _ in range(2):
        with pytest.raises(ImportError, match="no such luck"):
            FAMILY.look_up("bad")


def test_importing_it_imports_nothing_heavy():
    code = "import sys, skactprune._register; print({'numpy', 'torch', 'sklearn'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("set()", "")


def test_deferred_members_are_made_once_when_asked_for():
    register, made = Register("colour"), []

    def make():
        made.append("red")
        return "a red one"

    register.defer("red", make)
    assert "red" in register and list(register) == ["red"] and len(register) == 1
    assert made == []
    assert register.look_up("red") == register.look_up("red") == "a red one"
    assert made == ["red"]
    register.defer("red", make)
    assert register.look_up("red") == "a red one" and made == ["red"]


LOCK = threading.Lock()


@pytest.fixture
def locked():
    """A method whose class cannot be pickled."""

    @register("locked")
    class Locked(ScoredMethod):
        def scores(self, run):
            with LOCK:
                return [np.abs(weight) for weight in run.weights()[:-1]]

    yield
    del METHODS._members["locked"]


def test_a_method_that_cannot_be_pickled_is_in_nobody_elses_way(locked):
    net = PrunedMLPClassifier((5,), method="magnitude", max_iter=2)
    copied = pickle.loads(pickle.dumps(net))
    assert copied.method == "magnitude"
    told = outside_methods()["locked"]
    assert told.startswith("TypeError: cannot pickle")
    # In a process that does not know it.
    know_methods({"far_away": told})
    try:
        with pytest.raises(ValueError, match="method='far_away' was registered in another process"):
            get_method("far_away")
        assert outside_methods()["far_away"].startswith("ValueError: method='far_away'")
    finally:
        METHODS._deferred.pop("far_away")


def test_only_classes_of_methods_are_registered():
    with pytest.raises(TypeError, match=r"method='three' must be a class derived from Method, no"):
        register("three")(3)
    with pytest.raises(TypeError, match="must be a class derived from Method"):
        register("three")(dict)
    with pytest.raises(TypeError, match="name=3 must be a string"):
        register(3)
    assert "three" not in METHODS
