"""Statistics of units, the rows that excite them, and what is said twice."""

import importlib.util

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skrgvae import HierarchicalSparseEncoder
from skrgvae.inspection import (
    associations,
    elbo_estimate,
    explain,
    layer_components,
    redundancy,
    top_rows,
    unit_effects,
    unit_inputs,
    unit_links,
    unit_statistics,
)

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return np.repeat(np.maximum(rng.normal(size=(200, 3)), 0), 2, axis=1) + 0.1 * rng.normal(
        size=(200, 6)
    )


@pytest.fixture(scope="module")
def encoder(X):
    return HierarchicalSparseEncoder((6, 3), max_iter=30, random_state=0).fit(X)


@pytest.mark.parametrize(
    "ask",
    [
        *(lambda e, X, of=of: of(e, X) for of in (unit_statistics, top_rows, redundancy, explain)),
        *(lambda e, X, of=of: of(e) for of in (unit_effects, unit_links, layer_components)),
        unit_inputs,
        elbo_estimate,
        lambda e, X: associations(e, X, X[:, 0]),
    ],
)
def test_a_pipeline_is_no_encoder(X, encoder, ask):
    with pytest.raises(TypeError, match=r"in a pipeline, the step itself\). Got Pipeline"):
        ask(make_pipeline(encoder), X)


def with_layers(encoder, X, layers):
    return HierarchicalSparseEncoder((6, 3), max_iter=30, random_state=0, layers=layers).fit(X)


def test_unit_statistics(X, encoder):
    statistics = unit_statistics(encoder, X)
    summary = encoder.unit_summary(X)
    pd.testing.assert_frame_equal(statistics[summary.columns], summary)
    r = encoder.transform(X)
    a = r.mean(axis=0) ** 2 / (r**2).mean(axis=0)
    sparsity = (1 - a) / (1 - 1 / len(r))
    np.testing.assert_allclose(statistics["lifetime_sparsity"], sparsity, rtol=1e-10)


def test_lifetime_sparsity_at_its_ends(X, encoder):
    # One row alone says nothing, and equal rows are not sparse.
    assert unit_statistics(encoder, X[:1])["lifetime_sparsity"].isna().all()
    features = encoder.transform(X)
    row = int(np.argmax(features.sum(axis=1)))
    on = features[row] > 0
    assert on.any() and not on.all()
    equal = unit_statistics(encoder, X[[row] * 3])
    np.testing.assert_allclose(equal["lifetime_sparsity"][on], 0, atol=1e-12)
    assert equal["lifetime_sparsity"][~on].isna().all()


def test_statistics_of_the_emitted_values(X):
    encoder = HierarchicalSparseEncoder(
        (4, 3), latent="gaussian", layers=[1], max_iter=2, random_state=0
    ).fit(X)
    statistics = unit_statistics(encoder, X)
    assert statistics["layer"].tolist() == [1, 1, 1]
    r = np.abs(encoder.transform(X))
    sparsity = (1 - r.mean(axis=0) ** 2 / (r**2).mean(axis=0)) / (1 - 1 / len(r))
    np.testing.assert_allclose(statistics["lifetime_sparsity"], sparsity, rtol=1e-10)


def test_top_rows(X, encoder):
    features = encoder.transform(X)
    rows = top_rows(encoder, X, n_rows=4)
    assert list(rows.columns) == ["layer", "unit", "rank", "row", "value"]
    for at, (layer, unit) in enumerate([(0, u) for u in range(6)] + [(1, u) for u in range(3)]):
        mine = rows[(rows["layer"] == layer) & (rows["unit"] == unit)]
        values = np.sort(features[:, at])[::-1][:4]
        np.testing.assert_array_equal(mine["value"], values[values > 0])
        np.testing.assert_array_equal(features[mine["row"], at], mine["value"])
        assert mine["rank"].tolist() == list(range(1, len(mine) + 1))
    assert len(top_rows(encoder, X, n_rows=None)) == (features > 0).sum()
    assert len(top_rows(encoder, X, n_rows=10**6)) == (features > 0).sum()


def test_redundancy(X, encoder):
    pairs = redundancy(encoder, X, threshold=0.0)
    features = encoder.transform(X)
    varies = np.flatnonzero(np.ptp(features, axis=0) > 0)
    assert len(pairs) == len(varies) * (len(varies) - 1) / 2
    start = np.array([0, 6])
    first = start[pairs["layer"]] + pairs["unit"]
    second = start[pairs["other_layer"]] + pairs["other_unit"]
    assert (first < second).all()
    expected = np.corrcoef(features[:, varies].T)
    place = {unit: at for at, unit in enumerate(varies)}
    np.testing.assert_allclose(
        pairs["correlation"],
        [expected[place[a], place[b]] for a, b in zip(first, second, strict=True)],
        atol=1e-12,
    )
    assert (np.diff(np.abs(pairs["correlation"])) <= 0).all()
    strong = redundancy(encoder, X, threshold=0.5)
    pd.testing.assert_frame_equal(strong, pairs[np.abs(pairs["correlation"]) >= 0.5])


def test_units_of_one_kind_only_on_one_row(X, encoder):
    # Nothing varies over a single row.
    assert len(redundancy(encoder, X[:1], threshold=0.0)) == 0


EVERY_FUNCTION = {
    "unit_statistics": lambda encoder, X: unit_statistics(encoder, X),
    "top_rows": lambda encoder, X: top_rows(encoder, X),
    "redundancy": lambda encoder, X: redundancy(encoder, X),
    "unit_inputs": lambda encoder, X: unit_inputs(encoder, X),
    "unit_effects": lambda encoder, X: unit_effects(encoder),
    "unit_links": lambda encoder, X: unit_links(encoder),
    "explain": lambda encoder, X: explain(encoder, X[:10]),
    "associations": lambda encoder, X: associations(encoder, X, X[:, 0]),
}


@pytest.mark.parametrize("name", EVERY_FUNCTION)
def test_every_table(name, X, encoder, monkeypatch):
    of = EVERY_FUNCTION[name]
    frame = of(encoder, X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[:2]) in (["layer", "unit"], ["row", "layer"])
    assert isinstance(frame.index, pd.RangeIndex) and len(frame) > 0
    pd.testing.assert_frame_equal(of(encoder, X), frame)  # nothing in it is left to chance

    # The units are those that transform emits.
    upper = of(with_layers(encoder, X, [1]), X)
    assert set(upper["layer"]) <= {1}

    with pytest.raises(NotFittedError):
        of(HierarchicalSparseEncoder(), X)

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pandas" else find_spec(name, *rest),
    )
    plain = of(encoder, X)
    assert type(plain) is dict and list(plain) == list(frame.columns)
    for column, values in plain.items():
        assert isinstance(values, np.ndarray)
        np.testing.assert_array_equal(values, frame[column])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda e, X: top_rows(e, X, n_rows=0), "n_rows must be an int in the range"),
        (lambda e, X: unit_inputs(e, X, n_columns=2.0), "n_columns must be an int"),
        (lambda e, X: unit_effects(e, n_columns=True), "n_columns must be an int"),
        (lambda e, X: unit_links(e, n_units=-1), "n_units must be an int"),
        (lambda e, X: explain(e, X, n_units="all"), "n_units must be an int"),
        (lambda e, X: explain(e, X, n_columns=0), "n_columns must be an int"),
        (lambda e, X: layer_components(e, 2), r"layer must be an int in the range \[0, 2\)"),
        (lambda e, X: layer_components(e, "top"), "layer must be an int"),
        (lambda e, X: redundancy(e, X, threshold=1.1), r"threshold must be a float in .*Got 1.1"),
        (lambda e, X: redundancy(e, X, threshold="0.5"), "threshold must be a float"),
        (lambda e, X: explain(e, X[0]), "Expected 2D array, got 1D array instead"),
        (lambda e, X: unit_inputs(e, X[:, :4]), "X has 4 features"),
    ],
)
def test_wrong_arguments(X, encoder, call, said):
    with pytest.raises(ValueError, match=said):
        call(encoder, X)
