"""Displays draw the numbers of the estimator, on axes that say what they are."""

import inspect
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skactprune.inspection
from skactprune import PrunedAutoencoder, PrunedMLPClassifier, PrunedMLPRegressor
from skactprune.inspection import (
    ArchitectureDisplay,
    FiringDisplay,
    LossCurveDisplay,
    LowRankNet,
    PCAComparisonDisplay,
    PruningHistoryDisplay,
    SpectrumDisplay,
    n_parameters,
    pca_classifier,
    standardized_logistic,
)
from skactprune.inspection.display import COLORS, Display, spread

# Nets here are far from converged, on purpose: they must be quick.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]
# Displays that draw a fitted net alone.
OF_NETS = (ArchitectureDisplay, FiringDisplay, LossCurveDisplay, PruningHistoryDisplay)
NETS = {
    "binary, one layer": {"hidden_layer_sizes": (30,)},
    "one hundred neurons": {"hidden_layer_sizes": (100,)},
    "four layers": {"hidden_layer_sizes": (20, 15, 12, 10), "early_stopping": True},
    "features, too": {"hidden_layer_sizes": (20, 10), "prune_features": 0.5},
    "before training": {"hidden_layer_sizes": (20, 10), "method": "snip"},
    "never": {"hidden_layer_sizes": (20, 10), "prune_fraction": 0},
}


def net(cls=PrunedMLPClassifier, **params):
    defaults = {"method": "activation", "max_iter": 12, "learning_rate_init": 0.02}
    return cls(**defaults | {"tol": 0, "random_state": 0} | params)


@pytest.fixture(scope="module")
def fitted():
    """Nets by name, each fitted once."""
    known = {}

    def get(name):
        if name not in known:
            target = y % 2 if name.startswith("binary") else y
            known[name] = net(**NETS[name]).fit(X, target)
        return known[name]

    return get


@pytest.fixture(autouse=True)
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def displays_there_are():
    members = vars(skactprune.inspection).values()
    return [of for of in members if inspect.isclass(of) and issubclass(of, Display)]


def drawn(display_class, estimator):
    """A display of each kind that needs no fit of its own; None where it has nothing to draw."""
    if display_class is FiringDisplay and estimator.firing_rates_ is None:
        return None
    return display_class.from_estimator(estimator)


def texts_cut_off(figure):
    """Texts that leave the figure, or cover one another among the labels of an axis."""
    figure.canvas.draw()
    whole = figure.bbox
    found = []
    for ax in figure.axes:
        labels = [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        ticks = [drawn_ticks(axis) for axis in (ax.xaxis, ax.yaxis)]
        labels += sum(ticks, [])
        if ax.get_legend():
            labels += ax.get_legend().get_texts()
        for label in labels:
            box = label.get_window_extent()
            if label.get_text() and label.get_visible() and box.width:
                inside = box.x0 >= -1 and box.y0 >= -1
                inside &= box.x1 <= whole.x1 + 1 and box.y1 <= whole.y1 + 1
                found += [] if inside else [label.get_text()]
        found += sum(map(overlaps, ticks), [])
    return found


def drawn_ticks(axis):
    """Labels of ticks that are in the range of an axis."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    ticks = [t for t in axis.get_major_ticks() if low - slack <= t.get_loc() <= high + slack]
    return [tick.label1 for tick in ticks if tick.label1.get_visible()]


def overlaps(labels):
    boxes = [(label.get_text(), label.get_window_extent()) for label in labels]
    boxes = [(text, box) for text, box in boxes if text and box.width]
    return [
        f"{text} over {other}"
        for (text, box), (other, next_box) in zip(boxes, boxes[1:], strict=False)
        if box.overlaps(next_box)
    ]


# -- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("display_class", [*OF_NETS, SpectrumDisplay])
def test_nothing_is_cut_off_and_axes_are_labelled(display_class, name, fitted):
    display = drawn(display_class, fitted(name))
    if display is None:
        return
    assert isinstance(display, display_class)
    axes = np.ravel(display.ax_)
    assert all(ax.figure is display.figure_ for ax in axes)
    assert texts_cut_off(display.figure_) == []
    assert any(ax.get_xlabel() for ax in axes) or display_class is ArchitectureDisplay
    assert all(ax.get_ylabel() or ax.get_subplotspec().colspan.start for ax in axes)


@pytest.mark.parametrize("display_class", displays_there_are())
def test_without_matplotlib_it_says_what_to_install(display_class, fitted, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    rows = (X, y) if "X" in inspect.signature(display_class.from_estimator).parameters else ()
    said = rf"{display_class.__name__} needs matplotlib: pip install skactprune\[compare\]"
    with pytest.raises(ImportError, match=said):
        display_class.from_estimator(fitted("features, too"), *rows)


@pytest.mark.parametrize("display_class", [*OF_NETS, SpectrumDisplay])
def test_a_net_is_found_in_a_pipeline_and_must_be_fitted(display_class, fitted):
    pipeline = make_pipeline(StandardScaler(), net(hidden_layer_sizes=(20, 10), max_iter=3))
    with pytest.raises(NotFittedError):
        display_class.from_estimator(pipeline)
    with pytest.raises(NotFittedError):
        display_class.from_estimator(pipeline[-1])
    assert np.ravel(display_class.from_estimator(pipeline.fit(X, y)).ax_)[0].has_data()
    with pytest.raises(ValueError, match=r"must be, or have as a step, a net with coefs_"):
        display_class.from_estimator(StandardScaler().fit(X))


@pytest.mark.parametrize("display_class", [*OF_NETS, SpectrumDisplay])
def test_axes_that_are_given_are_drawn_on(display_class, fitted, pyplot):
    _, (ax, _) = pyplot.subplots(1, 2)
    display = display_class.from_estimator(fitted("features, too"), ax=ax)
    assert display.figure_ is ax.figure
    places = [panel.get_position() for panel in np.ravel(display.ax_)]
    assert all(ax.get_position().padded(1e-9).contains(*place.min) for place in places)
    n_figures = len(pyplot.get_fignums())
    again = display.plot(display.ax_)
    assert again is display and len(pyplot.get_fignums()) == n_figures


@pytest.mark.parametrize("display_class", [FiringDisplay, PruningHistoryDisplay, SpectrumDisplay])
def test_axes_that_do_not_fit_are_refused(display_class, fitted, pyplot):
    figure, axes = pyplot.subplots(1, 5)
    with pytest.raises(ValueError, match=r"ax must be one Axes or \d of them, got 5"):
        display_class.from_estimator(fitted("features, too"), ax=axes)
    free = figure.add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match=r"must be part of a grid"):
        display_class.from_estimator(fitted("features, too"), ax=free)


def test_spreads():
    scores = np.random.default_rng(0).normal(size=(4, 5))
    means, errors = spread(scores)
    _, deviations = spread(scores, "deviation")
    squares = ((scores - scores.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    assert_allclose(deviations, (squares / 4) ** 0.5)
    assert_allclose(errors, (squares / 4 / 5) ** 0.5)
    assert_allclose(means, scores.sum(axis=1) / 5)
    assert_array_equal(spread([[1.0], [2.0]]), [[1, 2], [0, 0]])


# -- history ---------------------------------------------------------------------------------


def test_the_history_is_the_estimators(fitted):
    for name in ("four layers", "features, too"):
        est = fitted(name)
        display = PruningHistoryDisplay.from_estimator(est)
        assert [ax.get_ylabel() for ax in display.ax_] == list(display.lines_)
        assert list(display.lines_) == ["loss", "accuracy", "sparsity", "live neurons"]
        epochs = np.arange(1, len(est.loss_curve_) + 1)
        loss = display.lines_["loss"][0]
        assert_array_equal(loss.get_xydata(), np.column_stack([epochs, est.loss_curve_]))
        *validation, training = display.lines_["accuracy"]
        assert_array_equal(
            training.get_xydata(),
            [(row["epoch"], row["train_score"]) for row in est.pruning_history_],
        )
        assert [list(line.get_ydata()) for line in validation] == (
            [est.validation_scores_] if est.early_stopping else []
        )
        (sparsity,) = display.lines_["sparsity"]
        rounds = [(row["epoch"], row["sparsity"]) for row in est.pruning_history_]
        ends = (0, 0), (len(epochs), est.sparsity_)
        assert_array_equal(sparsity.get_xydata(), [ends[0], *rounds, ends[1]])
        for depth, line in enumerate(display.lines_["live neurons"]):
            live = [row["live_neurons"][depth] for row in est.pruning_history_]
            size, left = est.masks_[depth].shape[1], len(est.live_neurons_[depth])
            assert list(line.get_ydata()) == [size, *live, left]
        for ax in display.ax_:
            marks = [line for line in ax.lines if line.get_linestyle() == ":" and not
                     any(line in of for of in display.lines_.values())]  # fmt: skip
            assert [mark.get_xdata()[0] for mark in marks] == [
                row["epoch"] for row in est.pruning_history_
            ]


def test_no_score_no_panel(fitted):
    for name in ("before training", "never"):
        lines = PruningHistoryDisplay.from_estimator(fitted(name)).lines_
        assert list(lines) == ["loss", "sparsity", "live neurons"]
    (line,) = PruningHistoryDisplay.from_estimator(fitted("never")).lines_["sparsity"]
    assert_array_equal(line.get_ydata(), [0, 0])


def test_a_history_goes_on_where_training_does():
    est = net(hidden_layer_sizes=(20,), warm_start=True, max_iter=6).fit(X, y)
    est.set_params(prune_fraction=0.9).fit(X, y)
    display = PruningHistoryDisplay.from_estimator(est)
    (loss,), (sparsity,) = display.lines_["loss"], display.lines_["sparsity"]
    assert len(loss.get_xdata()) == 12 and (np.diff(sparsity.get_xdata()) >= 0).all()
    assert (np.diff(sparsity.get_ydata()) >= 0).all()


def test_another_score_than_that_of_the_training_rows_stands_alone():
    est = net(hidden_layer_sizes=(12,), early_stopping=True, scoring="balanced_accuracy").fit(X, y)
    (line,) = PruningHistoryDisplay.from_estimator(est).lines_["balanced accuracy"]
    assert_array_equal(line.get_ydata(), est.validation_scores_)


def test_loss_curves(fitted):
    est = fitted("four layers")
    for display in (
        LossCurveDisplay.from_estimator(est),
        PruningHistoryDisplay.from_estimator(est),
    ):
        lines = display.lines_ if isinstance(display.lines_, list) else display.lines_["loss"]
        assert [line.get_label() for line in lines] == ["training", "validation"]
        assert_array_equal(lines[0].get_ydata(), est.loss_curve_)
        assert_array_equal(lines[1].get_ydata(), est.validation_loss_curve_)
    of_sklearn = MLPClassifier((5,), max_iter=4, random_state=0).fit(X, y)
    (line,) = LossCurveDisplay.from_estimator(of_sklearn).lines_
    assert_array_equal(line.get_ydata(), of_sklearn.loss_curve_)
    with pytest.raises(ValueError, match="a net with pruning_history_"):
        PruningHistoryDisplay.from_estimator(of_sklearn)


# -- spectra ---------------------------------------------------------------------------------


def test_spectra_are_those_of_the_kernels(fitted):
    est, dense = fitted("four layers"), MLPClassifier((9, 8, 7, 6), max_iter=2, random_state=0)
    display = SpectrumDisplay.from_estimator(est, before=dense.fit(X, y))
    for depth, (ax, lines) in enumerate(zip(display.ax_, display.lines_, strict=True)):
        for model, line in zip((dense, est), lines, strict=True):
            kernel = model.coefs_[depth]
            expected = np.linalg.svd(kernel, compute_uv=False)
            rank = np.linalg.matrix_rank(kernel)
            assert_allclose(line.get_ydata(), expected[:rank], rtol=1e-9)
            assert_array_equal(line.get_xdata(), np.arange(1, rank + 1))
            assert line.get_label().endswith(f": rank {rank}")
        bottom, top = ax.get_ylim()
        assert bottom == 0 and top > max(line.get_ydata().max() for line in lines)
        assert [line.get_label().split(":")[0] for line in lines] == ["before", "after"]


def test_nets_of_other_depths_have_no_spectra_in_common(fitted):
    nets = {"one": fitted("binary, one layer"), "two": fitted("never")}
    with pytest.raises(ValueError, match=r"as many hidden layers.*\{'one': 1, 'two': 2\}"):
        SpectrumDisplay.from_estimators(nets)
    linear = net(hidden_layer_sizes=(), max_iter=2, prune_fraction=0).fit(X, y)
    with pytest.raises(ValueError, match=r"at least one, got \{'PrunedMLPClassifier': 0\}"):
        SpectrumDisplay.from_estimator(linear)


def test_many_nets_are_told_apart(fitted):
    nets = {f"net {number}": fitted("never") for number in range(5)}
    for lines in SpectrumDisplay.from_estimators(nets).lines_:
        assert len(lines) == 5
        assert len({(line.get_color(), line.get_linestyle()) for line in lines[:4]}) == 4


# -- firing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize("name", ["four layers", "one hundred neurons", "never"])
def test_bars_are_firing_rates_and_pruned_ones_are_marked(name, sort, fitted):
    est = fitted(name)
    display = FiringDisplay.from_estimator(est, sort=sort)
    for depth, (ax, bars) in enumerate(zip(display.ax_, display.bars_, strict=True)):
        order, rates = display.order_[depth], est.firing_rates_[depth]
        heights = np.array([bar.get_height() for bar in bars])
        assert_array_equal(heights, rates[order])
        assert sorted(order) == list(range(len(rates)))
        assert (np.diff(heights) <= 0).all() if sort else list(order) == sorted(order)
        (crosses,) = ax.lines
        gone = set(range(len(rates))) - set(est.live_neurons_[depth].tolist())
        assert {order[int(at)] for at in crosses.get_xdata()} == gone
        colors = {tuple(bar.get_facecolor()) for at, bar in zip(order, bars, strict=True)
                  if at in gone}  # fmt: skip
        assert len(colors) == bool(gone)
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        n_live = len(rates) - len(gone)
        assert texts == [f"{n_live} left", f"{len(gone)} pruned (×)"][: 1 + bool(gone)]


def test_who_counts_nothing_has_no_rates(fitted):
    with pytest.raises(ValueError, match="method='snip' counts nothing"):
        FiringDisplay.from_estimator(fitted("before training"))
    linear = net(hidden_layer_sizes=(), max_iter=2, prune_fraction=0).fit(X, y)
    with pytest.raises(ValueError, match="no firing rates to draw"):
        FiringDisplay.from_estimator(linear)


# -- architecture ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
def test_bars_are_as_high_as_layers_are_wide(name, fitted):
    est = fitted(name)
    display = ArchitectureDisplay.from_estimator(est)
    before = [64, *np.ravel(est.hidden_layer_sizes), 1 if name.startswith("binary") else 10]
    live = [len(of) for of in est.live_neurons_]
    after = [est.get_support().sum(), *live, before[-1]]
    for bars, sizes in ((display.before_, before), (display.after_, after)):
        assert [bar.get_height() for bar in bars] == sizes
        assert [bar.get_y() for bar in bars] == [-size / 2 for size in sizes]
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    for label, one, other in zip(labels, before, after, strict=True):
        assert label.split("\n")[1] == (f"{one}" if one == other else f"{one} → {other}")
    dense = sum((a + 1) * b for a, b in zip(before, before[1:], strict=False))
    expected = f"{dense:,} → {n_parameters(est):,} parameters"
    assert display.ax_.get_title() == expected


def test_scikit_learns_own_net_does_not_know_what_it_was():
    of_sklearn = MLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="a net with masks_, such as a PrunedMLPClassifier"):
        ArchitectureDisplay.from_estimator(of_sklearn)


# -- components ------------------------------------------------------------------------------


def test_scores_of_components_are_those_of_fits_by_hand():
    model = make_pipeline(
        StandardScaler(), net(hidden_layer_sizes=(16,), max_iter=5, prune_fraction=0.5)
    )
    folds = list(StratifiedKFold(2).split(X, y))
    options = {"n_components": [8, 2], "cv": folds, "scoring": "balanced_accuracy"}
    display = PCAComparisonDisplay.from_estimator(model, X, y, **options)
    assert len(display.rows) == 2 * 2 * 2
    expected = {"transform + classifier": [], "PCA + classifier": []}
    for k in (2, 8):
        scores = {method: [] for method in expected}
        for train, test in folds:
            fitted = clone(model).set_params(prunedmlpclassifier__n_components=k)
            fitted.fit(X[train], y[train])
            hidden = standardized_logistic().fit(fitted.transform(X[train]), y[train])
            scaler = StandardScaler().fit(X[train])
            pca = pca_classifier(k).fit(scaler.transform(X[train]), y[train])
            predicted = {
                "transform + classifier": hidden.predict(fitted.transform(X[test])),
                "PCA + classifier": pca.predict(scaler.transform(X[test])),
            }
            for method, labels in predicted.items():
                recalls = [np.mean(labels[y[test] == c] == c) for c in range(10)]
                scores[method].append(np.mean(recalls))
        for method, of in scores.items():
            expected[method].append(of)
    for method, of_k in expected.items():
        of_k = np.array(of_k)
        line, band = display.lines_[method], display.bands_[method]
        assert_allclose(line.get_xydata(), np.column_stack([[2, 8], of_k.mean(axis=1)]))
        error = abs(of_k[:, 0] - of_k[:, 1]) / 2
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.max() == pytest.approx((of_k.mean(axis=1) + error).max())
        assert edges.min() == pytest.approx((of_k.mean(axis=1) - error).min())
    assert display.ax_.get_ylabel() == "balanced accuracy" and display.ax_.get_xlabel()
    assert texts_cut_off(display.figure_) == []


def test_nets_that_predict_numbers_are_drawn():
    target = X @ np.random.default_rng(0).normal(size=64)
    est = net(PrunedMLPRegressor, hidden_layer_sizes=(12,), early_stopping=True).fit(X, target)
    for display_class in (*OF_NETS, SpectrumDisplay):
        assert texts_cut_off(display_class.from_estimator(est).figure_) == []
    (validation, _) = PruningHistoryDisplay.from_estimator(est).lines_["R²"]
    assert_array_equal(validation.get_ydata(), est.validation_scores_)
    how = {"n_components": [2, 4], "cv": 2}
    display = PCAComparisonDisplay.from_estimator(
        clone(est).set_params(prune_fraction=0.5), X, target, **how
    )
    train, test = next(KFold(2).split(X))
    pca = make_pipeline(PCA(4), StandardScaler(), RidgeCV()).fit(X[train], target[train])
    scores = [row["test_r2"] for row in display.rows if row["n_components"] == 4]
    assert scores[1] == pytest.approx(pca.score(X[test], target[test]))
    assert display.ax_.get_ylabel() == "r2"


def test_autoencoders_are_drawn():
    est = PrunedAutoencoder(2, (12,), method="activation", max_iter=8, tol=0, random_state=0).fit(X)
    for display_class in (*OF_NETS, SpectrumDisplay):
        assert texts_cut_off(display_class.from_estimator(est).figure_) == []
    before = [bar.get_height() for bar in ArchitectureDisplay.from_estimator(est).before_]
    assert before == [64, 12, 2, 12, 64]


def test_rows_of_a_comparison_are_drawn(pyplot):
    about = {"PCA + classifier": (2, 4), "LDA + classifier": (2,), "pruned net": (np.nan,)}
    rows = [
        {"method": method, "n_components": k, "fold": fold, "test_r2": fold / 10}
        for method, numbers in about.items()
        for k in numbers
        for fold in range(3)
    ]
    _, ax = pyplot.subplots()
    display = PCAComparisonDisplay(rows, "r2").plot(ax)
    assert display.ax_ is ax and list(display.lines_) == ["PCA + classifier", "LDA + classifier"]
    assert_allclose(display.lines_["PCA + classifier"].get_xydata(), [[2, 0.1], [4, 0.1]])
    # One number alone has its interval, too: a standard deviation of 0.1 over the root of 3.
    (bar,) = [of for of in ax.collections if hasattr(of, "get_segments")]
    assert_allclose(bar.get_segments()[0][:, 1], [0.1 - 0.1 / 3**0.5, 0.1 + 0.1 / 3**0.5])
    with pytest.raises(ValueError, match="some with n_components, got none"):
        PCAComparisonDisplay(rows[-3:], "r2").plot()


def test_long_names_and_many_numbers_fit():
    method = {"method": "transform + classifier", "fold": 0, "test_r2": 0.5}
    rows = [{**method, "n_components": k} for k in [*range(1, 21), 64]]
    assert texts_cut_off(PCAComparisonDisplay(rows, "r2").plot().figure_) == []
    rounds = [{"epoch": 2, "sparsity": 0.5, "live_neurons": [9] * 6, "train_score": 0.5}]
    about = {"sizes": [19] * 6, "live_neurons": [9] * 6, "sparsity": 0.5}
    name = "neg root mean squared error"
    display = PruningHistoryDisplay([2.0, 1.0, 0.5], rounds, score_name=name, **about).plot()
    assert texts_cut_off(display.figure_) == []
    boxes = [ax.yaxis.label.get_window_extent() for ax in display.ax_]
    assert not any(one.overlaps(other) for one, other in zip(boxes, boxes[1:], strict=False))


@pytest.mark.parametrize("n_components", [[], [0], [2, 100], [2.5], ["a"]])
def test_numbers_of_components_are_checked(n_components):
    with pytest.raises((ValueError, TypeError), match="n_components"):
        PCAComparisonDisplay.from_estimator(net(), X, y, n_components=n_components)


def test_folds_keep_groups_together():
    groups = np.arange(len(y)) % 3
    how = {"n_components": 2, "cv": GroupKFold(3), "groups": groups}
    display = PCAComparisonDisplay.from_estimator(
        net(hidden_layer_sizes=(8,), max_iter=1, prune_fraction=0.5), X, y, **how
    )
    assert sorted({row["fold"] for row in display.rows}) == [0, 1, 2]


def test_colours_are_told_apart_without_colour():
    from matplotlib.colors import to_rgb

    def luminance(name):
        return np.dot([0.2126, 0.7152, 0.0722], np.power(to_rgb(COLORS[name]), 2.2))

    assert luminance("orange") > 2 * luminance("blue")


def test_rounds_of_a_fit_that_goes_on_come_after_those_before(pyplot):
    grown = net(hidden_layer_sizes=(12,), warm_start=True, trigger="epoch", prune_fraction=0.4)
    grown.fit(X, y)
    first = [row["epoch"] for row in grown.pruning_history_]
    assert [row["total_epoch"] for row in grown.pruning_history_] == first
    grown.set_params(prune_fraction=0.7).fit(X, y)
    rows = grown.pruning_history_[len(first) :]
    assert rows
    assert [row["total_epoch"] for row in rows] == [12 + row["epoch"] for row in rows]
    drawn = PruningHistoryDisplay.from_estimator(grown).lines_["sparsity"][0].get_xdata()
    assert (np.diff(drawn) >= 0).all()
    assert drawn[-1] == 24
    lines = LossCurveDisplay.from_estimator(grown).ax_.lines
    marks = [line.get_xdata()[0] for line in lines if len(line.get_xdata()) == 2]
    assert marks == [row["total_epoch"] for row in grown.pruning_history_]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_score_that_is_the_loss_has_a_panel_of_its_own(early_stopping):
    scored = net(hidden_layer_sizes=(8,), scoring="loss", early_stopping=early_stopping).fit(X, y)
    display = PruningHistoryDisplay.from_estimator(scored)
    score = ["negative loss"] if early_stopping else []
    assert list(display.lines_) == ["loss", *score, "sparsity", "live neurons"]
    assert_array_equal(display.lines_["loss"][0].get_ydata(), scored.loss_curve_)


def test_neurons_that_may_regrow_are_not_drawn_as_live():
    grown = net(
        hidden_layer_sizes=(24,), method="lottery_ticket", trigger="epoch", prune_fraction=0.98
    )
    for _ in range(12):
        grown.partial_fit(X, y, classes=np.arange(10))
    assert len(grown.live_neurons_[0]) == 24
    levels = PruningHistoryDisplay.from_estimator(grown).lines_["live neurons"][0].get_ydata()
    n_live = grown.masks_[0].any(axis=0).sum()
    assert levels[-1] == levels[-2] == n_live < 24


def test_whoever_has_fewer_components_is_drawn_once():
    about = {"method": "LDA + classifier", "n_components": 2}
    nothing = {"method": "pruned net", "n_components": np.nan, "fold": 0, "test_accuracy": 0.5}
    rows = [{**about, "fold": fold, "test_accuracy": fold / 2} for fold in (0, 1)]
    others = [
        {"method": "PCA", "n_components": k, "fold": fold, "test_accuracy": 0.1 * k}
        for k in (4, 1, 3)
        for fold in (0, 1)
    ]
    display = PCAComparisonDisplay([*others, nothing, *rows, *rows, nothing, *rows]).plot()
    assert display.lines_["PCA"].get_xdata().tolist() == [1, 3, 4]
    assert display.lines_["LDA + classifier"].get_xdata().tolist() == [2]
    assert "2 folds" in display.ax_.get_legend().get_title().get_text()
    with pytest.raises(ValueError, match=r"score_name='f1' must be one of \['accuracy'\]"):
        PCAComparisonDisplay(rows, "f1").plot()


def test_numbers_of_components_are_those_of_prepared_columns():
    frame = pd.DataFrame({"a": y.astype(str), "b": X[:, 20]})
    encoded = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["a"]), remainder="passthrough"
    )
    model = make_pipeline(encoded, net(hidden_layer_sizes=(40,), max_iter=2))
    display = PCAComparisonDisplay.from_estimator(model, frame, y, cv=2)
    for line in display.lines_.values():
        assert line.get_xdata().tolist() == [2, 4, 8]
    with pytest.raises(ValueError, match="n_components == 12, must be <= 11"):
        PCAComparisonDisplay.from_estimator(model, frame, y, n_components=12, cv=2)


def test_nets_of_arrays_have_spectra():
    dense = net(hidden_layer_sizes=(12,), prune_fraction=0).fit(X, y)
    low = LowRankNet(dense, [3])
    display = SpectrumDisplay.from_estimators({"net": dense, "low": low})
    assert len(display.ax_) == 1


def test_one_axes_is_one(fitted):
    with pytest.raises(ValueError, match="ax='above' must be one matplotlib Axes, or None"):
        LossCurveDisplay.from_estimator(fitted("never"), ax="above")
