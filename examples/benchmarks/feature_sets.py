"""The sets of the feature benchmark: loading, splits, corruption, preparation.

A table is one of three things: an array of numbers (missing entries are NaN), a pandas data frame
whose categorical columns have the categorical dtype, or a scipy CSR array of counts. Columns are
prepared without labels, on training rows.

Folder: the environment variable SKRGVAE_DATA_HOME names the one with the files.
"""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, normalize

TEST_SHARE = 0.3
SPLIT_SEED = 0

NOISE_SHARE = 0.2
OUTLIER_SHARE = 0.05
OUTLIER_DISTANCE = 10.0  # standard deviations from the mean

# Categories with fewer training rows than this share one column.
MIN_CATEGORY_ROWS = 20

# Columns that are corrupted at a time.
BLOCK = 100


@dataclass(frozen=True)
class FeatureSet:
    """Training and test rows with class labels; the two tables have the same columns."""

    X_train: Any
    y_train: np.ndarray
    X_test: Any
    y_test: np.ndarray

    def for_validation(self) -> "FeatureSet":
        """The training rows alone, 30 % of them in the place of the test rows."""
        return split(self.X_train, self.y_train)


def split(X: Any, y: np.ndarray, seed: int = SPLIT_SEED) -> FeatureSet:
    """Hold 30 % of the rows out, stratified."""
    train, test = train_test_split(
        np.arange(len(y)), test_size=TEST_SHARE, stratify=y, random_state=seed
    )
    rows = X.iloc if isinstance(X, pd.DataFrame) else X
    return FeatureSet(rows[train], y[train], rows[test], y[test])


def data_file(name: str) -> Path:
    folder = os.environ.get("SKRGVAE_DATA_HOME")
    if not folder:
        raise SystemExit("SKRGVAE_DATA_HOME must name the folder with the data sets; it is unset.")
    return Path(folder) / name


def load_digits_set() -> FeatureSet:
    X, y = load_digits(return_X_y=True)
    return split((X / 16).astype(np.float32), y)


def load_mnist() -> FeatureSet:
    with np.load(data_file("mnist.npz"), allow_pickle=False) as file:
        X_train, X_test = (file[name] / np.float32(255) for name in ("X_train", "X_test"))
        return FeatureSet(X_train, file["y_train"], X_test, file["y_test"])


def load_secom() -> FeatureSet:
    with np.load(data_file("secom.npz"), allow_pickle=False) as file:
        return split(file["X"], file["y"])


def load_adult() -> FeatureSet:
    table = with_categories(pd.read_csv(data_file("adult.csv.gz")))
    y = (table["income"] == ">50K").to_numpy(dtype=int)
    train = (table["split"] == "train").to_numpy()
    X = table.drop(columns=["income", "split"])
    return FeatureSet(X[train], y[train], X[~train], y[~train])


def load_ai4i() -> FeatureSet:
    """Without the numbers of record and product, and the failure modes, which give y away."""
    table = with_categories(pd.read_csv(data_file("ai4i2020.csv.gz")))
    y = table["Machine failure"].to_numpy()
    modes = ["TWF", "HDF", "PWF", "OSF", "RNF"]
    return split(table.drop(columns=["UDI", "Product ID", "Machine failure", *modes]), y)


def load_ecg5000() -> FeatureSet:
    with np.load(data_file("ecg5000.npz"), allow_pickle=False) as file:
        return FeatureSet(*(file[name] for name in ("X_train", "y_train", "X_test", "y_test")))


def load_newsgroups() -> FeatureSet:
    with np.load(data_file("newsgroups20_bow10k_csr.npz"), allow_pickle=False) as file:
        n_columns = int(file["n_features"])

        def counts(part):
            parts = (file[f"{part}_{piece}"] for piece in ("data", "indices", "indptr"))
            data, indices, indptr = (piece.astype(np.int32) for piece in parts)
            shape = (len(indptr) - 1, n_columns)
            return sparse.csr_array((data.astype(np.float32), indices, indptr), shape=shape)

        return FeatureSet(counts("train"), file["y_train"], counts("test"), file["y_test"])


def with_categories(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of strings become categorical."""
    strings = table.select_dtypes(exclude="number").columns
    return table.astype(dict.fromkeys(strings, "category"))


# Cheap ones first.
SETS = {
    "digits": load_digits_set,
    "ecg5000": load_ecg5000,
    "secom": load_secom,
    "ai4i": load_ai4i,
    "adult": load_adult,
    "newsgroups": load_newsgroups,
    "mnist": load_mnist,
}


def corrupt(data: FeatureSet, kind: str, seed: int) -> FeatureSet:
    """Training and test cells replaced by junk, with equal shares in every column.

    "noise": 20 % of the cells get the value that a random training row has in their column, so a
    column's distribution stays as it was (missing entries included).

    "outliers": 5 % of the cells get the column's training mean plus or minus (equal odds) 10
    standard deviations; in a set whose values all lie inside [0, 1], 0 or 1 instead; counts are
    rounded up and are not below 0. Categorical columns have no outliers.
    """
    if kind not in CORRUPTIONS:
        raise ValueError(f"kind must be one of {list(CORRUPTIONS)}, got {kind!r}")
    rng = np.random.default_rng(seed)
    return replace(
        data,
        X_train=corrupt_table(data.X_train, data.X_train, kind, rng),
        X_test=corrupt_table(data.X_test, data.X_train, kind, rng),
    )


def corrupt_table(table: Any, source: Any, kind: str, rng: np.random.Generator) -> Any:
    """`table` with junk in it, which is drawn from the columns of `source`."""
    junk = CORRUPTIONS[kind]
    if isinstance(table, pd.DataFrame):
        columns = {}
        for name in table:
            column, whence = table[name], source[name]
            if isinstance(column.dtype, pd.CategoricalDtype):
                if kind == "noise":
                    codes = junk(as_column(column.cat.codes), as_column(whence.cat.codes), rng)
                    column = pd.Categorical.from_codes(codes[:, 0], dtype=column.dtype)
            else:
                column = junk(as_column(column), as_column(whence), rng)[:, 0]
            columns[name] = column
        return pd.DataFrame(columns, index=table.index)
    blocks = []
    for start in range(0, table.shape[1], BLOCK):
        here = slice(start, start + BLOCK)
        if sparse.issparse(table):
            block = junk(table[:, here].toarray(), source[:, here].toarray(), rng)
            blocks.append(sparse.csc_array(np.ceil(np.maximum(block, 0))))
        else:
            bounds = (0, 1) if in_unit_range(source) else None
            blocks.append(junk(table[:, here], source[:, here], rng, bounds))
    return sparse.hstack(blocks, format="csr") if sparse.issparse(table) else np.hstack(blocks)


def as_column(series: pd.Series) -> np.ndarray:
    return series.to_numpy()[:, None]


def resample_cells(block, source, rng, bounds=None):
    """Cells of a block from the same columns of random rows of `source`; no bound matters."""
    replaced = rng.random(block.shape) < NOISE_SHARE
    rows = rng.integers(len(source), size=block.shape)
    return np.where(replaced, np.take_along_axis(source, rows, axis=0), block)


def add_outliers(block, source, rng, bounds=None):
    """Cells of a block far above or below their column's mean, or at the bounds."""
    replaced = rng.random(block.shape) < OUTLIER_SHARE
    if bounds is None:
        mean = np.nanmean(source, axis=0, dtype=np.float64)
        reach = OUTLIER_DISTANCE * np.nanstd(source, axis=0, dtype=np.float64)
        bounds = mean - reach, mean + reach
    outliers = np.where(rng.random(block.shape) < 0.5, *bounds)
    # Whole numbers become fractions.
    return np.where(replaced, outliers, block).astype(np.result_type(block, np.float32))


CORRUPTIONS = {"noise": resample_cells, "outliers": add_outliers}


def in_unit_range(table: Any) -> bool:
    """Whether all entries of an array lie inside [0, 1]."""
    return bool(np.min(table) >= 0 and np.max(table) <= 1)


@dataclass(frozen=True)
class Preparation:
    """What a method may ask for: pairs of training and test columns, prepared on the former.

    Everything but `encoder_input` is float32. Counts stay sparse.
    """

    data: FeatureSet

    @cached_property
    def columns(self) -> tuple[Any, Any]:
        """Complete numbers: medians for what is missing, categories one-hot.

        A missing category is a category of its own; rare and unknown ones share a column.
        """
        train, test = self.data.X_train, self.data.X_test
        if sparse.issparse(train):
            return train, test
        imputer = SimpleImputer(strategy="median", keep_empty_features=True)
        if isinstance(train, pd.DataFrame):
            one_hot = OneHotEncoder(
                min_frequency=MIN_CATEGORY_ROWS,
                handle_unknown="infrequent_if_exist",
                sparse_output=False,
            )
            imputer = make_column_transformer(
                (imputer, make_column_selector(dtype_include="number")),
                (one_hot, make_column_selector(dtype_include="category")),
            )
        return as_float32(imputer.fit_transform(train), imputer.transform(test))

    @cached_property
    def scaled(self) -> tuple[Any, Any]:
        """Comparable columns: standardised, unless all lie inside [0, 1] as they come.

        Counts: tf-idf with logarithmic term frequency, rows of Euclidean length 1.
        """
        train, test = self.columns
        if sparse.issparse(train):
            tfidf = TfidfTransformer(sublinear_tf=True)
            return as_float32(tfidf.fit_transform(train), tfidf.transform(test))
        if in_unit_range(train):
            return train, test
        scaler = StandardScaler()
        return as_float32(scaler.fit_transform(train), scaler.transform(test))

    @cached_property
    def unit_range(self) -> tuple[Any, Any]:
        """Columns inside [0, 1]: by minimum and maximum; test values beyond them are clipped.

        Counts: tf-idf, each row divided by its largest entry.
        """
        if sparse.issparse(self.data.X_train):
            train, test = self.scaled
            return as_float32(normalize(train, norm="max"), normalize(test, norm="max"))
        train, test = self.columns
        if in_unit_range(train):
            return train, test
        scaler = MinMaxScaler(clip=True)
        return as_float32(scaler.fit_transform(train), scaler.transform(test))

    @property
    def encoder_input(self) -> tuple[Any, Any]:
        """The tables as they come: the encoder needs no preparation."""
        return self.data.X_train, self.data.X_test


def as_float32(*tables: Any) -> tuple[Any, ...]:
    return tuple(table.astype(np.float32) for table in tables)
