"""The structured posterior: the paper's claim."""

import math

import pytest
import torch

from skrgvae.distributions import LATENT_LAWS
from skrgvae.network import POSTERIORS, Message
from skrgvae.network.merge import mean_field, structured

DOUBLE = torch.float64


def random_parts(n=500):
    generator = torch.Generator().manual_seed(0)
    loc_p, loc = 3 * torch.randn(2, n, dtype=DOUBLE, generator=generator)
    scale_p, precision = torch.randn(2, n, dtype=DOUBLE, generator=generator).exp()
    return loc_p, scale_p, Message(loc, precision)


def test_posteriors_are_named():
    assert POSTERIORS == {"structured": structured, "mean_field": mean_field}


def test_structured_is_the_precision_weighted_product():
    loc_p, scale_p, message = random_parts()
    loc_q, scale_q = structured(loc_p, scale_p, message)
    variance = 1 / (1 / scale_p**2 + message.precision)
    torch.testing.assert_close(scale_q, variance.sqrt(), rtol=1e-13, atol=0)
    expected = variance * (loc_p / scale_p**2 + message.precision * message.loc)
    torch.testing.assert_close(loc_q, expected, rtol=1e-11, atol=1e-12)


def test_structured_is_the_product_of_two_densities():
    loc_p, scale_p, message = random_parts(20)
    z = torch.linspace(-3, 3, 7, dtype=DOUBLE)[:, None]
    log_prob = LATENT_LAWS["gaussian"].log_prob
    product = log_prob(z, loc_p, scale_p) + log_prob(z, message.loc, message.precision.rsqrt())
    ratio = product - log_prob(z, *structured(loc_p, scale_p, message))
    # Equal up to a constant of z.
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-10, atol=1e-10)


def test_for_the_spike_and_slab_it_is_the_exact_posterior():
    # Prior times the likelihood of the pseudo-observation, at zero and around it: equal to the
    # merged law, gate and all, up to a constant of z.
    loc_p, scale_p, message = random_parts(20)
    z = torch.tensor([-3.0, -1.0, -0.1, 0.0, 0.2, 1.5, 3.0], dtype=DOUBLE)[:, None]
    log_prob = LATENT_LAWS["spike_and_slab"].log_prob
    product = log_prob(z, loc_p, scale_p) - message.precision * (z - message.loc) ** 2 / 2
    ratio = product - log_prob(z, *structured(loc_p, scale_p, message))
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-10, atol=1e-10)


def test_for_laplace_units_it_is_the_merge_of_means_and_variances():
    loc_p, scale_p, message = random_parts()
    prior = LATENT_LAWS["laplace"].distribution(loc_p, scale_p)
    merged = LATENT_LAWS["laplace"].distribution(*structured(loc_p, scale_p, message))
    variance = 1 / (1 / prior.variance + message.precision / 2)
    mean = variance * (prior.mean / prior.variance + message.precision / 2 * message.loc)
    torch.testing.assert_close(merged.variance, variance)
    torch.testing.assert_close(merged.mean, mean)


@pytest.mark.parametrize("law", LATENT_LAWS.values(), ids=lambda law: law.name)
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_without_precision_the_posterior_is_the_prior(law, dtype):
    loc_p, scale_p, message = random_parts()
    loc_p, scale_p = loc_p.to(dtype), scale_p.to(dtype)
    silent = Message(message.loc.to(dtype), torch.zeros_like(loc_p))
    loc_q, scale_q = structured(loc_p, scale_p, silent)
    torch.testing.assert_close(loc_q, loc_p, rtol=0, atol=0)
    torch.testing.assert_close(scale_q, scale_p, rtol=0, atol=0)
    # Nothing, up to the rounding of the tail functions.
    tolerance = 1e-7 if dtype == torch.float32 else 1e-15
    assert (law.kl(loc_q, scale_q, loc_p, scale_p).abs() <= tolerance).all()


@pytest.mark.parametrize("scale", [math.exp(-12), 1.0, math.exp(12)])
@pytest.mark.parametrize("precision", [math.exp(-12), 1.0, math.exp(12)])
def test_structured_stays_finite_at_the_ends_of_the_range(scale, precision):
    # The network's scales and precisions are clamped to exp(-12) ... exp(12).
    parts = [torch.tensor(value, requires_grad=True) for value in (2.0, scale, -1.0, precision)]
    loc_q, scale_q = structured(parts[0], parts[1], Message(parts[2], parts[3]))
    gradients = torch.autograd.grad(loc_q + scale_q, parts)
    assert torch.isfinite(torch.stack([loc_q, scale_q, *gradients])).all()
    assert -1 <= loc_q <= 2
    assert 0 < scale_q <= scale


def test_mean_field_forgets_the_prior():
    loc_p, scale_p, message = random_parts()
    loc_q, scale_q = mean_field(loc_p, scale_p, message)
    torch.testing.assert_close(loc_q, message.loc, rtol=0, atol=0)
    torch.testing.assert_close(1 / scale_q**2, message.precision, rtol=1e-12, atol=0)


@pytest.mark.parametrize("merge", POSTERIORS.values())
def test_several_samples_meet_one_message(merge):
    loc_p, scale_p, message = random_parts(12)
    several = torch.stack([loc_p, loc_p + 1]).reshape(2, 4, 3)
    message = Message(*(part.reshape(4, 3) for part in message))
    loc_q, scale_q = merge(several, scale_p.reshape(4, 3).expand(2, 4, 3), message)
    assert loc_q.shape == scale_q.shape == (2, 4, 3)
    expected = merge(several[1], scale_p.reshape(4, 3), message)
    torch.testing.assert_close((loc_q[1], scale_q[1]), expected, rtol=0, atol=0)
