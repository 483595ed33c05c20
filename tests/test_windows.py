"""Windows of a series: what stands in a row, whose rows meet, and how it fits scikit-learn."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrgvae import HierarchicalSparseEncoder, WindowTransformer, model
from skrgvae.data import sources

# What a row becomes depends on the rows before it: that is the purpose.
EXPECTED_FAILURES = {
    "check_methods_sample_order_invariance": "a window holds the rows before its own",
    "check_methods_subset_invariance": "a window holds the rows before its own",
}


@parametrize_with_checks(
    [WindowTransformer(3), WindowTransformer()],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_inplace_ensure_writeable",
    ],
)
def test_further_common_checks(name):
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"this version of scikit-learn has no {name}")
    check("WindowTransformer", clone(WindowTransformer(3)))


def series(n_rows=40, n_channels=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_channels))


def windows_by_hand(X, groups, length):
    """Row by row: the last rows of the same group, NaN where there are fewer."""
    out = np.full((len(X), length, X.shape[1]), np.nan)
    for i in range(len(X)):
        past = [j for j in range(i + 1) if groups[j] == groups[i]][-length:]
        out[i, length - len(past) :] = X[past]
    return out.reshape(len(X), -1)


@pytest.mark.parametrize("length", [1, 2, 7, 40])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_row_is_the_rows_up_to_it(length, n_channels):
    X = series(n_channels=n_channels)
    found = WindowTransformer(length).fit_transform(X)
    np.testing.assert_array_equal(found, windows_by_hand(X, [0] * len(X), length))


def test_no_row_knows_what_comes_later():
    X = series()
    windows = WindowTransformer(5).fit(X)
    changed = X.copy()
    changed[20:] += 1
    before, after = windows.transform(X), windows.transform(changed)
    np.testing.assert_array_equal(before[:20], after[:20])
    assert (before[20:, -3:] != after[20:, -3:]).all()


@pytest.mark.parametrize("length", [1, 4, 9])
def test_windows_stay_inside_their_group(length):
    # Rows of three groups, mixed: in order within each, one shorter than the window.
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.repeat([7, -1, 3], [20, 17, 3]))
    X = series()
    expected = windows_by_hand(X, groups, length)
    table = np.column_stack([X[:, 0], groups, X[:, 1:]])
    found = WindowTransformer(length, group=1).fit_transform(table)
    np.testing.assert_array_equal(found, expected)

    names = np.array(["press", "lathe", "saw"])[np.unique(groups, return_inverse=True)[1]]
    columns = {"a": X[:, 0], "machine": names, "b": X[:, 1], "c": X[:, 2]}
    for frame in (pd.DataFrame, pl.DataFrame):
        windows = WindowTransformer(length, group="machine").fit(frame(columns))
        np.testing.assert_array_equal(windows.transform(frame(columns)), expected)
        assert windows.get_feature_names_out()[-3:].tolist() == ["a_lag0", "b_lag0", "c_lag0"]
    by_position = WindowTransformer(length, group=1).fit(pd.DataFrame(columns))
    np.testing.assert_array_equal(by_position.transform(pd.DataFrame(columns)), expected)
    as_objects = pd.DataFrame(columns).to_numpy(dtype=object)
    np.testing.assert_array_equal(
        WindowTransformer(length, group=1).fit_transform(as_objects), expected
    )
    categories = pd.DataFrame(columns).astype({"machine": "category"})
    np.testing.assert_array_equal(by_position.transform(categories), expected)


def test_groups_where_transformers_put_out_frames():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "g": ["x", "y", "x"]})
    with sklearn.config_context(transform_output="pandas"):
        found = WindowTransformer(2, group="g").fit_transform(frame)
    assert list(found.columns) == ["a_lag1", "a_lag0"]
    np.testing.assert_array_equal(found, [[np.nan, 1], [np.nan, 2], [1, 3]])


def test_groups_of_transform_may_be_new_and_short():
    windows = WindowTransformer(2, group=1).fit([[1.0, 0], [2, 0]])
    found = windows.transform([[5.0, 9], [6, 8], [7, 9]])
    np.testing.assert_array_equal(found, [[np.nan, 5], [np.nan, 6], [5, 7]])


def test_new_rows_with_those_before_them_are_as_in_the_whole():
    X = series()
    windows = WindowTransformer(6).fit(X)
    np.testing.assert_array_equal(windows.transform(X[20 - 5 :])[5:], windows.transform(X)[20:])


@pytest.mark.parametrize("group", [None, 1])
def test_masked_entries_are_missing(group):
    X = np.ma.masked_array([[1.0, 7.0], [999.0, 7.0]], mask=[[0, 0], [1, 0]])
    found = WindowTransformer(1, group=group).fit_transform(X)
    np.testing.assert_array_equal(found[:, 0], [1.0, np.nan])


@pytest.mark.parametrize("dtype", [object, "Int64", "double[pyarrow]"])
def test_missing_entries_of_a_frame_are_missing(dtype):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": pd.array([pd.NA, 3], dtype=dtype)})
    expected = [[np.nan, np.nan, 1, np.nan], [1, np.nan, 2, 3]]
    np.testing.assert_array_equal(WindowTransformer(2).fit_transform(frame), expected)


@pytest.mark.parametrize("others", [{}, {"a": [1.0, 2.0]}], ids=["alone", "beside numbers"])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_dates_are_no_channel(frame, others):
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[us]")
    with pytest.raises(TypeError, match=r"Column 't' .* dates, times and durations are to be"):
        WindowTransformer(2).fit(frame({"t": days, **others}))


def test_a_frame_that_is_still_to_be_computed():
    with pytest.raises(TypeError, match=r"got a polars.LazyFrame: call its collect\(\) first"):
        WindowTransformer(2).fit(pl.LazyFrame({"a": [1.0, 2.0]}))


def test_missing_entries_stay_missing():
    X = series()
    X[10, 1] = np.nan
    found = WindowTransformer(3).fit_transform(X)
    rows, columns = np.nonzero(np.isnan(found[2:]))
    assert (rows + 2).tolist() == [10, 11, 12]
    assert columns.tolist() == [7, 4, 1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_windows_take_no_memory_of_their_own(dtype):
    X = series(1000, 5).astype(dtype)
    found = WindowTransformer(500).fit_transform(X)
    assert found.shape == (1000, 2500) and found.dtype == dtype
    first, last = np.lib.array_utils.byte_bounds(found)
    assert last - first <= 2 * X.nbytes
    assert not np.shares_memory(found, X)
    with pytest.raises(ValueError, match="read-only"):
        found[0, 0] = 1


def test_feature_names():
    windows = WindowTransformer(11).fit(series())
    names = windows.get_feature_names_out()
    assert names[:3].tolist() == ["x0_lag10", "x1_lag10", "x2_lag10"]
    assert names[-3:].tolist() == ["x0_lag00", "x1_lag00", "x2_lag00"]
    assert windows.get_feature_names_out(["p", "q", "r"])[-1] == "r_lag00"
    windows = WindowTransformer(2, group=0).fit([[7, 0.1, 0.2], [7, 0.3, 0.4]])
    assert windows.get_feature_names_out().tolist() == ["x1_lag1", "x2_lag1", "x1_lag0", "x2_lag0"]


@pytest.mark.parametrize("index", [pd.RangeIndex(40), pd.date_range("2000", periods=40)])
def test_a_frame_for_a_frame(index):
    frame = pd.DataFrame(series(n_channels=2), columns=["hot", "cold"], index=index)
    found = WindowTransformer(2).set_output(transform="pandas").fit_transform(frame)
    assert list(found.columns) == ["hot_lag1", "cold_lag1", "hot_lag0", "cold_lag0"]
    pd.testing.assert_index_equal(found.index, frame.index)
    np.testing.assert_array_equal(found["hot_lag1"][1:], frame["hot"][:-1])


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({"length": 41}, series(), r"length=41 is more than .* \(n_samples=40\)"),
        ({"length": 0}, series(), "'length' parameter of WindowTransformer must be an int"),
        ({"length": 2.5}, series(), "'length' parameter of WindowTransformer must be an int"),
        ({"group": 3}, series(), r"group=3 is no column of X \(positions 0 to 2\)"),
        ({"group": -1}, series(), "group=-1 is no column of X"),
        ({"group": "machine"}, series(), "group='machine' is no column of X"),
        (
            {"group": "machine"},
            pd.DataFrame(series(), columns=["a", "b", "c"]),
            r"group='machine' is no column of X .*names \['a', 'b', 'c'\]",
        ),
        ({"group": 0}, series(n_channels=1), "X must have a channel beside the column of group 0"),
        (
            {"group": "g", "length": 1},
            pd.DataFrame({"a": [1.0, 2.0, 3.0], "g": ["x", None, "y"]}),
            "Every row must have a group, but column 'g' is missing in row 1",
        ),
        (
            {"group": "g", "length": 1},
            pd.DataFrame({"a": [1.0, 2.0], "g": pd.array(["x", pd.NA], dtype="string")}),
            "Every row must have a group, but column 'g' is missing in row 1",
        ),
        (
            {"group": "g", "length": 1},
            pd.DataFrame({"a": [1.0, 2.0], "g": pd.to_datetime([None, "2026-01-01"])}),
            "Every row must have a group, but column 'g' is missing in row 0",
        ),
        (
            {"group": 1, "length": 1},
            np.array([[1.0, 2.0], [2.0, np.nan]]),
            "Every row must have a group, but column 1 is missing in row 1",
        ),
        (
            {"length": 3, "group": "g"},
            pd.DataFrame({"a": [1.0, 2.0, 3.0], "g": ["x", "x", "y"]}),
            r"\(n_samples=2\)",
        ),
        ({"length": 1}, pd.DataFrame({"a": ["warm", "cold"]}), "could not convert string"),
        (
            {"length": 1},
            pl.DataFrame({"a": [1.0, 2.0], "b": ["warm", None]}),
            "could not convert string to float: 'warm' in column 'b'",
        ),
        ({"length": 1}, np.array([[1.0], [np.inf]]), "Input X contains infinity"),
        ({"length": 1, "group": 1}, np.array([[1.0, 0], [np.inf, 0]]), "Input X contains infin"),
    ],
)
def test_wrong_input(parameters, X, message):
    with pytest.raises(ValueError, match=message):
        WindowTransformer(**parameters).fit(X)


def test_columns_of_transform_are_compared_with_those_of_fit():
    windows = WindowTransformer(2, group="g").fit(pd.DataFrame({"a": [1.0, 2], "g": [0, 0]}))
    with pytest.raises(ValueError, match="feature names should match"):
        windows.transform(pd.DataFrame({"g": [0, 0], "a": [1.0, 2]}))
    with pytest.raises(ValueError, match="X has 3 features"):
        WindowTransformer(2).fit(series(n_channels=2)).transform(series())


def test_in_front_of_the_encoder():
    X = series(60)
    y = X[:, 0] > 0
    encoder = HierarchicalSparseEncoder((6, 3), max_iter=2, random_state=0)
    pipeline = make_pipeline(WindowTransformer(4), encoder, LogisticRegression()).fit(X, y)
    assert pipeline.predict(X).shape == (60,)
    emitted = pipeline[:-1].transform(X)
    assert np.isfinite(emitted).all()
    # The first row's window is missing but for the row itself.
    alone = np.hstack([np.full((1, 9), np.nan), X[:1]])
    np.testing.assert_allclose(pipeline[1].transform(alone), emitted[:1], atol=1e-7)


def test_the_encoder_reads_windows_without_a_copy_of_them(monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", 2**14)
    monkeypatch.setattr(model, "PIECE", 2**14)
    windows = WindowTransformer(200).fit_transform(series(5000, 2).astype(np.float32))
    encoder = HierarchicalSparseEncoder((4, 2), layers=[1], max_iter=1, random_state=0)
    encoder.fit(windows[:300])
    tracemalloc.start()
    try:
        encoder.transform(windows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < windows.size * windows.itemsize / 4
