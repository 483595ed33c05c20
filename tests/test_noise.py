"""Noise that belongs to a row.

Every random test has a fixed seed; the false-alarm rates hold for another choice of it.
"""

import math

import numpy as np
import pytest
from scipy import stats

from skrgvae.noise import normal_noise, row_keys


@pytest.fixture
def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 4))


def test_keys_belong_to_rows(table):
    keys = row_keys(table, 7)
    assert keys.dtype == np.uint64
    assert len(set(keys.tolist())) == 50
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(row_keys(table[order], 7), keys[order])
    np.testing.assert_array_equal(row_keys(table[10:13], 7), keys[10:13])
    np.testing.assert_array_equal(row_keys(table[[3, 3]], 7), keys[[3, 3]])


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2]])
def test_keys_do_not_depend_on_the_layout(table, layout):
    np.testing.assert_array_equal(row_keys(layout(table), 7), row_keys(table, 7))


def test_keys_do_not_depend_on_the_dtype(table):
    single = table.astype(np.float32)
    np.testing.assert_array_equal(row_keys(single, 7), row_keys(single.astype(float), 7))


def test_zeros_of_both_signs_are_one_value():
    signed = np.array([[0.0, -0.0, 1.0]])
    np.testing.assert_array_equal(row_keys(signed, 0), row_keys(np.abs(signed), 0))


def test_the_table_is_not_changed(table):
    table.setflags(write=False)
    before = table.copy()
    row_keys(table, 3)
    np.testing.assert_array_equal(table, before)


def test_different_rows_have_different_keys():
    rows = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, 1, 0], [2, 1, 0], [0, 1, 2]]
    table = np.array(rows, float)
    assert len(set(row_keys(table, 0).tolist())) == len(rows)
    nearly = np.nextafter(table, 9)
    assert not set(row_keys(nearly, 0).tolist()) & set(row_keys(table, 0).tolist())


def test_permuted_columns_have_different_keys(table):
    assert (row_keys(table, 0) != row_keys(table[:, [1, 0, 2, 3]], 0)).all()
    # Equal values in two columns don't cancel either.
    twice = table[:, [0, 0]]
    assert len(set(row_keys(twice, 0).tolist())) == 50


def test_seeds_change_every_key(table):
    keys = [row_keys(table, seed) for seed in (0, 1, 2, 2**31, 2**32 - 1)]
    assert len({int(key) for part in keys for key in part}) == 5 * 50


def test_one_column_and_no_row():
    assert row_keys(np.array([[1.0]]), 0).shape == (1,)
    assert row_keys(np.empty((0, 3)), 0).shape == (0,)


def test_shape_and_determinism(table):
    keys = row_keys(table, 0)
    noise = normal_noise(keys, 6, range(3))
    assert noise.shape == (3, 50, 6)
    assert noise.dtype == np.float64
    np.testing.assert_array_equal(noise, normal_noise(keys, 6, range(3)))
    assert normal_noise(keys, 6).shape == (1, 50, 6)


def test_a_row_has_its_noise_whatever_stands_beside_it(table):
    keys = row_keys(table, 0)
    noise = normal_noise(keys, 6, range(3))
    np.testing.assert_array_equal(normal_noise(keys[[9, 2]], 6, range(3)), noise[:, [9, 2]])


def test_a_sample_has_its_noise_in_every_range(table):
    keys = row_keys(table, 0)
    noise = normal_noise(keys, 6, range(10))
    np.testing.assert_array_equal(normal_noise(keys, 6), noise[:1])
    np.testing.assert_array_equal(normal_noise(keys, 6, range(4, 7)), noise[4:7])
    np.testing.assert_array_equal(normal_noise(keys, 6, range(9, 10)), noise[9:])


def test_all_numbers_differ(table):
    noise = normal_noise(row_keys(table, 0), 6, range(20))
    assert len(np.unique(noise)) == noise.size


# Rows that differ in one small integer: the hardest case for a hash.
COUNTING = np.arange(2000.0)[:, None]


def test_noise_is_standard_normal():
    noise = normal_noise(row_keys(COUNTING, 0), 10, range(5)).ravel()
    # Kolmogorov-Smirnov: a false alarm has probability 1e-6.
    assert stats.kstest(noise, "norm").pvalue > 1e-6
    # Standard errors of the first four moments of n normal values; five of them: 2e-6 together.
    n = len(noise)
    errors = {1: 1, 2: math.sqrt(2), 3: math.sqrt(15), 4: math.sqrt(96)}
    for power, error in errors.items():
        expected = {2: 1, 4: 3}.get(power, 0)
        assert abs((noise**power).mean() - expected) < 5 * error / math.sqrt(n)


def assert_uncorrelated(columns: np.ndarray) -> None:
    """No pair of columns is correlated: five standard errors, 6e-7 per pair.

    The squares as well: a dependence of the sizes would not show in the values.
    """
    for values in (columns, columns**2):
        correlation = np.corrcoef(values.T) - np.eye(columns.shape[1])
        assert np.abs(correlation).max() < 5 / math.sqrt(len(columns))


def test_units_and_samples_are_independent():
    noise = normal_noise(row_keys(COUNTING, 0), 4, range(3))
    assert_uncorrelated(noise.transpose(1, 0, 2).reshape(2000, 12))  # 132 comparisons: 8e-5


def test_rows_are_independent():
    noise = normal_noise(row_keys(COUNTING[:10], 0), 4, range(500))
    assert_uncorrelated(noise.transpose(0, 2, 1).reshape(2000, 10))  # 90 comparisons: 5e-5


def test_seeds_are_independent():
    row = np.array([[0.0, 1.0, 0.0]])
    keys = np.concatenate([row_keys(row, seed) for seed in range(10)])
    noise = normal_noise(keys, 4, range(500))
    assert_uncorrelated(noise.transpose(0, 2, 1).reshape(2000, 10))  # 90 comparisons: 5e-5


def unmix(hashed: int) -> int:
    """The number that SplitMix64's finaliser turns into `hashed`."""
    mask = 2**64 - 1

    def unshift(value: int, bits: int) -> int:
        result = value
        for _ in range(64 // bits + 1):
            result = value ^ (result >> bits)
        return result

    state = unshift(hashed, 31) * pow(0x94D049BB133111EB, -1, 2**64) & mask
    state = unshift(state, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) & mask
    return unshift(state, 30)


@pytest.mark.parametrize("hashed", [0, 1, 2**63, 2**64 - 2, 2**64 - 1])
def test_the_ends_of_the_range_are_finite(hashed):
    # The key whose first number is made of the given bits: 0 and 1 have no normal quantile.
    key = (unmix(hashed) - 0x9E3779B97F4A7C15) % 2**64
    noise = normal_noise(np.array([key], np.uint64), 1)
    assert np.isfinite(noise).all()
    assert abs(noise.item()) < 9
