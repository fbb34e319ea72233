"""The scripts of the gallery run, with fewer epochs and folds, and show what they say."""

from pathlib import Path

import numpy as np
import pytest

from skactprune.methods import METHODS

EXAMPLES = sorted((Path(__file__).parents[1] / "docs" / "examples").glob("plot_*.py"))
# What makes a script quick enough for a test, by its name.
QUICKER = {
    "plot_cnn_channels": {"max_epochs=15": "max_epochs=6", "batch_size=64": "batch_size=256"},
    "plot_early_stopping": {"MAX_ITER = 150": "MAX_ITER = 25"},
    "plot_feature_selection": {
        "[0.5, 0.7, 0.8, 0.9]": "[0.5, 0.9]",
        '"tol": 0.001': '"tol": 0.1',
        "(100,)": "(40,)",
    },
    "plot_inverse_transform": {
        "sizes = [2, 9, 18]": "sizes = [2, 9]",
        "tol=0.001": "tol=0.2",
        "(100,)": "(40,)",
        "range(10)": "range(2)",
    },
    "plot_mlp_classifier": {
        '"max_iter": 100': '"max_iter": 10',
        "range(5)": "range(2)",
        "(100, 100)": "(30, 20)",
    },
    "plot_multilabel": {
        "N_SHEETS, SHIFT = 4000, 3": "N_SHEETS, SHIFT = 600, 3",
        "tol=0.001": "tol=0.1",
    },
    "plot_own_method": {
        "max_iter=60": "max_iter=8",
        "[0.6, 0.8, 0.9, 0.95]": "[0.6, 0.9]",
        "n_seeds = 4": "n_seeds = 2",
    },
    "plot_pruning_path": {
        "max_iter=40": "max_iter=5",
        "cv=5": "cv=2, n_epochs=2, fractions=[0.5, 0.8]",
    },
    "plot_quantiles": {"KFold(5": "KFold(2", "(50,)": "(20,), tol=0.1, n_prune_rounds=1"},
    "plot_storages": {"(100, 100)": "(40, 30)", "tol=0.001": "tol=0.05"},
    "plot_two_components": {
        "(100,)": "(40,)",
        "tol=0.001": "tol=0.2",
        "stratify=y": "test_size=60, stratify=y",
    },
    "plot_unlabeled": {"[50, 100, 200, 400]": "[50, 100]", "n_draws = 8": "n_draws = 2"},
    "plot_semi_supervised": {
        "[50, 100, 200, 400], 5": "[50, 100], 2",
        "max_iter=40": "max_iter=8",
        "max_iter=20": "max_iter=3",
    },
    "plot_optuna": {
        "max_iter=40": "max_iter=12",
        "WARMUP = 5": "WARMUP = 2",
        "n_trials=25": "n_trials=6",
    },
    "plot_out_of_core": {
        "N_GROUPS, GROUP_ROWS = 40, 2500": "N_GROUPS, GROUP_ROWS = 10, 200",
        "max_iter=8, batch_size=500, random_state": "max_iter=5, batch_size=100, random_state",
        "max_iter=8, batch_size=500, shuffle": "max_iter=5, batch_size=100, shuffle",
    },
    "plot_autoencoder": {
        "max_iter=200": "max_iter=4",
        "[2, 4, 8, 16, 32]": "[2, 16]",
        "X / 16, y, stratify=y": "X[:400] / 16, y[:400], stratify=y[:400]",
    },
    "plot_pareto_front": {
        "max_iter=60": "max_iter=6",
        "cv=4": "cv=2",
        "n_jobs=2": "n_jobs=1",
        "(64, 32)": "(24, 16)",
        "[0.5, 0.7, 0.8, 0.9, 0.95]": "[0.5, 0.8]",
    },
    "plot_torch_pruning": {"max_epochs=10": "max_epochs=5", "batch_size=64": "batch_size=256"},
    "plot_components": {
        "max_iter=40": "max_iter=6",
        "[2, 3, 5, 8, 12, 20]": "[2, 8]",
        "cv=3": "cv=2",
        "n_jobs=2": "n_jobs=1",
    },
    "plot_pruning_history": {"max_iter=40": "max_iter=8", "(100, 50)": "(24, 16)"},
    "plot_spectra": {"max_iter=40": "max_iter=8", "(100, 50)": "(24, 16)"},
    "plot_firing": {"max_iter=40": "max_iter=8", "(80,)": "(24,)"},
    "plot_architecture": {"max_iter=40": "max_iter=8", "(100, 60, 40)": "(24, 16, 12)"},
}
# What scripts need that the package does not.
NEEDS = {"plot_torch_pruning": "torch_pruning"}


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def run(path):
    code = path.read_text(encoding="utf-8")
    for slow, quick in QUICKER[path.stem].items():
        assert slow in code
        code = code.replace(slow, quick)
    names = {"__name__": "__main__"}
    exec(compile(code, str(path), "exec"), names)
    return names


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, pyplot, capsys, monkeypatch):
    assert path.read_text(encoding="utf-8").startswith('"""\n===')
    if path.stem in NEEDS:
        pytest.importorskip(NEEDS[path.stem])
    # What an example registers is not known to other tests.
    monkeypatch.setattr(METHODS, "_members", {name: METHODS.look_up(name) for name in METHODS})
    names = run(path)
    for number in pyplot.get_fignums():
        pyplot.figure(number).draw_without_rendering()
    assert pyplot.get_fignums() and capsys.readouterr().out
    if path.stem in SHOWN:
        SHOWN[path.stem](**names)


def what_was_taken_out_did_nothing(before, after, sizes, **names):
    assert float((after - before).abs().max()) <= 1e-5 * float(before.abs().max())
    assert all(small < 0.5 * large for large, small in zip(*sizes, strict=True))


def nobody_is_better_than_the_front(accuracy, size, front, search, standard_error, **names):
    pairs = list(zip(accuracy, size, strict=True))
    for i, (a, s) in enumerate(pairs):
        dominated = any(b >= a and t <= s and (b, t) != (a, s) for b, t in pairs)
        assert dominated or i in front or pairs.index((a, s)) in front
        assert not (dominated and i in front)
    good = accuracy >= accuracy.max() - standard_error - 1e-12
    assert size[search.best_index_] == size[good].min()
    assert np.isfinite(size).all()


def what_pca_loses_is_what_it_does_not_explain(errors, sizes, X_train, X_test, **names):
    *_, directions = np.linalg.svd(X_train - X_train.mean(axis=0))
    for size, lost in zip(sizes, errors["PCA"], strict=True):
        centred = X_test - X_train.mean(axis=0)
        rest = centred - centred @ directions[:size].T @ directions[:size]
        expected = np.square(rest).sum() / np.square(X_test - X_test.mean(axis=0)).sum()
        assert abs(lost - expected) < 1e-3
    assert all(0 < lost for of in errors.values() for lost in of)


def stopped_trials_are_pruned(study, curves, net, **names):
    states = {trial.number: trial.state.name for trial in study.trials}
    assert set(states.values()) == {"COMPLETE", "PRUNED"}
    for number, scores in curves.items():
        assert (len(scores) < net.max_iter) == (states[number] == "PRUNED")


def both_files_give_one_net(net, in_order, from_map, from_chunks, y_train, **names):
    assert net.n_iter_ == 5 and net.t_ == 5 * len(y_train)
    assert net.loss_curve_ != in_order.loss_curve_
    for one, other in zip(from_map, from_chunks, strict=True):
        np.testing.assert_array_equal(one, other)


def nobody_else_fires(maps, kept, gone, own, nets, size, **names):
    assert len(kept) and not set(kept) & set(gone)
    assert maps["pruned"][:, own].std(axis=(0, 2, 3)).min() > 0
    others = np.setdiff1d(np.arange(maps["pruned"].shape[1]), own)
    assert not np.ptp(maps["pruned"][:, others], axis=(0, 2, 3)).any()
    assert size(nets["pruned"]) < 0.5 * size(nets["dense"])


def the_curve_is_that_of_all_fits(watched, nets, kept, last, **names):
    assert watched.loss_curve_ == nets["no early stopping"].loss_curve_
    for name, net in list(nets.items())[1:]:
        curve = net.validation_loss_curve_
        assert curve == watched.validation_loss_curve_[: len(curve)]
        assert last < kept[name] <= net.n_iter_
        assert net.validation_scores_[kept[name] - 1] == net.best_validation_score_


def as_many_features_stay(kept, fractions, X_train, net, small, X_test, **names):
    blank = np.ptp(X_train, axis=0) == 0
    for fraction, *supports in zip(fractions, *kept.values(), strict=True):
        assert len({support.sum() for support in supports}) == 1
        assert not any(support[blank].any() for support in supports)
        np.testing.assert_allclose(1 - supports[0].mean(), fraction, atol=1 / len(blank))
    left = small.predict_proba(X_test[:, net.get_support()])
    np.testing.assert_allclose(left, net.predict_proba(X_test), atol=1e-9)


def the_small_net_is_as_large(names, size, layers, pruned, **others):
    assert size[names[1]] == size[names[2]]
    assert layers == [len(live) for live in pruned.live_neurons_]
    assert all(large > small for large, small in zip(size[names[0]], size[names[1]], strict=True))


def sheets_have_what_is_drawn(digits, numbers, sheets, test, binarizer, SHIFT, **names):
    pictures, pairs = sheets(test, 20, random_state=3)
    for picture, pair, labels in zip(pictures, pairs, binarizer.transform(pairs), strict=True):
        assert set(np.flatnonzero(labels)) == set(pair)
        start = picture.reshape(8, -1)[:, :SHIFT]
        of = [i for i in test if numbers[i] == pair[0] and (digits[i, :, :SHIFT] == start).all()]
        assert of and set(of) <= set(test)


def scores_are_of_cosines(net, NoCopies, **names):
    class Run:
        def weights(self):
            return [np.array([[1.0, 0], [0, 2], [3, 3], [-5, 0], [0, 0]]), np.ones((1, 5))]

    (scores,) = NoCopies().scores(Run())
    np.testing.assert_allclose(scores[:, 0], [1, 1, 1 - 0.5**0.5, 1, 1])
    assert scores.shape == (5, 2)


def ranges_are_of_rows_not_seen(predicted, quantiles, model, X, y, folds, inside, **names):
    assert model.regressor[-1].quantile == quantiles[-1]
    train, test = next(folds.split(X))
    again = model.fit(X[train], y[train]).predict(X[test])
    np.testing.assert_array_equal(again, predicted[quantiles[-1]][test])
    assert inside.sum() == sum(
        predicted[0.1][i] <= y[i] <= predicted[0.9][i] for i in range(len(y))
    )


def files_say_the_same(reports, again, small, X_test, pruned, **names):
    np.testing.assert_array_equal(again.predict_proba(X_test), small.predict_proba(X_test))
    for of_net in reports.values():
        sizes = [report["nbytes"] for report in of_net]
        assert sizes[:4] == sorted(sizes[:4], reverse=True)
        assert of_net[0]["changed_predictions"] == 0


def gains_are_of_pairs(accuracy, gain, mean, X_test, **names):
    rows = len(X_test) / 100
    np.testing.assert_allclose(accuracy * rows, np.round(accuracy * rows), atol=1e-9)
    np.testing.assert_allclose(mean, accuracy[1].mean(axis=1) - accuracy[0].mean(axis=1))
    assert gain.any()


SHOWN = {
    "plot_cnn_channels": nobody_else_fires,
    "plot_early_stopping": the_curve_is_that_of_all_fits,
    "plot_feature_selection": as_many_features_stay,
    "plot_inverse_transform": what_pca_loses_is_what_it_does_not_explain,
    "plot_mlp_classifier": the_small_net_is_as_large,
    "plot_multilabel": sheets_have_what_is_drawn,
    "plot_own_method": scores_are_of_cosines,
    "plot_quantiles": ranges_are_of_rows_not_seen,
    "plot_storages": files_say_the_same,
    "plot_unlabeled": gains_are_of_pairs,
    "plot_autoencoder": what_pca_loses_is_what_it_does_not_explain,
    "plot_optuna": stopped_trials_are_pruned,
    "plot_out_of_core": both_files_give_one_net,
    "plot_pareto_front": nobody_is_better_than_the_front,
    "plot_torch_pruning": what_was_taken_out_did_nothing,
}
