"""The correlation that fills in what is linear."""

import math

import numpy as np
import pytest
import torch

from skrgvae.likelihoods.correlation import (
    LEAST_EIGENVALUE,
    SHRINKAGE,
    expected_given_known,
    shrunk_correlation,
)


def correlated(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(5, 5))
    return torch.from_numpy(rng.normal(size=(n_rows, 5)) @ mixing)


def some_known(shape, share=0.6, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < share)


def all_known(values):
    return torch.ones_like(values, dtype=torch.bool)


def test_expectation_is_the_regression_on_the_known_columns():
    values = correlated(50)
    correlation = shrunk_correlation(values, all_known(values))
    values, known = correlated(8, seed=2), some_known((8, 5))
    expected = expected_given_known(correlation, values, known)
    R = correlation.numpy()
    for row, given, found in zip(values.numpy(), known.numpy(), expected.numpy(), strict=True):
        by_hand = R[:, given] @ np.linalg.solve(R[np.ix_(given, given)], row[given])
        np.testing.assert_allclose(found, by_hand, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[given], row[given], rtol=1e-9, atol=1e-12)


def test_what_stands_in_place_of_unknown_entries_changes_nothing():
    values = correlated(50)
    correlation = shrunk_correlation(values, all_known(values))
    values, known = correlated(8, seed=2), some_known((8, 5))
    expected = expected_given_known(correlation, values, known)
    spoilt = torch.where(known, values, torch.nan)
    torch.testing.assert_close(expected_given_known(correlation, spoilt, known), expected)
    nothing = torch.zeros_like(known)
    assert (expected_given_known(correlation, values, nothing) == 0).all()


def test_a_row_is_solved_for_by_itself():
    # Rows of other sizes beside it don't change when the solver takes it for solved.
    values = correlated(50)
    correlation = shrunk_correlation(values, all_known(values))
    values, known = correlated(3, seed=2), some_known((3, 5))
    expected = expected_given_known(correlation, values, known)
    scale = torch.tensor([[1e-6], [1.0], [1e6]], dtype=torch.float64)
    scaled = expected_given_known(correlation, scale * values, known)
    torch.testing.assert_close(scaled, scale * expected)


def test_weak_correlations_are_shrunk_more_than_strong_ones():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(400, 1))
    own = rng.normal(size=(400, 3))
    values = torch.from_numpy(np.hstack([common + 0.1 * own[:, :1], common + own[:, 1:]]))
    found = shrunk_correlation(values, all_known(values)).numpy()
    plain = (values.T @ values / 400).numpy()
    plain /= np.sqrt(np.outer(plain.diagonal(), plain.diagonal()))
    uncertain = 4 * math.log(3) * (np.square(1 - plain**2) / 400 + 1 / 400**2)
    np.fill_diagonal(uncertain, 0)
    expected = (1 - SHRINKAGE) * plain**3 / (plain**2 + uncertain)
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    weight = found / plain
    assert weight[1, 2] < weight[0, 1] < 1 - SHRINKAGE


def test_correlations_of_independent_columns_are_mostly_taken_for_noise():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 50)))
    plain = np.corrcoef(values.numpy(), rowvar=False)
    apart = ~np.eye(50, dtype=bool)
    found = shrunk_correlation(values, all_known(values)).numpy()
    assert np.square(found[apart]).sum() < 0.03 * np.square(plain[apart]).sum()


def test_no_column_is_a_sum_of_others():
    values = correlated(1000)[:, :1].repeat(1, 4)
    correlation = shrunk_correlation(values, all_known(values))
    # Raised to the bound, and then to a diagonal of 1.
    assert torch.linalg.eigvalsh(correlation).min() > 0.9 * LEAST_EIGENVALUE
    np.testing.assert_allclose(correlation.diagonal(), 1)


def test_holes_are_filled_before_the_correlation_is_taken():
    # Two columns that are the same one: with 0 in the holes their correlation is half of what it
    # is where both are known.
    column = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 1)))
    values, known = column.repeat(1, 2), some_known((400, 2), share=0.5)
    by_zeros = np.corrcoef(torch.where(known, values, 0.0).numpy(), rowvar=False)[0, 1]
    correlation = shrunk_correlation(torch.where(known, values, torch.nan), known)
    assert correlation[0, 1] > 1.5 * by_zeros


def test_little_is_believed_of_a_few_rows():
    # Any two columns of two rows are the same one, up to their sign.
    values = torch.from_numpy(np.random.default_rng(0).choice([-1.0, 1.0], (2, 1)).repeat(20, 1))
    correlation = shrunk_correlation(values, all_known(values))
    assert correlation[0, 1] < 0.3


@pytest.mark.parametrize("n_rows", [1, 5])
def test_few_rows_and_constant_columns_can_be_solved_for(n_rows):
    values = correlated(n_rows)
    values[:, 2] = 0.0
    correlation = shrunk_correlation(values, some_known((n_rows, 5)))
    assert torch.linalg.eigvalsh(correlation).min() > 0
    np.testing.assert_allclose(correlation.diagonal(), 1)
    np.testing.assert_allclose(correlation[2], torch.eye(5)[2], atol=1e-12)
