"""Tables with columns of several families."""

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, EXAMPLES, log_prob
from scipy import stats
from scipy.special import expit, log_softmax

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import FAMILIES, ColumnLikelihood
from skrgvae.likelihoods.gaussian import SCALE_FLOOR

NAMES = ["gaussian", "categorical", "bernoulli", "gaussian", "gaussian", "bernoulli"]
SIZES = [0, 3, 0, 0, 0, 0]
# The decoder's outputs come in blocks, families in the order of FAMILIES.
BINARY, NUMERIC, CODES = [2, 5], [0, 3, 4], 1
FIRST_SCALE = 1 + SCALE_FLOOR


@pytest.fixture
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(30, 6)) * [1, 1, 1, 10, 100, 1] + [3, 0, 0, 50, -700, 0]
    columns[:, BINARY] = rng.random((30, 2)) < [0.2, 0.7]
    columns[:, CODES] = rng.integers(0, 3, 30)
    return columns


@pytest.fixture
def holes(table) -> np.ndarray:
    table = table.copy()
    table[np.random.default_rng(2).random(table.shape) < 0.2] = np.nan
    table[5] = np.nan
    return table


def fitted(names, sizes, table, marked=()) -> ColumnLikelihood:
    likelihood = ColumnLikelihood(names, sizes, marked)
    likelihood.set_statistics(summarise([table]))
    return likelihood.double()


@pytest.fixture
def likelihood(table) -> ColumnLikelihood:
    return fitted(NAMES, SIZES, table)


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(30, 8)))


def scores(likelihood, table, outputs) -> np.ndarray:
    return likelihood.log_prob(likelihood.observe(torch.from_numpy(table)), outputs).detach()


def by_column(table, outputs) -> np.ndarray:
    """Log-densities of the entries of a complete table, in the table's order."""
    expected = np.empty(table.shape)
    outputs = outputs.numpy()
    expected[:, BINARY] = stats.bernoulli.logpmf(table[:, BINARY], expit(outputs[:, :2]))
    loc, spread = table.mean(axis=0)[NUMERIC], table.std(axis=0)[NUMERIC]
    expected[:, NUMERIC] = stats.norm.logpdf(
        table[:, NUMERIC], loc + spread * outputs[:, 2:5], spread * FIRST_SCALE
    )
    logarithms = log_softmax(outputs[:, 5:], axis=1)
    expected[:, CODES] = logarithms[np.arange(len(table)), table[:, CODES].astype(int)]
    return expected


def column_means(table, outputs):
    """E[x | z] (the likeliest category) column by column, in the table's order."""
    outputs = outputs.numpy()
    expected = np.empty((*outputs.shape[:-1], 6))
    expected[..., BINARY] = expit(outputs[..., :2])
    loc, spread = table.mean(axis=0)[NUMERIC], table.std(axis=0)[NUMERIC]
    expected[..., NUMERIC] = loc + spread * outputs[..., 2:5]
    expected[..., CODES] = outputs[..., 5:].argmax(axis=-1)
    return expected


def test_widths(likelihood):
    assert (likelihood.n_columns, likelihood.n_inputs, likelihood.n_outputs) == (6, 8, 8)


def test_log_prob_is_the_sum_over_columns(likelihood, table, outputs):
    expected = by_column(table, outputs).sum(axis=1)
    # raw_scale was rounded to float32 when the module was made.
    np.testing.assert_allclose(scores(likelihood, table, outputs), expected, rtol=1e-6)


def test_log_prob_is_the_sum_over_known_columns(likelihood, table, holes, outputs):
    expected = np.where(np.isnan(holes), 0, by_column(table, outputs)).sum(axis=1)
    result = scores(likelihood, holes, outputs)
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-6)
    assert result[5] == 0


def test_log_prob_broadcasts_over_samples(likelihood, holes, outputs):
    rows = likelihood.observe(torch.from_numpy(holes))
    joint = likelihood.log_prob(rows, torch.stack([outputs, 2 * outputs, -outputs]))
    assert joint.shape == (3, 30)
    torch.testing.assert_close(joint[1], likelihood.log_prob(rows, 2 * outputs))


def test_inputs_of_rows_with_holes_are_numbers(table, holes):
    for marked in ((), (3, 1)):
        likelihood = fitted(NAMES, SIZES, table, marked)
        inputs = likelihood.inputs(likelihood.observe(torch.from_numpy(holes)))
        assert inputs.shape == (30, 8 + len(marked)) == (30, likelihood.n_inputs)
        assert torch.isfinite(inputs).all()


def test_marks_say_what_is_missing(table, holes):
    likelihood = fitted(NAMES, SIZES, table, marked=(3, 1))
    marks = likelihood.inputs(likelihood.observe(torch.from_numpy(holes)))[:, -2:].numpy()
    expected = np.isnan(holes[:, [3, 1]])
    expected[5] = False  # of which nothing is known
    assert expected.any(axis=0).all()
    np.testing.assert_array_equal(marks, expected)
    complete = likelihood.inputs(likelihood.observe(torch.from_numpy(table)))
    assert (complete[:, -2:] == 0).all()


def test_complete_rows_do_not_depend_on_the_others(likelihood, table, holes, outputs):
    # A batch with holes and one without take different ways.
    mixed = table.copy()
    mixed[20:] = holes[20:]
    torch.testing.assert_close(
        scores(likelihood, mixed, outputs)[:20],
        scores(likelihood, table, outputs)[:20],
        rtol=0,
        atol=1e-12,
    )


def test_mean_is_in_the_tables_column_order(likelihood, table, outputs):
    for values in (outputs, outputs.reshape(3, 10, 8)):
        np.testing.assert_allclose(
            likelihood.mean(values), column_means(table, values), rtol=1e-10
        )


def test_effect_is_in_the_tables_column_order(likelihood, table, outputs):
    on, off = likelihood.expectation(outputs), likelihood.expectation(-outputs)
    effect = likelihood.effect(on, off).numpy()
    numbers = BINARY + NUMERIC
    difference = column_means(table, outputs) - column_means(table, -outputs)
    np.testing.assert_allclose(effect[:, numbers], difference[:, numbers], rtol=1e-10)
    p, q = (np.exp(log_softmax(sign * outputs.numpy()[:, 5:], axis=1)) for sign in (1, -1))
    np.testing.assert_allclose(effect[:, CODES], np.abs(p - q).sum(axis=1) / 2, rtol=1e-10)


def test_probabilities_stand_in_the_place_of_their_column(likelihood, table, outputs):
    for values in (outputs, outputs.reshape(3, 10, 8)):
        expected = likelihood.by_category(likelihood.expectation(values)).numpy()
        numbers = [column for column in range(6) if column != CODES]
        means = column_means(table, values)
        np.testing.assert_allclose(expected[..., [0, 4, 5, 6, 7]], means[..., numbers], rtol=1e-10)
        probabilities = np.exp(log_softmax(values[..., 5:].numpy(), axis=-1))
        np.testing.assert_allclose(expected[..., 1:4], probabilities, rtol=1e-10)


def test_sample_is_in_the_tables_column_order(likelihood, table, outputs):
    # 20,000 draws, five standard errors, five columns: a false alarm has probability 3e-6.
    draws = likelihood.sample(outputs[0].expand(20_000, 8), torch.Generator().manual_seed(0))
    draws, mean = draws.detach().numpy(), column_means(table, outputs[0])
    sd = np.empty(6)
    sd[BINARY] = np.sqrt(mean[BINARY] * (1 - mean[BINARY]))
    sd[NUMERIC] = table.std(axis=0)[NUMERIC] * FIRST_SCALE
    assert set(np.unique(draws[:, BINARY])) == {0, 1}
    assert set(np.unique(draws[:, CODES])) == {0, 1, 2}
    numbers = BINARY + NUMERIC
    error = np.abs(draws.mean(axis=0) - mean)[numbers]
    assert (error < 5 * sd[numbers] / np.sqrt(20_000)).all()


def test_a_column_scores_the_same_wherever_it_stands(likelihood, table, holes, outputs):
    order = np.array([5, 3, 0, 1, 2, 4])
    moved = fitted([NAMES[j] for j in order], [SIZES[j] for j in order], table[:, order])
    # Binary columns now stand as 5, 2 and the others as 3, 0, 4.
    moved_outputs = outputs[:, [1, 0, 3, 2, 4, 5, 6, 7]]
    for rows in (table, holes):
        torch.testing.assert_close(
            scores(moved, rows[:, order], moved_outputs), scores(likelihood, rows, outputs)
        )
    torch.testing.assert_close(moved.mean(moved_outputs), likelihood.mean(outputs)[:, order])


def test_initial_outputs_give_the_marginal_means(likelihood, table):
    mean = likelihood.mean(likelihood.initial_outputs().double())
    expected = table.mean(axis=0)
    expected[CODES] = np.bincount(table[:, CODES].astype(int)).argmax()
    np.testing.assert_allclose(mean, expected, rtol=1e-6, atol=0.5 / 30)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.label)
def test_one_family_alone(example):
    sizes = example.n_categories or [0] * example.table.shape[1]
    likelihood = ColumnLikelihood([example.name] * len(sizes), sizes, ())
    likelihood.set_statistics(summarise([example.table]))
    likelihood.double()
    alone = FAMILIES[example.name](sizes)
    alone.set_statistics(summarise([example.table]))
    alone.double()
    outputs = torch.randn(
        30, likelihood.n_outputs, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)
    )
    for table in (example.table, example.with_holes()):
        np.testing.assert_allclose(
            scores(likelihood, table, outputs), log_prob(alone, table, outputs).sum(axis=1)
        )
    torch.testing.assert_close(likelihood.mean(outputs), alone.point(alone.expectation(outputs)))


def test_all_families_in_one_table():
    tables = {example.name: example.table for example in EXAMPLES}
    sizes = {example.name: example.n_categories for example in EXAMPLES}
    table = np.hstack([tables[name] for name in FAMILIES])
    names = [name for name in FAMILIES for _ in range(tables[name].shape[1])]
    all_sizes = [size for name in FAMILIES for size in sizes[name] or [0] * tables[name].shape[1]]
    order = np.random.default_rng(0).permutation(len(names))
    table, names = table[:, order], [names[j] for j in order]
    likelihood = fitted(names, [all_sizes[j] for j in order], table, marked=(0, 3))
    table[::2, ::3] = np.nan
    rows = likelihood.observe(torch.from_numpy(table))
    inputs = likelihood.inputs(rows)
    assert inputs.shape == (30, likelihood.n_inputs)
    assert torch.isfinite(inputs).all()
    outputs = likelihood.initial_outputs().double().expand(30, -1).clone().requires_grad_()
    total = likelihood.log_prob(rows, outputs)
    total.sum().backward()
    assert torch.isfinite(total).all()
    assert torch.isfinite(outputs.grad).all()
    expectation = likelihood.expectation(outputs.detach(), rows)
    assert likelihood.point(expectation).shape == table.shape
    assert likelihood.sample(outputs, torch.Generator().manual_seed(0)).shape == table.shape


def test_statistics_are_not_learned(likelihood):
    assert [name for name, _ in likelihood.named_parameters()] == ["families.1.raw_scale"]


def test_read_only_tables_are_accepted(table):
    table.setflags(write=False)
    fitted(NAMES, SIZES, table)
