"""The benchmark on many tables: its statistics, its tables, and a tiny run of every experiment."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.tables import EXPERIMENTS, __main__, data, models, page, variants
from benchmarks.tables import statistics as st
from skactprune.methods import ActivationSurgeon, Magnitude, Random, ScoredMethod

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = {"only": ("iris", "wine"), "seeds": 1, "nets": ((24,),), "fractions": (0.5,)}
TINY |= {"components": (2,), "n_tables": 1, "limits": (3,)}


def rows_of(values):
    """Rows of two models: {table: [(seed, of "a", of "b"), ...]}."""
    return pd.DataFrame(
        {"table": table, "seed": seed, "model": model, "test_accuracy": value, "net": net}
        for table, of in values.items()
        for seed, a, b in of
        for model, value, net in (("a", a, "(8,)"), ("b", b, "-"))
    )


def test_differences_are_paired_and_of_equal_weight_for_every_table():
    rows = rows_of({"iris": [(0, 0.9, 0.8), (1, 0.9, 0.88)], "wine": [(0, 0.5, 0.502)]})
    found = st.paired(rows, "test_accuracy", "a", "b")
    assert_allclose(found[["iris", "wine"]], [0.06, -0.002])
    assert st.counts(found, "accuracy") == "1 / 1 / 0"
    # Student's t with one degree of freedom: 12.706 times the standard error, 0.031.
    assert st.told(found, "accuracy") == "+2.9 ± 39.4 points"
    assert st.counts(found, "logloss") == "0 / 1 / 1"
    answer = st.compared("a net", rows, "accuracy", "a", "b")
    assert answer["question"] == "Is a net more accurate than b?"
    assert answer["answer"] == "not decided"
    assert answer["on confirming tables alone"] == "+6.0 points"
    # t = 0.029 / 0.031; with one degree of freedom p = 1 - 2 / pi arctan(t).
    assert answer["p"] == pytest.approx(1 - 2 / np.pi * np.arctan(0.029 / 0.031))


def test_margins_and_signs_decide():
    rows = rows_of({name: [(0, 0.5, 0.503 + i / 1e5)] for i, name in enumerate("xyz")})
    rows["test_logloss"] = rows["test_accuracy"]
    asked = [("accuracy", False, "no"), ("accuracy", True, "yes"), ("logloss", False, "yes")]
    for measure, as_good, answer in asked:
        assert st.compared("", rows, measure, "a", "b", as_good)["answer"] == answer
    assert st.compared("", rows, "accuracy", "a", "c") is None


def test_holm():
    assert_allclose(st.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(st.holm([0.6, 0.7]), [1, 1])
    assert len(st.holm([])) == 0


def test_p_of_equal_differences():
    assert [st.p_value(pd.Series(of)) for of in ([0.1], [0, 0], [0.1, 0.1])] == [1, 1, 0]


def test_mean_ranks_are_those_of_tables_with_all_models():
    rows = rows_of({"x": [(0, 0.9, 0.8)], "y": [(0, 0.7, 0.8)], "z": [(0, 0.8, 0.7)]})
    rows = pd.concat([rows, rows.iloc[:1].assign(table="only a")])
    rows["test_logloss"] = rows["test_accuracy"]
    shown = {name: st.SHOWN[name] for name in ("accuracy %", "log-loss")}
    a, b = st.ranks(rows, shown=shown).to_numpy().tolist()
    assert a == ["a", "1.3", "1.7", "80.0", "0.800"]
    assert b == ["b", "1.7", "1.3", "76.7", "0.767"]


def test_measures_of_probabilities():
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.35, 0.65], [0.02, 0.98]])
    found = models.measures(np.array([0, 1, 1, 1]), proba)
    assert found["accuracy"] == 0.75 and found["balanced"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["logloss"] == pytest.approx(-np.log([0.9, 0.1, 0.65, 0.98]).mean())
    # Bins of 1/15: 0.9 twice, half of them right; 0.65 and 0.98 alone, right.
    assert found["ece"] == pytest.approx((2 * 0.4 + 0.35 + 0.02) / 4)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"number": rng.normal(size=80), "word": rng.choice(["a", "b", None], 80)})
    X.loc[::9, "number"] = np.nan
    # A class of its own too small to split, and a row without a label.
    X["target"] = ["yes", "no"] * 38 + ["rare"] * 3 + [None]
    X.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path


def test_csv_files_are_tables(folder):
    parts = data.split("mine", folder, 0)
    assert [len(y) for y in parts[1::2]] == [38, 19, 19] and set(parts.y) == {0, 1}
    # The number and its indicator, and three categories.
    assert parts.X.shape[1] == 5 and not np.isnan(parts.X_test).any()
    assert_allclose(parts.X[:, 0].mean(), 0, atol=1e-12)
    assert set(np.unique(parts.X[:, 2:])) == {0, 1}


def test_a_folder_without_tables_is_refused(tmp_path):
    settings = EXPERIMENTS["accuracy"].QUICK
    with pytest.raises(FileNotFoundError, match="--tables .* has no CSV files"):
        data.names(settings.but(csv_folder=tmp_path))
    (tmp_path / "iris.csv").write_text("a,target\n1,2\n")
    with pytest.raises(ValueError, match="has iris.csv; a table of that name is built in"):
        data.names(settings.but(csv_folder=tmp_path))


def test_tables_are_to_choose_or_to_confirm():
    assert not data.CHOOSE & data.CONFIRM and len(data.CHOOSE) <= len(data.CONFIRM)
    assert set(data.BUILT_IN) < data.CHOOSE | data.CONFIRM
    assert data.role("mine") == data.role("mine")


class OnlyWeights(Magnitude):
    def validated(self):
        self.check_option("granularity", ("weight",))
        return super().validated()


class OnlyNeurons(ScoredMethod):
    schedule = "linear"

    def __init__(self):
        pass


def test_every_method_that_can_removes_neurons(monkeypatch):
    there = {"weights": OnlyWeights, "neurons": OnlyNeurons, "both": Magnitude, "random": Random}
    there["default"] = ActivationSurgeon
    monkeypatch.setattr(models, "METHODS", list(there))
    monkeypatch.setattr(models, "get_method", lambda name: there[name]())
    monkeypatch.setattr(models, "ours", lambda *of: SimpleNamespace(method="default"))
    found = models.pruning()
    assert set(found) == {models.DEFAULT, models.MAGNITUDE, "random", "weights", "neurons", "both"}
    assert found["weights"] == {"method": "weights"}
    assert found["neurons"] == {"method": "neurons"}
    assert found["random"]["method__granularity"] == ActivationSurgeon().granularity
    assert found["both"] == {"method": "both", "method__granularity": "neuron"}


def test_variants_are_literals():
    name, params = variants.parse("wd=dict(alpha=.3, method__granularity='weight')")
    assert name == "wd: dict(alpha=.3, method__granularity='weight')"
    assert params == {"alpha": 0.3, "method__granularity": "weight"}
    assert variants.parse("wd={'alpha': 0.3}")[1] == {"alpha": 0.3}
    for text in ("wd", "wd=dict(alpha=open('x'))", "wd=dict(alhpa=.3)", "wd=print(1)", "wd=3"):
        with pytest.raises(ValueError, match="must be NAME=dict"):
            variants.parse(text)


def test_a_tiny_run_writes_the_page_and_is_done_once(tmp_path, monkeypatch, capsys):
    for experiment in EXPERIMENTS.values():
        monkeypatch.setattr(experiment, "QUICK", experiment.QUICK.but(**TINY))
    original = models.ours

    def fast(hidden, fraction, seed, **params):
        return original(hidden, fraction, seed, **{"max_iter": 4} | params)

    for module in (models, *(of for of in EXPERIMENTS.values() if hasattr(of, "ours"))):
        monkeypatch.setattr(module, "ours", fast)
    trees = HistGradientBoostingClassifier(max_iter=2)
    monkeypatch.setitem(models.OTHERS, "boosted trees", lambda seed: trees)
    monkeypatch.setattr(EXPERIMENTS["shapes"], "TABLES", ["wine"])
    start = ["--quick", "--jobs", "1", "--output", str(tmp_path)]
    tried = ["--variant", "a=dict(alpha=.3)", "--confirm", "a=dict(alpha=.3)"]
    assert __main__.main([*start, *tried[:2]]) == 0
    assert "Variants to choose, validation rows of 1 tables" in capsys.readouterr().out
    assert {file.name for file in tmp_path.iterdir()} == {"variants.csv", "tables.md"}
    assert __main__.main([*start, *tried, "--only", *EXPERIMENTS]) == 0
    rows = pd.read_csv(tmp_path / "variants.csv")
    chosen = rows[rows["role"] == "choose"]
    assert set(chosen["table"]) == {"wine"} and chosen["test_accuracy"].isna().all()
    rows = pd.read_csv(tmp_path / "accuracy.csv")
    assert {models.DEFAULT, models.SCRATCH, models.SKLEARN, *models.OTHERS} <= set(rows["model"])
    scratch, default = (
        rows[rows["model"] == name].set_index("table") for name in (models.SCRATCH, models.DEFAULT)
    )
    # Those that have left narrow layers one by one, it has besides.
    assert (scratch["weights"] >= default["weights"] - 3).all()
    assert (scratch[["live", "epochs"]] == default[["live", "epochs"]]).all(axis=None)
    text = (tmp_path / "tables.md").read_text()
    assert "41 variants in all" in text and "neighbours on 2 components" in text
    assert not {"nan", "None", "<NA>"} & set(text.replace("|", " ").split())
    before = {file.name: file.read_bytes() for file in tmp_path.glob("*.csv")}
    for experiment in EXPERIMENTS.values():
        monkeypatch.setattr(experiment, "execute", lambda *args, **run: pytest.fail("run again"))
    assert __main__.main([*start, *tried, "--only", *EXPERIMENTS]) == 0
    assert {file.name: file.read_bytes() for file in tmp_path.glob("*.csv")} == before


def test_there_is_no_page_without_rows(tmp_path):
    with pytest.raises(FileNotFoundError, match="There are no rows"):
        page.text(EXPERIMENTS, tmp_path)
