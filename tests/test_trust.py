"""Figures that can be trusted: standard errors, bounds that tighten, posterior moments."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from test_model import DEEP, FAMILIES, TINY, TINY_NAMES, nodes, rows_for, trained_like

from skrgvae import HierarchicalSparseEncoder
from skrgvae.data.sources import ArrayRows
from skrgvae.inspection import elbo_estimate
from skrgvae.model import Model, score_rows
from skrgvae.network import Architecture
from skrgvae.noise import normal_noise, row_keys

ONE_UNIT = [
    Architecture((1,), None, FAMILIES, firing_rate=0.4),
    Architecture((1,), None, FAMILIES, latent="gaussian"),
]


def wide(architecture):
    """A network whose q is wide enough to make importance sampling work at all."""
    module = trained_like(architecture).double()
    with torch.no_grad():
        for head in module.bottom_up.heads:
            head.weight *= 0.3
            head.bias[1:] = -3.0
    return module


@torch.no_grad()
def by_scipy(module, row):
    """log p(x), and E[z | x], E[z^2 | x] and P(z = 0 | x), of a network of a single unit.

    The decoder and its likelihood are the network's own; law, measure and integral are scipy's.
    """
    loc, scale = (part.item() for part in module.top_down.top((1,)))
    observed = module.likelihood.observe(torch.from_numpy(row[None]))

    def likelihood(z):
        outputs = module.top_down.decode([torch.full((1, 1), float(z), dtype=torch.float64)])
        return module.likelihood.log_prob(observed, outputs).exp().item()

    def joint(z, power):
        return z**power * stats.norm.pdf(z, loc, scale) * likelihood(z)

    atom, start = 0.0, loc - 12 * scale
    if module.law.has_atom:
        atom, start = stats.norm.cdf(0, loc, scale) * likelihood(0.0), 0.0
    stop = max(loc, 0) + 12 * scale
    mass, first, second = (
        integrate.quad(joint, start, stop, args=(power,), epsabs=0, epsrel=1e-9, limit=200)[0]
        for power in range(3)
    )
    evidence = atom + mass
    return math.log(evidence), [first / evidence, second / evidence, atom / evidence]


@torch.no_grad()
def weighted_draws(module, row, n_draws):
    """Self-normalised weights of joint draws from q, and each layer's draws, bottom first."""
    sizes = module.architecture.layer_sizes
    rows = torch.from_numpy(row[None])
    noise = torch.from_numpy(normal_noise(row_keys(row[None], 0), sum(sizes), range(n_draws)))
    noise = noise.split(sizes, dim=-1)
    log_weights = module.log_weights(rows, noise)[:, 0]
    records = module.descend(module.messages(rows), noise)
    values = [record.value[:, 0, 0].numpy() for record in records]
    return torch.softmax(log_weights, dim=0).numpy(), values


def assert_moments(weights, z, expected):
    """Mean, second moment and mass at zero within five standard errors of the ratio estimate."""
    for value, exact in zip((z, z**2, z == 0), expected, strict=True):
        estimate = weights @ value
        error = math.sqrt(weights**2 @ (value - estimate) ** 2)
        assert abs(estimate - exact) <= 5 * error + 1e-9


# Every comparison below is at five standard errors: 42 of them, so that a right implementation
# fails with a probability of 3e-5, at a change of the seeds only.


@pytest.mark.parametrize("architecture", ONE_UNIT, ids=["rectified", "gaussian"])
def test_one_unit_against_scipy(architecture):
    module = wide(architecture)
    for row in rows_for(architecture, 2, seed=3):
        evidence, moments = by_scipy(module, row)
        elbo = np.concatenate(
            [score_rows(module, ArrayRows(row[None]), seed) for seed in range(300)]
        )
        assert elbo.mean() < evidence + 5 * elbo.std() / math.sqrt(300)
        weights, (z,) = weighted_draws(module, row, 20_000)
        assert_moments(weights, z, moments)
        # The mean of N weights has the relative variance (sum of squared shares) - 1 / N.
        bound = score_rows(module, ArrayRows(row[None]), 0, 20_000).item()
        assert abs(bound - evidence) < 5 * math.sqrt(weights @ weights)
        assert bound > elbo.mean()


@pytest.mark.parametrize("architecture", TINY, ids=TINY_NAMES)
def test_posterior_moments_of_two_units(architecture):
    module = wide(architecture)
    for row in rows_for(architecture, 2, seed=4):
        with torch.no_grad():
            (top,), (bottom,) = two_unit_moments(module, row)
        weights, values = weighted_draws(module, row, 20_000)
        assert_moments(weights, values[1], top)
        assert_moments(weights, values[0], bottom)


def two_unit_moments(module, row):
    """Posterior moments of the top and the bottom unit, by quadrature over both."""
    loc, scale = module.top_down.prior(1, [], (1,))
    top, top_weight = nodes(module.law, loc, scale)
    loc, scale = module.top_down.prior(0, [top], top.shape[:-1])
    bottom, bottom_weight = nodes(module.law, loc, scale)
    above = top.expand_as(bottom)
    log_p = module.law.log_prob(top, *module.top_down.prior(1, [], (1,))) + top_weight
    log_p = log_p + module.law.log_prob(bottom, loc, scale) + bottom_weight
    observed = module.likelihood.observe(torch.from_numpy(row[None]))
    outputs = module.top_down.decode([bottom, above])
    log_p = log_p.squeeze(-1) + module.likelihood.log_prob(observed, outputs)
    share = torch.softmax(log_p.flatten(), dim=0)
    return [
        [[(share @ f.flatten().double()).item() for f in (z, z**2, z == 0)]]
        for z in (above, bottom)
    ]


@pytest.mark.parametrize("architecture", TINY, ids=TINY_NAMES)
def test_the_importance_weighted_bound_rises_with_k(architecture):
    module = wide(architecture)
    row = rows_for(architecture, 1, seed=5)
    last_mean, last_error = -math.inf, 0.0
    for k in (1, 2, 4, 16, 64, 256):
        values = np.concatenate(
            [score_rows(module, ArrayRows(row), seed, k) for seed in range(100)]
        )
        mean, error = values.mean(), values.std() / math.sqrt(100)
        assert mean > last_mean - 5 * math.hypot(error, last_error)
        last_mean, last_error = mean, error


# The standard error of the ELBO


def test_noise_error_is_the_spread_over_seeds():
    # 150 seeds: their standard deviation is within 5 standard errors (5.8 %) of its expectation.
    table = rows_for(DEEP, 20, seed=1)
    module = trained_like(DEEP).double()
    draws = [
        Model.from_module(module, seed, "cpu").elbo_draws(ArrayRows(table), 4)
        for seed in range(150)
    ]
    spread = np.std([values.mean() for values in draws], ddof=1)
    errors = [math.sqrt(values.var(axis=0, ddof=1).sum() / 4) / 20 for values in draws]
    assert spread == pytest.approx(math.sqrt(np.mean(np.square(errors))), rel=0.29)


def test_elbo_estimate():
    X = np.random.default_rng(0).normal(size=(60, 3))
    encoder = HierarchicalSparseEncoder((4, 3), max_iter=2, random_state=0).fit(X)
    draws = encoder._model.elbo_draws(ArrayRows(X), 5)
    np.testing.assert_array_equal(draws[0], encoder.score_samples(X))
    assert len(np.unique(draws[:, 0])) == 5
    estimate = elbo_estimate(encoder, X, 5)
    assert estimate.mean == pytest.approx(draws.mean())
    assert estimate.row_error == pytest.approx(stats.sem(draws.mean(axis=0)))
    assert estimate.noise_error == pytest.approx(math.hypot(*stats.sem(draws)) / 60)
    assert estimate == elbo_estimate(encoder, X.copy(), n_draws=5)
    one = elbo_estimate(encoder, X[:1], 5)
    assert math.isnan(one.row_error) and one.noise_error == pytest.approx(stats.sem(draws[:, 0]))
    for wrong in (1, 2.0, "10"):
        with pytest.raises(ValueError, match=r"n_draws must be an integer .*Got"):
            elbo_estimate(encoder, X, wrong)


def test_samples_in_pieces_of_rows_and_samples(monkeypatch):
    # 16 rows and many samples: no piece is larger than it should be, and none changes the bound.
    table = rows_for(DEEP, 16, seed=1)
    module = trained_like(DEEP).double()
    whole = score_rows(module, ArrayRows(table), 0, 50)
    largest = []
    noise = normal_noise

    def watched(*arguments):
        made = noise(*arguments)
        largest.append(made.size)
        return made

    monkeypatch.setattr("skrgvae.model.normal_noise", watched)
    monkeypatch.setattr("skrgvae.model.PIECE", 16 * 17 * 3)
    np.testing.assert_allclose(score_rows(module, ArrayRows(table), 0, 50), whole, rtol=1e-10)
    assert max(largest) == 16 * 13 * 3
