"""What single parameters become."""

from skrgvae.recipe import SEARCHING
from skrgvae.resolve import resolve_free_bits, resolve_max_iter


def test_given_max_iter_is_kept():
    assert resolve_max_iter(7, 10**9, 10**6, 650, 1) == 7


def test_given_free_bits_are_kept():
    assert resolve_free_bits(0.5, 2, SEARCHING) == (0.5, 0.5)
    assert resolve_free_bits([0.5, 0.0], 2, SEARCHING) == (0.5, 0.0)
