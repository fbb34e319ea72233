"""How a score was chosen: the experiment on digits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reproduce_digits import all_runs, digits_rows
from skactprune.pruning.criteria import LayerState

from benchmarks.reproduce import scores, variant
from benchmarks.reproduce.protocol import Rows
from benchmarks.reproduce.scores_page import SURGEON, TAKEN_OVER
from benchmarks.reproduce.settings import FULL, QUICK

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SETTINGS = replace(QUICK, score_seeds=2, variant_shares=(0.4,), variant_rows=400, variant_epochs=6)
ROWS = digits_rows(600, 100, 200)
HIDDEN = (20, 15, 10, 5)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Table of all runs, made without test rows."""
    folder = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        hidden = replace(ROWS, X_test=None, y_test=None)
        patch.setattr(Rows, "load", lambda name, n_rows: hidden)
        patch.setattr(variant, "HIDDEN", HIDDEN)
        patch.setattr(scores, "HIDDEN", HIDDEN)
        return all_runs(scores, SETTINGS, folder)


def test_every_score_is_tried_at_every_size():
    every = list(scores.runs(FULL))
    assert len(every) == 2 * 3 * (len(scores.SCORES) + len(TAKEN_OVER))
    assert set(TAKEN_OVER) < set(scores.SCORES)


def test_all_rows_that_are_not_trained_on_validate(done):
    assert (done.rows == 100 + 200).all()
    assert (done.live == "8-6-4-2").all()
    right = done.validation_accuracy * 300
    assert_allclose(right, right.round(), atol=1e-3)


def test_scores_are_what_their_names_say():
    rng = np.random.default_rng(0)
    weight, outgoing = rng.normal(size=(6, 4)), rng.normal(size=(3, 6))
    h = rng.normal(size=(50, 6))
    layer = LayerState(
        weight, np.ones((6, 4), bool), np.arange(6), 10.0, np.ones(4), rng, np.cov(h.T), outgoing
    )
    p = np.arange(6) / 10
    w_in, w_out = np.linalg.norm(weight, axis=1), np.linalg.norm(outgoing, axis=0)
    for name, expected in {
        "p": p,
        "‖w_in‖₁": np.abs(weight).sum(axis=1),
        "σ ‖w_out‖": h.std(axis=0, ddof=1) * w_out,
        "p ‖w_in‖ ‖w_out‖": p * w_in * w_out,
        "f Σ abs(w_in) s (firing deviation)": np.sqrt(p * (1 - p)) * np.abs(weight).sum(axis=1),
    }.items():
        assert_allclose(scores.SCORES[name](layer), expected)


def test_page_has_the_best_first(done):
    table = done.copy()
    best = (table.score == SURGEON) & (table.refit == 1)
    table["validation_accuracy"] = np.where(best, 0.9, 0.8)
    text = scores.section(table)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert lines[2].startswith(f"| {SURGEON}, others take over | 90.00 ± 0.00")
    assert len(lines) == 2 + len(scores.SCORES) + len(TAKEN_OVER)
    assert "2 seeds" in text and "on 300 training rows" in text
