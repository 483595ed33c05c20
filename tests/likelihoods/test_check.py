"""Columns whose values their family can't have are named."""

import re

import numpy as np
import pytest

from skrgvae.data.summary import summarise
from skrgvae.likelihoods import check_families

TABLE = np.array([[0.0, 3.0, -1.5], [1.0, np.nan, 2.0], [np.nan, 7.0, 0.0]])


def test_families_that_take_the_values():
    check_families(["bernoulli", "poisson", "gaussian"], summarise([TABLE]), None)
    check_families(["categorical", "multinomial", "student_t"], summarise([TABLE]), None)


@pytest.mark.parametrize(
    ("families", "message"),
    [
        (
            ["bernoulli", "bernoulli", "gaussian"],
            r"Column 'b': .*'bernoulli' needs values in \[0, 1\], but they go from 3 to 7\.",
        ),
        (
            ["bernoulli", "poisson", "negative_binomial"],
            r"Column 'c': .*'negative_binomial' needs counts, but the smallest value is -1\.5\.",
        ),
        (
            ["gaussian", "gaussian", "categorical"],
            r"Column 'c': .*'categorical' needs codes from 0 on, but the smallest value is -1\.5",
        ),
    ],
)
def test_the_first_column_that_does_not_fit_is_named(families, message):
    with pytest.raises(ValueError, match=message):
        check_families(families, summarise([TABLE]), ["a", "b", "c"])


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
@pytest.mark.parametrize("furthest", [1.7e308, -1.01e307])
def test_values_of_which_the_units_are_no_numbers(family, furthest):
    table = TABLE.copy()
    table[1, 2] = furthest
    message = f"Column 2: likelihood {family!r} needs values from -1e+307 to 1e+307, but there is "
    with pytest.raises(ValueError, match=re.escape(f"{message}{furthest:g} among them.")):
        check_families(["bernoulli", "gaussian", family], summarise([table]), None)


def test_columns_without_names_are_counted():
    with pytest.raises(ValueError, match="Column 2: likelihood 'poisson'"):
        check_families(["gaussian", "gaussian", "poisson"], summarise([TABLE]), None)
