"""Bernoulli columns."""

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed
from scipy import stats
from scipy.special import expit

from skrgvae.data.summary import summarise
from skrgvae.likelihoods.bernoulli import Bernoulli
from skrgvae.likelihoods.family import Observed


@pytest.fixture
def outputs() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, 3, dtype=DOUBLE, generator=generator)


def test_log_prob_of_binary_values_is_scipys(outputs):
    values = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(float)
    expected = stats.bernoulli.logpmf(values, expit(outputs.numpy()))
    scores = log_prob(fitted("bernoulli", values), values, outputs)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


def test_log_prob_of_intensities_is_the_cross_entropy(outputs):
    values = np.random.default_rng(0).random((40, 3))
    p = expit(outputs.numpy())
    expected = values * np.log(p) + (1 - values) * np.log1p(-p)
    scores = log_prob(fitted("bernoulli", values), values, outputs)
    np.testing.assert_allclose(scores, expected, rtol=1e-10)


def test_extreme_outputs_stay_finite():
    outputs = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    rows = Observed(torch.tensor([[1.0, 0.0]]), None)
    scores = Bernoulli([0, 0]).log_prob(rows, outputs)
    torch.testing.assert_close(scores, torch.full((1, 2), -1e4))
    scores.sum().backward()
    torch.testing.assert_close(outputs.grad, torch.tensor([[1.0, -1.0]]))


def test_initial_outputs_are_the_marginal_rates():
    columns = np.random.default_rng(0).random((1000, 4)) ** 2
    family = fitted("bernoulli", columns)
    # Half a pseudo-count on each side moves a rate by less than half a row's weight.
    mean = family.expectation(family.initial_outputs()).numpy()
    np.testing.assert_allclose(mean, columns.mean(axis=0), atol=0.5 / 1000)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("n_blocks", [1, 200])
def test_initial_outputs_of_constant_columns_are_finite(value, n_blocks):
    # Up to 20 million rows without their memory. In float32, as in training.
    block = np.full((100_000, 1), value)
    family = Bernoulli([0])
    family.set_statistics(summarise(block for _ in range(n_blocks)))
    assert torch.isfinite(family.initial_outputs()).all()


def test_inputs_are_centred():
    columns = np.random.default_rng(0).integers(0, 2, (500, 3)).astype(float)
    family = fitted("bernoulli", columns)
    inputs = family.inputs(observed(family, columns))
    np.testing.assert_allclose(inputs.mean(dim=0).numpy(), 0, atol=0.5 / 500)


def test_sample_is_binary_with_the_right_rate():
    # 50,000 draws, five standard errors, three columns: a false alarm has probability 2e-6.
    logits = torch.tensor([-2.0, 0.0, 1.0], dtype=DOUBLE)
    generator = torch.Generator().manual_seed(3)
    draws = Bernoulli([0] * 3).double().sample(logits.expand(50_000, 3), generator).numpy()
    p = expit(logits.numpy())
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert (np.abs(draws.mean(axis=0) - p) < 5 * np.sqrt(p * (1 - p) / 50_000)).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 3.0], "values in [0, 1], but they go from 0 to 3"),
        ([-0.5, 1.0], "values in [0, 1], but they go from -0.5 to 1"),
        ([0.0, np.nan], None),
        ([np.nan, np.nan], None),
    ],
)
def test_what_is_refused(values, message):
    assert Bernoulli.refusal(summarise([np.array([values]).T]), 0) == message


def test_new_values_beyond_0_and_1_count_as_these():
    columns = np.array([[0.0, 1.0], [1.0, 0.5], [1.0, 1.0]])
    family = fitted("bernoulli", columns)
    outputs = torch.tensor([[-1.0, 3.0]], dtype=torch.float64)
    beyond, inside = np.array([[-7.0, 1.2]]), np.array([[0.0, 1.0]])
    np.testing.assert_array_equal(
        log_prob(family, beyond, outputs), log_prob(family, inside, outputs)
    )
    given = (family.inputs(observed(family, rows)) for rows in (beyond, inside))
    np.testing.assert_array_equal(*given)
