"""Poisson and negative binomial columns."""

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed, random_outputs
from scipy import stats

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import FAMILIES
from skrgvae.likelihoods.counts import EXPOSURE_COLUMNS
from skrgvae.likelihoods.family import Observed

NAMES = ["poisson", "negative_binomial"]
COUNTS = ["poisson", "negative_binomial", "multinomial"]


def texts(n_rows: int = 50, n_columns: int = 30) -> np.ndarray:
    """Counts of words in texts of very different lengths."""
    rng = np.random.default_rng(0)
    length = rng.gamma(1.0, 1.0, size=(n_rows, 1))
    return rng.poisson(length * rng.gamma(0.5, 6, size=n_columns)).astype(float)


def scipys(family, columns, mean):
    if family.name == "poisson":
        return stats.poisson.logpmf(columns, mean)
    size = family.dispersion().detach().numpy()
    return stats.nbinom.logpmf(columns, size, size / (size + mean))


@pytest.mark.parametrize("name", NAMES)
def test_log_prob_of_a_few_columns_is_scipys(name):
    columns = np.random.default_rng(0).poisson([0.1, 3, 2000], size=(50, 3)).astype(float)
    family = fitted(name, columns)
    outputs = random_outputs(family, 50) + torch.tensor([-2.0, 1.0, 7.6])
    expected = scipys(family, columns, np.exp(outputs.numpy()))
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_log_prob_of_many_columns_has_the_rows_exposure(name):
    columns = texts()
    assert columns.shape[1] >= EXPOSURE_COLUMNS
    family = fitted(name, columns)
    outputs = random_outputs(family, 50)
    rate = (columns.sum(axis=0) + 0.5) / 51
    exposure = (columns.sum(axis=1, keepdims=True) + 1) / (rate.sum() + 1)
    # The rates are kept in float32.
    rows = observed(family, columns)
    np.testing.assert_allclose(family.exposure(rows), exposure, rtol=1e-6)
    mean = np.exp(outputs.numpy()) * family.exposure(rows).numpy()
    np.testing.assert_allclose(
        log_prob(family, columns, outputs), scipys(family, columns, mean), rtol=1e-10
    )
    np.testing.assert_allclose(family.expectation(outputs, rows), mean, rtol=1e-12)


@pytest.mark.parametrize("name", COUNTS)
def test_exposure_is_that_of_the_known_columns(name):
    columns = texts()
    family = fitted(name, columns)
    holes = columns.copy()
    holes[:, :15] = np.nan
    holes[3] = np.nan
    exposure = family.exposure(observed(family, holes)).numpy()
    rate = family.mean_count.numpy()[15:].sum()
    expected = (columns[:, 15:].sum(axis=1, keepdims=True) + 1) / (rate + 1)
    expected[3] = 1
    np.testing.assert_allclose(exposure, expected, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_few_columns_have_no_exposure(name):
    columns = texts(n_columns=EXPOSURE_COLUMNS - 1)
    assert (fitted(name, columns).exposure(Observed(torch.ones(4, 19), None)) == 1).all()


@pytest.mark.parametrize("name", COUNTS)
def test_start_at_the_columns_means(name):
    columns = texts(2000)
    family = fitted(name, columns)
    expected = family.expectation(family.initial_outputs().to(DOUBLE))
    np.testing.assert_allclose(expected, columns.mean(axis=0), rtol=1e-3, atol=0.5 / 2000)


def test_dispersion_starts_at_that_of_the_columns():
    rng = np.random.default_rng(0)
    size = np.array([0.5, 2.0, 8.0])
    columns = rng.negative_binomial(size, size / (size + 5), size=(20_000, 3)).astype(float)
    family = FAMILIES["negative_binomial"]([0] * 3)
    family.set_statistics(summarise([columns]))
    np.testing.assert_allclose(family.dispersion().detach(), size, rtol=0.1)


def test_variance_of_negative_binomial_draws():
    # 50,000 draws, five standard errors, three columns: a false alarm has probability 2e-6.
    columns = np.random.default_rng(0).poisson(3, size=(50, 3)).astype(float)
    family = fitted("negative_binomial", columns)
    outputs = torch.tensor([0.0, 1.0, 2.0], dtype=DOUBLE)
    draws = family.sample(outputs.expand(50_000, 3), torch.Generator().manual_seed(1)).detach()
    mean = torch.exp(outputs)
    squares = (draws - mean).square()
    variance = (mean + mean**2 / family.dispersion()).detach()
    error = (squares.mean(dim=0) - variance).abs()
    assert (error < 5 * squares.std(dim=0) / 50_000**0.5).all()


@pytest.mark.parametrize("name", NAMES)
def test_large_counts_keep_their_digits_in_float32(name):
    # The terms of the formula are in the millions here, and the result is -7.
    columns = np.array([[1e6], [1e6 + 2000], [0.0]])
    family = fitted(name, columns, double=False)
    with torch.no_grad():
        for parameter in family.parameters():
            parameter.fill_(3.0)
    outputs = torch.full((3, 1), np.log(1e6), dtype=torch.float32)
    mean = np.exp(outputs.double().numpy())
    expected = scipys(family, columns, mean)
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=1e-4)


@pytest.mark.parametrize("name", COUNTS)
def test_inputs_of_many_columns_are_weighted_words_in_rows_of_one_length(name):
    columns = texts()
    columns[3] = 0  # a text without words
    family = fitted(name, columns)
    inputs = family.inputs(observed(family, columns)).numpy()
    n_rows, n_columns = columns.shape
    rate = (columns.sum(axis=0) + 0.5) / (n_rows + 1)
    weighted = np.log(1 + columns) * np.log(1 + 1 / rate)
    expected = (
        np.sqrt(n_columns) * weighted / np.maximum(np.linalg.norm(weighted, axis=1), 1e-9)[:, None]
    )
    np.testing.assert_allclose(inputs, expected, rtol=1e-6)  # rates are kept in float32
    assert (inputs[3] == 0).all()


@pytest.mark.parametrize("name", COUNTS)
def test_inputs_leave_missing_words_out_of_the_length(name):
    columns = texts()
    family = fitted(name, columns)
    holes = columns[:5].copy()
    holes[:, ::3] = np.nan
    inputs = family.inputs(observed(family, holes))
    assert (inputs[:, ::3] == 0).all()
    words = np.nansum(holes, axis=1) > 0
    assert words.any()
    lengths = np.where(words, np.sqrt(columns.shape[1]), 0)  # of a text without words: 0
    np.testing.assert_allclose(inputs.norm(dim=1), lengths)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 3.0, -2.0], "counts, but the smallest value is -2"),
        ([0.0, 0.5, 2.0], "counts, but not all values are whole numbers"),
        ([0.0, 3.0, np.nan], None),
        ([np.nan] * 3, None),
    ],
)
def test_what_is_refused(name, values, message):
    summary = summarise([np.array([values]).T])
    assert FAMILIES[name].refusal(summary, 0) == message
