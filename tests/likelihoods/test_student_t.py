"""Student-t columns: densities in the units of the data, and calm in the face of outliers."""

import math

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed, random_outputs
from scipy import stats

from skrgvae.data.summary import summarise
from skrgvae.likelihoods.gaussian import SCALE_FLOOR
from skrgvae.likelihoods.student_t import DF_FLOOR, FIRST_DF, StudentT


def table() -> np.ndarray:
    return np.random.default_rng(0).standard_t(3, size=(41, 3)) * [0.5, 20, 3] + 7


def units(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, median, high = np.percentile(columns, [25, 50, 75], axis=0)
    return median, (high - low) / (2 * stats.norm.ppf(0.75))


def softplus(raw: torch.Tensor) -> np.ndarray:
    return np.log1p(np.exp(raw.detach().numpy()))


def test_log_prob_is_scipys():
    columns = table()
    family = fitted("student_t", columns)
    outputs = random_outputs(family, len(columns))
    median, width = units(columns)
    scale = SCALE_FLOOR + softplus(family.raw_scale)
    df = DF_FLOOR + softplus(family.raw_df)
    expected = stats.t.logpdf(columns, df, median + width * outputs.numpy(), width * scale)
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=1e-10)


def test_many_degrees_of_freedom_make_it_gaussian():
    columns = table()
    family = fitted("student_t", columns, double=False)
    with torch.no_grad():
        family.raw_df.fill_(1e7)
    outputs = random_outputs(family, len(columns)).float()
    median, width = units(columns)
    scale = SCALE_FLOOR + softplus(family.raw_scale)
    expected = stats.norm.logpdf(columns, median + width * outputs.numpy(), width * scale)
    np.testing.assert_allclose(log_prob(family, columns, outputs), expected, rtol=1e-4)


def test_the_start():
    family = StudentT([0, 0])
    torch.testing.assert_close(family.scale(), torch.full((2,), 1 + SCALE_FLOOR))
    torch.testing.assert_close(family.df(), torch.full((2,), FIRST_DF))


@pytest.mark.parametrize("factor", [-3.0, 1e-3, 1e6])
def test_rescaling_a_column_changes_its_score_by_the_log_jacobian(factor):
    columns = table()
    family = fitted("student_t", columns)
    outputs = random_outputs(family, len(columns))
    before = log_prob(family, columns, outputs)
    scaled = columns * [1, factor, 1] + [0, 5 * factor, 0]
    turned = outputs * torch.tensor([1, math.copysign(1, factor), 1], dtype=DOUBLE)
    after = log_prob(fitted("student_t", scaled), scaled, turned)
    jacobian = [0, math.log(abs(factor)), 0]
    np.testing.assert_allclose(after, before - jacobian, rtol=0, atol=1e-10)


def test_outliers_move_neither_units_nor_inputs():
    columns = np.random.default_rng(0).normal(size=(1000, 1))
    spiked = columns.copy()
    spiked[:10] = 1e6
    clean, family = fitted("student_t", columns), fitted("student_t", spiked)
    torch.testing.assert_close(family.width, clean.width, rtol=0.05, atol=0)
    torch.testing.assert_close(family.loc, clean.loc, rtol=0, atol=0.05)
    inputs = family.inputs(observed(family, spiked))
    assert inputs.abs().max() < 50
    assert (inputs.argsort(dim=0)[-10:].flatten() < 10).all()  # they can still be told


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e30, 1.6e9 + 0.3])
def test_constant_columns_contribute_nothing(value):
    columns = table()
    columns[:, 1] = value
    family = fitted("student_t", columns)
    outputs = random_outputs(family, len(columns))
    scores = log_prob(family, columns, outputs)
    assert (scores[:, 1] == 0).all()
    assert (scores[:, [0, 2]] != 0).all()
    np.testing.assert_allclose(family.expectation(outputs)[:, 1], value, rtol=1e-15)


def test_columns_of_mostly_one_value_have_a_width():
    columns = np.zeros((200, 1))
    columns[:20, 0] = np.arange(1, 21)
    family = fitted("student_t", columns)
    # Of a normal law with that mean absolute deviation.
    assert family.width.item() == pytest.approx(columns.mean() / math.sqrt(2 / math.pi))
    assert family.loc.item() == 0


def test_a_column_that_varies_outside_the_sampled_rows_only():
    columns = np.zeros((30_000, 1), np.float32)
    columns[17] = 3
    summary = summarise([columns])
    assert (summary.rows == 0).all()
    family = StudentT([0])
    family.set_statistics(summary)
    assert family.varies.all()
    assert family.width.item() == pytest.approx(columns.std(dtype=float))


def test_variance_of_draws():
    # The squares of draws with 9 degrees of freedom have a variance: five standard errors of
    # three means of 50,000, a false alarm has probability 2e-6.
    family = fitted("student_t", table())
    with torch.no_grad():
        family.raw_df.fill_(7.0)
    outputs = random_outputs(family, 1)
    draws = family.sample(outputs.expand(50_000, 3), torch.Generator().manual_seed(1)).detach()
    squares = ((draws - family.expectation(outputs)) / family.width / family.scale()).square()
    df = family.df().detach()
    error = (squares.mean(dim=0) - df / (df - 2)).abs().detach()
    assert (error < 5 * squares.std(dim=0) / 50_000**0.5).all()


def test_large_offsets_keep_their_digits():
    seconds = np.random.default_rng(0).random((200, 1))
    family = fitted("student_t", 1.6e9 + seconds, double=False)
    values = observed(family, 1.6e9 + seconds).values
    centre, width = units(seconds)
    np.testing.assert_allclose(values, (seconds - centre) / width, atol=2e-6)
