"""What "auto" makes of a table."""

import numpy as np
import pytest

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import FAMILIES, resolve_auto

LONG = {"b": "bernoulli", "g": "gaussian", "n": "negative_binomial", "c": "categorical"}
NAN = np.nan

# Columns, families of a dense table, families of a sparse one.
CASES = [
    ([[0, 1, 1], [0, 0, 1]], "bb", "bb"),
    ([[0.2, 0.9], [0, 1]], "bb", "bb"),  # intensities: all of the table is inside [0, 1]
    ([[0.2, 0.9], [0, 2]], "gg", "gg"),  # one column outside makes numbers of the intensities
    ([[0, 1, 0], [0, 2, 1]], "bg", "nn"),
    ([[0, 1, 0], [0.5, 2, 1]], "bg", "bg"),
    ([[0, 1, 0], [-1, 2, 1]], "bg", "bg"),
    ([[0, 1, 0], [-1e-9, 0.5, 1]], "bg", "bg"),
    ([[0, 0], [1, 1], [3, 3]], "bbg", "nnn"),  # constant 0 or 1 is binary, 3 is not
    ([[0, -0.0, 1], [5, 6, 7]], "bg", "nn"),
    ([[1, 2]], "g", "n"),
    # Missing entries say nothing.
    ([[0, NAN, 1], [NAN, 3, 2]], "bg", "nn"),
    ([[0.5, NAN], [NAN, 1]], "bb", "bb"),
    ([[NAN, NAN], [0, 1]], "gb", "gb"),
    ([[NAN, NAN], [0, 2]], "gg", "gn"),
    ([[NAN, NAN]], "g", "g"),
]


@pytest.mark.parametrize(("columns", "dense", "sparse"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auto(columns, dense, sparse, dtype):
    summary = summarise([np.array(columns, dtype).T])
    for letters, is_sparse in ((dense, False), (sparse, True)):
        resolved = resolve_auto(summary, [0] * len(columns), is_sparse)
        assert resolved.tolist() == [LONG[letter] for letter in letters]


@pytest.mark.parametrize(
    ("columns", "n_categories", "expected"),
    [
        ([[0, 1, 2], [0, 1, 0]], [3, 0], "cb"),
        ([[0, 1, 2], [0.5, 1, 0]], [3, 0], "cb"),  # all of the numbers are inside [0, 1]
        ([[0, 1, 0], [0.5, 3, 0]], [2, 0], "cg"),
        ([[0, 1, 0], [0, 0, 1]], [2, 2], "cc"),
        ([[NAN, NAN, NAN], [0, 0, 1]], [1, 0], "cb"),
    ],
)
def test_columns_with_categories(columns, n_categories, expected):
    resolved = resolve_auto(summarise([np.array(columns, float).T]), n_categories, False)
    assert resolved.tolist() == [LONG[letter] for letter in expected]


def test_auto_chooses_families_that_take_the_values():
    for columns, *_ in CASES:
        summary = summarise([np.array(columns, float).T])
        for sparse in (False, True):
            for j, name in enumerate(resolve_auto(summary, [0] * len(columns), sparse)):
                assert FAMILIES[name].refusal(summary, j) is None
