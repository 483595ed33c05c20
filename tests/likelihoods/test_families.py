"""What holds for every likelihood family, checked on the table of examples.

The random test draws 20,000 rows from a fixed seed and allows six standard errors, 1 to 31 means
each: where these are normal, a right implementation fails one of all comparisons with a
probability of 3e-7 - once, when the seed or the generator changes, not from run to run.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, EXAMPLES, Example, LogProb, fitted, observed, random_outputs

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import FAMILIES, Family
from skrgvae.likelihoods.counts import EXPOSURE_COLUMNS, Counts
from skrgvae.likelihoods.family import Observed

N_DRAWS = 20_000


def examples(which: Callable[[Example], bool]) -> pytest.MarkDecorator:
    """Run a test on some of the examples."""
    some = list(filter(which, EXAMPLES))
    return pytest.mark.parametrize("example", some, ids=[example.label for example in some])


@pytest.fixture(params=EXAMPLES, ids=lambda example: example.label)
def example(request: pytest.FixtureRequest) -> Example:
    return request.param


def test_every_family_has_examples():
    assert {example.name for example in EXAMPLES} == set(FAMILIES)


def test_examples_cover_bent_columns_and_totals():
    assert any(example.is_bent for example in EXAMPLES)
    assert any(example.uses_totals for example in EXAMPLES)


def test_families_are_named_by_their_keys():
    assert all(family.name == name for name, family in FAMILIES.items())
    assert all(issubclass(family, Family) for family in FAMILIES.values())


@pytest.mark.parametrize("scale", [1.0, 40.0])
@pytest.mark.parametrize("holes", [False, True])
def test_slopes_are_those_of_the_log_density(example, holes, scale):
    family, table = example.family, example.table.astype(np.float64)
    if holes:
        table[::2, 0] = np.nan
    rows, outputs = observed(family, table), random_outputs(family, len(table), scale)
    log_prob, slopes = family.log_prob_and_slopes(rows, outputs)
    expected, by_autograd = Family.log_prob_and_slopes(family, rows, outputs)
    assert len(slopes) == 1 + len(list(family.parameters()))
    for found, right in zip((log_prob, *slopes), (expected, *by_autograd), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-10, atol=1e-10)


def test_shapes(example):
    family = example.family
    n_rows, n_columns = example.table.shape
    rows, outputs = observed(family, example.table), random_outputs(family, n_rows)
    assert family.n_columns == n_columns
    assert family.inputs(rows).shape == (n_rows, family.n_inputs)
    assert family.initial_outputs().shape == (family.n_outputs,)
    assert family.log_prob(rows, outputs).shape == (n_rows, n_columns)
    for expected in (family.expectation(outputs), family.expectation(outputs, rows)):
        assert expected.shape == (n_rows, family.n_expected)
        assert family.point(expected).shape == (n_rows, n_columns)
        assert family.effect(expected, expected.flip(0)).shape == (n_rows, n_columns)
    generator = torch.Generator().manual_seed(0)
    assert family.sample(outputs, generator).shape == (n_rows, n_columns)


def test_several_samples_of_the_latent_units(example):
    family = example.family
    rows = observed(family, example.with_holes())
    outputs = random_outputs(family, len(example.table))
    several = torch.stack([outputs, -outputs, 2 * outputs])
    for function in (
        lambda outputs: family.log_prob(rows, outputs),
        family.expectation,
        lambda outputs: family.expectation(outputs, rows),
        lambda outputs: family.point(family.expectation(outputs)),
    ):
        torch.testing.assert_close(function(several)[1], function(-outputs))
    generator = torch.Generator().manual_seed(0)
    assert family.sample(several, generator).shape == (3, *example.table.shape)


def test_inputs_of_the_training_rows_have_a_spread_near_one(example):
    inputs = example.family.inputs(observed(example.family, example.table))
    if isinstance(example.family, Counts) and inputs.shape[1] >= EXPOSURE_COLUMNS:
        # Weighted words have no centre, but rows of one length (0 of a row without words).
        size = inputs.square().mean(dim=1)
        torch.testing.assert_close(size, (size > 0).to(size.dtype))
        return
    assert inputs.mean(dim=0).abs().max() < 0.8
    assert (inputs.std(dim=0) < 3).all()


def test_missing_entries_count_for_nothing(example):
    family = example.family
    table = example.with_holes()
    rows = observed(family, table)
    assert (family.inputs(rows)[4] == 0).all()
    outputs = random_outputs(family, len(table)).requires_grad_()
    log_prob = family.log_prob(rows, outputs)
    assert (log_prob[np.isnan(table)] == 0).all()
    assert torch.isfinite(log_prob).all()
    log_prob.sum().backward()
    assert torch.isfinite(outputs.grad).all()
    missing = torch.from_numpy(np.isnan(table))
    if example.name == "categorical":
        missing = missing[:, family.column]
    # That of the multinomial law as well: its shares are those among the known columns.
    assert (outputs.grad[missing] == 0).all()


@examples(lambda example: not example.uses_totals)
def test_known_entries_of_an_incomplete_table_are_scored_as_ever(example):
    family = example.family
    table = example.with_holes()
    outputs = random_outputs(family, len(table))
    complete = family.log_prob(observed(family, example.table), outputs)
    partly = family.log_prob(observed(family, table), outputs)
    known = ~np.isnan(table)
    torch.testing.assert_close(partly[known], complete[known], rtol=0, atol=0)


def test_training_on_an_incomplete_table(example):
    table = example.with_holes()
    family = fitted(example.name, table, example.n_categories)
    rows = observed(family, table)
    assert all(torch.isfinite(value).all() for value in family.state_dict().values())
    assert torch.isfinite(family.initial_outputs()).all()
    assert torch.isfinite(family.inputs(rows)).all()
    outputs = family.initial_outputs().expand(len(table), -1)
    assert torch.isfinite(family.log_prob(rows, outputs)).all()
    # A column of which nothing was known is told of later ones: that must be finite, too.
    later = observed(family, example.table)
    assert torch.isfinite(family.inputs(later)).all()
    assert torch.isfinite(family.log_prob(later, outputs)).all()
    assert torch.isfinite(family.expectation(outputs, rows)).all()


def test_gradients_are_those_of_finite_differences(example):
    family = example.family
    rows = observed(family, example.with_holes()[:6])
    outputs = random_outputs(family, 6).requires_grad_()
    names = [f"family.{name}" for name, _ in family.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in family.parameters()]

    def scores(outputs, *parameters):
        return torch.func.functional_call(
            LogProb(family), dict(zip(names, parameters, strict=True)), (rows, outputs)
        )

    assert torch.autograd.gradcheck(scores, (outputs, *values))


@examples(lambda example: not example.is_bent)
def test_draws_have_the_expected_values(example):
    family = example.family
    outputs = 0.5 * random_outputs(family, 1)[0] + family.initial_outputs()
    draws = family.sample(outputs.expand(N_DRAWS, -1), torch.Generator().manual_seed(1)).detach()
    expected = family.expectation(outputs).detach()
    if example.name == "categorical":
        draws = family.inputs(Observed(draws, None)) + family.frequency  # one-hot
    error = (draws.mean(dim=0) - expected).abs()
    assert (error <= 6 * draws.std(dim=0) / N_DRAWS**0.5 + 1e-9 * expected.abs()).all()


@pytest.mark.parametrize("scale", [1.0, 1e2, 1e4])
def test_extreme_outputs_stay_finite(example, scale):
    family = fitted(example.name, example.table, example.n_categories, double=False)
    rows = observed(family, example.with_holes())
    outputs = random_outputs(family, len(example.table), scale).float().requires_grad_()
    log_prob = family.log_prob(rows, outputs)
    assert torch.isfinite(log_prob).all()
    log_prob.sum().backward()
    assert torch.isfinite(outputs.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in family.parameters())
    assert torch.isfinite(family.expectation(outputs, rows)).all()


def test_observe_gives_the_networks_dtype(example):
    for double in (False, True):
        family = fitted(example.name, example.table, example.n_categories, double)
        dtype = DOUBLE if double else torch.float32
        for table in (example.table, example.table.astype(np.float32)):
            rows = observed(family, table)
            assert rows.values.dtype == dtype
            assert family.inputs(rows).dtype == dtype
            outputs = family.initial_outputs().to(dtype).expand(len(table), -1)
            assert family.log_prob(rows, outputs).dtype == dtype


def test_float32_is_close_to_float64(example):
    table = example.with_holes()
    outputs = random_outputs(example.family, len(table))
    single = fitted(example.name, example.table, example.n_categories, double=False)
    rough = single.log_prob(observed(single, table), outputs.float()).double()
    exact = example.family.log_prob(observed(example.family, table), outputs)
    torch.testing.assert_close(rough, exact, rtol=1e-4, atol=1e-4)


@examples(lambda example: example.has_large_values)
@pytest.mark.parametrize("extreme", [1e15, 1e300])
@pytest.mark.parametrize("double", [False, True])
def test_huge_values_after_training_stay_finite(example, extreme, double):
    family = fitted(example.name, example.table, example.n_categories, double)
    table = example.table.copy()
    table[2, :] = extreme
    rows = observed(family, table)
    outputs = random_outputs(family, len(table)).to(rows.values.dtype).requires_grad_()
    log_prob = family.log_prob(rows, outputs)
    assert torch.isfinite(log_prob).all()
    log_prob.sum().backward()
    assert torch.isfinite(outputs.grad).all()
    assert torch.isfinite(family.inputs(rows)).all()


@examples(lambda example: example.has_large_values)
@pytest.mark.parametrize("magnitude", [1e-300, 1e300])
@pytest.mark.parametrize("double", [False, True])
def test_tables_of_any_magnitude_stay_finite(example, magnitude, double):
    table = example.table * magnitude
    if example.is_count:
        table = np.ceil(table)
    family = fitted(example.name, table, example.n_categories, double)
    rows = observed(family, table)
    outputs = family.initial_outputs().expand(len(table), -1).to(rows.values.dtype)
    assert all(torch.isfinite(value).all() for value in family.state_dict().values())
    assert torch.isfinite(family.inputs(rows)).all()
    assert torch.isfinite(family.log_prob(rows, outputs)).all()
    assert torch.isfinite(family.expectation(outputs)).all()


def test_statistics_survive_a_file(example):
    fresh = FAMILIES[example.name](example.n_categories or [0] * example.table.shape[1])
    fresh.double().load_state_dict(example.family.state_dict())
    rows = observed(fresh, example.table)
    outputs = random_outputs(fresh, len(example.table))
    torch.testing.assert_close(
        fresh.log_prob(rows, outputs), example.family.log_prob(rows, outputs), rtol=0, atol=0
    )


def test_shapes_are_known_without_memory(example):
    # As the reader of model files asks for them.
    categories = example.n_categories or [0] * example.table.shape[1]
    with torch.device("meta"):
        state = FAMILIES[example.name](categories).state_dict()
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in example.family.state_dict().items()
    }


def test_the_examples_are_not_refused(example):
    for table in (example.table, example.with_holes()):
        summary = summarise([table])
        refusals = [FAMILIES[example.name].refusal(summary, j) for j in range(table.shape[1])]
        assert refusals == [None] * table.shape[1]
