"""A trained network as arrays: bounds against quadrature, pieces, dtypes, pickling, samples."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import constraints

import skrgvae.model
from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import summarise
from skrgvae.distributions import LatentLaw
from skrgvae.model import HeldOut, Model, score_rows
from skrgvae.network import Architecture, Hierarchy
from skrgvae.noise import normal_noise, row_keys

DOUBLE = torch.float64
FAMILIES = ("gaussian", "bernoulli")
# Two units, so that log p(x) is an integral over a plane.
TINY_NAMES = ["skip", "mean_field", "gaussian", "laplace", "spike_and_slab"]
TINY = [
    Architecture((1, 1), None, FAMILIES, skip_connections=True, firing_rate=0.3),
    Architecture((1, 1), None, FAMILIES, posterior="mean_field"),
    Architecture((1, 1), None, FAMILIES, latent="gaussian", batch_norm=False),
    Architecture((1, 1), None, FAMILIES, latent="laplace"),
    Architecture((1, 1), None, FAMILIES, latent="spike_and_slab", firing_rate=0.4),
]
DEEP = Architecture(
    (6, 4, 3),
    (8, 7, 6),
    ("gaussian", "bernoulli", "gaussian", "bernoulli"),
    skip_connections=True,
    firing_rate=0.2,
)
STATISTICS = ["median", "mean", "active"]


def rows_for(architecture: Architecture, n_rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = 4 * rng.normal(size=(n_rows, len(architecture.families))) + 10
    binary = np.array(architecture.families) == "bernoulli"
    table[:, binary] = rng.random((n_rows, binary.sum())) < 0.4
    return table


def trained_like(architecture: Architecture, seed: int = 0) -> Hierarchy:
    """A module with weights and moments as unlike the first ones as training makes them."""
    module = Hierarchy(architecture)
    table = rows_for(architecture, 50)
    module.likelihood.set_statistics(summarise([table]))
    generator = torch.Generator().manual_seed(seed)
    module.draw(generator)
    noise = [torch.randn(50, size, generator=generator) for size in architecture.layer_sizes]
    with torch.no_grad():
        module(torch.from_numpy(table), noise)  # running moments
        for parameter in module.parameters():
            parameter += 0.4 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


def model_of(architecture: Architecture, seed: int = 0) -> Model:
    return Model.from_module(trained_like(architecture), seed, "cpu")


@pytest.fixture(scope="module")
def deep() -> Model:
    return model_of(DEEP)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return rows_for(DEEP, 37, seed=1)


# Bounds, where log p(x) can be had.


def nodes(law: LatentLaw, loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Points of shape (n_nodes, *loc.shape) and log weights against the law's own measure."""
    unit, weight = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(60))
    unit, weight = (x.reshape((-1,) + (1,) * loc.ndim) for x in (unit, weight))
    reach = (25 if law.name == "laplace" else 9) * scale
    positive = law.distribution.support is constraints.nonnegative
    lower, upper = loc - reach, loc.clamp(min=0) + reach if positive else loc + reach
    points, weights = [], []
    for start, stop in ((lower, loc), (loc, upper)):  # a Laplace density has a kink at loc
        start, stop = (end.clamp(min=0) if positive else end for end in (start, stop))
        half = (stop - start) / 2
        points.append(start + half * (1 + unit))
        weights.append(half * weight)
    if law.has_atom:
        points.append(torch.zeros_like(loc)[None])
        weights.append(torch.ones_like(loc)[None])
    return torch.cat(points), torch.cat(weights).log()


@torch.no_grad()
def integrals(module: Hierarchy, row: np.ndarray) -> tuple[float, float, float]:
    """By quadrature: log p(x), the ELBO, and the variance of p(x, z) / q(z | x) / p(x)."""
    rows = torch.from_numpy(row[None])
    messages = module.messages(rows)
    observed = module.likelihood.observe(rows)

    def joint(of_posterior: bool) -> tuple[Tensor, Tensor, Tensor]:
        """log weight of every node, log p(x, z) and log q(z | x) there."""
        log_weight, log_p, log_q, above = 0.0, 0.0, 0.0, []
        for layer in (1, 0):
            shape = above[0].shape[:-1] if above else (1,)
            loc_p, scale_p = module.top_down.prior(layer, above, shape)
            loc_q, scale_q = module.merge(loc_p, scale_p, messages[layer])
            chosen = (loc_q, scale_q) if of_posterior else (loc_p, scale_p)
            z, weight = nodes(module.law, *chosen)
            log_p = log_p + module.law.log_prob(z, loc_p, scale_p).squeeze(-1)
            log_q = log_q + module.law.log_prob(z, loc_q, scale_q).squeeze(-1)
            log_weight = log_weight + weight.squeeze(-1)
            above = [z, *(values.expand_as(z) for values in above)]
        outputs = module.top_down.decode(above)
        return log_weight, log_p + module.likelihood.log_prob(observed, outputs), log_q

    log_weight, log_p, _ = joint(of_posterior=False)
    evidence = torch.logsumexp((log_weight + log_p).flatten(), dim=0)
    log_weight, log_p, log_q = joint(of_posterior=True)
    density = (log_weight + log_q).exp()
    assert density.sum().item() == pytest.approx(1, abs=1e-9)
    log_ratio = log_p - log_q
    # Where q underflows to 0, it has no part in the ELBO.
    elbo = (density * torch.where(density > 0, log_ratio, 0.0)).sum()
    second = (density * (2 * (log_ratio - evidence)).exp()).sum()
    return evidence.item(), elbo.item(), second.item() - 1


def scores(module: Hierarchy, row: np.ndarray, n_seeds: int, n_samples: int) -> np.ndarray:
    """Bounds of one row under many seeds."""
    values = [score_rows(module, ArrayRows(row[None]), seed, n_samples) for seed in range(n_seeds)]
    return np.concatenate(values)


@pytest.mark.parametrize("architecture", TINY, ids=TINY_NAMES)
def test_bounds_of_a_model_whose_evidence_is_known(architecture):
    # Five standard errors, three comparisons for each of 15 cases: a right implementation
    # fails with a probability of 3e-5, at a change of the seeds only.
    module = trained_like(architecture).double()
    with torch.no_grad():  # posteriors wide enough to make importance sampling work at all
        for head in module.bottom_up.heads:
            head.weight *= 0.3
            head.bias[1:] = -3.0
    for row in rows_for(architecture, 3, seed=2):
        evidence, expected, variance = integrals(module, row)
        assert expected < evidence
        assert variance < 20
        elbo = scores(module, row, 400, 1)
        error = elbo.std() / math.sqrt(400)
        assert abs(elbo.mean() - expected) < 5 * error
        assert elbo.mean() < evidence + 5 * error
        few = scores(module, row, 200, 5)
        spread = math.hypot(error, few.std() / math.sqrt(200))
        assert few.mean() > elbo.mean() - 5 * spread
        assert few.mean() < evidence + 5 * spread
        # The mean of all weights; with k of them the bound is below by variance / (2 k).
        many = np.logaddexp.reduce(scores(module, row, 20, 5000)) - math.log(20)
        assert abs(many - evidence) < 5 * math.sqrt(variance / 100_000) + variance / 200_000


def test_the_elbo_is_that_of_its_terms(deep, table):
    module = deep.module(DOUBLE)
    noise = torch.from_numpy(normal_noise(row_keys(table, deep.seed), 13)[0])
    with torch.no_grad():
        terms = module(torch.from_numpy(table), noise.split([6, 4, 3], dim=1))
    kl = [layer.numpy() for layer in terms.kl]
    expected = terms.log_likelihood.numpy() - sum(layer.sum(axis=1) for layer in kl)
    np.testing.assert_allclose(deep.score(ArrayRows(table), 1), expected, rtol=1e-12)
    for units, layer in zip(deep.unit_kl(ArrayRows(table)), kl, strict=True):
        np.testing.assert_allclose(units, layer.mean(axis=0), rtol=1e-10, atol=1e-12)


def test_importance_weights_use_the_samples_of_every_number(deep, table):
    # One sample after the other, by the formula.
    module = deep.module(DOUBLE)
    noise = torch.from_numpy(normal_noise(row_keys(table, deep.seed), 13, range(4)))
    with torch.no_grad():
        weights = module.log_weights(torch.from_numpy(table), noise.split([6, 4, 3], dim=-1))
    expected = np.log(np.exp(weights.numpy()).mean(axis=0))
    np.testing.assert_allclose(deep.score(ArrayRows(table), 4), expected, rtol=1e-10)


def test_scores_belong_to_rows(deep, table):
    order = np.random.default_rng(0).permutation(len(table))
    for n_samples in (1, 3):
        whole = deep.score(ArrayRows(table), n_samples)
        np.testing.assert_allclose(
            deep.score(ArrayRows(table[order]), n_samples), whole[order], rtol=1e-10
        )
        np.testing.assert_allclose(
            deep.score(ArrayRows(table[5:7]), n_samples), whole[5:7], rtol=1e-10
        )


def test_scores_depend_on_the_seed(table):
    one, other = model_of(DEEP, seed=0), model_of(DEEP, seed=1)
    assert (one.score(ArrayRows(table), 1) != other.score(ArrayRows(table), 1)).all()
    np.testing.assert_array_equal(
        one.features(ArrayRows(table), "mean", [0]), other.features(ArrayRows(table), "mean", [0])
    )


@pytest.mark.parametrize("piece", [1, 40, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pieces_change_nothing(deep, table, monkeypatch, piece, dtype):
    rows = table.astype(dtype)

    def everything():
        yield deep.score(ArrayRows(rows), 1)
        yield deep.score(ArrayRows(rows), 7)
        for statistic in STATISTICS:
            yield deep.features(ArrayRows(rows), statistic, [0, 1, 2])
        yield deep.decode(
            [deep.features(ArrayRows(rows), "median", [layer]) for layer in range(3)]
        )
        yield np.concatenate(deep.unit_kl(ArrayRows(rows)))

    whole = list(everything())
    # 17 numbers per row: single rows, pairs, and samples that don't go evenly into pieces.
    monkeypatch.setattr(skrgvae.model, "PIECE", piece)
    tolerance = 1e-6 if dtype == np.float32 else 1e-10
    for value, expected in zip(everything(), whole, strict=True):
        # Of the largest value: the terms that cancel in a small score may be as large.
        np.testing.assert_allclose(
            value, expected, rtol=0, atol=tolerance * np.abs(expected).max()
        )


def test_dtypes(deep, table):
    single = table.astype(np.float32)
    double = single.astype(np.float64)
    for n_samples in (1, 5):
        one, other = (
            deep.score(ArrayRows(single), n_samples),
            deep.score(ArrayRows(double), n_samples),
        )
        assert (one.dtype, other.dtype) == (np.float32, np.float64)
        # The noise is the same, so only rounding differs.
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)
    for statistic in STATISTICS:
        one = deep.features(ArrayRows(single), statistic, [2, 0])
        other = deep.features(ArrayRows(double), statistic, [2, 0])
        assert (one.dtype, other.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    values = [np.ones((3, size), np.float32) for size in (6, 4, 3)]
    assert deep.decode(values).dtype == np.float32


def test_read_only_tables(deep, table):
    frozen = table.copy()
    frozen.setflags(write=False)
    np.testing.assert_array_equal(
        deep.score(ArrayRows(frozen), 1), deep.score(ArrayRows(table), 1)
    )
    np.testing.assert_array_equal(
        deep.score(ArrayRows(frozen), 3), deep.score(ArrayRows(table), 3)
    )
    np.testing.assert_array_equal(
        deep.features(ArrayRows(frozen), "median", [0]),
        deep.features(ArrayRows(table), "median", [0]),
    )
    values = [deep.features(ArrayRows(frozen), "median", [layer]) for layer in range(3)]
    for value in values:
        value.setflags(write=False)
    deep.decode(values)


# Pickling.


def test_pickles_hold_no_torch_object(deep, table):
    expected = deep.score(ArrayRows(table), 1)
    assert deep._modules
    pickled = pickle.dumps(deep)
    assert b"torch" not in pickled
    loaded = pickle.loads(pickled)
    assert loaded._modules == {}
    assert deep._modules  # the original keeps its own
    np.testing.assert_array_equal(loaded.score(ArrayRows(table), 1), expected)
    np.testing.assert_array_equal(
        loaded.features(ArrayRows(table), "median", [0, 1, 2]),
        deep.features(ArrayRows(table), "median", [0, 1, 2]),
    )


def test_weights_are_copied(table):
    module = trained_like(DEEP)
    model = Model.from_module(module, 0, "cpu")
    expected = model.score(ArrayRows(table), 1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for parameter in model.new_module().parameters():
        parameter.data.zero_()
    fresh = Model(model.architecture, model.arrays, 0, "cpu")
    np.testing.assert_array_equal(fresh.score(ArrayRows(table), 1), expected)


def test_a_module_of_its_own(deep):
    assert deep.module(DOUBLE) is deep.module(DOUBLE)
    assert deep.new_module(DOUBLE) is not deep.module(DOUBLE)
    assert not deep.module(DOUBLE).training


def test_locations_stay_in_double_precision():
    # A timestamp-like column: its digits would be lost if the weights went through float32.
    architecture = Architecture((2,), None, ("gaussian",))
    rows = 1.6e9 + np.random.default_rng(0).random((50, 1))
    module = Hierarchy(architecture)
    module.likelihood.set_statistics(summarise([rows]))
    module.draw(torch.Generator().manual_seed(0))
    model = Model.from_module(module, 0, "cpu")
    shifted = Hierarchy(architecture)
    shifted.likelihood.set_statistics(summarise([rows - 1.6e9]))
    shifted.draw(torch.Generator().manual_seed(0))
    other = Model.from_module(shifted, 0, "cpu")
    # 1e-6: neighbouring doubles at 1.6e9 in units of the spread. Another noise, so features.
    np.testing.assert_allclose(
        model.features(ArrayRows(rows), "mean", [0]),
        other.features(ArrayRows(rows - 1.6e9), "mean", [0]),
        atol=3e-6,
    )


# Features, and back.


def test_features_are_statistics_of_the_deterministic_pass(deep, table):
    module = deep.module(DOUBLE)
    with torch.no_grad():
        records = module.descend(module.messages(torch.from_numpy(table)), None)
    for statistic in STATISTICS:
        of = getattr(module.law, statistic)
        expected = [of(record.loc_q, record.scale_q).numpy() for record in records]
        features = deep.features(ArrayRows(table), statistic, [0, 1, 2])
        np.testing.assert_allclose(features, np.concatenate(expected, axis=1), rtol=1e-12)
        # In the order asked for.
        some = deep.features(ArrayRows(table), statistic, [2, 0])
        np.testing.assert_allclose(some, np.concatenate([expected[2], expected[0]], axis=1))


def test_medians_are_exactly_zero_where_units_are_off(deep, table):
    median, mean, active = (
        deep.features(ArrayRows(table), name, [0, 1, 2]) for name in STATISTICS
    )
    assert (median >= 0).all()
    assert 0.1 < (median == 0).mean() < 0.95
    assert (mean > 0).mean() > 0.95  # it underflows hundreds of scales below zero only
    assert ((active >= 0) & (active <= 1)).all()
    # On for more than half of the mass.
    np.testing.assert_array_equal(median > 0, active > 0.5)


def test_gaussian_features_have_no_zeros(table):
    model = model_of(Architecture((3, 2), None, DEEP.families, latent="gaussian"))
    median = model.features(ArrayRows(table), "median", [0, 1])
    np.testing.assert_array_equal(median, model.features(ArrayRows(table), "mean", [0, 1]))
    assert (median != 0).all()
    assert (median < 0).any()


def test_decode_is_the_likelihoods_mean(deep):
    rng = np.random.default_rng(0)
    values = [rng.random((5, size)) for size in (6, 4, 3)]
    module = deep.module(DOUBLE)
    with torch.no_grad():
        outputs = module.top_down.decode([torch.from_numpy(value) for value in values])
        expected = module.likelihood.mean(outputs)
    decoded = deep.decode(values)
    assert decoded.shape == (5, 4)
    np.testing.assert_allclose(decoded, expected, rtol=1e-12)
    binary = decoded[:, [1, 3]]
    assert ((binary > 0) & (binary < 1)).all()


# New rows.


def test_samples_have_the_moments_of_the_model():
    # 20,000 rows, five standard errors, four comparisons: a false alarm has probability 2e-6.
    # The moments are exact: x = offset + weight z + noise, z normal.
    architecture = Architecture((1,), None, ("gaussian",) * 2, latent="gaussian")
    module = trained_like(architecture).double()
    n_rows = 20_000
    sample = Model.from_module(module, 0, "cpu").sample(n_rows, seed=5)
    with torch.no_grad():
        loc, scale = (part[0] for part in module.top_down.top((1,)))
        family = module.likelihood.families[0]
        weight = family.spread * module.top_down.decoder.head.weight[:, 0]
        mean = family.expectation(module.top_down.decode([loc])).numpy()
        loading = (weight * scale).numpy()
        own = (family.spread * family.scale()).numpy()
    variance = loading**2 + own**2
    assert (np.abs(sample.mean(axis=0) - mean) < 5 * np.sqrt(variance / n_rows)).all()
    # Variance of the product of two centred normal values: v_0 v_1 + c^2.
    covariance = np.cov(sample.T)[0, 1]
    expected = loading.prod()
    assert abs(covariance - expected) < 5 * math.sqrt((variance.prod() + expected**2) / n_rows)
    assert (np.abs(sample.var(axis=0) / variance - 1) < 5 * math.sqrt(2 / n_rows)).all()


def test_samples_are_a_function_of_the_seed(deep):
    sample = deep.sample(9, seed=1)
    assert sample.shape == (9, 4)
    assert sample.dtype == np.float64
    assert set(np.unique(sample[:, [1, 3]])) <= {0.0, 1.0}
    np.testing.assert_array_equal(sample, deep.sample(9, seed=1))
    assert (sample[:, 0] != deep.sample(9, seed=2)[:, 0]).all()
    assert deep.sample(1, seed=1).shape == (1, 4)


def test_samples_in_pieces(deep, monkeypatch):
    monkeypatch.setattr(skrgvae.model, "PIECE", 40)
    sample = deep.sample(9, seed=1)
    assert sample.shape == (9, 4)
    assert len(np.unique(sample[:, 0])) == 9


def test_global_generators_are_left_alone(deep, table):
    state = torch.get_rng_state()
    deep.score(ArrayRows(table), 3)
    deep.sample(3, seed=0)
    deep.features(ArrayRows(table), "median", [0])
    deep.new_module()
    assert (torch.get_rng_state() == state).all()


@pytest.mark.parametrize("most", [0, 2**24])
@pytest.mark.parametrize("weighted", [False, True])
def test_held_out_rows_are_scored_as_others(deep, table, most, weighted, monkeypatch):
    monkeypatch.setattr(skrgvae.model, "MOST_KEPT", most)
    rows, module = ArrayRows(table), deep.new_module(torch.float64)
    weights = np.arange(1.0, 1 + len(table)) if weighted else None
    held_out = HeldOut(rows, weights, seed=3)
    for _ in range(3):
        terms = held_out.terms(module)
        expected = np.average(score_rows(module, rows, 3), weights=weights)
        assert terms.elbo() == pytest.approx(expected, rel=1e-10)
        assert terms.kl.shape == (sum(deep.architecture.layer_sizes),)
        with torch.no_grad():
            module.top_down.top.loc.add_(0.1)
    assert bool(held_out._kept) == (most > 0)


@pytest.mark.parametrize("most", [0, 2**24])
def test_the_same_entries_of_held_out_rows_are_hidden_each_time(deep, table, most, monkeypatch):
    monkeypatch.setattr(skrgvae.model, "MOST_KEPT", most)
    held_out, module = HeldOut(ArrayRows(table), None, seed=3), deep.new_module(torch.float64)
    seen = held_out.terms(module)
    first, second = (held_out.terms(module, 0.5) for _ in range(2))
    assert first.elbo() == second.elbo()
    # Of fewer entries each unit says less.
    assert first.kl.sum() < seen.kl.sum()
    # Nothing is said of rows of which nothing is seen.
    np.testing.assert_allclose(held_out.terms(module, 1.0).kl, 0.0, atol=1e-12)


def test_kl_of_held_out_rows_is_that_of_the_units(deep, table):
    held_out = HeldOut(ArrayRows(table), None, deep.seed)
    kl = np.concatenate(deep.unit_kl(ArrayRows(table)))
    np.testing.assert_allclose(held_out.terms(deep.new_module(torch.float64)).kl, kl, rtol=1e-10)
