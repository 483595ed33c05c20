"""Arrays, lists and data frames as columns, and columns as a data frame."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from skrgvae.data.cells import Column, float_dtype


def as_table(X: Any) -> tuple[Any, Sequence[Any] | None]:
    """Check the outer form of X, whose cells aren't looked at.

    Parameters
    ----------
    X : array-like or data frame of shape (n_rows, n_columns)

    Returns
    -------
    table : ndarray, pandas.DataFrame or polars.DataFrame of shape (n_rows, n_columns)
        Arrays and these frames aren't copied. Strings are in arrays of objects, a pandas frame of
        one numeric dtype is an array, and frames of other libraries are ones of pandas.
    names : sequence or None
        Of a data frame's columns, whether strings or not.

    Raises
    ------
    TypeError
        If X is sparse, of scipy or of torch, or lazy.
    ValueError
        If X has another number of dimensions, no rows or no columns, complex numbers, or several
        columns of one name.
    """
    refuse_lazy(X)
    if hasattr(X, "detach"):
        X = _dense_tensor(X)
    if not is_frame(X):
        return _as_array(X), None
    frame = known_frame(X)
    # A single number that has the shape of all: for scikit-learn's wording about empty tables.
    check_array(np.broadcast_to(np.float32(0), frame.shape), ensure_all_finite=False)
    names = list(frame.columns)
    if twice := repeated(names):
        raise ValueError(f"Expected unique column names, got {', '.join(twice)} more than once.")
    dtypes = set(frame.dtypes)
    if len(dtypes) == 1 and _is_numeric(dtypes.pop()):
        return frame.to_numpy(), names  # far quicker than thousands of series
    return frame, names


def repeated(names: Iterable[Any]) -> list[str]:
    """Names that stand more than once, as messages show them."""
    return [repr(name) for name, count in Counter(names).items() if count > 1]


def read_columns(table: Any, names: Sequence[Any] | None = None) -> list[Column]:
    """The columns of what `as_table` gave.

    Parameters
    ----------
    table : ndarray, pandas.DataFrame or polars.DataFrame of shape (n_rows, n_columns)
    names : sequence of shape (n_columns,), default=None
        Labels of an array's columns; their positions by default.
    """
    if isinstance(table, np.ndarray):
        labels = range(table.shape[1]) if names is None else names
        dtype = str(table.dtype)
        return [
            Column(repr(label), values, dtype)
            for label, values in zip(labels, table.T, strict=True)
        ]
    if _is_instance(table, "polars", "DataFrame"):
        return [_read_polars(series) for series in table.get_columns()]
    return [_read_pandas(repr(name), table.iloc[:, j]) for j, name in enumerate(table.columns)]


def write_frame(columns: Sequence[NDArray], like: Any) -> Any:
    """Columns as a data frame with the names and the index of another.

    Parameters
    ----------
    columns : sequence of ndarray of shape (n_rows,)
        Floats, where NaN is missing; or objects (categories), where None is.
    like : data frame of shape (n_rows, n_columns)

    Returns
    -------
    polars.DataFrame or pandas.DataFrame
        The latter for every frame but one of polars. Categories have the dtype they have in
        `like` if that is one of strings or categories and can hold them.
    """
    like = known_frame(like)
    if _is_instance(like, "polars", "DataFrame"):
        import polars

        pairs = zip(columns, like.get_columns(), strict=True)
        return polars.DataFrame([_write_polars(values, series) for values, series in pairs])
    import pandas

    pairs = zip(columns, like.dtypes, strict=True)
    written = [_write_pandas(values, dtype) for values, dtype in pairs]
    frame = pandas.DataFrame(dict(enumerate(written)))
    frame.columns, frame.index = like.columns, like.index
    return frame


def _as_array(X: Any) -> NDArray:
    if isinstance(X, list | tuple):
        array = np.asarray(X)
        # numpy makes strings of the numbers among them.
        X = np.asarray(X, dtype=object) if array.dtype.kind in "SU" else array
    elif getattr(getattr(X, "dtype", None), "kind", None) == "T":
        X = X.astype(object)
    elif isinstance(X, np.ma.MaskedArray):  # scikit-learn would read what is behind the mask
        X = _unmasked(X)
    array = check_array(X, dtype=None, ensure_all_finite=False)
    return array.astype(object) if array.dtype.kind == "U" else array


def _dense_tensor(X: Any) -> Any:
    """A tensor of torch that numpy takes for an array."""
    if str(X.layout) != "torch.strided":
        raise TypeError(
            f"Expected a dense tensor, got one of layout {X.layout}: pass a scipy sparse matrix, "
            "or what its to_dense() gives."
        )
    # Not on another device, not part of a graph, and signs and conjugates written out.
    X = X.detach().cpu().resolve_conj().resolve_neg()
    # numpy has no bfloat16, and nothing that is narrower.
    is_known = str(X.dtype) in ("torch.float16", "torch.float32", "torch.float64")
    return X if is_known or not X.dtype.is_floating_point else X.float()


def _unmasked(X: np.ma.MaskedArray) -> NDArray:
    """The array with what is missing in the place of what is masked."""
    mask, values = np.ma.getmaskarray(X), np.asarray(X.data)
    if not mask.any():
        return values
    if values.dtype.kind in "biufc":
        return np.where(mask, np.nan, values.astype(np.result_type(values, np.float32)))
    return np.where(mask, np.array(None, dtype=object), values.astype(object))


def _is_instance(X: Any, library: str, name: str) -> bool:
    """Whether X is of a class of a library, which isn't imported for this."""
    module = sys.modules.get(library)
    return module is not None and isinstance(X, getattr(module, name, ()))


def is_frame(X: Any) -> bool:
    """Whether X is a data frame, of whatever library."""
    if _is_instance(X, "pandas", "DataFrame") or _is_instance(X, "polars", "DataFrame"):
        return True
    # What libraries share their data with others by; their series have a dtype.
    shares = hasattr(X, "__arrow_c_stream__") or hasattr(X, "__dataframe__")
    return shares and not hasattr(X, "dtype")


def _is_numeric(dtype: Any) -> bool:
    """Whether a dtype is one of numpy's numeric ones, booleans among them."""
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"


def refuse_lazy(X: Any) -> None:
    """Raise TypeError for a frame that is still to be computed."""
    if _is_instance(X, "polars", "LazyFrame"):
        raise TypeError("Expected a data frame, got a polars.LazyFrame: call its collect() first.")


def known_frame(X: Any) -> Any:
    """A data frame itself if it is one of pandas or polars, else as one of pandas."""
    if _is_instance(X, "pandas", "DataFrame") or _is_instance(X, "polars", "DataFrame"):
        return X
    try:
        if hasattr(X, "to_pandas"):
            return X.to_pandas()
        if hasattr(X, "__arrow_c_stream__"):
            import pyarrow

            return pyarrow.table(X).to_pandas()
        from pyarrow.interchange import from_dataframe

        return from_dataframe(X).to_pandas()
    except ImportError as error:
        raise ImportError(
            f"data frames of type {type(X).__name__} need pandas and pyarrow: "
            'pip install "skrgvae[frames]"'
        ) from error


def held_dtype(dtype: Any) -> Any:
    """What an extension dtype of pandas holds; any other dtype as it is.

    Nullable and Arrow ones name it numpy_dtype, sparse ones subtype.
    """
    if hasattr(dtype, "fill_value"):  # sparse: intervals have a subtype, too, and hold none of it
        return dtype.subtype
    return getattr(dtype, "numpy_dtype", dtype)


def _read_pandas(label: str, series: Any) -> Column:
    import pandas

    dtype = series.dtype
    if isinstance(dtype, pandas.CategoricalDtype):
        categories = series.cat.categories.to_numpy(dtype=object)
        codes = series.cat.codes.to_numpy()  # -1 is missing
        values = np.append(categories, np.array([None], dtype=object))[codes]
        return Column(label, values, str(dtype), has_categories=True)
    if isinstance(dtype, np.dtype):
        return Column(label, series.to_numpy(), str(dtype))
    held = held_dtype(dtype)
    held = held if isinstance(held, np.dtype) else np.dtype(object)
    if held.kind in "biuf":
        if not series.isna().any():
            return Column(label, series.to_numpy(dtype=held), str(dtype))
        if held.kind != "b":
            values = series.to_numpy(dtype=float_dtype(held), na_value=np.nan)
            return Column(label, values, str(dtype))
    is_text = isinstance(dtype, pandas.StringDtype) or held.kind == "U"
    # Arrow's categories, a dictionary, are none of pandas' dtype, but of the same type.
    has_categories = is_text or dtype.type is pandas.CategoricalDtype.type
    return Column(label, series.to_numpy(dtype=object), str(dtype), has_categories)


def _read_polars(series: Any) -> Column:
    import polars

    label, dtype = repr(series.name), series.dtype
    if dtype.is_numeric() or dtype.is_temporal():
        if dtype.is_decimal() or "128" in str(dtype):  # numpy has no such numbers
            series = series.cast(polars.Float64)
        return Column(label, series.to_numpy(), str(dtype))
    if is_text := dtype in (polars.String, polars.Categorical, polars.Enum):
        series = series.cast(polars.String)
    cells = series.to_list()
    values = np.fromiter(cells, dtype=object, count=len(cells))
    return Column(label, values, str(dtype), has_categories=is_text)


def _write_pandas(values: NDArray, dtype: Any) -> Any:
    import pandas

    if values.dtype != object:
        return pandas.Series(values)
    present = set(values) - {None}
    if isinstance(dtype, pandas.CategoricalDtype):
        if present <= set(dtype.categories):
            return pandas.Series(values, dtype=dtype)
        return pandas.Series(values, dtype="category")
    is_text = isinstance(dtype, pandas.StringDtype) or dtype.kind == "U"
    # A dtype of text would make text of numbers.
    holds_all = is_text and all(isinstance(value, str) for value in present)
    if holds_all or dtype == np.dtype(object):
        return pandas.Series(values, dtype=dtype)
    return pandas.Series(values.tolist())


def _write_polars(values: NDArray, like: Any) -> Any:
    import polars

    if values.dtype != object:
        return polars.Series(like.name, values).fill_nan(None)
    series = polars.Series(like.name, values.tolist(), strict=False)
    # Where all are missing, polars has nothing to take a dtype from.
    are_text = series.dtype in (polars.String, polars.Null)
    holds_all = like.dtype in (polars.String, polars.Categorical)
    if like.dtype == polars.Enum:
        holds_all = set(values) - {None} <= set(like.dtype.categories)
    return series.cast(like.dtype) if are_text and holds_all else series
