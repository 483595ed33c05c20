"""The covariance that fills in what is linear."""

import numpy as np
import pytest
import torch

from skrgvae.data.summary import summarise
from skrgvae.likelihoods.covariance import (
    LEAST_SHRINKAGE,
    MOST_SHRINKAGE,
    expected_given_known,
    shrunk_covariance,
)
from skrgvae.likelihoods.family import Observed
from skrgvae.likelihoods.gaussian import MOST_CORRELATED, Gaussian


def correlated(n_rows, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(5, 5))
    return torch.from_numpy(rng.normal(size=(n_rows, 5)) @ mixing)


def some_known(shape, share=0.6, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).random(shape) < share)


def test_expectation_is_the_regression_on_the_known_columns():
    covariance = shrunk_covariance(correlated(50), torch.ones(50, 5, dtype=torch.bool))
    values, known = correlated(8, seed=2), some_known((8, 5))
    expected = expected_given_known(covariance, values, known)
    S = covariance.numpy()
    for row, given, found in zip(values.numpy(), known.numpy(), expected.numpy(), strict=True):
        by_hand = S[:, given] @ np.linalg.solve(S[np.ix_(given, given)], row[given])
        np.testing.assert_allclose(found, by_hand, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[given], row[given], rtol=1e-9, atol=1e-12)


def test_unknown_entries_and_leading_axes_change_nothing():
    covariance = shrunk_covariance(correlated(50), torch.ones(50, 5, dtype=torch.bool))
    values, known = correlated(8, seed=2), some_known((8, 5))
    expected = expected_given_known(covariance, values, known)
    spoilt = torch.where(known, values, torch.nan)
    several = expected_given_known(covariance, torch.stack([spoilt, 2 * values]), known)
    torch.testing.assert_close(several, torch.stack([expected, 2 * expected]))
    assert (expected_given_known(covariance, values, torch.zeros_like(known)) == 0).all()


def test_complete_rows_give_their_covariance_shrunk():
    values = correlated(40)
    covariance = shrunk_covariance(values, torch.ones_like(values, dtype=torch.bool))
    plain = (values.T @ values / 40).numpy()
    scaled = values.numpy() / np.sqrt(plain.diagonal())
    products = scaled[:, :, None] * scaled[:, None, :]
    apart = ~np.eye(5, dtype=bool)
    sampling = products.var(axis=0)[apart].sum() / 40
    shrinkage = sampling / np.square(products.mean(axis=0)[apart]).sum()
    assert LEAST_SHRINKAGE < shrinkage < MOST_SHRINKAGE
    shrunk = (1 - shrinkage * apart) * plain
    np.testing.assert_allclose(covariance.numpy(), shrunk, rtol=1e-9)


TWICE = correlated(1000)[:, :1].repeat(1, 2)  # nothing is uncertain about this correlation
BY_CHANCE = torch.eye(5, dtype=torch.float64) - 0.2


@pytest.mark.parametrize(
    ("values", "bound"), [(TWICE, LEAST_SHRINKAGE), (BY_CHANCE, MOST_SHRINKAGE)]
)
def test_shrinkage_is_bounded(values, bound):
    covariance = shrunk_covariance(values, torch.ones_like(values, dtype=torch.bool))
    plain = values.T @ values / len(values)
    torch.testing.assert_close(covariance[0, 1], (1 - bound) * plain[0, 1])


def test_holes_are_filled_before_the_covariance_is_taken():
    # Two columns that are the same one: with 0 in the holes their correlation is half of what it
    # is where both are known.
    column = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 1)))
    values, known = column.repeat(1, 2), some_known((400, 2), share=0.5)
    zeros = torch.where(known, values, 0.0)
    by_zeros = correlation(zeros.T @ zeros)
    covariance = shrunk_covariance(torch.where(known, values, torch.nan), known)
    assert correlation(covariance) > 1.3 * by_zeros


def correlation(covariance):
    return float(covariance[0, 1] / torch.sqrt(covariance[0, 0] * covariance[1, 1]))


@pytest.mark.parametrize("n_rows", [0, 1, 5])
def test_few_rows_and_constant_columns_can_be_solved_for(n_rows):
    values = correlated(n_rows)
    values[:, 2] = 0.0
    covariance = shrunk_covariance(values, some_known((n_rows, 5)))
    assert torch.linalg.eigvalsh(covariance).min() > 0
    assert covariance[2, 2] == 1


def columns_in_step(n_rows=200):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(n_rows, 1))
    return 3 + 2 * (common + 0.1 * rng.normal(size=(n_rows, 4)))


def test_gaussian_columns_are_expected_near_those_they_go_with():
    table = columns_in_step()
    family = Gaussian([0] * 4)
    family.set_statistics(summarise([table]))
    family.double()
    rows = torch.from_numpy(table[:20])
    known = torch.ones(20, 4, dtype=torch.bool)
    known[:, 0] = False
    observed = Observed(torch.where(known, family.observe(rows), 0.0), known)
    outputs = torch.zeros(20, 4, dtype=torch.float64)
    error = (family.expectation(outputs, observed)[:, 0] - rows[:, 0]).std()
    assert error < 0.2 * (family.expectation(outputs)[:, 0] - rows[:, 0]).std()
    # Where the outputs are right already, nothing is added.
    right = family.observe(rows)
    torch.testing.assert_close(family.expectation(right, observed), rows, rtol=1e-5, atol=1e-5)


def test_wide_tables_keep_none():
    family = Gaussian([0] * (MOST_CORRELATED + 1))
    assert family.covariance is None
    assert "covariance" not in family.state_dict()
