"""Holes filled in with what a row's known numbers say."""

import numpy as np
import pytest
import torch

from skrgvae.data.summary import some_rows, summarise
from skrgvae.likelihoods import ColumnLikelihood
from skrgvae.likelihoods.completion import MAX_ROWS, MOST_CORRELATED, LinearCompletion


def columns_in_step(n_rows=200):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(n_rows, 1))
    return 3 + 2 * (common + 0.1 * rng.normal(size=(n_rows, 4)))


def completion_of(table):
    completion = LinearCompletion(table.shape[1])
    completion.set_statistics([summarise([table])], torch.from_numpy(table))
    return completion.double()


def without_first(table):
    rows = torch.from_numpy(table.copy())
    rows[:, 0] = torch.nan
    return rows


def test_holes_are_filled_with_what_the_other_columns_say():
    table = columns_in_step()
    rows = without_first(table[:20])
    filled = completion_of(table).fill(rows).numpy()
    assert np.std(filled[:, 0] - table[:20, 0]) < 0.2 * table[:, 0].std()
    np.testing.assert_array_equal(filled[:, 1:], table[:20, 1:])


def test_filling_is_the_regression_around_the_means():
    table = columns_in_step()
    completion = completion_of(table)
    row = without_first(table[:1])
    R = completion.correlation.numpy()
    left = (table[0, 1:] - table[:, 1:].mean(axis=0)) / table[:, 1:].std(axis=0)
    by_hand = R[0, 1:] @ np.linalg.solve(R[1:, 1:], left)
    expected = table[:, 0].mean() + table[:, 0].std() * by_hand
    assert completion.fill(row)[0, 0] == pytest.approx(expected, rel=1e-6)


def test_nothing_is_added_to_what_is_right():
    table = columns_in_step()
    rows = torch.from_numpy(table[:20])
    given = completion_of(table).given(without_first(table[:20]), rows)
    torch.testing.assert_close(given, rows, rtol=1e-5, atol=1e-5)


def test_a_row_of_which_nothing_is_known_stays_at_the_means():
    table = columns_in_step()
    filled = completion_of(table).fill(torch.full((2, 4), torch.nan, dtype=torch.float64))
    np.testing.assert_allclose(filled, np.broadcast_to(table.mean(axis=0), (2, 4)))


def test_filling_ends_at_the_training_values_and_a_broken_sensor_says_no_more():
    table = columns_in_step()
    completion = completion_of(table)
    rows = without_first(table[:2])
    rows[0, 1], rows[1, 1] = 1e3, 1e9
    filled = completion.fill(rows)
    assert table[:, 0].min() <= filled[:, 0].min() <= filled[:, 0].max() <= table[:, 0].max()
    given = completion.given(rows, completion.loc.expand(2, 4))
    assert given[0, 0] == pytest.approx(float(given[1, 0]) + table[0, 0] - table[1, 0], abs=2)
    assert given[:, 0].max() <= 2 * table[:, 0].max() - table[:, 0].min()


@pytest.mark.parametrize(
    ("names", "sizes", "coordinates"),
    [
        (["gaussian"] * MOST_CORRELATED, [0] * MOST_CORRELATED, MOST_CORRELATED),
        (["gaussian"] * (MOST_CORRELATED + 1), [0] * (MOST_CORRELATED + 1), 0),
        (["gaussian", "categorical"], [0, MOST_CORRELATED - 1], MOST_CORRELATED),
        (["gaussian", "categorical"], [0, MOST_CORRELATED], 1),
        (["gaussian"] * 2 + ["poisson"] * MOST_CORRELATED, [0] * (MOST_CORRELATED + 2), 2),
        (["poisson", "student_t", "multinomial"], [0] * 3, 3),
    ],
)
def test_what_is_completed(names, sizes, coordinates):
    likelihood = ColumnLikelihood(names, sizes, ())
    assert len(likelihood.completion.correlation) == coordinates
    rows = torch.zeros(3, len(names))
    rows[0] = torch.nan
    rows[1, 0] = torch.nan
    observed = likelihood.observe(rows)
    assert torch.isfinite(likelihood.inputs(observed)).all()
    expectation = likelihood.expectation(torch.zeros(3, likelihood.n_outputs), observed)
    assert torch.isfinite(likelihood.impute(expectation, observed)).all()


def test_blocks_of_columns_are_completed_across_each_other():
    # A pixel between 0 and 1 and a category go with a number; the blocks have another order.
    rng = np.random.default_rng(0)
    number = rng.normal(size=400)
    table = np.column_stack([10 * number, np.digitize(number, [-1, 1]), 1 / (1 + np.exp(-number))])
    likelihood = ColumnLikelihood(["gaussian", "categorical", "bernoulli"], [0, 3, 0], ())
    likelihood.set_statistics(summarise([table]))
    likelihood.double().eval()
    complete = torch.from_numpy(table[:100])
    whole = likelihood.inputs(likelihood.observe(complete))
    # Where each column's inputs are, and how well the others tell them.
    columns = [(0, slice(1, 2), 0.9), (1, slice(2, 5), 0.5), (2, slice(0, 1), 0.9)]
    for column, inputs, least in columns:
        holes = complete.clone()
        holes[:, column] = torch.nan
        read = likelihood.inputs(likelihood.observe(holes))
        others = np.setdiff1d(np.arange(5), np.arange(5)[inputs])
        torch.testing.assert_close(read[:, others], whole[:, others])
        assert np.corrcoef(read[:, inputs].ravel(), whole[:, inputs].ravel())[0, 1] > least


@pytest.mark.parametrize("name", ["poisson", "negative_binomial", "multinomial"])
@pytest.mark.parametrize("n_columns", [6, 30])
def test_counts_are_read_off_other_counts(name, n_columns):
    # Two causes, each counted in half of the columns.
    rng = np.random.default_rng(0)
    causes = rng.gamma(2.0, 4.0, size=(2000, 2))
    table = rng.poisson(np.repeat(causes, n_columns // 2, axis=1)).astype(float)
    likelihood = ColumnLikelihood([name] * n_columns, [0] * n_columns, ())
    likelihood.set_statistics(summarise([table]))
    likelihood.double().eval()
    complete = torch.from_numpy(table[:300])
    holes = complete.clone()
    holes[:, [0, -1]] = torch.nan
    whole, read = (likelihood.inputs(likelihood.observe(rows)) for rows in (complete, holes))
    for column in (0, -1):
        assert np.corrcoef(read[:, column], whole[:, column])[0, 1] > 0.5


@pytest.mark.parametrize("name", ["gaussian", "student_t"])
def test_spikes_that_stand_alone_do_not_hide_what_columns_share(name):
    table = columns_in_step()
    rng = np.random.default_rng(1)
    spiked = np.where(rng.random(table.shape) < 0.02, rng.choice([-1e3, 1e3], table.shape), table)
    likelihood = ColumnLikelihood([name] * 4, [0] * 4, ())
    likelihood.set_statistics(summarise([spiked]))
    assert likelihood.completion.correlation.numpy()[np.triu_indices(4, 1)].min() > 0.5
    likelihood.double().eval()
    observed = likelihood.observe(without_first(table[:50]))
    whole = likelihood.inputs(likelihood.observe(torch.from_numpy(table[:50])))[:, 0]
    assert np.corrcoef(likelihood.inputs(observed)[:, 0], whole)[0, 1] > 0.9
    outputs = likelihood.initial_outputs().double().expand(50, -1)
    imputed = likelihood.impute(likelihood.expectation(outputs, observed), observed)[:, 0]
    assert np.std(imputed.detach().numpy() - table[:50, 0]) < 0.5 * table[:, 0].std()


def test_spikes_that_come_together_tell_of_each_other():
    table = columns_in_step()
    table[:5] += 1e3  # in all columns of these rows
    likelihood = ColumnLikelihood(["gaussian"] * 4, [0] * 4, ())
    likelihood.set_statistics(summarise([table]))
    likelihood.double().eval()
    observed = likelihood.observe(without_first(table[:5]))
    outputs = likelihood.initial_outputs().double().expand(5, -1)
    imputed = likelihood.impute(likelihood.expectation(outputs, observed), observed)[:, 0]
    assert np.abs(imputed.detach().numpy() - table[:5, 0]).max() < 200


def test_a_number_is_imputed_by_its_category():
    rng = np.random.default_rng(0)
    code = rng.integers(0, 4, 400)
    table = np.column_stack([np.array([5.0, -3.0, 1.0, 9.0])[code], code])
    likelihood = ColumnLikelihood(["gaussian", "categorical"], [0, 4], ())
    likelihood.set_statistics(summarise([table]))
    likelihood.double().eval()
    rows = torch.from_numpy(table[:50].copy())
    rows[:, 0] = torch.nan
    observed = likelihood.observe(rows)
    outputs = likelihood.initial_outputs().double().expand(50, -1)
    imputed = likelihood.impute(likelihood.expectation(outputs, observed), observed)[:, 0]
    assert np.abs(imputed.numpy() - table[:50, 0]).max() < 0.25 * np.ptp(table[:, 0])


def test_only_linear_laws_have_deviations_added_by_impute():
    rng = np.random.default_rng(0)
    number = rng.normal(size=400)
    table = np.column_stack([number, 1 / (1 + np.exp(-number)), 3 * number])
    likelihood = ColumnLikelihood(["gaussian", "bernoulli", "gaussian"], [0, 0, 0], ())
    likelihood.set_statistics(summarise([table]))
    rows = torch.from_numpy(table[:5].astype(np.float32))
    rows[:, 0] = torch.nan
    rows[2, 1] = torch.nan
    observed = likelihood.observe(rows)
    expectation = likelihood.expectation(torch.zeros(5, likelihood.n_outputs), observed)
    imputed, plain = likelihood.impute(expectation, observed), likelihood.point(expectation)
    error = np.abs(imputed[:, 0].numpy() - table[:5, 0]).max()
    assert error < 0.5 * np.abs(table[:5, 0]).max()
    torch.testing.assert_close(imputed[:, 1], plain[:, 1])


@pytest.mark.parametrize("size", [1e3, 1e6])
def test_a_spike_in_a_row_that_is_not_drawn_spoils_nothing(size):
    table = columns_in_step(3 * MAX_ROWS)
    likelihood = ColumnLikelihood(["gaussian"] * 4, [0] * 4, [])
    drawn = some_rows(np.arange(len(table)), MAX_ROWS)
    spiked = table.copy()
    spiked[np.setdiff1d(np.arange(len(table)), drawn)[0], 0] = size
    likelihood.set_statistics(summarise([spiked]))
    likelihood.eval()
    rows = without_first(table[drawn[:100]])
    filled = likelihood.completion.fill(rows).numpy()
    error = np.sqrt(np.mean((filled[:, 0] - table[drawn[:100], 0]) ** 2))
    assert error < 0.2 * table[:, 0].std()


@pytest.mark.parametrize("value", [0.1, 0.7, 5.0])
def test_a_value_that_only_rows_that_are_not_drawn_lack_spoils_nothing(value):
    # A rare category or flag: those that are drawn all have one value, whose mean is rounded.
    table = np.column_stack([columns_in_step(3 * MAX_ROWS), np.full(3 * MAX_ROWS, value)])
    drawn = some_rows(np.arange(len(table)), MAX_ROWS)
    others = np.setdiff1d(np.arange(len(table)), drawn)
    table[others[:7], 4] = value + 1
    likelihood = ColumnLikelihood(["gaussian"] * 5, [0] * 5, [])
    likelihood.set_statistics(summarise([table]))
    likelihood.eval()
    unit = likelihood.completion.unit.numpy()
    np.testing.assert_allclose(unit, table.std(axis=0), rtol=0.1)
    rows = torch.from_numpy(table[np.append(drawn[:50], others[:7])])
    rows[:, 0] = torch.nan
    filled = likelihood.completion.fill(rows).numpy()
    assert np.abs(filled[:, 0] - rows[:, 1:4].mean(dim=1).numpy()).max() < table[:, 0].std()


def test_further_rows_open_the_range_a_step_at_a_time():
    table = columns_in_step()
    completion = completion_of(table)
    low, high = completion.low.clone(), completion.high.clone()
    completion.extend([summarise([table + 0.5])])
    torch.testing.assert_close(completion.high, high + 0.5)
    torch.testing.assert_close(completion.low, low)
    far = high + 0.5 - low
    completion.extend([summarise([np.vstack([table, np.full((1, 4), 1e12)])])])
    torch.testing.assert_close(completion.high, high + 0.5 + far)
