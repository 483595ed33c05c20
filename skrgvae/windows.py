"""A series in the rows of a table: every row with the rows before it."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from skrgvae._sklearn_compat import Interval, check_feature_names_in, fit_context, safe_indexing
from skrgvae.data.frames import as_table, is_frame, known_frame, read_columns, refuse_lazy


class WindowTransformer(TransformerMixin, BaseEstimator):
    """Every row of a multichannel series with the rows before it, side by side.

    A row is one point in time, a column one channel, and the rows stand in the order of time. Row
    i comes out as rows i - length + 1 to i, the oldest first. Nothing later than row i is in it,
    and there are as many rows as before, so labels, weights and other columns stay aligned. What
    lies before the start of the series is missing (NaN), which `HierarchicalSparseEncoder` takes
    as it is. Nothing is learned from the values.

    Parameters
    ----------
    length : int, default=10
        Rows in one window.
    group : str, int or None, default=None
        Name or position of a column that says which series a row belongs to: a machine, a
        recording, a patient. No window reaches from one series into another, the rows of several
        series may be mixed, and the column is no channel. None: all rows are one series.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen in fit, the column of the groups included.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns; only where all were strings.

    Notes
    -----
    A row's window needs the rows before it. To transform new rows of a known series, pass the
    `length` - 1 rows before them as well and drop what comes out for these. In front of a
    classifier, inside or outside a pipeline, rows of one window must not be spread over training
    and test rows: split by time (`sklearn.model_selection.TimeSeriesSplit` with ``gap=length -
    1``) or by group (`sklearn.model_selection.GroupKFold`). For windows without missing starts,
    or one window in every few rows, slice the result: ``windows[length - 1 :: step]``.

    Without `group` the result is a read-only view of one copy of the series (NumPy's
    `sliding_window_view`) and takes no more memory than that, however long the windows are.

    See Also
    --------
    numpy.lib.stride_tricks.sliding_window_view : Windows of an array.
    sklearn.model_selection.TimeSeriesSplit : Splits that keep the order of time.

    Examples
    --------
    >>> import numpy as np
    >>> from skrgvae import WindowTransformer
    >>> X = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    >>> windows = WindowTransformer(length=2).fit(X)
    >>> windows.transform(X)
    array([[nan, nan,  1., 10.],
           [ 1., 10.,  2., 20.],
           [ 2., 20.,  3., 30.]])
    >>> windows.get_feature_names_out().tolist()
    ['x0_lag1', 'x1_lag1', 'x0_lag0', 'x1_lag0']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "length": [Interval(Integral, 1, None, closed="left")],
        "group": [str, Integral, None],
    }

    def __init__(self, length: int = 10, *, group: str | int | None = None) -> None:
        self.length = length
        self.group = group

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the series and keep the names of its columns.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            Channels of numbers, NaN where missing, and the column of the groups.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If `group` names no column or leaves no channel, a channel holds strings or infinite
            numbers, a row has no group, or no series has `length` rows.
        TypeError
            If a channel holds dates or anything else that is no number.
        """
        channels, groups = self._read(X, reset=True)
        longest = len(channels) if groups is None else int(np.bincount(groups).max())
        if self.length > longest:
            raise ValueError(
                f"length={self.length} is more than the longest series has rows "
                f"(n_samples={longest}): the oldest row of a window would always be missing."
            )
        return self

    def transform(self, X: Any) -> NDArray[np.floating]:
        """Windows that end at each row.

        Parameters
        ----------
        X : {array-like, data frame} of shape (n_samples, n_features)
            As for `fit`, in the order of time.

        Returns
        -------
        ndarray of shape (n_samples, length * n_channels)
            All channels of the oldest row first, those of the row itself last; float32 for
            float32 channels, else float64. Without `group` it can't be written to.

        Raises
        ------
        ValueError, TypeError
            As for `fit`, but that series may be short, and if the columns are not those seen in
            `fit`.
        """
        check_is_fitted(self)
        channels, groups = self._read(X, reset=False)
        n_rows, n_channels = channels.shape
        n_before = self.length - 1
        # In a row of all numbers, series after series, each behind rows that are missing, every
        # window is one stretch.
        if groups is None:
            positions = np.arange(n_rows) + n_before
        else:
            order = np.argsort(groups, kind="stable")
            positions = np.empty(n_rows, dtype=np.intp)
            positions[order] = np.arange(n_rows) + n_before * (groups[order] + 1)
        padded = np.full((int(positions.max()) + 1, n_channels), np.nan, channels.dtype)
        padded[positions] = channels
        windows = sliding_window_view(padded.ravel(), self.length * n_channels)[::n_channels]
        return windows if groups is None else windows[positions - n_before]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns: channel, then how many rows back, "temperature_lag3" for one.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns where `fit` saw none; else checked against those it saw.

        Returns
        -------
        ndarray of str of shape (length * n_channels,)
            The lags are padded with zeros to the width of the longest.
        """
        check_is_fitted(self, "n_features_in_")
        names = list(check_feature_names_in(self, input_features))
        if self.group is not None:
            del names[self._group_position()]
        width = len(str(self.length - 1))
        lags = range(self.length - 1, -1, -1)
        return np.array([f"{name}_lag{lag:0{width}d}" for lag in lags for name in names], object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        return tags

    def _read(self, X: Any, reset: bool) -> tuple[NDArray[np.floating], NDArray[np.intp] | None]:
        """The channels, and the number of every row's group, counted from 0."""
        refuse_lazy(X)
        X = known_frame(X) if is_frame(X) else as_table(X)[0]
        validate_data(self, X, reset=reset, skip_check_array=True)
        if self.group is None:
            return _channels(X), None
        position = self._group_position()
        if self.n_features_in_ == 1:
            raise ValueError(f"X must have a channel beside the column of group {self.group!r}.")
        others = [column for column in range(self.n_features_in_) if column != position]
        channels = _channels(safe_indexing(X, others, axis=1))
        column = safe_indexing(X, [position], axis=1)
        for row, value in enumerate(np.asarray(column, dtype=object)[:, 0]):
            if _is_missing(value):
                raise ValueError(
                    f"Every row must have a group, but column {self.group!r} is missing in row "
                    f"{row}."
                )
        # A global set_output shall not make a data frame of what stays inside.
        encoder = OrdinalEncoder().set_output(transform="default")
        return channels, encoder.fit_transform(column)[:, 0].astype(np.intp)

    def _group_position(self) -> int:
        """Position of the column of the groups."""
        names = getattr(self, "feature_names_in_", None)
        if isinstance(self.group, str):
            if names is not None and self.group in names:
                return int(np.flatnonzero(names == self.group)[0])
        elif self.group is not None and 0 <= self.group < self.n_features_in_:
            return int(self.group)
        known = "" if names is None else f", names {names.tolist()}"
        raise ValueError(
            f"group={self.group!r} is no column of X (positions 0 to {self.n_features_in_ - 1}"
            f"{known})."
        )


def _channels(X: Any) -> NDArray[np.floating]:
    """Columns of numbers as an array, which is no copy where they are one of floats."""
    table, labels = as_table(X)
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "biuf":
        columns = read_columns(table, labels)
        for column in columns:
            if column.kind == "strings":
                raise ValueError(
                    f"could not convert string to float: {column.example()!r} in column "
                    f"{column.label}. Make numbers of it, drop it, or name it as the group."
                )
        are_float32 = all(column.values.dtype == np.float32 for column in columns)
        dtype = np.dtype(np.float32 if are_float32 else np.float64)
        table = np.column_stack([column.numbers(dtype) for column in columns])
    dtypes = [np.float64, np.float32]
    return check_array(table, dtype=dtypes, ensure_all_finite="allow-nan", input_name="X")


def _is_missing(value: Any) -> bool:
    """Whether a cell is NaN, NaT, None or pandas.NA."""
    if isinstance(value, float | np.floating | np.datetime64 | np.timedelta64):
        return bool(value != value)
    return value is None or type(value).__name__ in {"NAType", "NaTType"}
