"""Tables with columns of several families, and what "auto" makes of a table."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

from skrgvae.likelihoods import FAMILIES, ColumnLikelihood, Family, resolve_auto
from skrgvae.likelihoods.gaussian import SCALE_FLOOR

DOUBLE = torch.float64
NAMES = ["gaussian", "bernoulli", "gaussian", "gaussian", "bernoulli"]
# The decoder's outputs come in blocks, families in the order of FAMILIES.
BINARY, NUMERIC = [1, 4], [0, 2, 3]
FIRST_SCALE = 1 + SCALE_FLOOR


@pytest.fixture
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(30, 5)) * [1, 1, 10, 100, 1] + [3, 0, 50, -700, 0]
    columns[:, BINARY] = rng.random((30, 2)) < [0.2, 0.7]
    return columns


@pytest.fixture
def likelihood(table) -> ColumnLikelihood:
    likelihood = ColumnLikelihood(NAMES)
    likelihood.set_statistics(table)
    return likelihood.double()


@pytest.fixture
def outputs() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).normal(size=(30, 5)))


def column_means(table, outputs):
    """E[x | z] column by column, in the table's order."""
    outputs = outputs.numpy()
    expected = np.empty(outputs.shape)
    expected[..., BINARY] = expit(outputs[..., :2])
    loc, spread = table.mean(axis=0)[NUMERIC], table.std(axis=0)[NUMERIC]
    expected[..., NUMERIC] = loc + spread * outputs[..., 2:]
    return expected


def test_families_are_named_by_their_keys():
    assert all(family.name == name for name, family in FAMILIES.items())
    assert all(issubclass(family, Family) for family in FAMILIES.values())


def test_widths(likelihood):
    assert (likelihood.n_columns, likelihood.n_inputs, likelihood.n_outputs) == (5, 5, 5)


def test_log_prob_is_the_sum_over_columns(likelihood, table, outputs):
    means = column_means(table, outputs)
    expected = np.zeros(30)
    for j, name in enumerate(NAMES):
        if name == "bernoulli":
            expected += stats.bernoulli.logpmf(table[:, j], means[:, j])
        else:
            scale = table[:, j].std() * FIRST_SCALE
            expected += stats.norm.logpdf(table[:, j], means[:, j], scale)
    observed = likelihood.observe(torch.from_numpy(table))
    # raw_scale was rounded to float32 when the module was made.
    np.testing.assert_allclose(
        likelihood.log_prob(observed, outputs).detach(), expected, rtol=1e-6
    )


def test_log_prob_broadcasts_over_samples(likelihood, table, outputs):
    observed = likelihood.observe(torch.from_numpy(table))
    joint = likelihood.log_prob(observed, torch.stack([outputs, 2 * outputs, -outputs]))
    assert joint.shape == (3, 30)
    torch.testing.assert_close(joint[1], likelihood.log_prob(observed, 2 * outputs))


def test_mean_is_in_the_tables_column_order(likelihood, table, outputs):
    for values in (outputs, outputs.reshape(3, 10, 5)):
        np.testing.assert_allclose(
            likelihood.mean(values), column_means(table, values), rtol=1e-10
        )


def test_sample_is_in_the_tables_column_order(likelihood, table, outputs):
    # 20,000 draws, five standard errors, five columns: a false alarm has probability 3e-6.
    draws = likelihood.sample(outputs[0].expand(20_000, 5), torch.Generator().manual_seed(0))
    draws, mean = draws.detach().numpy(), column_means(table, outputs[0])
    sd = np.empty(5)
    sd[BINARY] = np.sqrt(mean[BINARY] * (1 - mean[BINARY]))
    sd[NUMERIC] = table.std(axis=0)[NUMERIC] * FIRST_SCALE
    assert set(np.unique(draws[:, BINARY])) == {0, 1}
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * sd / np.sqrt(20_000)).all()


def test_a_column_scores_the_same_wherever_it_stands(likelihood, table, outputs):
    order = np.array([4, 2, 0, 1, 3])
    moved = ColumnLikelihood([NAMES[j] for j in order])
    moved.set_statistics(table[:, order])
    moved.double()
    # Binary columns now stand as 4, 1 and the others as 2, 0, 3.
    moved_outputs = outputs[:, [1, 0, 3, 2, 4]]
    torch.testing.assert_close(
        moved.log_prob(moved.observe(torch.from_numpy(table[:, order])), moved_outputs),
        likelihood.log_prob(likelihood.observe(torch.from_numpy(table)), outputs),
    )
    torch.testing.assert_close(moved.mean(moved_outputs), likelihood.mean(outputs)[:, order])


def test_initial_outputs_give_the_marginal_means(likelihood, table):
    mean = likelihood.mean(likelihood.initial_outputs().double())
    np.testing.assert_allclose(mean, table.mean(axis=0), rtol=1e-6, atol=0.5 / 30)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_family_alone(name):
    table = np.random.default_rng(0).random((20, 3))
    likelihood = ColumnLikelihood([name] * 3)
    likelihood.set_statistics(table)
    alone = FAMILIES[name](3)
    alone.set_statistics(table)
    rows, outputs = torch.from_numpy(table), torch.randn(20, 3, generator=seeded())
    torch.testing.assert_close(
        likelihood.log_prob(likelihood.observe(rows), outputs),
        alone.log_prob(alone.observe(rows), outputs).sum(dim=1),
    )
    torch.testing.assert_close(likelihood.mean(outputs), alone.mean(outputs))


def test_statistics_are_not_learned(likelihood):
    assert [name for name, _ in likelihood.named_parameters()] == ["families.1.raw_scale"]


def test_read_only_tables_are_accepted(table):
    table.setflags(write=False)
    ColumnLikelihood(NAMES).set_statistics(table)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]], "bb"),
        ([[0.2, 0.9], [0.0, 1.0]], "bb"),  # intensities: all of the table is inside [0, 1]
        ([[0.2, 0.9], [0.0, 2.0]], "gg"),  # one column outside makes numbers of the intensities
        ([[0.0, 1.0, 0.0], [0.0, 2.0, 1.0]], "bg"),
        ([[0.0, 1.0, 0.0], [-1e-9, 0.5, 1.0]], "bg"),
        ([[0.0, 0.0], [1.0, 1.0], [3.0, 3.0]], "bbg"),  # constant 0 or 1 is binary, 3 is not
        ([[0.0, -0.0, 1.0], [5.0, 6.0, 7.0]], "bg"),
        ([[1.0, 2.0]], "g"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auto(columns, expected, dtype):
    long = {"b": "bernoulli", "g": "gaussian"}
    resolved = resolve_auto(np.array(columns, dtype).T)
    assert resolved.tolist() == [long[letter] for letter in expected]


def test_auto_takes_booleans():
    assert resolve_auto(np.array([[True, False], [False, False]])).tolist() == ["bernoulli"] * 2
