"""One pass over blocks of rows says what numpy says of the whole table."""

import dataclasses
import math

import numpy as np
import pytest

from skrgvae.data.summary import MAX_ROWS, Summary, some_rows, summarise


def table(dtype=float, missing: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 6)) * [1, 1e3, 1e-3, 1, 1, 1] + [0, 5e3, 1, 0, 0, 0]
    values[:, 3] = rng.integers(-3, 9, 500)
    values[:, 4] = 0.1
    values[rng.random(values.shape) < missing] = np.nan
    values[:, 5] = np.nan
    return values.astype(dtype)


def in_blocks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def assert_same(summary: Summary, other: Summary, rtol: float) -> None:
    for field in dataclasses.fields(Summary):
        values, expected = getattr(summary, field.name), getattr(other, field.name)
        if field.name in ("mean", "spread"):
            np.testing.assert_allclose(values, expected, rtol=rtol, err_msg=field.name)
        else:
            np.testing.assert_array_equal(values, expected, err_msg=field.name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 7, 100, 500])
def test_moments_and_extremes_are_numpys(dtype, size):
    rows = table(dtype)
    summary = summarise(in_blocks(rows, size))
    known = rows[:, :5].astype(float)
    assert summary.n_rows == 500
    assert summary.n_columns == 6
    np.testing.assert_array_equal(summary.n_known, (~np.isnan(rows)).sum(axis=0))
    np.testing.assert_array_equal(summary.low[:5], np.nanmin(known, axis=0))
    np.testing.assert_array_equal(summary.high[:5], np.nanmax(known, axis=0))
    np.testing.assert_allclose(summary.mean[:5], np.nanmean(known, axis=0), rtol=1e-12)
    varying = [0, 1, 2, 3]
    np.testing.assert_allclose(
        summary.spread[varying], np.nanstd(known[:, varying], axis=0), rtol=1e-10
    )
    assert summary.spread[4] == 0
    np.testing.assert_array_equal(summary.whole, [False, False, False, True, False, False])
    assert (summary.n_known < summary.n_rows).all()


def test_a_column_of_which_nothing_is_known():
    summary = summarise([table()])
    assert summary.n_known[5] == 0
    assert math.isnan(summary.low[5])
    assert math.isnan(summary.high[5])
    assert summary.mean[5] == summary.spread[5] == 0
    assert not summary.whole[5]


def test_columns_known_in_one_block_only():
    rows = table(missing=0)
    rows[:300, 0] = np.nan
    rows[100:, 1] = np.nan
    summary = summarise(in_blocks(rows, 100))
    for j in (0, 1):
        assert summary.mean[j] == pytest.approx(np.nanmean(rows[:, j]), rel=1e-12)
        assert summary.spread[j] == pytest.approx(np.nanstd(rows[:, j]), rel=1e-10)
    np.testing.assert_array_equal(summary.n_known < summary.n_rows, [1, 1, 0, 0, 0, 1])


@pytest.mark.parametrize("size", [1, 60, 500])
def test_blocks_change_nothing(size):
    rows = table()
    assert_same(summarise(in_blocks(rows, size)), summarise([rows]), rtol=1e-10)


def test_the_order_of_blocks_changes_no_moment():
    blocks = in_blocks(table(), 60)
    forwards, backwards = summarise(blocks), summarise(blocks[::-1])
    for name in ("mean", "spread", "low", "high", "n_known", "whole"):
        np.testing.assert_allclose(
            getattr(forwards, name), getattr(backwards, name), rtol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("size", [13, 500])
def test_whole_weights_are_repetitions(size):
    rows = table()
    weights = np.random.default_rng(1).integers(0, 4, 500)
    weighted = summarise(in_blocks(rows, size), weights.astype(float))
    repeated = summarise([np.repeat(rows, weights, axis=0)])
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(weighted.spread, repeated.spread, rtol=1e-10)
    # Extremes and counts are those of the rows.
    unweighted = summarise([rows])
    np.testing.assert_array_equal(weighted.low, unweighted.low)
    np.testing.assert_array_equal(weighted.n_known, unweighted.n_known)


def test_fractional_weights_are_numpys():
    rows = table(missing=0)[:, :4]
    weights = np.random.default_rng(1).random(500)
    summary = summarise(in_blocks(rows, 60), weights)
    mean = np.average(rows, axis=0, weights=weights)
    variance = np.average((rows - mean) ** 2, axis=0, weights=weights)
    np.testing.assert_allclose(summary.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(summary.spread, np.sqrt(variance), rtol=1e-10)


@pytest.mark.parametrize(
    ("magnitude", "dtype"),
    [(1e-40, np.float32), (1e37, np.float32), (1e-300, float), (1e-160, float)]
    + [(1e160, float), (1e307, float)],
)
def test_no_square_overflows_or_vanishes(magnitude, dtype):
    standard = np.random.default_rng(0).normal(size=(200, 2))
    rows = (standard * magnitude).astype(dtype)
    summary = summarise(in_blocks(rows, 30))
    relative = rows.astype(float) / magnitude
    np.testing.assert_allclose(summary.spread / magnitude, relative.std(axis=0), rtol=1e-10)
    np.testing.assert_allclose(
        summary.mean / magnitude, relative.mean(axis=0), rtol=1e-10, atol=1e-12
    )


def test_a_huge_value_after_many_small_ones():
    rows = np.ones((200, 1))
    rows[:150, 0] = np.random.default_rng(0).normal(size=150)
    rows[170] = 1e300
    summary = summarise(in_blocks(rows, 20))
    assert summary.mean[0] == pytest.approx(1e300 / 200)
    assert summary.spread[0] == pytest.approx(1e300 * math.sqrt(199) / 200)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e30, 1.6e9 + 0.3])
@pytest.mark.parametrize("size", [7, 101])
def test_constant_columns_have_no_spread(dtype, value, size):
    rows = np.full((101, 2), value, dtype)
    rows[::3, 1] = np.nan
    summary = summarise(in_blocks(rows, size))
    assert (summary.spread == 0).all()
    np.testing.assert_allclose(summary.mean, float(dtype(value)), rtol=1e-15)
    assert (summary.low == summary.high).all()


def test_a_rarely_different_column_has_a_spread():
    rows = np.ones((100_000, 1), np.float32)
    rows[0] = 0
    spread = summarise(in_blocks(rows, 1000)).spread[0]
    assert spread == pytest.approx(rows.std(dtype=float), rel=1e-10)


def test_large_offsets():
    seconds = np.random.default_rng(0).random((500, 1))
    summary = summarise(in_blocks(1.6e9 + seconds, 60))
    # 2.4e-7 is the distance of neighbouring doubles at 1.6e9.
    assert summary.mean[0] - 1.6e9 == pytest.approx(seconds.mean(), abs=1e-6)
    assert summary.spread[0] == pytest.approx(seconds.std(), abs=1e-6)


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ([0, 1, 2], True),
        ([-3, 1e300, np.nan], True),
        ([0, 0.5, 1], False),
        ([1e-300, 1, 2], False),
        ([np.nan, np.nan, np.nan], False),
    ],
)
def test_whole(values, whole):
    rows = np.array([values], float).T
    for size in (1, 3):
        assert summarise(in_blocks(rows, size)).whole.tolist() == [whole]


def test_few_rows_are_all_kept():
    rows = table()
    np.testing.assert_array_equal(summarise(in_blocks(rows, 60)).rows, rows)


@pytest.mark.parametrize("size", [7_000, 30_000])
def test_sampled_rows_are_drawn_evenly(size):
    # Of 10 bins, 1,000 +- 24.5 rows each are expected (hypergeometric): five standard deviations,
    # a false alarm has probability 6e-6.
    rows = np.arange(30_000.0)[:, None]
    kept = summarise(in_blocks(rows, size)).rows[:, 0]
    assert len(kept) == MAX_ROWS
    assert (np.diff(kept) > 0).all()  # each at most once
    count, _ = np.histogram(kept, bins=10, range=(0, 30_000))
    spread = math.sqrt(MAX_ROWS * 0.1 * 0.9 * (20_000 / 29_999))
    assert np.abs(count - 1000).max() < 5 * spread


@pytest.mark.parametrize(("n_rows", "size"), [(3_000, 700), (30_000, 7_000)])
def test_weighted_rows_are_kept_in_proportion(n_rows, size):
    # A row is expected n_kept weight / sum(weights) times, and comes that often, rounded.
    rows = np.arange(float(n_rows))[:, None]
    weights = np.random.default_rng(0).exponential(size=n_rows)
    kept = summarise(in_blocks(rows, size), weights).rows[:, 0]
    assert len(kept) == min(n_rows, MAX_ROWS)
    expected = len(kept) * weights / weights.sum()
    times = np.bincount(kept.astype(int), minlength=n_rows)
    assert np.abs(times - expected).max() < 1
    alike = summarise(in_blocks(rows, size), np.full(n_rows, 0.1)).rows[:, 0]
    assert len(np.unique(alike)) == len(alike)


def test_some_rows_are_drawn_and_stay_in_their_order():
    # As above: five standard deviations of 200 rows each in 10 residues.
    rows = np.arange(10_000.0)[:, None]
    some = some_rows(rows, 2000)[:, 0]
    assert len(some) == 2000 and (np.diff(some) > 0).all()
    count = np.bincount(some.astype(int) % 10, minlength=10)
    assert np.abs(count - 200).max() < 5 * math.sqrt(2000 * 0.1 * 0.9 * (8000 / 9999))
    np.testing.assert_array_equal(some_rows(np.hstack([rows, -rows]), 2000)[:, 1], -some)
    assert some_rows(rows, 10_000) is rows


def test_wide_tables_keep_fewer_rows(monkeypatch):
    monkeypatch.setattr("skrgvae.data.summary.MAX_NUMBERS", 1000)
    rows = np.arange(9000, dtype=np.float32).reshape(90, 100)
    kept = summarise(in_blocks(rows, 40)).rows
    assert kept.shape == (10, 100)
    assert kept.dtype == np.float32
    assert np.isin(kept[:, 0], rows[:, 0]).all()


def test_some_of_the_columns():
    summary = summarise([table()])
    some = summary.columns(np.array([3, 1]))
    assert_same(some, summarise([table()[:, [3, 1]]]), rtol=1e-14)
    assert some.n_columns == 2
