"""Layer sizes from the data: the dimension, the rule, and what stands behind "auto"."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder, suggest_layer_sizes
from skrgvae.data.summary import summarise
from skrgvae.sizes import MAX_ROWS, effective_dimension, sizes_for


def factors(n_rows=400, n_columns=40, n_factors=4, noise=0.0, seed=0):
    """Columns in groups of equal size, each group a copy of one independent factor."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n_rows, n_factors))
    table = np.repeat(causes, n_columns // n_factors, axis=1)
    return table + noise * rng.normal(size=table.shape)


def test_dimension_is_the_participation_ratio_of_the_correlations():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) * 10.0 ** np.arange(-6, 6)
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(table.T))
    expected = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    assert effective_dimension(table) == pytest.approx(expected, rel=1e-10)
    # With fewer rows than columns, the product is formed the other way round.
    wide = table[:8]
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(wide.T))
    expected = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    assert effective_dimension(wide) == pytest.approx(expected, rel=1e-10)


def test_dimension_counts_causes_and_not_columns():
    assert effective_dimension(factors(n_factors=1)) == pytest.approx(1)
    # Exact for uncorrelated causes; those of 400 rows are correlated a little.
    assert effective_dimension(factors(n_factors=4)) == pytest.approx(4, rel=0.05)
    assert effective_dimension(factors(n_factors=4, n_columns=80)) == pytest.approx(4, rel=0.05)


def test_dimension_ignores_units_and_constant_columns():
    table = factors(noise=0.5)
    expected = effective_dimension(table)
    moved = np.column_stack([np.full(400, 0.1), 1e200 * table, np.zeros(400)])
    assert effective_dimension(moved) == pytest.approx(expected, rel=1e-9)
    assert effective_dimension(1e-200 * table) == pytest.approx(expected, rel=1e-9)
    assert effective_dimension(table + 1e5) == pytest.approx(expected, rel=1e-6)
    assert effective_dimension(np.full((20, 3), 0.3)) == 0


def test_missing_entries_stand_at_the_mean():
    table = factors(noise=0.5)
    holes = table.copy()
    holes[np.random.default_rng(1).random(table.shape) < 0.1] = np.nan
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    assert effective_dimension(holes) == pytest.approx(effective_dimension(filled), rel=1e-9)
    assert effective_dimension(np.full((20, 3), np.nan)) == 0


@pytest.mark.parametrize(
    ("table", "sizes"),
    [
        (np.zeros((100, 2)), (24, 16, 8, 4)),  # nothing varies: the least
        (factors(), (24, 16, 8, 4)),
        (np.random.default_rng(0).normal(size=(1000, 300)), (300, 200, 100, 50)),
        (np.random.default_rng(0).normal(size=(20, 300)), (10, 7, 3)),
        (np.zeros((5, 2)), (2,)),
        (np.zeros((1, 2)), (1,)),
    ],
    ids=["constant", "factors", "noise", "few rows", "5 rows", "1 row"],
)
def test_sizes(table, sizes):
    assert sizes_for(summarise([table])) == sizes
    assert suggest_layer_sizes(table) == sizes


def test_all_rows_count_where_few_are_kept(monkeypatch):
    noise = np.random.default_rng(0).normal(size=(1000, 300))
    monkeypatch.setattr("skrgvae.data.summary.MAX_NUMBERS", 300 * 400)
    summary = summarise([noise])
    assert len(summary.rows) == 400
    assert sizes_for(summary) == (300, 200, 100, 50)


def test_sizes_grow_with_the_dimension():
    bottom = [
        sizes_for(summarise([factors(1000, 120, n_factors)]))[0] for n_factors in (4, 10, 20, 40)
    ]
    assert bottom == sorted(set(bottom))
    assert bottom[0] == 24
    assert bottom[-1] == pytest.approx(5 * 40, rel=0.05)


def test_many_rows_are_represented_by_some():
    table = factors(10 * MAX_ROWS, 40, 20, noise=0.3)
    assert effective_dimension(table) == pytest.approx(
        effective_dimension(table[:MAX_ROWS]), rel=0.05
    )
    # Sorted rows, and rows with a period, don't mislead it.
    ordered = table[np.argsort(table[:, 0])]
    assert effective_dimension(ordered) == pytest.approx(effective_dimension(table), rel=0.05)


def test_the_same_data_in_other_clothes():
    pd = pytest.importorskip("pandas")
    X = load_digits().data
    expected = suggest_layer_sizes(X)
    assert expected == suggest_layer_sizes(X)
    assert expected == suggest_layer_sizes(X.astype(np.uint8))
    assert expected == suggest_layer_sizes(X.astype(np.float32))
    assert expected == suggest_layer_sizes(pd.DataFrame(X))
    assert expected == suggest_layer_sizes(X.tolist())
    assert all(type(size) is int for size in expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_auto_is_what_is_suggested(early_stopping):
    X = factors(300, 60, 12, noise=0.2)
    # The rows that are held out, which the sizes don't see, could be others with another seed.
    encoder = HierarchicalSparseEncoder(
        "auto", max_iter=1, early_stopping=early_stopping, random_state=0
    )
    suggested = suggest_layer_sizes(X)
    assert suggested[0] > 24
    assert encoder.fit(X).layer_sizes_ == suggested
    fresh = HierarchicalSparseEncoder("auto", max_iter=1)
    assert fresh.partial_fit(X).layer_sizes_ == suggested
    assert fresh.partial_fit(X[:20]).layer_sizes_ == suggested


def test_a_warm_start_keeps_what_auto_became():
    X = factors(300, 60, 12, noise=0.2)
    encoder = HierarchicalSparseEncoder("auto", max_iter=1, warm_start=True, random_state=0)
    sizes = encoder.fit(X).layer_sizes_
    assert suggest_layer_sizes(X[:30]) != sizes
    assert encoder.fit(X[:30]).layer_sizes_ == sizes


def test_what_the_encoder_refuses_is_refused_in_its_words():
    X = factors(30, 4, 2)
    with_inf = X.copy()
    with_inf[3, 1] = np.inf
    for bad in (with_inf, X.astype("datetime64[s]"), iter([X]), X[0], "X"):
        with pytest.raises((ValueError, TypeError)) as of_fit:
            HierarchicalSparseEncoder().fit(bad)
        with pytest.raises(type(of_fit.value)) as of_suggestion:
            suggest_layer_sizes(bad)
        assert str(of_suggestion.value) == str(of_fit.value)
