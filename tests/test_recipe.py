"""What "auto" stands for in training."""

import numpy as np
import pytest

from skrgvae import HierarchicalSparseEncoder
from skrgvae.recipe import COUNTING, SEARCHING, SPANNING, epochs_for, recipe_for

GAUSSIANS = ("gaussian",) * 8
INTENSITIES = ("bernoulli",) * 8


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_units", "batch_size", "epochs"),
    [
        (1, 5, 650, 100, 200),
        (450, 140, 650, 100, 200),
        (1_797, 64, 650, 100, 60),
        (1_797, 64, 200, 100, 200),  # smaller layers, quick passes
        (1_000, 150, 500, 100, 153),  # 5e10 / (1,000 * 500 * 650)
        (54_000, 784, 650, 100, 60),
        (100_000, 784, 650, 100, 40),  # 40,000 steps
        (100_000, 784, 650, 500, 60),
        (10_000, 10_000, 650, 100, 40),  # a tenth of the steps for ten times 1,000 columns
        (10**9, 784, 650, 100, 1),
    ],
)
def test_epochs(n_rows, n_columns, n_units, batch_size, epochs):
    assert epochs_for(n_rows, n_columns, n_units, batch_size) == epochs


@pytest.mark.parametrize(
    ("n_layers", "floors"), [(1, (0.1,)), (2, (0.05, 0.1)), (4, (0.0125, 0.025, 0.05, 0.1))]
)
def test_floors_halve_downwards_where_units_search_causes(n_layers, floors):
    assert SEARCHING.free_bits(n_layers) == pytest.approx(floors, rel=1e-12)


def test_floors_are_equal_where_units_span_the_columns():
    assert SPANNING.free_bits(3) == (0.1, 0.1, 0.1)
    assert COUNTING.free_bits(3) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("layer_sizes", "families", "recipe"),
    [
        ((5, 3), GAUSSIANS, SEARCHING),
        ((5, 4), GAUSSIANS, SPANNING),  # one unit more than columns
        ((5, 4), INTENSITIES, SEARCHING),
        ((5, 4), (*INTENSITIES[:7], "student_t"), SPANNING),  # one column of measurements
        ((5, 4), ("categorical",) * 8, SEARCHING),
        ((5, 3), (*GAUSSIANS[:7], "poisson"), COUNTING),  # one column of counts
    ],
)
def test_recipe_goes_with_units_and_columns(layer_sizes, families, recipe):
    assert recipe_for(layer_sizes, families) is recipe


@pytest.mark.parametrize(
    ("families", "parameters", "direct"),
    [
        ("bernoulli", {}, True),
        ("poisson", {}, True),
        ("bernoulli", {"skip_connections": False}, False),
        ("bernoulli", {"hidden_layer_sizes": 4}, False),
        ("gaussian", {}, False),
        ({0: "student_t"}, {}, False),  # one column of measurements
    ],
)
def test_upper_layers_read_rows_that_are_no_measurements(families, parameters, direct):
    X = np.random.default_rng(0).integers(0, 2, (30, 6)).astype(float)
    encoder = HierarchicalSparseEncoder((4, 2), likelihood=families, max_iter=1, **parameters)
    assert encoder.fit(X)._model.architecture.direct_inputs == direct


@pytest.mark.parametrize(("sizes", "recipe"), [((4, 2), SEARCHING), ((8, 4), SPANNING)])
def test_auto_is_what_its_numbers_are(sizes, recipe):
    X = np.random.default_rng(0).normal(size=(60, 8))
    given = {
        "learning_rate": recipe.learning_rate,
        "firing_rate": recipe.firing_rate,
        "free_bits": recipe.free_bits(2),
    }
    automatic = HierarchicalSparseEncoder(sizes, max_iter=2, random_state=0)
    by_hand = HierarchicalSparseEncoder(sizes, max_iter=2, random_state=0, **given)
    np.testing.assert_array_equal(automatic.fit_transform(X), by_hand.fit_transform(X))
    assert automatic.history_["learning_rate"] == by_hand.history_["learning_rate"]
