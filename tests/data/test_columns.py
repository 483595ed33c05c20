"""Tables of every kind as numbers and back; what is refused, and how."""

import datetime
import enum
import json
import pickle
import re
import subprocess
import sys
import tracemalloc
from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.categories import MAX_CATEGORIES, MIN_ROWS_OF_IDENTIFIER
from skrgvae.data.columns import Columns
from skrgvae.data.learning import ColumnsSoFar

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

DAY = datetime.date(2020, 2, 29)
MIXED = {
    "height": [1.5, None, 3.5, 0.25],
    "city": ["Oslo", "Rome", None, "Oslo"],
    "rooms": [3, 1, 2, 2],
    "sold": [True, False, True, True],
    "class": ["b", "a", "b", ""],
}
ENCODED = np.array(
    [[1.5, 0, 3, 1, 2], [np.nan, 1, 1, 0, 1], [3.5, np.nan, 2, 1, 2], [0.25, 0, 2, 1, 0]]
)


def learn(X, *arguments, **named):
    return ColumnsSoFar.learn(X, *arguments, **named).settled()


def rows_of(columns):
    """The same table as an array of objects."""
    return np.array(list(zip(*columns.values(), strict=True)), dtype=object)


class ArrowOnly:
    """A data frame of some other library, which shares its columns in one way."""

    def __init__(self, frame):
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self._frame.__arrow_c_stream__(requested_schema)


class InterchangeOnly:
    """The same for a library that shares its columns in the older way."""

    def __init__(self, frame):
        self._frame = frame

    def __dataframe__(self, *args, **kwargs):
        return self._frame.__dataframe__(*args, **kwargs)


def mixed_tables():
    pandas, polars = pd.DataFrame(MIXED), pl.DataFrame(MIXED)
    text = ["city", "class"]
    cities, classes = pl.Enum(["Rome", "Oslo", "Bergen"]), pl.Enum(["b", "", "a"])
    return {
        "pandas": pandas,
        "pandas, objects": pandas.astype(object),
        "pandas, text with NaN": pandas.astype(dict.fromkeys(text, object)).fillna(np.nan),
        "pandas, category": pandas.astype(dict.fromkeys(text, "category")),
        "pandas, ordered": pandas.astype(
            {"city": pd.CategoricalDtype(["Rome", "Oslo", "Bergen"], ordered=True)}
        ),
        "pandas, nullable": pandas.convert_dtypes(),
        "pandas, arrow": pandas.convert_dtypes(dtype_backend="pyarrow"),
        "pandas, arrow categories": pandas.astype(
            dict.fromkeys(text, pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))
        ),
        "pandas, sparse": pandas.astype({"rooms": pd.SparseDtype("int64", 2)}),
        "pandas, other rows": pandas.set_index([[5, 5, 7, 1]]),
        "polars": polars,
        "polars, category": polars.with_columns(pl.col(text).cast(pl.Categorical)),
        "polars, enum": polars.with_columns(
            pl.col("city").cast(cities), pl.col("class").cast(classes)
        ),
        "polars, decimal": polars.with_columns(pl.col("rooms").cast(pl.Decimal(10, 2))),
        "pyarrow": pa.table(MIXED),
        "arrow stream": ArrowOnly(pa.table(MIXED)),
        "interchange": InterchangeOnly(pa.table(MIXED)),
        "array": rows_of(MIXED),
        "array, NaN and NA": rows_of(
            {**MIXED, "height": [1.5, np.nan, 3.5, 0.25], "city": ["Oslo", "Rome", pd.NA, "Oslo"]}
        ),
        "array, NA among numbers": rows_of({**MIXED, "height": [1.5, pd.NA, 3.5, 0.25]}),
        "array, decimal": rows_of({**MIXED, "rooms": [Decimal(x) for x in MIXED["rooms"]]}),
        "list": rows_of(MIXED).tolist(),
        "tuple": tuple(map(tuple, rows_of(MIXED).tolist())),
    }


@pytest.mark.parametrize("name", mixed_tables())
def test_every_container_gives_the_same(name):
    X = mixed_tables()[name]
    columns = learn(X)
    assert columns.categories == (None, ("Oslo", "Rome"), None, None, ("", "a", "b"))
    assert columns.n_categories == (0, 2, 0, 0, 3)
    is_frame = not isinstance(X, np.ndarray | list | tuple)
    assert columns.names == (tuple(MIXED) if is_frame else None)
    encoded = columns.encode(X)
    assert encoded.dtype == np.float64 and encoded.flags.c_contiguous
    np.testing.assert_array_equal(encoded, ENCODED)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8, bool, object])
def test_what_is_masked_is_missing(dtype):
    values = np.array([[1, 0], [0, 1], [1, 1]]).astype(dtype)
    masked = np.ma.MaskedArray(values, [[False, True], [False, False], [True, False]])
    expected = np.array([[1, np.nan], [0, 1], [np.nan, 1]])
    columns = learn(masked)
    np.testing.assert_array_equal(columns.encode(masked), expected)
    np.testing.assert_array_equal(columns.encode(np.ma.MaskedArray(values)), values.astype(float))
    rows = np.ma.MaskedArray(np.random.default_rng(0).normal(size=(40, 3)), mask=False)
    rows[0, 1] = np.ma.masked
    fitted = HierarchicalSparseEncoder((3, 2), max_iter=1, random_state=0).fit(rows)
    np.testing.assert_array_equal(fitted.transform(rows), fitted.transform(rows.filled(np.nan)))
    assert fitted.impute(rows)[0, 1] != rows.data[0, 1]


@pytest.mark.parametrize("name", ["pyarrow", "arrow stream", "interchange"])
def test_frames_of_other_libraries_are_known_in_every_method(name):
    X, frame = mixed_tables()[name], pd.DataFrame(MIXED)
    parameters = {"layer_sizes": (3, 2), "max_iter": 1, "random_state": 0}
    fitted = HierarchicalSparseEncoder(**parameters).fit(X)
    assert fitted.feature_names_in_.tolist() == list(MIXED)
    expected = HierarchicalSparseEncoder(**parameters).fit(frame)
    np.testing.assert_array_equal(fitted.transform(X), expected.transform(frame))
    assert fitted.score(X) == expected.score(frame)
    assert not fitted.impute(X).isna().any(axis=None)


def test_the_index_that_an_arrow_table_carries_is_no_column():
    frame = pd.DataFrame(MIXED, index=[7, 3, 5, 4])
    encoder = HierarchicalSparseEncoder((3, 2), max_iter=1, random_state=0).fit(frame)
    for table in (pa.Table.from_pandas(frame), pa.RecordBatch.from_pandas(frame)):
        np.testing.assert_array_equal(encoder.transform(table), encoder.transform(frame))
        assert encoder.impute(table).index.tolist() == [7, 3, 5, 4]
        refitted = HierarchicalSparseEncoder((3, 2), max_iter=1).fit(table)
        assert refitted.n_features_in_ == len(MIXED)


def test_sparse_matrices_hold_no_categories():
    codes = np.column_stack([np.arange(6.0), [1, 2, 3, 1, 2, 3]])
    sparse = csr_array(codes)
    parameters = {"layer_sizes": (3, 2), "max_iter": 1, "categorical_features": [1]}
    fitted = HierarchicalSparseEncoder(**parameters).fit(codes)
    message = "X is sparse, and holds numbers only, but column 1 is categorical"
    for method in (fitted.transform, fitted.score, fitted.partial_fit, fitted.fit):
        with pytest.raises(TypeError, match=message):
            method(sparse)
    with pytest.raises(TypeError, match=message.replace("X", "X_val")):
        fitted.fit(codes, X_val=sparse)
    with pytest.raises(ValueError, match="integer indices must be in"):
        fitted.set_params(categorical_features=[2]).fit(sparse)


@pytest.mark.parametrize("learned_from", ["pandas", "polars, enum", "list"])
def test_containers_can_be_changed_after_training(learned_from):
    columns = learn(mixed_tables()[learned_from])
    for X in mixed_tables().values():
        np.testing.assert_array_equal(columns.encode(X), ENCODED)


def test_strings_alone():
    for X in ([["b"], ["a"]], np.array([["b"], ["a"]]), np.array([["b"], ["a"]], "T")):
        columns = learn(X)
        assert columns.categories == (("a", "b"),)
        np.testing.assert_array_equal(columns.encode(X), [[1], [0]])
    assert type(columns.categories[0][0]) is str


# Numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_not_copied(dtype, tmp_path):
    X = np.arange(12, dtype=dtype).reshape(4, 3)
    X[1, 1] = np.nan
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=X.shape)
    mapped[:] = X
    for table in (X, mapped):
        encoded = learn(table).encode(table)
        assert np.shares_memory(encoded, table) and encoded.dtype == dtype
        assert learn(table).decode(encoded) is encoded
    turned = learn(X).encode(np.asfortranarray(X))
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, X)


def test_large_tables_are_checked_in_pieces():
    X = np.zeros((40_000, 50), dtype=np.float32)
    X[3, 4] = np.nan
    columns = learn(X)
    tracemalloc.start()
    columns.encode(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.size / 4  # a mask of all cells takes X.size bytes


@pytest.mark.parametrize("container", ["array", "list", "pandas", "nullable", "arrow", "polars"])
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        *((name, "float32") for name in ("bool", "int8", "uint8", "int16", "uint16", "float32")),
        *((name, "float64") for name in ("int32", "uint32", "int64", "uint64", "float64")),
    ],
)
def test_the_smallest_float_that_is_exact(container, dtype, expected):
    array = np.array([[1, 0], [0, 1]], dtype=dtype)
    nullable = {"bool": "boolean", "uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32"}
    make = {
        "array": lambda: array,
        "list": array.tolist,
        "pandas": lambda: pd.DataFrame(array),
        "nullable": lambda: pd.DataFrame(array).astype(
            nullable.get(dtype, dtype.capitalize().replace("Uint", "UInt"))
        ),
        "arrow": lambda: pd.DataFrame(array).convert_dtypes(dtype_backend="pyarrow"),
        "polars": lambda: pl.DataFrame(array),
    }
    X = make[container]()
    encoded = learn(X).encode(X)
    np.testing.assert_array_equal(encoded, array.astype(float))
    if container == "list":
        expected = "float32" if dtype == "bool" else "float64"
    if container == "arrow" and dtype == "float32":
        return  # pandas makes integers of these numbers
    assert encoded.dtype == expected


@pytest.mark.parametrize(
    "dtype", ["Int8", "UInt8", "Int16", "Float32", "boolean", "Int64", "Float64"]
)
def test_missing_values_of_nullable_columns(dtype):
    series = pd.Series([1, pd.NA, 0], dtype=dtype)
    expected = np.float64 if "64" in dtype else np.float32
    for backed in (series, series.convert_dtypes(dtype_backend="pyarrow").astype(series.dtype)):
        encoded = learn(backed.to_frame("a")).encode(backed.to_frame("a"))
        np.testing.assert_array_equal(encoded, [[1], [np.nan], [0]])
        assert encoded.dtype == expected


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Float32, pl.Boolean, pl.Int64, pl.Null])
def test_missing_values_of_polars(dtype):
    values = [None] * 3 if dtype == pl.Null else [1, None, 0]
    series = pl.Series("a", values).cast(dtype)
    encoded = learn(series.to_frame()).encode(series.to_frame())
    np.testing.assert_array_equal(encoded[:, 0], np.array(values, dtype=float))
    assert encoded.dtype == (np.float64 if dtype == pl.Int64 else np.float32)


def test_numbers_of_other_types():
    X = np.array([[2**70, Decimal("0.5")], [np.float32(2), np.int8(3)]], dtype=object)
    np.testing.assert_array_equal(learn(X).encode(X), [[2.0**70, 0.5], [2, 3]])
    with pytest.raises(ValueError, match=r"value too large for dtype\('float64'\) in column 1"):
        X[0, 1] = 10**400
        learn(X).encode(X)


class Light(str, enum.Enum):  # noqa: UP042, a StrEnum is written as the text it is
    RED = "red"
    GREEN = "green"


def test_enums_of_text_are_the_text_they_are():
    names = np.array([[Light.RED], [Light.GREEN]], dtype=object)
    text = np.array([["red"], ["green"]], dtype=object)
    for X in (names, text):
        columns = learn(X)
        assert columns.categories == (("green", "red"),)
        for later in (names, text):
            np.testing.assert_array_equal(columns.encode(later), [[1], [0]])


def test_decimals_that_are_one_number_are_one_category():
    cells = [Decimal("0.1"), 0.1, Decimal("0.10000000000000000001"), Decimal("0.2"), None]
    X = np.array([[cell] for cell in cells], dtype=object)
    columns = learn(X, categorical_features=[0])
    assert columns.categories == ((0.1, 0.2),)
    np.testing.assert_array_equal(columns.encode(X)[:, 0], [0, 0, 0, 1, np.nan])


def test_a_column_without_a_value():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": pd.Series([None, None], dtype="category")})
    columns = learn(X)
    assert columns.categories == (None, ())
    later = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    for frame in (X, later):
        np.testing.assert_array_equal(columns.encode(frame)[:, 1], [np.nan, np.nan])
    assert columns.decode(columns.encode(X), like=X)["b"].isna().all()
    everything = np.array([[None, np.nan], [None, None]], dtype=object)
    assert learn(everything).categories == (None, None)
    assert np.isnan(learn(everything).encode(everything)).all()


# categorical_features

TABLE = pd.DataFrame({"a": [3, 1, 3, 1], "b": [0.5, np.nan, 1.5, 0.5], "c": [True, False] * 2})
CODES = {
    "a": [1, 0, 1, 0],
    "b": [0, np.nan, 1, 0],
    "c": [1, 0, 1, 0],
}


@pytest.mark.parametrize(
    "chosen",
    [
        [True, False, False],
        np.array([True, True, False]),
        [0],
        [2, 0],
        np.array([1], dtype=np.uint8),
        ["a"],
        ("c", "b"),
        np.array(["b"]),
        np.array(["a", "c"], dtype=object),
        [False, False, False],
        [],
        None,
        "from_dtype",
    ],
    ids=str,
)
@pytest.mark.parametrize("container", ["pandas", "polars", "array", "list"])
def test_forms_of_categorical_features(container, chosen):
    names = list(TABLE)
    if chosen is None or isinstance(chosen, str) or len(chosen) == 0:
        wanted = set()
    elif isinstance(chosen[0], bool | np.bool_):
        wanted = {name for name, yes in zip(names, chosen, strict=True) if yes}
    else:
        wanted = {entry if isinstance(entry, str) else names[entry] for entry in chosen}
    X = {
        "pandas": TABLE,
        "polars": pl.from_pandas(TABLE),
        "array": TABLE.to_numpy(dtype=float),
        "list": TABLE.to_numpy(dtype=object).tolist(),
    }[container]
    columns = learn(X, chosen, feature_names=names)
    assert columns.names == tuple(names)
    encoded = columns.encode(X)
    categories = {"a": (1, 3), "b": (0.5, 1.5), "c": (False, True)}
    for j, name in enumerate(names):
        assert columns.categories[j] == (categories[name] if name in wanted else None)
        expected = CODES[name] if name in wanted else TABLE[name].astype(float)
        np.testing.assert_array_equal(encoded[:, j], expected)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("a", "must be 'from_dtype', None or an array-like of bool, int or str. Got 'a'"),
        ([0.5], "array-like of bool, int or str. Got"),
        ([["a"]], "array-like of bool, int or str. Got"),
        (np.array(["a", 1], dtype=object), "array-like of bool, int or str. Got"),
        ([-1], r"must be in \[0, n_features - 1\]"),
        ([3], r"must be in \[0, n_features - 1\]"),
        ([True, False], r"boolean mask must have shape \(n_features,\), got: \(2,\)"),
        (["z"], "has an item value 'z' which is not a valid feature name of the training data"),
    ],
    ids=str,
)
def test_bad_categorical_features(chosen, message):
    with pytest.raises(ValueError, match=message):
        learn(TABLE, chosen)


def test_names_need_names():
    with pytest.raises(ValueError, match=r"integers or as a boolean mask when .* without"):
        learn(TABLE.to_numpy(float), ["a"])


@pytest.mark.parametrize("chosen", [None, [], ["a"], [True, False, False]], ids=str)
def test_strings_that_are_not_named_as_categories(chosen):
    X = pd.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": pd.Categorical(["u", "v"])})
    with pytest.raises(ValueError, match=r"string to float: 'x' in columns 'b', 'c'\."):
        learn(X, chosen)
    with pytest.raises(ValueError, match=r"string to float: 'x' in columns 1, 2\."):
        learn(X.to_numpy(dtype=object), None)


def test_categories_that_are_numbers():
    arrow = pa.array([5, None, 7]).dictionary_encode()
    for X in (
        pa.table({"a": arrow}),
        pd.DataFrame({"a": pd.Series(arrow, dtype=pd.ArrowDtype(arrow.type))}),
        pd.DataFrame({"a": pd.Categorical([5, None, 7])}),
        pd.DataFrame({"a": pd.Categorical([5, None, 7], categories=[7, 5, 3])}),
    ):
        assert learn(X).categories == ((5, 7),)
        np.testing.assert_array_equal(learn(X).encode(X), [[0], [np.nan], [1]])
        assert learn(X, None).categories == (None,)
        np.testing.assert_array_equal(learn(X, None).encode(X), [[5], [np.nan], [7]])


# At transform


def test_unseen_categories_are_missing():
    columns = learn(pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), ["a", "b"])
    later = {"a": ["z", "x", "y "], "b": [2, 9, 1]}
    expected = [[np.nan, 1], [0, np.nan], [np.nan, 0]]
    for X in (pd.DataFrame(later), pl.DataFrame(later), rows_of(later)):
        np.testing.assert_array_equal(columns.encode(X), expected)


@pytest.mark.parametrize(
    ("then", "now", "message"),
    [
        (
            ["x", "y"],
            [1.0, 2.0],
            "'a' was taken for strings in training, but holds numbers now.* 1.0",
        ),
        ([1, 2], ["x", "y"], "'a' was taken for numbers in training, but holds strings now.* 'x'"),
    ],
)
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_another_kind_of_values_is_not_just_unseen(then, now, message, make):
    columns = learn(make({"a": then}))
    with pytest.raises(ValueError, match=message):
        columns.encode(make({"a": now}))
    for nothing in ([None, None], [np.nan, np.nan]):
        assert np.isnan(columns.encode(make({"a": nothing}))).all()


def test_another_number_of_columns():
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3 features as"):
        learn(np.ones((2, 3))).encode(np.ones((2, 2)))


# Refusals


def bad_columns():
    moment, lag = datetime.datetime(2020, 2, 29, 12), datetime.timedelta(hours=1)
    dates = "dates, times and durations .* day of the week"
    return {
        "date": ([DAY, None], TypeError, dates),
        "moment": ([moment, moment], TypeError, dates),
        "time": ([datetime.time(12), None], TypeError, dates),
        "duration": ([lag, lag], TypeError, dates),
        "list": ([[1], [2, 3]], TypeError, "must be a string or a real number"),
        "dict": ([{"a": 1}, {"b": 2}], TypeError, "must be a string or a real number"),
        "bytes": ([b"x", b"y"], TypeError, "decode them to strings"),
        "complex": ([1j, 2 + 0j], ValueError, "Complex data not supported"),
        "mixed": (["x", 2.5], TypeError, "both strings and numbers, for example 'x' and 2.5"),
    }


IMPOSSIBLE = {("complex", "arrow"), ("mixed", "arrow"), ("list", "categories")}
IMPOSSIBLE |= {("dict", "categories")}


@pytest.mark.parametrize(
    ("name", "container"),
    sorted(
        set(product(bad_columns(), ["pandas", "arrow", "polars", "array", "categories"]))
        - IMPOSSIBLE
    ),
)
def test_refused_columns(name, container):
    values, kind, message = bad_columns()[name]
    good = np.array([1.5, 2.5])
    objects = np.fromiter(values, dtype=object, count=2)
    if container == "polars":
        dtype = pl.Object if name in ("mixed", "complex") else None
        X = pl.DataFrame([pl.Series("good", good), pl.Series("bad", values, dtype=dtype)])
    elif container == "array":
        X = np.stack([good.astype(object), objects], axis=1)
    else:
        X = pd.DataFrame({"good": good, "bad": pd.Series(values)})
        if container == "arrow":
            X["bad"] = X["bad"].astype(pd.ArrowDtype(pa.array(values).type))
        if container == "categories":
            X["bad"] = X["bad"].astype("category")
    label = "1" if container == "array" else "'bad'"
    good_columns = learn(np.ones((2, 2)))
    for chosen in ("from_dtype", [1]):
        with pytest.raises(kind, match=f"(?s)[Cc]olumn {label}.*") as info:
            learn(X, chosen)
        assert re.search(message, str(info.value))
    with pytest.raises(kind, match=message):
        good_columns.encode(X)


def test_missing_dates_are_dates():
    for X in (
        pd.DataFrame({"when": pd.Series([pd.NaT, pd.NaT])}),
        pd.DataFrame({"when": pd.Series([pd.NaT], dtype="datetime64[ns, UTC]")}),
        pl.DataFrame({"when": [None]}, schema={"when": pl.Date}),
        pl.DataFrame({"when": [None]}, schema={"when": pl.Duration}),
        np.array([[pd.NaT]], dtype=object),
        np.array([["2020-02-29"]], dtype="datetime64[D]"),
    ):
        with pytest.raises(TypeError, match=r"Column ('when'|0) \(dtype .*\) holds .*dates"):
            learn(X)


@pytest.mark.parametrize("dtype", ["S1", [("a", "f8")]], ids=["bytes", "structured"])
def test_arrays_of_other_dtypes(dtype):
    with pytest.raises(TypeError, match=r"Column 0 \(dtype .*must be a string or a real number"):
        learn(np.zeros((2, 1), dtype=dtype))


BAD_TABLES = {
    "one dimension": (np.ones(3), ValueError, "Expected 2D array, got 1D array instead"),
    "list of strings": (["a", "b"], ValueError, "Expected 2D array, got 1D array instead"),
    "three dimensions": (np.ones((2, 2, 2)), ValueError, "Found array with dim 3"),
    "number": (3.0, ValueError, "Expected 2D array, got scalar array instead"),
    "none": (None, ValueError, "Expected 2D array, got scalar array instead"),
    "series of pandas": (pd.Series([1.0]), ValueError, "Expected a 2-dimensional container"),
    "series of polars": (pl.Series([1.0]), ValueError, "Expected 2D array, got 1D array"),
    "no rows": (np.ones((0, 3)), ValueError, r"Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"),
    "no columns": (np.ones((3, 0)), ValueError, r"0 feature\(s\) \(shape=\(3, 0\)\) while a min"),
    "nothing": ([], ValueError, "Expected 2D array"),
    "frame, no rows": (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\) \(shape=\(0, 1\)\)"),
    "frame, no columns": (pd.DataFrame(index=[1, 2]), ValueError, r"0 feature\(s\) \(shape=\(2,"),
    "polars, nothing": (pl.DataFrame(), ValueError, r"0 sample\(s\)"),
    "lazy": (pl.LazyFrame({"a": [1]}), TypeError, r"call its collect\(\) first"),
    "sparse": (csr_array(np.eye(2)), TypeError, "Sparse data was passed"),
    "complex": (np.ones((2, 2)) * 1j, ValueError, "Complex data not supported"),
    "ragged": ([[1.0], [2.0, 3.0]], ValueError, "inhomogeneous"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_tables(name):
    X, kind, message = BAD_TABLES[name]
    with pytest.raises(kind, match=message):
        learn(X)
    with pytest.raises(kind, match=message):
        learn(np.ones((2, 1))).encode(X)


def test_columns_of_one_name():
    X = pd.DataFrame(np.ones((2, 4)), columns=["a", "b", "a", "b"])
    with pytest.raises(ValueError, match="unique column names, got 'a', 'b' more than once"):
        learn(X)


def test_names_that_are_no_strings():
    assert learn(pd.DataFrame(np.ones((2, 2)))).names is None
    X = pd.DataFrame([["x", 1j]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    with pytest.raises(ValueError, match=r"Column \('a', 2\)"):
        learn(X)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("container", ["float32", "float64", "object", "pandas", "polars"])
def test_infinity(container, value):
    X = np.ones((25_000, 3))
    X[[4, 20_000], [1, 2]] = value
    X[3, 0] = np.nan
    if container == "pandas":
        X = pd.DataFrame(X, columns=list("abc"))
    elif container == "polars":
        X = pl.DataFrame(X, schema=list("abc"))
    else:
        X = X.astype(container)
    labels = "'b', 'c'" if container in ("pandas", "polars") else "1, 2"
    message = f"Input X contains infinity or a value too large for dtype.*columns {labels}"
    with pytest.raises(ValueError, match=message):
        learn(X).encode(X)
    with pytest.raises(ValueError, match=r"infinity among the categories of column ('b'|1)"):
        learn(X, [1])


def test_infinity_in_columns_named_by_numbers():
    X = pd.DataFrame({7: [1.0, 2.0], 5: [1.0, np.inf]})
    with pytest.raises(ValueError, match=r"infinity .* in column 5\."):
        learn(X).encode(X)


def test_infinity_in_an_array_with_known_names():
    columns = learn(np.ones((2, 2)), feature_names=["a", "b"])
    with pytest.raises(ValueError, match=r"infinity .*column 'b'"):
        columns.encode(np.array([[1.0, 2.0], [1.0, np.inf]]))


# Too many categories


def test_too_many_categories():
    enough = np.array([f"w{i % MAX_CATEGORIES}" for i in range(2 * MAX_CATEGORIES)])
    assert learn(enough[:, None]).n_categories == (MAX_CATEGORIES,)
    more = np.append(enough, "other")
    with pytest.raises(ValueError, match=r"Column 'word' has 1001 .* at most 1000.*Drop"):
        learn(pd.DataFrame({"word": more}))
    # What is never met again costs nothing: the limit is for training.
    assert np.isnan(learn(enough[:, None]).encode(more[:, None])[-1])


def test_identifiers():
    names = np.array([f"id{i}" for i in range(MIN_ROWS_OF_IDENTIFIER)], dtype=object)
    with pytest.raises(ValueError, match=r"Column 'id' has 200 categories .*identifier"):
        learn(pd.DataFrame({"id": names}))
    with pytest.raises(ValueError, match="Column 0 has 200 categories in 200 rows"):
        learn(np.arange(200.0)[:, None], [0])
    assert learn(names[:-1, None]).n_categories == (MIN_ROWS_OF_IDENTIFIER - 1,)
    names[0] = names[1]
    assert learn(names[:, None]).n_categories == (MIN_ROWS_OF_IDENTIFIER - 1,)


@pytest.mark.parametrize("empty", [[np.nan, np.nan], [None, None], pd.array([None] * 2, "str")])
def test_text_that_is_empty_in_a_chunk(empty):
    # pandas reads an empty column of a chunk as floats.
    parts = [ColumnsSoFar.learn(pd.DataFrame({"a": cells})) for cells in (["x", "z"], empty)]
    for first, second in (parts, parts[::-1]):
        assert first.merge(second).settled().categories == (("x", "z"),)


def test_identifiers_of_all_batches():
    names = np.array([f"id{i}" for i in range(2 * MIN_ROWS_OF_IDENTIFIER)], dtype=object)
    half = MIN_ROWS_OF_IDENTIFIER // 2
    # In each batch every value is another, and over all of them each comes twice.
    once = ColumnsSoFar.learn(names[:, None])
    assert once.merge(once).settled().n_categories == (len(names),)
    # Too few in each batch, and in all of them no two alike.
    first, second = (ColumnsSoFar.learn(part[:, None]) for part in (names[:half], names[half:-1]))
    with pytest.raises(ValueError, match=r"Column 0 has 399 categories in 399 .*identifier"):
        first.merge(second).settled()


def test_numbers_read_as_text():
    text = [f"{i / 8}" for i in range(2_000)]
    with pytest.raises(ValueError, match=r"'price' .*numbers as text: convert it to numbers"):
        learn(pl.DataFrame({"price": text}))
    with pytest.raises(ValueError, match=r"numbers as text.*Make missing what is none.*'\?'"):
        learn(pl.DataFrame({"price": [*text, "?", "?"]}))
    assert learn([["0"], ["1"], ["0"]]).categories == (("0", "1"),)


# There and back


def same(a, b):
    """Whether two cells are equal or both missing."""
    a_missing, b_missing = pd.isna(a), pd.isna(b)
    return bool(a_missing and b_missing) or (not a_missing and not b_missing and a == b)


def assert_same_cells(a, b):
    a, b = np.array(a, dtype=object), np.array(b, dtype=object)
    assert a.shape == b.shape
    for left, right in zip(a.flat, b.flat, strict=True):
        assert same(left, right), (left, right)


def test_decode_as_array():
    X = rows_of(MIXED)
    columns = learn(X)
    decoded = columns.decode(columns.encode(X))
    assert decoded.dtype == object
    assert_same_cells(decoded, X)
    assert decoded[2, 1] != decoded[2, 1]  # NaN, as in the numeric columns


@pytest.mark.parametrize(
    "name", [name for name in mixed_tables() if name.split(",")[0] in ("pandas", "polars")]
)
def test_decode_as_frame(name):
    X = mixed_tables()[name]
    columns = learn(X)
    decoded = columns.decode(columns.encode(X), like=X)
    assert type(decoded) is type(X) and list(decoded.columns) == list(X.columns)
    assert_same_cells(decoded.to_numpy(), X.to_numpy())
    if name != "pandas, arrow categories":
        assert [decoded[c].dtype for c in ("city", "class")] == [
            X[c].dtype for c in ("city", "class")
        ]
    assert decoded["rooms"].dtype in (np.dtype(float), pl.Float64)
    if isinstance(X, pd.DataFrame):
        assert decoded.index.equals(X.index)
    else:
        assert decoded.null_count().sum_horizontal().item() == 2


ALL_MISSING = {
    "pandas, string": lambda: pd.DataFrame({"a": pd.array([None, None], "string")}),
    "pandas, arrow": lambda: pd.DataFrame({"a": pd.array([None] * 2, pd.ArrowDtype(pa.string()))}),
    "pandas, category": lambda: pd.DataFrame({"a": pd.Categorical([None, None], ["Oslo"])}),
    "polars, string": lambda: pl.DataFrame({"a": [None, None]}, {"a": pl.String}),
    "polars, category": lambda: pl.DataFrame({"a": [None, None]}, {"a": pl.Categorical}),
    "polars, enum": lambda: pl.DataFrame({"a": [None, None]}, {"a": pl.Enum(["Oslo"])}),
}


@pytest.mark.parametrize("name", ALL_MISSING)
def test_decode_like_a_frame_of_missing_values(name):
    rows = ALL_MISSING[name]()
    nothing = learn(rows).decode(np.full((2, 1), np.nan), like=rows)
    assert nothing["a"].dtype == rows["a"].dtype
    assert_same_cells(nothing.to_numpy(), rows.to_numpy())
    # Categories that are numbers stay such, which no dtype of text can hold.
    numbers = Columns(((3, 7),)).decode(np.array([[0.0], [1.0]]), like=rows)
    assert_same_cells(numbers.to_numpy(), np.array([[3], [7]], dtype=object))


def test_decode_like_other_frames():
    X = pa.table(MIXED)
    columns = learn(X)
    decoded = columns.decode(columns.encode(X), like=X)
    assert isinstance(decoded, pd.DataFrame)
    assert_same_cells(decoded.to_numpy(), rows_of(MIXED))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_decode_categories_that_the_rows_do_not_have(make):
    # What is filled in may be a category that these rows' own dtype leaves out.
    X = make({"city": ["Oslo", "Rome"], "floor": [1, 2]})
    columns = learn(X, ["city", "floor"])
    if make is pd.DataFrame:
        rows = make({"city": pd.Categorical(["Oslo", None]), "floor": [np.nan, 2]})
    else:
        rows = make(
            {"city": pl.Series(["Oslo", None], dtype=pl.Enum(["Oslo"])), "floor": [None, 2]}
        )
    decoded = columns.decode(np.array([[0.0, 1.0], [1.0, np.nan]]), like=rows)
    assert_same_cells(decoded.to_numpy(), np.array([["Oslo", 2], ["Rome", None]], dtype=object))


def test_adult_from_pandas_and_polars(data_home):
    path = data_home / "adult.csv.gz"
    pandas, polars = pd.read_csv(path), pl.read_csv(path)
    columns = learn(pandas)
    assert columns == learn(polars)
    encoded = columns.encode(pandas)
    np.testing.assert_array_equal(encoded, columns.encode(polars))
    back = columns.decode(encoded, like=pandas)
    for name in pandas:
        np.testing.assert_array_equal(back[name].isna(), pandas[name].isna())
        np.testing.assert_array_equal(back[name].dropna(), pandas[name].dropna())
    assert columns.decode(encoded, like=polars).equals(
        polars.with_columns(pl.col(pl.Int64).cast(pl.Float64))
    )


# Kept in files


def kept():
    return Columns(
        (None, ("", "ä", "日本"), (False, True), (-3, 0.1, 10**400), ()), ("a", "b", "c", "d", "e")
    )


def test_json_and_pickle():
    for columns in (kept(), Columns((None,)), learn(TABLE, [0, 1, 2])):
        text = json.dumps(columns.as_json(), allow_nan=False)
        again = Columns.from_json(json.loads(text))
        assert again == columns and hash(again) == hash(columns)
        for ours, theirs in zip(again.categories, columns.categories, strict=True):
            assert list(map(type, ours or ())) == list(map(type, theirs or ()))
        assert pickle.loads(pickle.dumps(columns)) == columns
    assert kept() != Columns(kept().categories)


def test_learned_categories_are_plain():
    X = np.array([[np.str_("a"), np.int8(1), np.float32(0.5), np.bool_(True)]], dtype=object)
    types = [type(c[0]) for c in learn(X, [0, 1, 2, 3]).categories]
    assert types == [str, int, float, bool]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"categories": [], "names": None, "more": 1},
        {"categories": None, "names": None},
        {"categories": ["ab"], "names": None},
        {"categories": [[None]], "names": None},
        {"categories": [[["a"]]], "names": None},
        {"categories": [["a", 1]], "names": None},
        {"categories": [["b", "a"]], "names": None},
        {"categories": [["a", "a"]], "names": None},
        {"categories": [[1, True]], "names": None},
        {"categories": [[float("nan")]], "names": None},
        {"categories": [[float("inf")]], "names": None},
        {"categories": [None], "names": "a"},
        {"categories": [None], "names": [1]},
        {"categories": [None], "names": ["a", "b"]},
    ],
    ids=str,
)
def test_what_is_no_json_of_columns(value):
    with pytest.raises(ValueError, match=r"categories|names"):
        Columns.from_json(value)


def test_without_libraries_of_frames():
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError(name=name)
sys.meta_path.insert(0, Absent())
import numpy as np
from skrgvae.data.learning import ColumnsSoFar
X = [["a", 1, None], [None, 2.5, True], ["b", float("nan"), False]]
columns = ColumnsSoFar.learn(X).settled()
assert columns.categories == (("a", "b"), None, None)
print(columns.encode(X).tolist())
class Frame:
    def __arrow_c_stream__(self): pass
try:
    ColumnsSoFar.learn(Frame())
except ImportError as error:
    print(error)
assert not {"pandas", "polars", "pyarrow", "torch"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows, error = done.stdout.splitlines()
    assert rows == "[[0.0, 1.0, nan], [nan, 2.5, 1.0], [1.0, nan, 0.0]]"
    assert error.endswith('need pandas and pyarrow: pip install "skrgvae[frames]"')


# Generated tables: each works, or the error names a column that is at fault

GOOD = {
    "floats": lambda rng, n: rng.normal(size=n).tolist(),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32).astype(float).tolist(),
    "ints": lambda rng, n: rng.integers(-5, 5, size=n).tolist(),
    "large ints": lambda rng, n: rng.integers(2**40, size=n).tolist(),
    "bools": lambda rng, n: rng.integers(2, size=n).astype(bool).tolist(),
    "strings": lambda rng, n: rng.choice(["", "a", "Ä b", "0.5", "nan", "None"], size=n).tolist(),
    "constant": lambda rng, n: ["x"] * n,
    "missing": lambda rng, n: [None] * n,
}
BAD = {
    "infinity": lambda rng, n: [float("inf"), *rng.normal(size=n - 1).tolist()],
    "dates": lambda rng, n: [DAY] * n,
    "durations": lambda rng, n: [datetime.timedelta(1)] * n,
    "complex": lambda rng, n: [1j] * n,
    "bytes": lambda rng, n: [b"x"] * n,
    "lists": lambda rng, n: [[1.0]] * n,
    "mixed": lambda rng, n: ["x", *range(n - 1)] if n > 1 else [{}],
}
CONTAINERS = ["pandas", "pandas, objects", "pandas, nullable", "pandas, category", "polars"]
CONTAINERS += ["polars, category", "array", "array, NaN"]


def build(container, columns):
    if container.startswith("array"):
        missing = np.nan if container.endswith("NaN") else None
        array = np.empty((len(columns[0]), len(columns)), dtype=object)
        for j, cells in enumerate(columns):
            filled = [missing if cell is None else cell for cell in cells]
            array[:, j] = np.fromiter(filled, dtype=object, count=len(filled))
        return array
    names = [f"c{j}" for j in range(len(columns))]
    if container.startswith("pandas"):
        X = pd.DataFrame(
            {name: pd.Series(cells) for name, cells in zip(names, columns, strict=True)}
        )
        for name, cells in zip(names, columns, strict=True):
            if container.endswith("objects"):
                X[name] = X[name].astype(object)
            elif container.endswith("nullable") and not isinstance(cells[0], bytes | complex):
                with np.errstate(invalid="ignore"):  # old pandas tries integers on infinity
                    X[name] = X[name].convert_dtypes()
            elif container.endswith("category") and isinstance(cells[0], str):
                X[name] = X[name].astype("category")
        return X
    series = []
    for name, cells in zip(names, columns, strict=True):
        types = {type(cell) for cell in cells} - {type(None)}
        is_object = len(types) > 1 or types & {complex, dict}
        series.append(pl.Series(name, cells, dtype=pl.Object if is_object else None))
        if container.endswith("category") and types == {str}:
            series[-1] = series[-1].cast(pl.Categorical)
    return pl.DataFrame(series)


@pytest.mark.parametrize("container", CONTAINERS)
def test_generated_tables(container):
    rng = np.random.default_rng(CONTAINERS.index(container))
    n_refused = 0
    for _ in range(150):
        n_rows, n_columns = rng.integers(1, 20), rng.integers(1, 6)
        columns, at_fault = [], []
        for j in range(n_columns):
            makers = BAD if rng.random() < 0.1 else GOOD
            cells = makers[rng.choice(list(makers))](rng, n_rows)
            if makers is BAD:
                at_fault.append(j)
            elif rng.random() < 0.5:
                gaps = rng.random(n_rows) < rng.choice([0.1, 0.5, 1.0])
                cells = [None if gap else c for gap, c in zip(gaps, cells, strict=True)]
            columns.append(cells)
        X = build(container, columns)
        choose = str(rng.choice(["from_dtype", "strings", "all"]))
        is_text = [any(isinstance(cell, str) for cell in cells) for cells in columns]
        masks = {"strings": is_text, "all": [True] * n_columns}
        chosen = masks.get(choose, choose)
        try:
            learned = learn(X, chosen)
            encoded = learned.encode(X)
        except (TypeError, ValueError) as error:
            n_refused += 1
            label = "(?:{})" if container.startswith("array") else "'c(?:{})'"
            label = label.format("|".join(map(str, at_fault)))
            assert at_fault and re.search(rf"[Cc]olumns? {label}", str(error)), error
            continue
        assert not at_fault
        assert encoded.shape == (n_rows, n_columns) and encoded.flags.c_contiguous
        assert encoded.dtype in (np.float32, np.float64)
        expected = np.array(columns, dtype=object).T
        np.testing.assert_array_equal(np.isnan(encoded), pd.isna(expected))
        assert_same_cells(learned.decode(encoded), expected)
        assert Columns.from_json(json.loads(json.dumps(learned.as_json()))) == learned
        if not container.startswith("array"):
            back = learned.decode(encoded, like=X)
            assert type(back) is type(X)
            for j, cells in enumerate(columns):
                assert_same_cells(list(back[f"c{j}"]), cells)
    assert 10 < n_refused < 140
