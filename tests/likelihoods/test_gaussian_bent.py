"""Gaussian columns with spikes or long tails, which are bent by asinh."""

import math

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed, random_outputs
from scipy import stats

from skrgvae.data.summary import summarise
from skrgvae.likelihoods.bends import MOST_PERCENTILES, MOST_WIDTHS
from skrgvae.likelihoods.gaussian import SCALE_FLOOR


def table(n_rows: int = 400) -> np.ndarray:
    """Incomes, losses that are mostly 0, a sensor with spikes to both sides; a normal column."""
    rng = np.random.default_rng(0)
    incomes = np.exp(10 + 3 * rng.normal(size=n_rows))
    losses = np.where(rng.random(n_rows) < 0.1, np.exp(6 + 3 * rng.normal(size=n_rows)), 0)
    sensor = 1e-3 * rng.normal(size=n_rows) - 5
    sensor[::150] += [0.5, -1.0, 2.0]
    return np.column_stack([incomes, losses, sensor, rng.normal(size=n_rows)])


BENT = [0, 1, 2]


def units(columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """Median and width of the columns, mean and standard deviation of their asinh."""
    low, median, high = np.percentile(columns, [25, 50, 75], axis=0)
    width = (high - low) / (2 * stats.norm.ppf(0.75))
    deviation = np.abs(columns - median).mean(axis=0) / math.sqrt(2 / math.pi)
    width = np.where(width == 0, deviation, width)
    values = np.arcsinh((columns - median) / width)
    return median, width, values.mean(axis=0), values.std(axis=0)


def law(family, columns, outputs):
    """Johnson's S_U law of the bent columns."""
    median, width, loc, spread = (x[BENT] for x in units(columns))
    scale = SCALE_FLOOR + np.log1p(np.exp(family.raw_scale.detach().numpy()[BENT]))
    slope = 1 / (spread * scale)
    shift = -(loc + spread * outputs.numpy()[:, BENT]) * slope
    return stats.johnsonsu(shift, slope, median, width)


def test_which_columns_are_bent():
    columns = table()
    assert fitted("gaussian", columns).bent.tolist() == [True, True, True, False]
    median, width, *_ = units(columns)
    distances = np.abs(columns - median) / width
    furthest, common = distances.max(axis=0), np.percentile(distances, 99, axis=0)
    assert (furthest[BENT] > np.maximum(MOST_WIDTHS, MOST_PERCENTILES * common[BENT])).all()
    assert furthest[3] < MOST_WIDTHS


@pytest.mark.parametrize(
    "column",
    [
        np.random.default_rng(0).normal(size=100_000),
        np.random.default_rng(0).random(1000),
        np.random.default_rng(0).exponential(size=300),
        np.random.default_rng(0).exponential(size=9999) * (np.arange(9999) % 3 == 0),
        np.random.default_rng(0).exponential(size=9999) * (np.arange(9999) % 10 == 0),
        np.arange(1000) % 2 * 5.0,
        (np.arange(1000) % 100 == 0) * 5.0,  # rare, but of two values only
        np.full(1000, 3.0),
    ],
    ids=[
        "normal",
        "uniform",
        "exponential",
        "sparse",
        "sparser",
        "two values",
        "rare value",
        "constant",
    ],
)
def test_columns_that_stay_straight(column):
    assert not fitted("gaussian", column[:, None]).bent.any()


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_columns_with_junk_are_bent(share):
    rng = np.random.default_rng(0)
    column = rng.normal(size=2000)
    assert not fitted("gaussian", column[:, None]).bent.any()
    junk = rng.random(2000) < share
    column[junk] += rng.choice([-12.0, 12.0], size=junk.sum())
    family = fitted("gaussian", column[:, None])
    assert family.bent.all()
    # The others keep most of the column's spread; straight, at a share of 0.05, 0.35 of it.
    assert observed(family, column[:, None]).values[~junk].std() > 0.7


def test_spikes_outside_the_sampled_rows_count():
    column = np.random.default_rng(0).normal(size=(30_000, 1))
    column[17] = 1e4
    family = fitted("gaussian", column)
    assert family.bent.all()
    assert observed(family, column).values.abs().max() < 20


def test_log_prob_is_scipys():
    columns = table()
    family = fitted("gaussian", columns)
    outputs = random_outputs(family, len(columns))
    expected = law(family, columns, outputs).logpdf(columns[:, BENT])
    scores = log_prob(family, columns, outputs)[:, BENT]
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-10)


def test_densities_add_up_to_one():
    columns = table()
    family = fitted("gaussian", columns)
    outputs = random_outputs(family, 1)
    for j in BENT:
        # Over y, far into both tails, in steps of a hundredth of the smallest scale.
        y = torch.linspace(-20, 20, 40_001, dtype=DOUBLE)[:, None].expand(-1, 4)
        median, width, loc, spread = (x[j] for x in units(columns))
        x = median + width * np.sinh(loc + spread * y.numpy()[:, j])
        points = np.tile(columns[:1], (len(x), 1))
        points[:, j] = x
        density = np.exp(log_prob(family, points, outputs.expand(len(x), 4))[:, j])
        assert np.trapezoid(density, x) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("factor", [-3.0, 1e-3, 1e6, 1e200])
def test_rescaling_a_column_changes_its_score_by_the_log_jacobian(factor):
    columns = table()
    family = fitted("gaussian", columns)
    outputs = random_outputs(family, len(columns))
    before = log_prob(family, columns, outputs)
    scaled = columns * [factor, 1, 1, 1]
    turned = outputs * torch.tensor([math.copysign(1, factor), 1, 1, 1], dtype=DOUBLE)
    after_family = fitted("gaussian", scaled)
    after = log_prob(after_family, scaled, turned)
    jacobian = [math.log(abs(factor)), 0, 0, 0]
    np.testing.assert_allclose(after, before - jacobian, rtol=0, atol=1e-10)
    expected = family.expectation(outputs).detach() * torch.tensor([factor, 1, 1, 1], dtype=DOUBLE)
    torch.testing.assert_close(after_family.expectation(turned).detach(), expected)


def test_a_draw_is_the_image_of_its_noise():
    columns = table()
    family = fitted("gaussian", columns)
    outputs = random_outputs(family, 200)
    draws = family.sample(outputs, torch.Generator().manual_seed(4)).detach()
    noise = torch.randn(200, 4, dtype=DOUBLE, generator=torch.Generator().manual_seed(4))
    values = observed(family, draws.numpy()).values
    torch.testing.assert_close(values, (outputs + family.scale() * noise).detach())


def test_expectation_is_scipys_inside_the_training_values():
    columns = table()
    family = fitted("gaussian", columns)
    outputs = 3 * random_outputs(family, 400)
    expected = law(family, columns, outputs).mean()
    low, high = columns.min(axis=0)[BENT], columns.max(axis=0)[BENT]
    assert ((expected < low) | (expected > high)).any()
    assert ((expected > low) & (expected < high)).any()
    result = family.expectation(outputs).detach().numpy()[:, BENT]
    np.testing.assert_allclose(result, expected.clip(low, high), rtol=1e-9)


def test_a_spike_costs_tens_of_nats_and_not_millions():
    columns = table()
    spiked = columns.copy()
    spiked[0] = 1e9
    outputs = torch.zeros(400, 4, dtype=DOUBLE)
    family = fitted("gaussian", columns)
    with torch.no_grad():
        family.raw_scale.zero_()
    scores = log_prob(family, spiked, outputs)[0]
    assert (scores[BENT] > -2000).all()
    assert scores[3] < -1e12
    assert observed(family, spiked).values[0, BENT].abs().max() < 50


def test_inputs_of_bent_columns_are_standardised():
    columns = table()
    family = fitted("gaussian", columns)
    inputs = family.inputs(observed(family, columns)).numpy()
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(inputs.std(axis=0), 1, rtol=1e-9)
    straight = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    assert np.abs(inputs[:, BENT]).max() < 0.6 * np.abs(straight[:, BENT]).max()


def test_statistics_of_a_later_fit_replace_the_first():
    family = fitted("gaussian", table())
    straight = fitted("gaussian", np.random.default_rng(0).normal(size=(30, 4)))
    family.set_statistics(summarise([np.random.default_rng(0).normal(size=(30, 4))]))
    for name, value in straight.state_dict().items():
        torch.testing.assert_close(family.state_dict()[name], value, rtol=0, atol=0)
