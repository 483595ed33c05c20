"""Categorical columns."""

import numpy as np
import pytest
import torch
from family_examples import DOUBLE, fitted, log_prob, observed, random_outputs
from scipy.special import log_softmax, softmax

from skrgvae.data.summary import summarise
from skrgvae.likelihoods.categorical import Categorical
from skrgvae.likelihoods.family import Observed

SIZES = (3, 2, 7, 1)
PARTS = (slice(0, 3), slice(3, 5), slice(5, 12), slice(12, 13))


@pytest.fixture
def codes() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.column_stack([rng.integers(0, size, 40) for size in SIZES]).astype(float)


@pytest.fixture
def family(codes) -> Categorical:
    return fitted("categorical", codes, SIZES)


def test_widths(family):
    assert family.n_columns == 4
    assert family.n_inputs == family.n_outputs == family.n_expected == 13


def test_log_prob_is_the_logarithm_of_the_probability(family, codes):
    outputs = random_outputs(family, 40, scale=3.0)
    scores = log_prob(family, codes, outputs)
    for j, part in enumerate(PARTS):
        logarithms = log_softmax(outputs.numpy()[:, part], axis=1)
        expected = logarithms[np.arange(40), codes[:, j].astype(int)]
        np.testing.assert_allclose(scores[:, j], expected, rtol=1e-10, atol=1e-14)


def test_expectation_holds_the_probabilities(family):
    outputs = random_outputs(family, 40, scale=3.0)
    expected = np.hstack([softmax(outputs.numpy()[:, part], axis=1) for part in PARTS])
    np.testing.assert_allclose(family.expectation(outputs), expected, rtol=1e-10)


def test_point_is_the_likeliest_category(family):
    outputs = random_outputs(family, 40, scale=3.0)
    point = family.point(family.expectation(outputs))
    expected = np.column_stack([outputs.numpy()[:, part].argmax(axis=1) for part in PARTS])
    np.testing.assert_array_equal(point, expected)


def test_point_is_the_first_of_equals(family):
    assert (family.point(torch.full((2, 13), 0.5)) == 0).all()


def test_effect_is_the_total_variation_distance(family):
    on, off = (family.expectation(random_outputs(family, 40, scale)) for scale in (1.0, -2.0))
    expected = np.column_stack(
        [0.5 * np.abs((on - off).numpy()[:, part]).sum(axis=1) for part in PARTS]
    )
    np.testing.assert_allclose(family.effect(on, off), expected, rtol=1e-10)
    certain = torch.zeros(2, 13, dtype=DOUBLE)
    certain[0, [0, 3, 5, 12]] = certain[1, [1, 4, 6, 12]] = 1
    effect = family.effect(certain[0], certain[1])
    torch.testing.assert_close(effect, torch.tensor([1.0, 1, 1, 0], dtype=DOUBLE))


def test_inputs_are_one_hot_less_the_frequencies(family, codes):
    inputs = family.inputs(observed(family, codes)).numpy()
    for j, part in enumerate(PARTS):
        one_hot = np.eye(SIZES[j])[codes[:, j].astype(int)]
        count = one_hot.sum(axis=0) + 0.5
        np.testing.assert_allclose(inputs[:, part], one_hot - count / count.sum(), atol=1e-7)


def test_start_at_the_frequencies(family, codes):
    probability = family.expectation(family.initial_outputs().to(DOUBLE)).numpy()
    for j, part in enumerate(PARTS):
        count = np.bincount(codes[:, j].astype(int), minlength=SIZES[j]) + 0.5
        np.testing.assert_allclose(probability[part], count / count.sum(), rtol=1e-6)


def test_draws_have_the_probabilities(family):
    # 50,000 draws, five standard errors, 13 categories: a false alarm has probability 8e-6.
    outputs = random_outputs(family, 1)[0]
    draws = family.sample(outputs.expand(50_000, 13), torch.Generator().manual_seed(0)).numpy()
    probability = family.expectation(outputs).numpy()
    for j, part in enumerate(PARTS):
        share = np.bincount(draws[:, j].astype(int), minlength=SIZES[j]) / 50_000
        p = probability[part]
        assert len(share) == SIZES[j]
        assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / 50_000) + 1e-12).all()


def test_extreme_outputs():
    family = Categorical([2])
    outputs = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    log_prob = family.log_prob(Observed(torch.tensor([[0.0]]), None), outputs)
    torch.testing.assert_close(log_prob, torch.tensor([[-2e4]]))
    log_prob.sum().backward()
    torch.testing.assert_close(outputs.grad, torch.tensor([[1.0, -1.0]]))


def test_a_column_with_one_category_or_none_contributes_nothing():
    family = Categorical([1, 0])
    family.set_statistics(summarise([np.array([[0.0, np.nan], [0.0, np.nan]])]))
    assert family.n_outputs == 2
    assert (log_prob(family, np.array([[0.0, np.nan]]), torch.ones(1, 2)) == 0).all()


def test_categories_of_no_training_row_have_a_probability():
    family = fitted("categorical", np.array([[0.0], [0.0], [2.0]]), [4])
    assert torch.isfinite(family.initial_outputs()).all()
    torch.testing.assert_close(family.frequency.sum(), torch.tensor(1.0, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0, 3.0, -1.0], "codes from 0 on, but the smallest value is -1"),
        ([0.0, 0.5, 2.0], "codes, but not all values are whole numbers"),
        ([0.0, 3.0, np.nan], None),
        ([np.nan] * 3, None),
    ],
)
def test_what_is_refused(values, message):
    assert Categorical.refusal(summarise([np.array([values]).T]), 0) == message
