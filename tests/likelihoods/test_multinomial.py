"""Multinomial columns: rows of word counts given their totals."""

import numpy as np
import torch
from family_examples import DOUBLE, fitted, log_prob, observed, random_outputs
from scipy import stats
from scipy.special import softmax

from skrgvae.likelihoods.family import Observed
from skrgvae.likelihoods.multinomial import draw_multinomial


def words() -> np.ndarray:
    rng = np.random.default_rng(0)
    table = rng.poisson(rng.gamma(1.0, 1.0, size=(40, 1)) * [0.1, 1, 3, 10, 0.5]).astype(float)
    table[7] = 0
    return table


def test_log_prob_of_a_row_is_scipys():
    table = words()
    family = fitted("multinomial", table)
    outputs = random_outputs(family, 40)
    expected = stats.multinomial.logpmf(
        table, table.sum(axis=1).astype(int), softmax(outputs.numpy(), axis=1)
    )
    scores = log_prob(family, table, outputs)
    np.testing.assert_allclose(scores.sum(axis=1), expected, rtol=1e-10, atol=1e-12)
    assert np.abs(scores[7]).max() < 1e-300  # there was nothing to share out


def test_log_prob_of_a_row_with_holes_is_that_of_the_known_columns():
    table = words()
    family = fitted("multinomial", table)
    outputs = random_outputs(family, 40)
    holes = table.copy()
    holes[:, [1, 3]] = np.nan
    known = [0, 2, 4]
    expected = stats.multinomial.logpmf(
        table[:, known],
        table[:, known].sum(axis=1).astype(int),
        softmax(outputs.numpy()[:, known], axis=1),
    )
    scores = log_prob(family, holes, outputs).sum(axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-12)


def test_expectation_of_a_row_has_its_total():
    table = words()
    family = fitted("multinomial", table)
    outputs = random_outputs(family, 40)
    shares = softmax(outputs.numpy(), axis=1)
    total = table.sum(axis=1, keepdims=True)
    expected = family.expectation(outputs, observed(family, table))
    np.testing.assert_allclose(expected, total * shares, rtol=1e-10)
    mean = family.expectation(outputs)
    np.testing.assert_allclose(mean, table.sum(axis=1).mean() * shares, rtol=1e-6)


def test_expectation_of_a_row_with_holes_keeps_its_known_total():
    table = words()
    family = fitted("multinomial", table)
    outputs = random_outputs(family, 40)
    holes = table.copy()
    holes[:, 3] = np.nan
    expected = family.expectation(outputs, observed(family, holes)).numpy()
    known = [0, 1, 2, 4]
    np.testing.assert_allclose(expected[:, known].sum(axis=1), table[:, known].sum(axis=1))
    ratio = np.exp(outputs.numpy()[:, 3] - outputs.numpy()[:, 2])
    np.testing.assert_allclose(expected[:, 3], expected[:, 2] * ratio)


def test_expectation_of_a_row_of_which_nothing_is_known_has_the_mean_total():
    table = words()
    family = fitted("multinomial", table)
    outputs = random_outputs(family, 40)
    holes = table.copy()
    holes[3] = np.nan
    expected = family.expectation(outputs, observed(family, holes))
    torch.testing.assert_close(expected[3], family.expectation(outputs)[3])
    known = family.expectation(outputs, observed(family, table))
    torch.testing.assert_close(expected[4:], known[4:])


def test_large_totals_keep_their_digits_in_float32():
    table = np.array([[1e6, 2e6, 3e6], [1e6 + 500, 2e6, 3e6 - 500]])
    family = fitted("multinomial", table, double=False)
    outputs = torch.log(torch.tensor([[1.0, 2.0, 3.0]]).expand(2, 3))
    expected = stats.multinomial.logpmf(table, [6_000_000] * 2, [1 / 6, 1 / 3, 1 / 2])
    scores = log_prob(family, table, outputs).sum(axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


def test_draws_share_out_their_total():
    # 20,000 draws, five standard errors, five columns: a false alarm has probability 3e-6.
    shares = torch.tensor([0.5, 0.2, 0.0, 0.25, 0.05], dtype=DOUBLE)
    total = torch.full((20_000,), 30.0, dtype=DOUBLE)
    draws = draw_multinomial(
        total, shares.expand(20_000, 5), torch.Generator().manual_seed(0)
    ).numpy()
    assert (draws.sum(axis=1) == 30).all()
    assert (draws == draws.round()).all()
    assert (draws >= 0).all()
    p = shares.numpy()
    assert (np.abs(draws.mean(axis=0) - 30 * p) <= 5 * np.sqrt(30 * p * (1 - p) / 20_000)).all()
    # Variances, and covariances -n p q, in the same manner: the fourth moment is near normal's.
    covariance = np.cov(draws.T)
    expected = 30 * (np.diag(p) - np.outer(p, p))
    sd = np.sqrt(np.diag(expected))
    assert (np.abs(covariance - expected) <= 8 * np.outer(sd, sd) / np.sqrt(20_000)).all()


def test_one_column_is_certain():
    family = fitted("multinomial", words()[:, 3:4])
    rows = Observed(torch.ones(4, 1, dtype=DOUBLE), None)
    assert (family.log_prob(rows, torch.ones(4, 1, dtype=DOUBLE)) == 0).all()
    generator = torch.Generator().manual_seed(0)
    assert torch.isfinite(family.sample(torch.ones(4, 1, dtype=DOUBLE), generator)).all()
