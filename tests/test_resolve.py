"""What single parameters become."""

import numpy as np
import pytest

from skrgvae.recipe import SEARCHING
from skrgvae.resolve import given, resolve_free_bits, resolve_likelihood


def test_what_is_given_is_kept():
    assert given(7, 1) == 7
    assert given(None, 1) is None
    assert given("auto", 1) == 1


def test_a_column_has_one_family():
    auto, empty = np.array(["gaussian", "gaussian"]), np.zeros(2, dtype=bool)
    known = empty, ["a", "b"], ("gaussian", "student_t")
    one = resolve_likelihood({"a": "student_t", 1: "gaussian"}, auto, *known)
    assert one.tolist() == ["student_t", "gaussian"]
    with pytest.raises(ValueError, match="two entries for one column: 'a', 0"):
        resolve_likelihood({"a": "student_t", 0: "gaussian"}, auto, *known)


def test_given_free_bits_are_kept():
    assert resolve_free_bits(0.5, 2, SEARCHING) == (0.5, 0.5)
    assert resolve_free_bits([0.5, 0.0], 2, SEARCHING) == (0.5, 0.0)
