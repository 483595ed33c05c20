"""What holds for every latent law, checked on the table of examples.

The random tests draw 100,000 values from a fixed seed and allow five standard errors: a right
implementation fails one comparison in 1.7 million, the 80 comparisons here together with a
probability of 5e-5 - once, when the seed or the generator changes, not from run to run.
"""

import importlib
import inspect
import pkgutil

import pytest
import torch
from law_examples import ALL_EXAMPLES, EXAMPLE_PAIRS, EXAMPLES, Example
from torch.distributions import Distribution, kl_divergence

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
    points, weights = example.nodes()
    mass = weights * example.distribution.log_prob(points).exp()
    assert mass.sum().item() == pytest.approx(1, abs=1e-12)
    if example.law.has_atom:
        active = example.law.active(*example.arguments)
        assert mass[0].item() == pytest.approx(1 - active.item(), abs=1e-12)


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
    points, weights = q.nodes()
    log_q, log_p = q.distribution.log_prob(points), p.distribution.log_prob(points)
    expected = (weights * log_q.exp() * (log_q - log_p)).sum()
    kl = q.law.kl(*q.arguments, *p.arguments)
    torch.testing.assert_close(kl, expected, rtol=1e-10, atol=1e-11)
    torch.testing.assert_close(kl_divergence(q.distribution, p.distribution), kl)


def test_median_halves_the_mass(example):
    median = example.law.median(*example.arguments)
    distribution = example.distribution
    assert distribution.cdf(median) >= 0.5
    below = example.law.distribution(*example.arguments, validate_args=False).cdf(median - 1e-9)
    assert below <= 0.5


def test_icdf_inverts_cdf(example):
    distribution = example.distribution
    probability = torch.linspace(0.001, 0.999, 333, dtype=torch.float64)
    value = distribution.icdf(probability)
    at_zero = distribution.cdf(torch.zeros_like(example.loc))
    floor = at_zero if example.law.has_atom else 0.0
    torch.testing.assert_close(distribution.cdf(value), probability.clamp(min=floor))


def test_survival_integrates_to_the_mean(example):
    distribution = example.distribution
    # Integration by parts; over Lebesgue measure alone, so without the node of the atom.
    points, weights = (x[int(example.law.has_atom) :] for x in example.nodes())
    mean = example.lower_end + (weights * (1 - distribution.cdf(points))).sum()
    torch.testing.assert_close(mean, distribution.mean, rtol=1e-9, atol=1e-9)


def test_sample_moments(example):
    distribution = example.distribution
    draws = example.law.sample(*example.arguments, noise(N_DRAWS))
    assert_mean(draws, distribution.mean)
    assert_mean((draws - distribution.mean) ** 2, distribution.variance)
    assert_mean((draws > 0).double(), example.law.active(*example.arguments))
    if example.law.has_atom:
        assert_mean((draws == 0).double(), 1 - example.law.active(*example.arguments))


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


def test_sample_is_rsample_of_the_distribution(example):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        drawn = example.distribution.rsample((5,))
        torch.manual_seed(3)
        same = example.law.sample(*example.arguments, torch.randn(5, dtype=torch.float64))
    torch.testing.assert_close(drawn, same)


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
