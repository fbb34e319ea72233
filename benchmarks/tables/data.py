"""Tables: what scikit-learn ships or makes, and CSV files of a folder; their roles and splits."""

import zlib
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

MAX_TRAIN, TARGET = 1000, "target"
# Classes with fewer rows are left out, so that every part has some of every class.
MIN_ROWS = 8
# Rows of the tables that are made.
MADE_ROWS = 1600


def _made(n_features, n_informative, n_classes=2, **params):
    sizes = {"n_informative": n_informative, "n_redundant": 0, "n_classes": n_classes}
    how = {"flip_y": 0.01, "random_state": 0} | sizes | params
    return datasets.make_classification(MADE_ROWS, n_features, **how)


def _noisy(make, **params):
    """Two features and ten of noise."""
    X, y = make(MADE_ROWS, random_state=0, **params)
    return np.hstack([X, np.random.default_rng(0).normal(size=(MADE_ROWS, 10))]), y


BUILT_IN = {
    "iris": partial(datasets.load_iris, return_X_y=True),
    "wine": partial(datasets.load_wine, return_X_y=True),
    "breast_cancer": partial(datasets.load_breast_cancer, return_X_y=True),
    "digits": partial(datasets.load_digits, return_X_y=True),
    "flips-10": partial(_made, 20, 8, 3, flip_y=0.1),
    "flips-20": partial(_made, 20, 8, 3, flip_y=0.2),
    "flips-30": partial(_made, 20, 8, 3, flip_y=0.3),
    "classes-10": partial(_made, 20, 12, 10, n_clusters_per_class=1),
    "classes-20": partial(_made, 30, 15, 20, n_clusters_per_class=1),
    "informative-5-of-50": partial(_made, 50, 5),
    "informative-5-of-100": partial(_made, 100, 5),
    "imbalanced-2": partial(_made, 20, 8, weights=[0.93]),
    "imbalanced-4": partial(_made, 20, 8, 4, weights=[0.7, 0.15, 0.1]),
    "moons-noise": partial(_noisy, datasets.make_moons, noise=0.3),
    "circles-noise": partial(_noisy, datasets.make_circles, noise=0.15, factor=0.5),
}
# Recipes are chosen on validation rows of these, and confirmed on test rows of the others.
CHOOSE = set("wine digits flips-10 classes-10 glass votes vehicle pima ionosphere".split())
CONFIRM = set(
    "iris breast_cancer flips-20 flips-30 classes-20 informative-5-of-50 informative-5-of-100 "
    "imbalanced-2 imbalanced-4 moons-noise circles-noise vowel sonar breastw soybean".split()
)


class Parts(NamedTuple):
    """Rows of a split: features as the models get them, labels from 0."""

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def role(name):
    """Either "choose" or "confirm"; of a table that is not listed, by its name alone."""
    if name in CHOOSE | CONFIRM:
        return "choose" if name in CHOOSE else "confirm"
    return ("choose", "confirm")[zlib.crc32(name.encode()) % 2]


def names(settings):
    """Names of the tables of some settings: those built in, then files in order."""
    found = [*BUILT_IN, *sorted(_files(settings.csv_folder))]
    return [name for name in found if settings.only is None or name in settings.only]


def _files(folder):
    if folder is None:
        return {}
    files = {path.stem: path for path in Path(folder).glob("*.csv")}
    if not files:
        raise FileNotFoundError(f"--tables {folder} has no CSV files.")
    for name in files.keys() & BUILT_IN:
        raise ValueError(f"--tables {folder} has {name}.csv; a table of that name is built in.")
    return files


@cache
def load(name, folder=None):
    """Features as a DataFrame and labels as an array of ints from 0.

    Columns of a CSV file that are not numeric are categories, of which "missing" is one.
    """
    if name in BUILT_IN:
        X, y = BUILT_IN[name]()
        X = pd.DataFrame(X)
    else:
        X = pd.read_csv(_files(folder)[name]).dropna(subset=TARGET)
        y = X.pop(TARGET).to_numpy()
        words = X.select_dtypes(exclude="number").columns
        X[words] = X[words].astype(object).fillna("missing").astype(str)
    classes, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, classes[counts >= MIN_ROWS])
    return X[kept], LabelEncoder().fit_transform(y[kept])


# Several runs of a split come one after the other.
@lru_cache(4)
def split(name, folder, seed):
    """Training, validation and test rows, a half and two quarters, stratified.

    All of the preprocessing is fitted on the training rows.
    """
    X, y = load(name, folder)
    half = {"random_state": seed, "test_size": 0.5}
    X_train, X_rest, y_train, y_rest = train_test_split(X, y, stratify=y, **half)
    if len(y_train) > MAX_TRAIN:
        how = {"stratify": y_train, "train_size": MAX_TRAIN, "random_state": seed}
        X_train, _, y_train, _ = train_test_split(X_train, y_train, **how)
    X_val, X_test, y_val, y_test = train_test_split(X_rest, y_rest, stratify=y_rest, **half)
    prepare = preprocessing().fit(X_train)
    X_train, X_val, X_test = map(prepare.transform, (X_train, X_val, X_test))
    return Parts(X_train, y_train, X_val, y_val, X_test, y_test)


def preprocessing():
    """Median of what is missing and an indicator, standardised; categories one-hot."""
    impute = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = make_column_selector(dtype_include="number")
    words = make_column_selector(dtype_exclude="number")
    scaled = make_pipeline(impute, StandardScaler())
    return ColumnTransformer([("numbers", scaled, numbers), ("words", one_hot, words)])
