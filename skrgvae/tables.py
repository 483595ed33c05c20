"""A user's file as a table and class labels, or an error that says what to do.

Also the way back, for features.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from io import BytesIO
from numbers import Number
from pathlib import Path
from typing import IO, Any

import numpy as np

from skrgvae.data.frames import repeated
from skrgvae.persistence.atomic import write_atomically

# More different values than this are no class labels; fractions are measurements sooner than
# whole numbers and words are.
_MAX_CLASSES = 100
_MAX_FRACTIONAL_CLASSES = 20

# The first whole number that labels of int64 have no room for.
_BEYOND_INT64 = 2**63

_ENDINGS = (".csv", ".csv.gz", ".parquet", ".npy", ".npz")

# Text of which less than this share is no number is meant as numbers: often it is a question mark
# for what is missing.
_ODD_SHARE = 0.5

# A date as ISO 8601 writes it, also with a time of the day behind it.
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([T ]\d\d:\d\d.*)?")

# What columns may be separated by other than commas, which is an error that names it.
_OTHER_SEPARATORS = ";\t|"

# A message lists at most this many columns.
_MAX_LISTED = 10


class TableError(ValueError):
    """A file can't be used as it stands; the message says why and what to do."""


@dataclass(frozen=True)
class Table:
    """What a file holds.

    Attributes
    ----------
    X : pandas.DataFrame, or ndarray where the file has no names, of shape (n_samples, n_features)
        Numbers, without infinite ones, and categories as text; cells may be missing.
    y : ndarray of shape (n_samples,)
        Class labels, numbers or strings.
    feature_names : list of str
        Names of the columns of X; their positions where the file has no names.
    target : str
        Name of the column that became y.
    """

    X: Any
    y: np.ndarray
    feature_names: list[str]
    target: str


def read_table(path: str | Path, target: str | None = None, drop: Iterable[str] = ()) -> Table:
    """Read a csv (also .csv.gz), parquet, npy or npz file.

    Parameters
    ----------
    path : str or Path
        The ending of the name says what the file is.
    target : str, default=None
        Column of the class labels: its name; in npy and npz files its position in X, from 0.
        None is for npz files only and means their array y.
    drop : iterable of str, default=()
        Columns to leave out, told like the target.

    Returns
    -------
    Table
        Columns and labels.
    """
    path, drop = Path(path), list(drop)
    try:
        columns, labels = _read(path)
        if target == "y" and labels is not None:
            target = None  # what an npz file calls it
        if target is None:
            if labels is None:
                raise TableError(
                    f"--target must say which column holds the class labels: {_listed(columns)}"
                )
            target = "y"
        else:
            _check_exists(target, columns)
            labels = columns.pop(target)
        if target in drop:
            raise TableError(f"column {target!r} can't be the target and be dropped")
        features = _without(drop, columns)
        return Table(
            X=_table(features),
            y=_class_labels(labels, target),
            feature_names=list(features),
            target=target,
        )
    except TableError as error:
        raise TableError(f"{path}: {error}") from error.__cause__


def read_features(
    path: str | Path,
    drop: Iterable[str] = (),
    only: Sequence[str] | None = None,
    text: Sequence[str] = (),
) -> Any:
    """Read the columns of a file that `read_table` reads, without labels.

    Parameters
    ----------
    path : str or Path
    drop : iterable of str, default=()
        Columns to leave out; they must be there, and none of those wanted.
    only : sequence of str, default=None
        The columns wanted, in this order, whatever else the file holds; it must have names.
    text : sequence of str, default=()
        Columns of text, even where all that a csv file has in them could be numbers.

    Returns
    -------
    pandas.DataFrame, or ndarray where the file has no names, of shape (n_samples, n_features)
        As in `Table`.
    """
    path, drop = Path(path), list(drop)
    try:
        columns, labels = _read(path, text)
        if labels is not None:
            drop = [name for name in drop if name != "y"]  # what an npz file calls them
        is_named = not isinstance(next(iter(columns.values())), np.ndarray)
        if only is None:
            columns = _without(drop, columns)
        elif not is_named:
            raise TableError("the columns have no names, but those the model was fitted on have")
        else:
            for name in drop:
                _check_exists(name, columns)
                if name in only:
                    raise TableError(f"column {name!r} can't be dropped: the model needs it")
            missing = [name for name in only if name not in columns]
            if missing:
                raise TableError(
                    f"columns the model was fitted on are missing: {_listed(missing)}"
                )
            columns = {name: columns[name] for name in only}
        return _table(columns, text)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error.__cause__


def write_features(path: str | Path, features: np.ndarray, names: Sequence[str]) -> None:
    """Write features to a csv (also .csv.gz), parquet, npy or npz file, in full or not at all.

    Parameters
    ----------
    path : str or Path
        The ending of the name says what the file becomes; npz files hold the array X.
    features : ndarray of shape (n_samples, n_features)
    names : sequence of str
        Of the columns; npy and npz files don't keep them.
    """
    ending, file = ending_of(path), BytesIO()
    if ending == ".npy":
        np.save(file, features)
    elif ending == ".npz":
        np.savez(file, X=features)
    else:
        _write_frame(file, ending, features, names)
    write_atomically(path, file.getvalue())


def drop_option(name: str) -> str:
    """What leaves a column out on the command line."""
    return f"--drop{'=' if name.startswith('-') else ' '}{shlex.quote(name)}"


def ending_of(path: str | Path) -> str:
    """Which of the endings that say what a file is a path has."""
    for ending in _ENDINGS:
        if Path(path).name.lower().endswith(ending):
            return ending
    raise TableError(f"the name {Path(path).name!r} must end in one of {', '.join(_ENDINGS)}")


def _read(path: Path, text: Sequence[str] = ()) -> tuple[dict[str, Any], Any]:
    """Columns by name, and the labels of an npz file."""
    # With low_memory pandas may take a column for numbers in one part and for text in the next.
    csv = partial(_read_csv, low_memory=False, dtype=dict.fromkeys(text, str))
    readers: dict[str, Callable[[IO[bytes]], tuple[dict[str, Any], Any]]] = {
        ".csv": csv,
        ".csv.gz": partial(csv, compression="gzip"),
        ".parquet": _read_parquet,
        ".npy": _read_arrays,
        ".npz": _read_arrays,
    }
    reader = readers[ending_of(path)]
    with path.open("rb") as file:
        try:
            columns, labels = reader(file)
        except (TableError, ImportError):
            raise
        except Exception as error:  # parsers meet a damaged file with exceptions of many kinds
            raise TableError(f"can't be read: {error}") from error
    if not columns:
        raise TableError("there are no columns")
    if not len(next(iter(columns.values()))):
        raise TableError("there are no rows")
    return columns, labels


def _read_csv(file: IO[bytes], **options: Any) -> tuple[dict[str, Any], None]:
    with _frames_extra():
        import pandas as pd

        # By itself: further rows may have more commas, where these separate nothing; and pandas 3
        # makes of 1, 2, 3 in an index one that can't be told from that of a file without.
        first_row = pd.read_csv(file, nrows=1, **{**options, "dtype": str})
        _check_separators(first_row.columns)
        file.seek(0)
        if isinstance(first_row.index, pd.RangeIndex):
            frame = pd.read_csv(file, **options)
        else:
            frame = _with_all_fields(first_row, file, options)
    return _columns_of(frame), None


def _read_parquet(file: IO[bytes]) -> tuple[dict[str, Any], None]:
    with _frames_extra():
        import pandas as pd
        from pyarrow.parquet import read_schema

        if twice := repeated(read_schema(file).names):
            raise TableError(
                "each column must have a name of its own, more than once there is "
                + _listed(twice)
            )
        file.seek(0)
        frame = pd.read_parquet(file)
    columns = _columns_of(frame)
    _check_separators(list(columns))
    return columns, None


def _columns_of(frame: Any) -> dict[str, Any]:
    return {str(name): _without_decimals(column) for name, column in frame.items()}


def _with_all_fields(first_row: Any, file: IO[bytes], options: dict[str, Any]) -> Any:
    """A csv file whose rows have more fields than its header, the others being empty.

    pandas takes the first fields for an index, and everything else moves aside.
    """
    import pandas as pd

    names = [str(name) for name in first_row.columns]
    extra = [f"field {len(names) + 1 + n}" for n in range(first_row.index.nlevels)]
    whole = pd.read_csv(file, header=0, names=[*names, *extra], **options)
    if whole[extra].notna().any(axis=None):
        raise TableError(f"rows have {len(extra)} fields more than the header has names")
    return whole[names]


def _without_decimals(column: Any) -> Any:
    """A column of decimal.Decimal, as databases write them, as floats."""
    if column.dtype == object and isinstance(column.dropna().head(1).squeeze(), Decimal):
        return column.astype(np.float64)
    return column


def _check_separators(names: Sequence[Any]) -> None:
    """Raise an error where what should be several names is a single one."""
    if len(names) != 1:
        return
    name = str(names[0])
    if other := next((mark for mark in _OTHER_SEPARATORS if mark in name), None):
        raise TableError(
            f"there is one column, {name!r}: columns must be separated by commas, not {other!r}"
        )


def _write_frame(file: BytesIO, ending: str, features: np.ndarray, names: Sequence[str]) -> None:
    with _frames_extra():
        import pandas as pd

        frame = pd.DataFrame(features, columns=list(names))
        if ending == ".parquet":
            frame.to_parquet(file)
        else:
            compression = "gzip" if ending == ".csv.gz" else None
            frame.to_csv(file, index=False, mode="wb", compression=compression)


@contextmanager
def _frames_extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError(
            'csv and Parquet files need pandas and pyarrow, which the extra "frames" installs: '
            'pip install "skrgvae[frames]", or ".[frames]" in the source tree'
        ) from error


def _read_arrays(file: IO[bytes]) -> tuple[dict[str, Any], Any]:
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        X, labels = loaded, None
    elif "X" in loaded:
        X, labels = loaded["X"], loaded["y"] if "y" in loaded else None
    else:
        raise TableError(f"an array X is needed, the file holds {_listed(loaded)}")
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise TableError(
            f"a 2-dimensional array of numbers is needed, got {X.ndim} dimension(s) of {X.dtype}"
        )
    if labels is not None and labels.shape != X.shape[:1]:
        raise TableError(f"y has shape {labels.shape}, but X has {X.shape[0]} rows")
    return {str(position): column for position, column in enumerate(X.T)}, labels


def _listed(names: Iterable[str]) -> str:
    first, more = list(names)[:_MAX_LISTED], len(list(names)) - _MAX_LISTED
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


def _check_exists(name: str, columns: dict[str, Any]) -> None:
    if name not in columns:
        close = get_close_matches(name, columns)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {_listed(columns)}"
        raise TableError(f"there is no column {name!r}; {hint}")


def _without(drop: Sequence[str], columns: dict[str, Any]) -> dict[str, Any]:
    for name in drop:
        _check_exists(name, columns)
    left = {name: column for name, column in columns.items() if name not in drop}
    if not left:
        raise TableError("no column is left")
    return left


def _table(columns: dict[str, Any], text: Sequence[str] = ()) -> Any:
    """Columns side by side, where all can be used: an array, or a frame where they have names."""
    _check_usable({name: column for name, column in columns.items() if name not in text})
    if isinstance(next(iter(columns.values())), np.ndarray):
        return np.column_stack(list(columns.values()))
    import pandas as pd  # has read the file

    return pd.DataFrame(columns)


def _check_usable(columns: dict[str, Any]) -> None:
    """Raise an error that names every column that no encoder could use."""
    problems = {name: problem for name, column in columns.items() if (problem := _problem(column))}
    if not problems:
        return
    lines = [f"  {name}: {problem}" for name, problem in problems.items()]
    if len(lines) > _MAX_LISTED:
        lines[_MAX_LISTED:] = [f"  and {len(lines) - _MAX_LISTED} more"]
        options = "--drop NAME for each"
    else:
        options = " ".join(map(drop_option, problems))
    raise TableError(
        "\n".join(
            [
                "numbers, text and categories can be used, and cells may be missing. Not usable:",
                *lines,
                f"Leave them out ({options}), or put them right first: dates as numbers, odd"
                " entries among numbers and infinite values as missing ones.",
            ]
        )
    )


def _problem(column: Any) -> str | None:
    """What keeps a column from being used, or None."""
    kind = column.dtype.kind
    if kind in "biuf":
        if infinite := np.count_nonzero(np.isinf(_numbers(column))):
            return f"{infinite} infinite"
        return None
    if kind in "mM":
        return "dates or times"
    if kind == "c":
        return "complex numbers"
    return _problem_of_text(column)


def _problem_of_text(column: Any) -> str | None:
    """What is wrong with text: nothing, but where one odd entry makes text of numbers."""
    import pandas as pd  # only a data frame has such columns

    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    values = pd.Series(column.cat.categories, dtype=object) if is_categorical else column.dropna()
    if not len(values):
        return None
    if values.dtype == object:  # dtypes of text hold nothing else
        usable = str | Number | np.bool_
        other = next((value for value in values if not isinstance(value, usable)), None)
        if other is not None:
            return f"values of the type {type(other).__name__}"
    if is_categorical:
        return None
    words = values.astype(str)
    if all(map(_DATE.fullmatch, words)):
        return "dates or times"
    with_commas = words[words.str.contains(",", regex=False).to_numpy()]
    if len(with_commas) and _are_numbers(words.str.replace(",", "")).mean() > 1 - _ODD_SHARE:
        return f"numbers with commas, such as {with_commas.iloc[0]!r}"
    odd = values[~_are_numbers(words)]
    if len(odd) == 0:
        return "numbers written as text"
    if len(odd) < _ODD_SHARE * len(values):
        return f"numbers, but for entries such as {odd.iloc[0]!r}"
    return None


def _are_numbers(words: Any) -> np.ndarray:
    import pandas as pd

    return pd.to_numeric(words, errors="coerce").notna().to_numpy()


def _numbers(column: Any) -> np.ndarray:
    """A numeric column as float64, its missing values as NaN."""
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _class_labels(column: Any, name: str) -> np.ndarray:
    """The target as whole numbers, fractions or strings of which there are few."""
    if column.dtype.kind in "iu" and not getattr(column, "hasnans", False):
        fits = int(column.max()) < _BEYOND_INT64
        labels, fractional = np.asarray(column, dtype=np.int64 if fits else np.uint64), False
    elif column.dtype.kind in "iuf":
        labels = _numbers(column)
        if not np.isfinite(labels).all():
            raise TableError(f"target column {name!r} has missing or infinite values")
        fractional = bool(np.any(labels != np.floor(labels)))
        if not fractional and np.abs(labels).max() < _BEYOND_INT64:
            labels = labels.astype(np.int64)
    else:
        if not isinstance(column, np.ndarray) and column.isna().any():
            raise TableError(
                f"target column {name!r} has missing values (csv files: also words such as NA and"
                " None)"
            )
        labels, fractional = np.asarray(column).astype(str), False
    n_classes, limit = (
        np.unique(labels).size,
        _MAX_FRACTIONAL_CLASSES if fractional else _MAX_CLASSES,
    )
    if n_classes > limit:
        raise TableError(
            f"target column {name!r} has {n_classes} different values, but must hold class labels,"
            f" at most {limit} different ones{' when they are fractions' * fractional}; cut a"
            " quantity into classes first"
        )
    return labels
