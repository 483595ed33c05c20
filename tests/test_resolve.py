"""What the "auto" of single parameters becomes."""

import pytest

from skrgvae.resolve import resolve_free_bits, resolve_max_iter


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "batch_size", "epochs"),
    [
        (1, 5, 100, 200),
        (1_797, 64, 100, 200),
        (20_000, 64, 100, 200),  # 200 steps per epoch: the two limits meet
        (54_000, 784, 100, 74),
        (54_000, 784, 500, 200),
        (10_000, 10_000, 100, 40),  # a tenth of the steps for ten times 1,000 columns
        (10**9, 784, 100, 1),
    ],
)
def test_auto_max_iter(n_rows, n_columns, batch_size, epochs):
    assert resolve_max_iter("auto", n_rows, n_columns, batch_size) == epochs


def test_given_max_iter_is_kept():
    assert resolve_max_iter(7, 10**9, 10**6, 1) == 7


@pytest.mark.parametrize(
    ("n_layers", "floors"), [(1, (0.1,)), (2, (0.05, 0.1)), (4, (0.0125, 0.025, 0.05, 0.1))]
)
def test_auto_free_bits_halve_downwards(n_layers, floors):
    assert resolve_free_bits("auto", n_layers) == pytest.approx(floors, rel=1e-12)


def test_given_free_bits_are_kept():
    assert resolve_free_bits(0.5, 2) == (0.5, 0.5)
    assert resolve_free_bits([0.5, 0.0], 2) == (0.5, 0.0)
