"""What "auto" stands for in training."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skrgvae import HierarchicalSparseEncoder
from skrgvae import recipe as recipes
from skrgvae.recipe import (
    COUNTING,
    SEARCHING,
    SEARCHING_DEEP,
    SPANNING,
    SPANNING_MANY,
    WORDS,
    hidden_layer_sizes_for,
    is_long,
    recipe_for,
)

GAUSSIANS = ("gaussian",) * 8
INTENSITIES = ("bernoulli",) * 8


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "n_units", "batch_size", "recipe", "epochs"),
    [
        (1, 5, 650, 100, SEARCHING, 200),
        (450, 140, 650, 100, SEARCHING, 200),
        (1_797, 64, 650, 100, SEARCHING, 60),
        (1_797, 64, 200, 100, SEARCHING, 200),  # smaller layers, quick passes
        (1_000, 150, 500, 100, SEARCHING, 153),  # 5e10 / (1,000 * 500 * 650)
        (54_000, 784, 650, 100, SEARCHING, 60),
        (20_000, 784, 650, 250, SEARCHING_DEEP, 200),
        (54_000, 784, 650, 250, SEARCHING_DEEP, 185),  # 40,000 steps
        (100_000, 784, 650, 100, SEARCHING, 40),
        (100_000, 784, 650, 500, SEARCHING, 60),
        # A tenth of the steps for ten times 1,000 columns.
        (10_000, 10_000, 650, 100, SEARCHING, 40),
        (10**9, 784, 650, 100, SEARCHING, 1),
    ],
)
def test_epochs(n_rows, n_columns, n_units, batch_size, recipe, epochs):
    assert recipe.epochs_for(n_rows, n_columns, n_units, batch_size) == epochs


@pytest.mark.parametrize(
    ("recipe", "floors"),
    [
        (SEARCHING, (0.1,)),
        (SEARCHING, (0.05, 0.1)),
        (SEARCHING, (0.0125, 0.025, 0.05, 0.1)),
        (SEARCHING, (0.0125, 0.0125, 0.025, 0.05, 0.1)),
        (SEARCHING_DEEP, (0.0125, 0.02, 0.04, 0.08)),
    ],
)
def test_floors_halve_downwards_to_a_least_where_units_search_causes(recipe, floors):
    assert recipe.free_bits(len(floors)) == pytest.approx(floors, rel=1e-12)


def test_floors_are_equal_where_units_span_the_columns():
    assert SPANNING.free_bits(3) == (0.1, 0.1, 0.1)
    assert COUNTING.free_bits(3) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("layer_sizes", "families", "recipe"),
    [
        ((5, 3), GAUSSIANS, SEARCHING),
        ((5, 4), GAUSSIANS, SPANNING),  # one unit more than columns
        ((200, 100), ("gaussian",) * 1_000, SEARCHING),
        ((200, 101), ("gaussian",) * 1_000, SPANNING_MANY),  # many units
        ((200, 101), ("gaussian",) * 501 + ("categorical",) * 499, SPANNING_MANY),  # most of them
        ((200, 52), ("gaussian",) * 251, SPANNING_MANY),
        ((200, 51), ("gaussian",) * 250, SPANNING),
        ((300, 200), ("gaussian",) * 200 + ("categorical",) * 200, SPANNING),
        ((200, 101), ("gaussian",) * 500 + ("categorical",) * 500, SEARCHING),
        ((200, 101), ("bernoulli",) * 1_000, SEARCHING),
        ((5, 4), INTENSITIES, SEARCHING),
        ((5, 4), (*INTENSITIES[:7], "student_t"), SPANNING),  # one column of measurements
        ((5, 4), ("categorical",) * 8, SEARCHING),
        ((5, 3), (*GAUSSIANS[:7], "poisson"), COUNTING),  # one column of counts
        ((4, 3), ("multinomial",) * 8, WORDS),  # one column more than units
        ((5, 3), ("multinomial",) * 8, COUNTING),
        ((4, 3), ("categorical", *("poisson",) * 7), COUNTING),
    ],
)
def test_recipe_goes_with_units_and_columns(layer_sizes, families, recipe):
    assert recipe_for(layer_sizes, families) is recipe


@pytest.mark.parametrize(
    ("families", "recipe"),
    [
        (INTENSITIES, SEARCHING_DEEP),
        (("categorical",) * 8, SEARCHING_DEEP),
        ((*INTENSITIES[:7], "gaussian"), SPANNING),
        (("gaussian",) * 20, SEARCHING),
        (("poisson",) * 8, COUNTING),
        (("poisson",) * 20, WORDS),
    ],
)
def test_long_trainings_are_others_without_measurements_and_counts(families, recipe):
    assert recipe_for((6, 4), families, long=True) is recipe


@pytest.mark.parametrize(
    ("n_rows", "passes", "long"),
    [
        (10_000, 200, False),
        (10_001, 200, True),
        (50_000, 39, False),
        (50_000, 40, True),
        (5_000, 400, False),
    ],
)
def test_long_trainings_see_many_rows(n_rows, passes, long):
    assert is_long(n_rows, passes) == long


def test_hidden_layers_are_a_power_of_two_wider_than_the_units():
    assert hidden_layer_sizes_for((300, 200, 100, 50)) == (512, 256, 128, 64)
    assert hidden_layer_sizes_for((64, 1)) == (128, 2)


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


@pytest.fixture
def long(monkeypatch):
    """Trainings of 300 rows in two passes are long ones."""
    monkeypatch.setattr(recipes, "MANY_ROWS", 299)
    monkeypatch.setattr(recipes, "MANY_SEEN", 600)


@pytest.fixture
def bits():
    return np.random.default_rng(0).integers(0, 2, (300, 8)).astype(float)


def short(**parameters):
    return HierarchicalSparseEncoder((5, 2), **{"max_iter": 2, "random_state": 0, **parameters})


def test_auto_is_what_its_numbers_are_in_a_long_training(long, bits):
    given = {
        "hidden_layer_sizes": (8, 4),
        "batch_size": SEARCHING_DEEP.batch_size,
        "weight_decay": SEARCHING_DEEP.weight_decay,
        "firing_rate": SEARCHING_DEEP.firing_rate,
        "free_bits": SEARCHING_DEEP.free_bits(2),
    }
    automatic, by_hand = short(), short(**given)
    np.testing.assert_array_equal(automatic.fit_transform(bits), by_hand.fit_transform(bits))
    assert automatic.hidden_layer_sizes_ == (8, 4)
    other = short(**{**given, "batch_size": SEARCHING.batch_size})
    assert (other.fit_transform(bits) != by_hand.transform(bits)).any()


def test_automatic_passes_of_a_long_training(long, bits, monkeypatch):
    monkeypatch.setattr(recipes, "QUICK_PRODUCTS", 0)
    monkeypatch.setattr(recipes, "MOST_STEPS", 4)  # two of 250 rows at most in a pass
    encoder = short(max_iter="auto").fit(bits)
    assert (encoder.hidden_layer_sizes_, encoder.n_iter_) == ((8, 4), 2)
    monkeypatch.setattr(recipes, "MOST_STEPS", 3)  # a single pass, which sees too few rows
    encoder.fit(bits)
    assert (encoder.hidden_layer_sizes_, encoder.n_iter_) == (None, 1)


@pytest.mark.parametrize("parameters", [{"hidden_layer_sizes": None}, {"weight_decay": 0.0}])
def test_a_long_training_may_be_like_others(long, bits, parameters, monkeypatch):
    features = short(**parameters).fit_transform(bits)
    monkeypatch.setattr(recipes, "MANY_ROWS", 300)
    np.testing.assert_array_equal(features, short().fit_transform(bits))


def test_a_stream_is_not_long(long, bits):
    assert short().partial_fit(bits).hidden_layer_sizes_ is None


@pytest.mark.parametrize("n_rows", [300, 299])
def test_training_that_goes_on_keeps_what_auto_became(long, bits, n_rows):
    encoder = short(warm_start=True).fit(bits[:n_rows])
    became = encoder.hidden_layer_sizes_
    assert became == ((8, 4) if n_rows == 300 else None)
    for rows in (bits[:299], bits):
        assert encoder.fit(rows).hidden_layer_sizes_ == became
    assert encoder.partial_fit(bits).hidden_layer_sizes_ == became


WORDS_OF_TEXTS = csr_array(np.random.default_rng(0).poisson(0.3, (60, 30)))
MANY_MEASUREMENTS = np.random.default_rng(0).normal(size=(60, recipes.MANY_COLUMNS + 1))


@pytest.mark.parametrize(
    ("layer_sizes", "X"), [((6, 4), WORDS_OF_TEXTS), ((250, 4), MANY_MEASUREMENTS)]
)
@pytest.mark.parametrize(("way", "share"), [("fit", 0.5), ("partial_fit", 0.0)])
def test_half_of_many_entries_are_hidden_but_in_streams(layer_sizes, X, way, share):
    def features(**parameters):
        encoder = HierarchicalSparseEncoder(layer_sizes, max_iter=2, random_state=0, **parameters)
        return getattr(encoder, way)(X).transform(X)

    automatic = features()
    np.testing.assert_array_equal(automatic, features(input_dropout=share))
    assert not np.array_equal(automatic, features(input_dropout=0.5 - share))
