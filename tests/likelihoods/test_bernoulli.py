"""Bernoulli columns."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

from skrgvae.likelihoods.bernoulli import Bernoulli

DOUBLE = torch.float64


def fitted(columns: np.ndarray) -> Bernoulli:
    family = Bernoulli(columns.shape[1]).double()
    family.set_statistics(columns)
    return family


@pytest.fixture
def outputs() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, 3, dtype=DOUBLE, generator=generator)


def test_log_prob_of_binary_values_is_scipys(outputs):
    values = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(float)
    family = fitted(values)
    observed = family.observe(torch.from_numpy(values))
    expected = stats.bernoulli.logpmf(values, expit(outputs.numpy()))
    np.testing.assert_allclose(family.log_prob(observed, outputs).numpy(), expected, rtol=1e-10)


def test_log_prob_of_intensities_is_the_cross_entropy(outputs):
    values = np.random.default_rng(0).random((40, 3))
    family = fitted(values)
    p = expit(outputs.numpy())
    expected = values * np.log(p) + (1 - values) * np.log1p(-p)
    np.testing.assert_allclose(
        family.log_prob(torch.from_numpy(values), outputs).numpy(), expected, rtol=1e-10
    )


def test_log_prob_broadcasts_over_samples(outputs):
    values = torch.from_numpy(np.random.default_rng(0).random((40, 3)))
    family = fitted(values.numpy())
    several = torch.stack([outputs, -outputs])
    joint = family.log_prob(values, several)
    assert joint.shape == (2, 40, 3)
    torch.testing.assert_close(joint[1], family.log_prob(values, -outputs), rtol=0, atol=0)


def test_extreme_outputs_stay_finite():
    outputs = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    log_prob = Bernoulli(2).log_prob(torch.tensor([[1.0, 0.0]]), outputs)
    torch.testing.assert_close(log_prob, torch.full((1, 2), -1e4))
    log_prob.sum().backward()
    torch.testing.assert_close(outputs.grad, torch.tensor([[1.0, -1.0]]))


def test_initial_outputs_are_the_marginal_rates():
    columns = np.random.default_rng(0).random((1000, 4)) ** 2
    family = fitted(columns)
    # Half a pseudo-count on each side moves a rate by less than half a row's weight.
    mean = family.mean(family.initial_outputs()).numpy()
    np.testing.assert_allclose(mean, columns.mean(axis=0), atol=0.5 / 1000)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("n_rows", [1, 10, 20_000_000])
def test_initial_outputs_of_constant_columns_are_finite(value, n_rows):
    # A broadcast view: 20 million rows without their memory. In float32, as in training.
    columns = np.broadcast_to(np.array([[value]]), (n_rows, 1))
    family = Bernoulli(1)
    family.set_statistics(columns)
    assert torch.isfinite(family.initial_outputs()).all()


def test_inputs_are_centred():
    columns = np.random.default_rng(0).integers(0, 2, (500, 3)).astype(float)
    family = fitted(columns)
    inputs = family.inputs(family.observe(torch.from_numpy(columns)))
    np.testing.assert_allclose(inputs.mean(dim=0).numpy(), 0, atol=0.5 / 500)


def test_observe_gives_the_networks_dtype():
    for dtype in (np.float32, np.float64):
        assert Bernoulli(2).observe(torch.zeros(3, 2).to(DOUBLE)).dtype == torch.float32
        columns = torch.from_numpy(np.zeros((3, 2), dtype))
        assert Bernoulli(2).double().observe(columns).dtype == DOUBLE


def test_sample_is_binary_with_the_right_rate():
    # 50,000 draws, five standard errors, three columns: a false alarm has probability 2e-6.
    logits = torch.tensor([-2.0, 0.0, 1.0], dtype=DOUBLE)
    generator = torch.Generator().manual_seed(3)
    draws = Bernoulli(3).double().sample(logits.expand(50_000, 3), generator).numpy()
    p = expit(logits.numpy())
    assert set(np.unique(draws)) == {0.0, 1.0}
    assert (np.abs(draws.mean(axis=0) - p) < 5 * np.sqrt(p * (1 - p) / 50_000)).all()
