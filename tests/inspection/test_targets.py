"""Associations with a target, against scipy one unit at a time, and their false discoveries."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import associations

pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.repeat(np.maximum(rng.normal(size=(300, 4)), 0), 2, axis=1) + 0.1 * rng.normal(
        size=(300, 8)
    )


@pytest.fixture(scope="module")
def encoder(X):
    return HierarchicalSparseEncoder((20, 5), max_iter=20, random_state=0).fit(X)


def varying(features):
    """Numbers of the units that change over the rows, of which there are enough."""
    varies = np.flatnonzero(np.ptp(features, axis=0) > 0)
    assert len(varies) > 10
    return varies


def test_two_classes(X, encoder):
    y = np.where(X[:, 0] > 0.5, "yes", "no")
    table = associations(encoder, X, y)
    assert (table["test"] == "mann-whitney").all()
    features = encoder.transform(X)
    for at in varying(features):
        auc = roc_auc_score(y == "yes", features[:, at])
        assert table["effect"][at] == pytest.approx(2 * auc - 1, abs=1e-12)
        groups = features[y == "yes", at], features[y == "no", at]
        p_value = stats.mannwhitneyu(*groups, method="asymptotic").pvalue
        assert table["p_value"][at] == pytest.approx(p_value)


def test_more_classes(X, encoder):
    y = np.digitize(X[:, 0] + X[:, 3], [0.5, 1.2])
    table = associations(encoder, X, y)
    assert (table["test"] == "kruskal-wallis").all()
    features = encoder.transform(X)
    for at in varying(features):
        h, p_value = stats.kruskal(*(features[y == label, at] for label in range(3)))
        assert table["effect"][at] == pytest.approx(h / 299)
        assert table["p_value"][at] == pytest.approx(p_value)


@pytest.mark.parametrize(("decimals", "task"), [(6, "auto"), (0, "regression")])
def test_a_number(X, encoder, decimals, task):
    y = np.round(10 * X[:, 0], decimals)
    table = associations(encoder, X, y, task)
    assert (table["test"] == "spearman").all()
    features = encoder.transform(X)
    for at in varying(features):
        expected = stats.spearmanr(features[:, at], y)
        assert table["effect"][at] == pytest.approx(expected.statistic)
        assert table["p_value"][at] == pytest.approx(expected.pvalue)


def test_few_false_discoveries(X, encoder):
    # A target of noise: the share of runs with any discovery at 5 % is at most 5 % (the tests
    # are positively dependent), so more than 21 of 200 have a probability below 1 in 1000.
    rng = np.random.default_rng(0)
    runs = [
        (associations(encoder, X, rng.integers(0, 2, 300))["p_adjusted"] < 0.05).any()
        for _ in range(200)
    ]
    assert stats.binom.sf(21, 200, 0.05) < 1e-3
    assert sum(runs) <= 21


def test_units_that_never_change_are_no_tests(X):
    encoder = HierarchicalSparseEncoder(
        (20, 5), max_iter=20, learning_rate=0.02, sparsity_penalty=1e3, random_state=0
    ).fit(X)
    dead = np.ptp(encoder.transform(X), axis=0) == 0
    assert dead.any() and not dead.all()
    table = associations(encoder, X, X[:, 0])
    assert (table["effect"][dead] == 0).all()
    assert (table.loc[dead, ["p_value", "p_adjusted"]] == 1).all(axis=None)
    np.testing.assert_allclose(
        table["p_adjusted"][~dead], stats.false_discovery_control(table["p_value"][~dead])
    )


def test_wrong_targets(X, encoder):
    y = X[:, 0].copy()
    for wrong, said in [
        (y[:-1], "inconsistent numbers of samples"),
        (np.zeros(300, int), "y must hold at least two different values. Got only 0."),
        (np.where(y > 1, np.datetime64("NaT"), np.datetime64("2026")), "y has no entry in row"),
        (np.where(y > 1, np.nan, y), "y contains NaN"),
        (np.column_stack([y, y]), "y should be a 1d array"),
        (np.array(["a", None, *["b"] * 298], dtype=object), "y has no entry in row 1"),
        (np.array(["a", 1, *["b"] * 298], dtype=object), "y must be uniformly strings or numbers"),
    ]:
        with pytest.raises(ValueError, match=said):
            associations(encoder, X, wrong)
    with pytest.raises(ValueError, match="y must be numeric for task='regression'"):
        associations(encoder, X, np.where(y > 1, "a", "b"), "regression")
    with pytest.raises(ValueError, match="task must be 'auto', 'classification' or 'regression'"):
        associations(encoder, X, y, task="ranking")
