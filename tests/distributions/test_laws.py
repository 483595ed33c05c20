"""What holds for every latent law, checked on the table of examples.

The random tests draw 100,000 values from a fixed seed and allow five standard errors: a right
implementation fails one comparison in 1.7 million, the 80 comparisons here together with a
probability of 5e-5 - once, when the seed or the generator changes, not from run to run.
"""

import importlib
import inspect
import math
import pkgutil

import pytest
import torch
from law_examples import ALL_EXAMPLES, EXAMPLE_PAIRS, EXAMPLES, Example
from torch.distributions import Distribution, Laplace, kl_divergence

import skrgvae.distributions
from skrgvae.distributions import LATENT_LAWS

N_DRAWS = 100_000
N_STANDARD_ERRORS = 5


@pytest.fixture(params=ALL_EXAMPLES, ids=lambda example: example.label)
def example(request: pytest.FixtureRequest) -> Example:
    return request.param


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


def assert_mean(values, expected):
    error = values.mean() - expected
    # 1e-12: a derivative that is the same in every draw has no standard error.
    assert error.abs() <= N_STANDARD_ERRORS * values.std() / N_DRAWS**0.5 + 1e-12


def test_every_law_has_examples():
    assert set(EXAMPLES) == set(LATENT_LAWS)
    assert all(EXAMPLES.values())


def test_every_distribution_has_examples():
    package = skrgvae.distributions
    defined = {
        value
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
        for value in vars(importlib.import_module(module.name)).values()
        if inspect.isclass(value)
        and issubclass(value, Distribution)
        and value.__module__ == module.name
    }
    assert defined
    assert defined <= {LATENT_LAWS[name].distribution for name in EXAMPLES}


def test_laws_are_named_by_their_keys():
    assert all(law.name == name for name, law in LATENT_LAWS.items())


def test_functions_agree_with_the_distribution(example):
    law, distribution = example.law, example.distribution
    points, _ = example.nodes()
    torch.testing.assert_close(
        law.log_prob(points, *example.arguments), distribution.log_prob(points)
    )
    torch.testing.assert_close(law.mean(*example.arguments), distribution.mean)
    below_zero = distribution.cdf(torch.zeros_like(example.loc))
    torch.testing.assert_close(law.active(*example.arguments), 1 - below_zero)


def test_functions_broadcast(example):
    law = example.law
    loc, scale = example.loc.expand(3, 1), example.scale.expand(4)
    for function in (law.median, law.mean, law.active):
        assert function(loc, scale).shape == (3, 4)
    assert law.sample(loc, scale, noise(2, 3, 4)).shape == (2, 3, 4)
    assert law.kl(loc, scale, loc, scale).shape == (3, 4)
    assert law.log_prob(torch.ones(2, 1, 1), loc, scale).shape == (2, 3, 4)


def test_total_mass_is_one(example):
    zero = torch.zeros_like(example.loc)
    points, weights = example.nodes()
    mass = weights * example.distribution.log_prob(points).exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-12)
    if example.law.has_atom:
        just_below = example.law.distribution(*example.arguments, validate_args=False).cdf
        atom = example.distribution.cdf(zero) - just_below(zero - 1e-300)
        assert mass[0].item() == pytest.approx(atom.item(), abs=1e-12)


def test_moments_and_entropy_by_quadrature(example):
    distribution = example.distribution
    points, weights = example.nodes()
    log_prob = distribution.log_prob(points)
    mass = weights * log_prob.exp()
    mean = (mass * points).sum()
    variance = (mass * (points - mean) ** 2).sum()
    torch.testing.assert_close(distribution.mean, mean, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(distribution.variance, variance, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(distribution.stddev, variance.sqrt(), rtol=1e-10, atol=1e-12)
    entropy = -(mass * log_prob).sum()
    torch.testing.assert_close(distribution.entropy(), entropy, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("q", "p"), EXAMPLE_PAIRS, ids=[f"{q.label}-{p.label}" for q, p in EXAMPLE_PAIRS]
)
def test_kl_by_quadrature(q, p):
    points, weights = q.nodes(p.loc)
    log_q, log_p = q.distribution.log_prob(points), p.distribution.log_prob(points)
    expected = (weights * log_q.exp() * (log_q - log_p)).sum()
    kl = q.law.kl(*q.arguments, *p.arguments)
    torch.testing.assert_close(kl, expected, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(kl_divergence(q.distribution, p.distribution), kl)


def test_median_halves_the_mass(example):
    median = example.law.median(*example.arguments)
    distribution = example.distribution
    assert distribution.cdf(median) >= 0.5 - 1e-12
    below = example.law.distribution(*example.arguments, validate_args=False).cdf(median - 1e-9)
    assert below <= 0.5


def test_icdf_inverts_cdf(example):
    distribution = example.distribution
    probability = torch.linspace(0.001, 0.999, 333, dtype=torch.float64)
    value = distribution.icdf(probability)
    in_atom = (value == 0) & example.law.has_atom
    at_zero = distribution.cdf(torch.zeros_like(example.loc))
    expected = torch.where(in_atom, at_zero, probability)
    torch.testing.assert_close(distribution.cdf(value), expected)
    assert (expected >= probability).all()
    # The quantile of every law is continuous and increasing: so is a draw in its noise.
    assert (value.diff() >= 0).all()


def test_survival_integrates_to_the_mean(example):
    distribution = example.distribution
    # Integration by parts; over Lebesgue measure alone, so without the node of the atom.
    zero = torch.zeros_like(example.loc)
    points, weights = (x[int(example.law.has_atom) :] for x in example.nodes(zero))
    mean = example.lower_end + (weights * (1 - distribution.cdf(points))).sum()
    torch.testing.assert_close(mean, distribution.mean, rtol=1e-9, atol=1e-9)


def test_sample_moments(example):
    distribution = example.distribution
    draws = example.law.sample(*example.arguments, noise(N_DRAWS))
    assert_mean(draws, distribution.mean)
    assert_mean((draws - distribution.mean) ** 2, distribution.variance)
    assert_mean((draws > 0).double(), example.law.active(*example.arguments))
    if example.law.has_atom:
        atom = distribution.log_prob(torch.zeros_like(example.loc)).exp()
        assert_mean((draws == 0).double(), atom)


def test_pathwise_gradients_of_moments(example):
    loc, scale = (x.expand(N_DRAWS).clone().requires_grad_() for x in example.arguments)
    draws = example.law.sample(loc, scale, noise(N_DRAWS))
    leaves = [x.clone().requires_grad_() for x in example.arguments]
    distribution = example.law.distribution(*leaves)
    second_moment = distribution.variance + distribution.mean**2
    for sampled, moment in ((draws, distribution.mean), (draws**2, second_moment)):
        pathwise = torch.autograd.grad(sampled.sum(), (loc, scale), retain_graph=True)
        exact = torch.autograd.grad(
            moment, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for values, expected in zip(pathwise, exact, strict=True):
            assert_mean(values, expected)


def test_sample_is_the_quantile_of_its_noise(example):
    draw = noise(1000)
    expected = example.distribution.icdf(torch.special.ndtr(draw))
    sampled = example.law.sample(*example.arguments, draw)
    torch.testing.assert_close(sampled, expected, rtol=1e-9, atol=1e-9)


def test_samples_follow_the_cdf(example):
    # Massart (1990): over the whole line, an empirical distribution function of n draws lies more
    # than e away from the true one with a probability of at most 2 exp(-2 n e^2), here 1e-8.
    draws = example.law.sample(*example.arguments, noise(N_DRAWS)).sort().values
    cdf = example.distribution.cdf(draws)
    below = torch.searchsorted(draws, draws, right=True) / N_DRAWS
    assert (cdf - below).abs().max() <= (math.log(2e8) / (2 * N_DRAWS)) ** 0.5


def test_distributions_of_this_package_draw_by_the_law(example):
    if example.law.distribution is Laplace:
        pytest.skip("torch's own distribution, which draws from uniform noise")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        drawn = example.distribution.rsample((5,))
        torch.manual_seed(3)
        same = example.law.sample(*example.arguments, torch.randn(5, dtype=torch.float64))
    torch.testing.assert_close(drawn, same)


@pytest.mark.parametrize("rate", [0.03, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("law", LATENT_LAWS.values(), ids=lambda law: law.name)
def test_start_has_the_rate_asked_for(law, rate):
    arguments = [torch.tensor(x, dtype=torch.float64) for x in law.start(rate)]
    on = law.active(*arguments)
    if law.name == "spike_and_slab":
        on = 1 - law.log_prob(torch.zeros_like(on), *arguments).exp()
    assert on.item() == pytest.approx(rate, rel=1e-9)


def test_gradients_by_finite_differences(example):
    law = example.law
    arguments = tuple(x.clone().requires_grad_() for x in example.arguments)
    value = torch.tensor([0.7, 2.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(law.log_prob, (value, *arguments))
    assert torch.autograd.gradcheck(law.active, arguments)
    assert torch.autograd.gradcheck(law.mean, arguments)
    for name in ("variance", "entropy"):

        def statistic(loc, scale, name=name):
            result = getattr(law.distribution(loc, scale), name)
            return result() if callable(result) else result

        assert torch.autograd.gradcheck(statistic, arguments)
    cdf = lambda value, loc, scale: law.distribution(loc, scale).cdf(value)  # noqa: E731
    assert torch.autograd.gradcheck(cdf, (value, *arguments))
    other = tuple(torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.4, 1.3))
    assert torch.autograd.gradcheck(law.kl, (*arguments, *other))
    assert torch.autograd.gradcheck(law.kl, (*other, *arguments))
