"""The spike and slab: its tie of gate and slab, hard corners, draws without a gap."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from skrgvae.distributions import SpikeAndSlab
from skrgvae.distributions.spike_and_slab import spike_and_slab_kl, spike_and_slab_sample

DOUBLE = torch.float64


def random_arguments(n, seed=0, dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    loc, log_scale = torch.randn(2, n, dtype=DOUBLE, generator=generator)
    return (3 * loc).to(dtype), log_scale.exp().to(dtype)


def test_mixture_of_an_atom_and_a_gaussian():
    loc, scale = random_arguments(50)
    law, slab = SpikeAndSlab(loc, scale), Normal(loc, scale)
    odds = scale * torch.exp((loc / scale) ** 2 / 2)
    on = torch.where(odds.isinf(), 1.0, odds / (1 + odds))
    torch.testing.assert_close(law.prob_on, on)
    value = torch.tensor([-2.0, -0.1, 0.3, 4.0], dtype=DOUBLE)[:, None]
    torch.testing.assert_close(law.log_prob(value), on.log() + slab.log_prob(value))
    torch.testing.assert_close(law.cdf(value), on * slab.cdf(value) + (1 - on) * (value > 0))
    torch.testing.assert_close(law.mean, on * loc)
    second = on * (loc**2 + scale**2)
    torch.testing.assert_close(law.variance, second - (on * loc) ** 2, rtol=1e-9, atol=1e-12)


def test_density_over_the_base_measure_is_a_gaussian_kernel():
    # Against delta_0 + dz / sqrt(2 pi), the atom continues the slab's kernel at zero: this is the
    # exponential family that makes the Gaussian merge exact.
    loc, scale = random_arguments(20)
    law = SpikeAndSlab(loc, scale)
    near = law.log_prob(torch.full_like(loc, 1e-12)) + math.log(2 * math.pi) / 2
    torch.testing.assert_close(law.log_prob(torch.zeros_like(loc)), near, rtol=0, atol=1e-6)


def test_kl_is_that_of_the_gates_and_of_the_slabs():
    q, p = (SpikeAndSlab(*random_arguments(200, seed)) for seed in (0, 1))
    gates = kl_divergence(
        torch.distributions.Bernoulli(q.prob_on), torch.distributions.Bernoulli(p.prob_on)
    )
    slabs = kl_divergence(Normal(q.loc, q.scale), Normal(p.loc, p.scale))
    usable = (q.prob_on < 1 - 1e-6) & (p.prob_on < 1 - 1e-6)
    assert usable.sum() > 20
    expected = (gates + q.prob_on * slabs)[usable]
    torch.testing.assert_close(kl_divergence(q, p)[usable], expected)


def test_median_is_exactly_zero_unless_one_side_has_more_than_half():
    loc, scale = random_arguments(500)
    law = SpikeAndSlab(loc, 0.4 * scale)
    above = 1 - law.cdf(torch.zeros_like(loc))
    below = law.cdf(torch.full_like(loc, -1e-300))
    zero = (above <= 0.5) & (below <= 0.5)
    assert 50 < zero.sum() < 450
    assert ((law.median == 0) == zero).all()
    assert (law.median.sign() == torch.where(zero, 0, loc.sign())).all()
    assert not torch.signbit(law.median[zero]).any()


def test_draws_are_continuous_and_increasing_in_their_noise():
    # There is no gap between atom and slab that a draw would have to jump over, however far the
    # slab is. At the edge of the atom the density is its mass over sqrt(2 pi), so that the slope
    # there is about sqrt(2 pi) times a normal hazard: at most 15 for noise within +-5.
    noise = torch.arange(-5, 5, 1e-4, dtype=DOUBLE)[:, None]
    loc = torch.tensor([0.0, 0.05, 0.3, -0.4, 0.45, 0.55, 1.0, 3.0, 30.0], dtype=DOUBLE)
    steps = spike_and_slab_sample(loc, torch.full_like(loc, 0.1), noise).diff(dim=0)
    assert (steps >= -1e-12).all()
    assert (steps <= 15e-4).all()


def test_gradient_of_an_expectation_without_noise_of_its_own():
    # E f(z) by the midpoint rule over the probabilities of draws, differentiated through them,
    # against differences of E f(z) by the closed density.
    loc, scale = (torch.tensor(x, dtype=DOUBLE, requires_grad=True) for x in (0.25, 0.15))
    probability = (torch.arange(400_000, dtype=DOUBLE) + 0.5) / 400_000
    f = lambda z: torch.sin(3 * z) + z.abs()  # noqa: E731
    draws = spike_and_slab_sample(loc, scale, torch.special.ndtri(probability))
    gradients = torch.autograd.grad(f(draws).mean(), (loc, scale))

    def expectation(loc, scale):
        z = torch.linspace(-2, 2, 400_001, dtype=DOUBLE)
        on = SpikeAndSlab(loc, scale).prob_on
        return on * torch.trapezoid(f(z) * Normal(loc, scale).log_prob(z).exp(), z)

    step = 1e-4
    loc, scale = loc.detach(), scale.detach()
    numeric = (
        (expectation(loc + step, scale) - expectation(loc - step, scale)) / (2 * step),
        (expectation(loc, scale + step) - expectation(loc, scale - step)) / (2 * step),
    )
    torch.testing.assert_close(gradients, numeric, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_hard_corners_stay_finite(dtype):
    alpha = torch.tensor([0.0, 1e-3, 1.0, 5.0, 6.0, 12.0, 40.0, 1e4], dtype=dtype)
    alpha = torch.cat([-alpha, alpha])
    scale = torch.tensor([1e-3, 0.1, 1.0, 1e3], dtype=dtype)[:, None].expand(4, 16)
    scale = scale.clone().requires_grad_()
    loc = (alpha * scale.detach()).requires_grad_()
    noise = torch.tensor([-8.0, -5.0, -2.0, -0.1, 0.0, 1.0, 4.0, 5.5], dtype=dtype)[:, None, None]
    draws = spike_and_slab_sample(loc, scale, noise)
    # Without an atom to speak of, a draw is that of the slab.
    surely_on = (alpha.abs() > 6) & (noise.abs() < 5)
    plain = (loc + scale * noise).detach()
    precise = 1e-9 if dtype == DOUBLE else 2e-3
    torch.testing.assert_close(
        ((draws.detach() - plain) / scale.detach() * surely_on),
        torch.zeros_like(plain),
        rtol=0,
        atol=precise,
    )
    kl = spike_and_slab_kl(loc, scale, loc.detach().flip(1), scale.detach().flip(0))
    law = SpikeAndSlab(loc, scale)
    for result in (draws, kl, law.mean, law.variance, law.entropy(), law.log_prob(noise)):
        assert torch.isfinite(result).all()
        gradients = torch.autograd.grad(result.sum(), (loc, scale), retain_graph=True)
        assert torch.isfinite(torch.stack(gradients)).all()
    assert (kl > -1e-5).all()


def test_the_torch_interface():
    law = SpikeAndSlab(torch.zeros(3, 1), torch.tensor([0.1, 1.0]))
    assert law.batch_shape == (3, 2)
    assert law.expand((4, 3, 2)).rsample((5,)).shape == (5, 4, 3, 2)
    with pytest.raises(ValueError, match="scale"):
        SpikeAndSlab(0.0, -1.0, validate_args=True)
    with pytest.raises(ValueError, match="value"):
        law.log_prob(torch.tensor(float("nan")))
    with pytest.raises(ValueError, match="value"):
        law.cdf(torch.tensor(float("nan")))
