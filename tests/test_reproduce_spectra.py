"""The experiment on spectra of pruned nets, on digits."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from reproduce_digits import all_runs, digits_rows
from rich.console import Console

from benchmarks.reproduce import protocol, spectra
from benchmarks.reproduce.moments import Moments, Start, pack, thin, unpack
from benchmarks.reproduce.pictures import PICTURED, picture_name
from benchmarks.reproduce.protocol import Rows, estimator
from benchmarks.reproduce.runs import do
from benchmarks.reproduce.settings import Settings
from skactprune.methods import Activation, Magnitude
from skactprune.pruning.pruner import StopTraining
from skactprune.pruning.triggers import EpochTrigger
from skactprune.spectra import numerical_rank, singular_values

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = Settings("tiny", 2, ("digits",), spectra_datasets=("digits",), spectra_epochs=9)
ROWS = digits_rows(320, 180)


@pytest.fixture(scope="module", autouse=True)
def digits():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rows, "load", lambda name, n_rows: ROWS)
        patch.setattr(protocol, "HIDDEN", (40, 30, 20, 10))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Folder and table of all runs."""
    folder = tmp_path_factory.mktemp("spectra")
    table = all_runs(spectra, SETTINGS, folder)
    return folder, table


def fit(moments, method, **params):
    return estimator(
        ROWS, 0, method, 0.6, 2, max_iter=5, trigger=EpochTrigger(0.2, 0.6), callbacks=[moments],
        hidden_layer_sizes=(20, 15), **params,
    ).fit(ROWS.X, ROWS.y)  # fmt: skip


class Noting(Magnitude):
    """Notes the weights that a round sees."""

    def score(self, layer):
        SEEN.append(layer.weight.copy())
        return super().score(layer)


SEEN = []


@pytest.mark.parametrize("regrow", [False, True])
def test_weights_before_a_round_are_those_that_it_scores(regrow):
    SEEN.clear()
    moments = Moments()
    net = fit(moments, Noting(regrow=regrow))
    assert [at["epoch"] for at in moments.rounds_] == [r["epoch"] for r in net.pruning_history_]
    before = [coef.T for at in moments.rounds_ for coef in at["before"][0][:-1]]
    assert len(before) == len(SEEN) == 4
    for ours, seen in zip(before, SEEN, strict=True):
        assert (ours == seen).all()


def test_weights_after_a_round_are_as_sparse_as_its_history_says():
    moments = Moments()
    net = fit(moments, Magnitude())
    for at, row in zip(moments.rounds_, net.pruning_history_, strict=True):
        assert at["round"] == row["round"]
        left = sum(np.count_nonzero(coef) for coef in at["after"][0][:-1])
        assert 1 - left / (64 * 20 + 20 * 15) == pytest.approx(row["sparsity"])
    for a, b in zip(moments.end_[0], net.coefs_, strict=True):
        assert (a == b).all()


def test_a_round_in_the_last_epoch_is_kept():
    moments = Moments()
    net = estimator(
        ROWS, 0, "activation", 0.5, 1, max_iter=2, trigger=EpochTrigger(1, 1),
        callbacks=[Stopping(), moments], hidden_layer_sizes=(20,),
    ).fit(ROWS.X, ROWS.y)  # fmt: skip
    (at,) = moments.rounds_
    assert at["before"][0][0].shape == (64, 20)
    assert at["after"][0][0].shape == net.coefs_[0].shape == (64, 10)


class Stopping(Moments):
    """Ends training before callbacks behind it hear of the end of the epoch of a round."""

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net)
        if self.rounds_ and kwargs:
            raise StopTraining


def test_start_goes_on_from_given_weights():
    class Nothing(torch.optim.SGD):
        def step(self, closure=None):
            pass

    moments = Moments()
    fit(moments, Activation())
    start, end = moments.rounds_[1]["before"], Moments()
    sizes = [coef.shape[1] for coef in start[0][:-1]]
    estimator(
        ROWS, 0, hidden_layer_sizes=sizes, max_iter=1,
        net_params={"callbacks": [Start(*start), end], "optimizer": Nothing},
    ).fit(ROWS.X, ROWS.y)  # fmt: skip
    for given, found in zip(start, end.end_, strict=True):
        assert all((a == b).all() for a, b in zip(given, found, strict=True))


def test_thinned_and_packed_values_come_back():
    values = np.linspace(3, 1, 90)
    few = thin(values)
    assert few[0] == 3 and few[-1] == 1 and len(few) == 40 and (np.diff(few) < 0).all()
    assert_allclose(thin(np.array([2.0, 1.0]))[[0, 19, 20, 39]], [2, 2, 1, 1])
    assert_allclose(unpack([pack(few), pack(few)]), [few, few], rtol=5e-4)


def test_cut_and_masked_matrices_have_the_same_measures():
    rng = np.random.default_rng(0)
    full = np.zeros((12, 8), np.float32)
    cut = rng.normal(size=(7, 3)).astype(np.float32)
    full[np.ix_(np.arange(7) + 2, [1, 4, 6])] = cut
    (a,), (b,) = (spectra._layers([coef], [(12, 8)]) for coef in (full, cut))
    assert a["rank"] == b["rank"] == 3 and a["full"] == b["full"] == 8
    assert a["sparsity"] == b["sparsity"] == 1 - 21 / 96
    values = unpack([a["singular_values"], b["singular_values"]])
    assert_allclose(values[0], values[1], atol=1e-6)
    assert_allclose(values[1][[0, -1]], [singular_values(cut)[0], 0], rtol=1e-3)


def test_every_moment_of_every_run_has_a_row_a_layer(done):
    _, table = done
    sizes = table.groupby(list(spectra.FIELDS)).size()
    assert len(sizes) == 2 * 2 * len(spectra.METHODS)
    assert (sizes == 4 * (2 * spectra.ROUNDS + 1)).all()
    first = table[(table.moment == "before") & (table["round"] == 1)]
    assert (first["sparsity"] == 0).all() and (first["rank"] <= first["full"]).all()


def test_pruned_weights_stay_zero_or_regrow(done):
    _, table = done
    end = table[(table.moment == "end") & (table.method == "magnitude")]
    assert end[end.regrow == 0]["net_sparsity"].to_numpy() == pytest.approx(0.8, abs=1e-3)
    assert end[end.regrow == 1]["net_sparsity"].max() < 0.5


def test_a_run_gives_the_same_rows_again(done, tmp_path):
    _, table = done
    run = {"dataset": "digits", "method": "count, exact", "regrow": 1, "seed": 1}
    again = pd.DataFrame(spectra.execute(run, SETTINGS, tmp_path))
    stored = table[(table.method == run["method"]) & (table.regrow == 1) & (table.seed == 1)]
    assert list(stored["singular_values"]) == list(again["singular_values"])
    assert not list(tmp_path.iterdir())


def test_pictures_are_of_the_weights_that_are_left(done):
    folder, table = done
    end = table[(table.moment == "end") & (table.regrow == 0) & (table.seed == 0)]
    for method in PICTURED:
        with np.load(folder / picture_name("digits", method)) as picture:
            for _, row in end[end.method == method].iterrows():
                levels = picture[f"layer{row['layer']}"]
                share = 1 - np.count_nonzero(levels) / levels.size
                assert share == pytest.approx(row["sparsity"], abs=1e-5)
                assert numerical_rank(levels > 0) >= 1


def test_figures_and_page(done, tmp_path):
    folder, table = done
    spectra.draw(table, folder)
    page = spectra.section(table)
    links = [part.split(")")[0] for part in page.split("(reproduction/")[1:]]
    assert len(links) == 4
    for name in links:
        assert (folder / name).stat().st_size > 10_000
    assert {answer.figure for answer in spectra.answers(table)} <= set(links)
    assert [answer.claim for answer in spectra.answers(table)] == ["C2"] * 3 + ["C5"] * 2
    assert "nan" not in page


def made(shares, regrow=0, moments=("after", "end"), sparsity=0.8):
    """Table of one layer of full rank 100 with given rank in per cent, a list of seeds each."""
    return pd.DataFrame(
        [
            {"dataset": "d", "method": method, "regrow": regrow, "seed": seed, "moment": moment,
             "round": 5, "rank": rank, "full": 100, "net_sparsity": sparsity}
            for method, ranks in shares.items()
            for moment in moments
            for seed, rank in enumerate(ranks)
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("count", "magnitude", "sparsity", "verdict"),
    [
        ([20, 21, 22], [99, 100, 100], 0.8, "yes"),
        ([20, 21, 22], [99, 100, 100], 0.3, "no"),
        ([20, 21, 22], [40, 41, 42], 0.8, "only the first half"),
        ([60, 61, 62], [99, 100, 100], 0.8, "only relatively"),
        ([99, 100, 99], [99, 100, 100], 0.8, "no"),
        ([20, 90, 40], [99, 100, 100], 0.8, "not decided by 3 seeds"),
        ([20, 21, 22], [99, 60, 100], 0.8, "not decided by 3 seeds"),
        ([20], [100], 0.8, "not decided by 1 seed"),
    ],
)
def test_verdict_on_low_rank(count, magnitude, sparsity, verdict):
    table = made({"count": count, "magnitude": magnitude}, sparsity=sparsity)
    answer = spectra._sparse_and_low(table, "count", spectra.shares(table, "magnitude", 0))
    assert answer.verdict.startswith(verdict)


@pytest.mark.parametrize(
    ("count", "magnitude", "verdict"),
    [
        ([20, 21, 22], [99, 100, 100], "yes"),
        ([70, 71, 72], [99, 100, 100], "only for magnitude"),
        ([20, 21, 22], [40, 41, 42], "only for count"),
        ([99, 99, 98], [40, 41, 42], "no"),
        ([20, 90, 40], [99, 100, 100], "not decided by 3 seeds"),
        ([20], [100], "not decided by 1 seed"),
    ],
)
def test_verdict_on_what_remains(count, magnitude, verdict):
    table = made({"count": count, "magnitude": magnitude}, regrow=1)
    assert spectra._remains(table, "count").verdict == verdict


def test_seeds_under_way_are_left_out(done, tmp_path):
    _, table = done
    first = table[table.seed == 0]
    under_way = table[(table.seed == 0) | (table.method == "count") & (table.regrow == 0)]
    assert spectra.section(under_way) == spectra.section(first)
    under_way = table[(table.method == "count") & (table.regrow == 0)]
    assert spectra.answers(under_way) == []
    assert "No seed is finished" in spectra.section(under_way)
    spectra.draw(under_way, tmp_path)
    assert not list(tmp_path.iterdir())


def test_finished_runs_are_not_done_again(done, capsys):
    folder, _ = done
    before = (folder / "spectra.csv").stat().st_mtime_ns
    do(["spectra"], SETTINGS, folder, 1, Console(stderr=True))
    assert (folder / "spectra.csv").stat().st_mtime_ns == before
