"""The scripts of the gallery run, with fewer epochs and folds, and show what they say."""

from pathlib import Path

import numpy as np
import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "docs" / "examples").glob("plot_*.py"))
# What makes a script quick enough for a test, by its name.
QUICKER = {
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
def test_an_example_runs(path, pyplot, capsys):
    assert path.read_text(encoding="utf-8").startswith('"""\n===')
    if path.stem in NEEDS:
        pytest.importorskip(NEEDS[path.stem])
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


SHOWN = {
    "plot_autoencoder": what_pca_loses_is_what_it_does_not_explain,
    "plot_optuna": stopped_trials_are_pruned,
    "plot_out_of_core": both_files_give_one_net,
    "plot_pareto_front": nobody_is_better_than_the_front,
    "plot_torch_pruning": what_was_taken_out_did_nothing,
}
