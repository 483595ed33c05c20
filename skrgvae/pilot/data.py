"""The table of a study: its columns, how they become numbers, and how cells are damaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from skrgvae.data.cells import Column, are_missing
from skrgvae.data.frames import read_columns
from skrgvae.pilot.records import SetAside

# All components would do PCA no favour: the classifier sees standardised inputs, which blows the
# components of least variance up to the size of the others (digits, 100 labels: accuracy .77 with
# all of them, .82 with these).
_PCA_VARIANCE = 0.95
# Categories beyond these, the rare ones, share a column.
_MAX_CATEGORIES = 50
# A text column with more different values than this share of its rows names the rows.
_IDENTIFIER_SHARE = 0.9


@dataclass(frozen=True)
class Data:
    """A validated table and target.

    Attributes
    ----------
    X : pandas.DataFrame or ndarray of shape (n_rows, n_columns)
        Numbers as float, missing ones as NaN; other columns of a frame hold categories.
    y : ndarray of int of shape (n_rows,)
        Positions in `classes`.
    classes : ndarray of shape (n_classes,)
    names : list of str
    categorical : ndarray of bool of shape (n_columns,)
    set_aside : tuple of SetAside
        Columns that X no longer has.
    """

    X: Any
    y: NDArray[np.intp]
    classes: NDArray
    names: list[str]
    categorical: NDArray[np.bool_]
    set_aside: tuple[SetAside, ...]

    def rows(self, index: NDArray[np.intp]) -> Any:
        """Some rows of X."""
        return take(self.X, index)

    def column(self, position: int) -> Any:
        """One column of X: a Series, or an ndarray."""
        return self.X.iloc[:, position] if hasattr(self.X, "iloc") else self.X[:, position]

    def missing(self) -> NDArray[np.bool_]:
        """Which cells are missing, of shape (n_rows, n_columns)."""
        return self.X.isna().to_numpy() if hasattr(self.X, "iloc") else np.isnan(self.X)

    def drawn(self, index: NDArray[np.intp]) -> Data:
        """The table with some of its rows."""
        return replace(self, X=self.rows(index), y=self.y[index])


def take(X: Any, index: NDArray[np.intp]) -> Any:
    """Some rows of a data frame or an array."""
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def check_data(X: Any, y: Any, feature_names: Sequence[str] | None = None) -> Data:
    """Validate a table and its target.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_columns)
        Numbers; the columns of a pandas data frame may also hold text, categories or booleans.
        Cells may be missing.
    y : array-like of shape (n_rows,)
        Class labels.
    feature_names : sequence of str, default=None
        Of the columns of an array, all different; None: their positions.

    Raises
    ------
    ValueError
        If there is nothing to compare: a single class, or no column that varies; if a label is
        missing; if `feature_names` doesn't fit the columns.
    TypeError
        If a column, or the labels, hold anything but strings or numbers, or both.
    """
    y = _labels(y)
    frame = hasattr(X, "iloc")
    if not frame:
        X = check_array(X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
    check_consistent_length(X, y)
    classes, codes = np.unique(y, return_inverse=True)
    if classes.size < 2:
        raise ValueError(
            f"the target has a single class, {classes[0]}: there is nothing to compare"
        )
    if frame:
        X, categorical, set_aside = _usable_columns(X)
        names = [str(name) for name in X.columns]
    else:
        categorical, set_aside = np.zeros(X.shape[1], dtype=bool), ()
        names = _names(feature_names, X.shape[1])
    data = Data(X, codes, classes, names, categorical, set_aside)
    if all(is_constant(data.column(position)) for position in range(len(names))):
        raise ValueError("every column of X is constant: there is nothing to learn from")
    return data


def _labels(y: Any) -> NDArray:
    """The target, of which no entry is missing, and which has an order."""
    y = column_or_1d(y)
    if y.dtype == object:
        _ = Column("y", y, "object").kind  # refuses what is no label, and strings among numbers
    if are_missing(y).any():
        raise ValueError("the target has missing values: leave these rows out")
    return y


def _names(feature_names: Sequence[str] | None, n_columns: int) -> list[str]:
    """Names of an array's columns."""
    names = [str(name) for name in (range(n_columns) if feature_names is None else feature_names)]
    if len(names) != n_columns:
        raise ValueError(
            f"feature_names must name the {n_columns} columns of X. Got {len(names)} names."
        )
    ((name, times),) = Counter(names).most_common(1)
    if times > 1:
        raise ValueError(
            f"feature_names must be {n_columns} different names. Got {times} times {name!r}."
        )
    return names


def is_constant(column: Any) -> bool:
    """Whether a column has no two different values; missing ones don't count."""
    values = _known(column)
    return values.size == 0 or bool((values == values[0]).all())


def _known(column: Any) -> NDArray:
    """The values of a column that are not missing."""
    if hasattr(column, "dropna"):
        return column.dropna().to_numpy()
    return column[~np.isnan(column)]


def _usable_columns(X):
    """A frame's numbers as float, which columns hold categories, and which are left out."""
    columns, categorical, set_aside = {}, [], []
    if not X.columns.is_unique:
        twice = X.columns[X.columns.duplicated()][0]
        raise ValueError(f"X has more than one column named {twice!r}: rename all but one")
    for name, column in X.items():
        # Booleans and nullable numbers are numbers; what numpy calls objects may be anything.
        numeric = column.dtype.kind in "biuf"
        if numeric and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any():
            raise ValueError(f"Column {name!r} of X has infinite values.")
        reason = _unusable(column, numeric)
        if reason is not None:
            set_aside.append(SetAside(str(name), reason))
            continue
        if not numeric:
            # Refuses now, by name, what the encoder would after the first of the other features.
            _ = read_columns(column.to_frame())[0].kind
        # As categories, text stays text where some rows have none of it.
        columns[name] = column.astype("float64" if numeric else "category")
        categorical.append(not numeric)
    if not columns:
        raise ValueError("no column of X can be studied: they are empty or name the rows")
    import pandas as pd  # has made the frame

    return pd.DataFrame(columns), np.array(categorical), tuple(set_aside)


def _unusable(column, numeric):
    """Why a column says nothing about rows of another table, or None."""
    values = _known(column)
    if values.size == 0:
        return "empty"
    if numeric:
        counts_rows = values.size > 2 and (np.diff(np.sort(values.astype(np.float64))) == 1).all()
        return "identifier" if counts_rows else None
    n_different = len(set(map(str, values)))
    return "identifier" if n_different > _IDENTIFIER_SHARE * values.size else None


def feature_makers(data: Data, encoder: Any) -> dict[str, Any]:
    """What makes the three sets of features from X, none of it fitted.

    The raw columns are standardised, categories become columns of 0 and 1, and gaps in numbers are
    filled with the median; PCA works on that. The encoder takes the table as it is.

    Parameters
    ----------
    data : Data
    encoder : HierarchicalSparseEncoder
    """
    return {
        "raw": _numbers(data),
        "pca": make_pipeline(_numbers(data), PCA(_PCA_VARIANCE)),
        "encoder": encoder,
    }


def _numbers(data):
    """Complete numbers from all columns."""
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=_MAX_CATEGORIES,
        sparse_output=False,
        feature_name_combiner=_name_of_category,
    )
    return ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(fill, StandardScaler()),
                np.flatnonzero(~data.categorical).tolist(),
            ),
            ("categories", one_hot, np.flatnonzero(data.categorical).tolist()),
        ],
        sparse_threshold=0,
        verbose_feature_names_out=False,
    )


def _name_of_category(column: str, category: Any) -> str:
    return f"{column} = {'other' if category == 'infrequent_sklearn' else category}"


def damaged(X: Any, kind: str, share: float, rng: np.random.RandomState) -> Any:
    """A copy of X in which a share of the cells, drawn at random, is damaged.

    Parameters
    ----------
    X : pandas.DataFrame or ndarray of shape (n_rows, n_columns)
    kind : {"missing", "wrong"}
        Damaged cells are empty, or hold the value that another row has in this column.
    share : float
        Between 0 and 1.
    rng : numpy.random.RandomState
    """
    hit = rng.uniform(size=X.shape) < share
    if kind == "missing":
        return X.mask(hit) if hasattr(X, "iloc") else np.where(hit, np.nan, X)
    other = take(X, rng.permutation(len(X)))
    if hasattr(X, "iloc"):
        return X.where(~hit, other.set_axis(X.index))
    return np.where(hit, other, X)
