"""The benchmark of codes: what it computes, and a tiny run of it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from benchmarks import codes
from benchmarks.codes.__main__ import main

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TINY = codes.FULL.but(
    seeds={"digits": 1}, n_rows=150, components=(3,), epochs={"digits": 3, "vehicle": 3}
)


def test_measures_are_those_of_scikit_learn():
    X, _, X_test, _ = codes.rows_of("digits", TINY, 0)
    assert len(X) == 150
    pca = codes.fitted(codes.PRINCIPAL, X, 3, 3, 0)
    reconstruction = pca.inverse_transform(pca.transform(X))
    expected = r2_score(X, reconstruction, multioutput="variance_weighted")
    assert codes.r2(X, reconstruction) == pytest.approx(expected, rel=1e-6)
    assert codes.n_parameters(PCA(3).fit(X)) == 4 * 64


def test_a_small_net_is_as_wide_as_what_is_left():
    X, *_ = codes.rows_of("digits", TINY, 0)
    nets = {model: codes.fitted(model, X, 3, 12, 0) for model in codes.MODELS[1:]}
    widths = {model: [coef.shape for coef in net.coefs_] for model, net in nets.items()}
    assert widths[codes.SMALL] == widths[codes.PRUNED] != widths[codes.DENSE]
    assert nets[codes.SMALL].sparsity_ == 0 and nets[codes.PRUNED].sparsity_ > 0.79


def test_a_tiny_run_makes_a_page(tmp_path, monkeypatch):
    monkeypatch.setattr(codes, "FULL", TINY)
    main(["--output", str(tmp_path), "--data", "digits"])
    rows = pd.read_csv(tmp_path / "codes.csv")
    assert rows["model"].tolist() == sorted(codes.MODELS)
    assert np.isfinite(rows[["train_r2", "test_r2", "logistic", "neighbors"]]).all().all()
    page = (tmp_path / "codes.md").read_text()
    models = [line.split("|")[2].strip() for line in page.splitlines() if line.startswith("| 3 ")]
    assert models == list(codes.MODELS)
    # A second time, nothing is done.
    monkeypatch.setattr(codes, "execute", None)
    main(["--output", str(tmp_path), "--data", "digits"])
