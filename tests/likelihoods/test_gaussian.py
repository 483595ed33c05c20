"""Gaussian columns: densities in the units of the data, whatever these are."""

import math

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed
from scipy import stats

from skrgvae.likelihoods.gaussian import SCALE_FLOOR, Gaussian


def table(n_rows: int = 40, n_columns: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, n_columns)) * [0.5, 20, 3][:n_columns] + 7


def outputs_for(columns: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=columns.shape))


def test_log_prob_is_scipys():
    columns = table()
    family, outputs = fitted("gaussian", columns), outputs_for(columns)
    loc, spread = columns.mean(axis=0), columns.std(axis=0)
    scale = SCALE_FLOOR + np.log1p(np.exp(family.raw_scale.detach().numpy()))
    expected = stats.norm.logpdf(columns, loc + spread * outputs.numpy(), spread * scale)
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=1e-10)


def test_first_scale_is_the_columns_spread():
    # Up to the floor, which stands on top of it.
    torch.testing.assert_close(Gaussian([0, 0]).scale(), torch.full((2,), 1 + SCALE_FLOOR))


@pytest.mark.parametrize("factor", [-3.0, 1e-3, 1e6])
def test_rescaling_a_column_changes_its_score_by_the_log_jacobian(factor):
    columns = table()
    outputs = outputs_for(columns)
    before = log_prob(fitted("gaussian", columns), columns, outputs)
    scaled = columns * [1, factor, 1] + [0, 5 * factor, 0]
    # A negative factor turns the column round, and with it what the decoder must say.
    turned = outputs * torch.tensor([1, math.copysign(1, factor), 1], dtype=DOUBLE)
    after = log_prob(fitted("gaussian", scaled), scaled, turned)
    jacobian = [0, math.log(abs(factor)), 0]
    np.testing.assert_allclose(after, before - jacobian, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e30, 1.6e9 + 0.3])
def test_constant_columns_contribute_nothing(dtype, value):
    columns = table(101).astype(dtype)
    columns[:, 1] = value
    family, outputs = fitted("gaussian", columns), outputs_for(columns)
    scores = log_prob(family, columns, outputs)
    assert (scores[:, 1] == 0).all()
    assert (scores[:, [0, 2]] != 0).all()
    generator = torch.Generator().manual_seed(0)
    for values in (family.expectation(outputs), family.sample(outputs, generator)):
        # Mean and rescaling each round once in float64.
        np.testing.assert_allclose(values[:, 1].detach(), float(dtype(value)), rtol=1e-15)
    assert (family.observe(torch.from_numpy(columns))[:, 1] == 0).all()


def test_other_values_of_a_constant_column_contribute_nothing():
    family = fitted("gaussian", np.full((5, 1), 2.0))
    assert log_prob(family, np.array([[17.0]]), torch.ones(1, 1, dtype=DOUBLE)) == 0


def test_one_row_is_a_table_of_constant_columns():
    columns = table(1)
    family = fitted("gaussian", columns)
    assert (log_prob(family, columns, torch.zeros(1, 3, dtype=DOUBLE)) == 0).all()
    np.testing.assert_allclose(
        family.expectation(torch.ones(1, 3, dtype=DOUBLE)), columns, rtol=1e-15
    )


def test_rarely_different_column_is_not_constant():
    columns = np.ones((100_000, 1), np.float32)
    columns[0] = 0
    family = fitted("gaussian", columns)
    assert family.varies.all()
    np.testing.assert_allclose(family.spread, columns.std(axis=0, dtype=float), rtol=1e-10)


@pytest.mark.parametrize("beyond", [0.5, 1.0, 2.0, 1e9])
@pytest.mark.parametrize("way", [-1, 1])
def test_what_is_read_ends_one_range_beyond_the_training_values(beyond, way):
    columns = np.random.default_rng(0).uniform([-1.0, 5.0], [1.0, 6.0], (500, 2))
    family = fitted("gaussian", columns)
    low, high = columns.min(axis=0), columns.max(axis=0)
    end = high if way > 0 else low
    given, nearer = (
        observed(family, (end + way * ranges * (high - low))[None])
        for ranges in (beyond, min(beyond, 1.0))
    )
    torch.testing.assert_close(family.eval().inputs(given), nearer.values)
    torch.testing.assert_close(family.train().inputs(given), given.values)


def test_scale_has_a_floor():
    columns = table()
    family = fitted("gaussian", columns)
    with torch.no_grad():
        family.raw_scale.fill_(-1000.0)
    torch.testing.assert_close(
        family.scale(), torch.full((3,), SCALE_FLOOR, dtype=DOUBLE), rtol=1e-12, atol=0
    )
    # So a column that is copied exactly earns a bounded density.
    exact = log_prob(family, columns, family.observe(torch.from_numpy(columns)))
    expected = stats.norm.logpdf(0, scale=SCALE_FLOOR * columns.std(axis=0))
    np.testing.assert_allclose(exact, np.broadcast_to(expected, exact.shape), rtol=1e-10)


@pytest.mark.parametrize("double", [False, True])
def test_large_offsets_keep_their_digits(double):
    seconds = np.random.default_rng(0).random((200, 1))
    columns = 1.6e9 + seconds
    family = fitted("gaussian", columns, double=double)
    values = observed(family, columns).values
    digits = np.float64 if double else np.float32
    assert values.numpy().dtype == digits
    expected = (seconds - seconds.mean()) / seconds.std()
    # 2.4e-7, the distance of neighbouring doubles at 1.6e9, in units of a spread of 0.3.
    np.testing.assert_allclose(values.numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(family.expectation(values).numpy(), columns, rtol=0, atol=1e-6)


def test_large_offsets_of_float32_input_are_centred_in_float64():
    rng = np.random.default_rng(0)
    columns = (1.6e9 + rng.normal(0, 1e5, (200, 1))).astype(np.float32)
    exact = columns.astype(np.float64)
    family = fitted("gaussian", columns, double=False)
    values = observed(family, columns).values.numpy()
    np.testing.assert_allclose(values, (exact - exact.mean()) / exact.std(), atol=1e-6)


@pytest.mark.parametrize(
    ("magnitude", "dtype"),
    [(1e-30, np.float32), (1e30, np.float32), (1e-30, float), (1e30, float)]
    + [(1e-300, float), (1e300, float)],
)
def test_magnitudes_do_not_overflow(magnitude, dtype):
    standard = np.random.default_rng(0).normal(size=(60, 1))
    columns = (standard * magnitude).astype(dtype)
    double = dtype is float
    family = fitted("gaussian", columns, double=double)
    outputs = torch.zeros(60, 1, dtype=DOUBLE if double else torch.float32)
    expected = log_prob(fitted("gaussian", standard, double=double), standard, outputs) - math.log(
        magnitude
    )
    rtol = 1e-10 if double else 2e-5
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=rtol)
    observed = family.observe(torch.from_numpy(columns))
    np.testing.assert_allclose(
        family.expectation(observed), columns, rtol=1e-5, atol=1e-5 * magnitude
    )


def test_sample_has_mean_and_scale_of_the_law():
    # 50,000 draws, five standard errors (of the standard deviation: sd / sqrt(2 n)), six
    # comparisons: a false alarm has probability 4e-6.
    columns = table()
    family = fitted("gaussian", columns)
    outputs = torch.tensor([0.5, -1.0, 2.0], dtype=DOUBLE)
    draws = family.sample(outputs.expand(50_000, 3), torch.Generator().manual_seed(1))
    mean = columns.mean(axis=0) + columns.std(axis=0) * outputs.numpy()
    sd = columns.std(axis=0) * family.scale().detach().numpy()
    draws = draws.detach().numpy()
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * sd / np.sqrt(50_000)).all()
    assert (np.abs(draws.std(axis=0) - sd) < 5 * sd / np.sqrt(100_000)).all()
