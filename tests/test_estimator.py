"""The encoder's public contract: what it learns, emits and reports."""

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skrgvae
from skrgvae import DENSITY_PRESET, HierarchicalSparseEncoder
from skrgvae.distributions import LATENT_LAWS
from skrgvae.likelihoods import FAMILIES
from skrgvae.network import POSTERIORS, Hierarchy
from skrgvae.recipe import SPANNING
from skrgvae.training.optimizer import OPTIMIZERS

SIZES = (6, 4, 3)
TINY = {"layer_sizes": SIZES, "max_iter": 2, "batch_size": 20, "random_state": 0}
HISTORY_KEYS = {
    "elbo",
    "validation_elbo",
    "reconstruction",
    "kl",
    "kl_weight",
    "learning_rate",
    "seconds",
}


def encoder(**parameters):
    return HierarchicalSparseEncoder(**{**TINY, **parameters})


@pytest.fixture(scope="module")
def X():
    """Correlated columns on different scales, far from 0."""
    rng = np.random.default_rng(0)
    causes = rng.gamma(1.0, size=(80, 2))
    return 3 + causes @ rng.normal(size=(2, 5)) * [1, 10, 0.1, 1, 5] + rng.normal(size=(80, 5))


@pytest.fixture(scope="module")
def fitted(X):
    """For tests that don't change it."""
    return encoder(max_iter=6).fit(X)


def refit_not(fitted, **parameters):
    """The same fitted encoder with other parameters for what it emits."""
    return pickle.loads(pickle.dumps(fitted)).set_params(**parameters)


# Parameters


def test_constructor_keeps_what_it_is_given():
    parameters = HierarchicalSparseEncoder().get_params()
    assert parameters["layer_sizes"] == (300, 200, 100, 50)
    sizes = [5, 3]
    given = HierarchicalSparseEncoder(sizes, likelihood={"a": "gaussian"}, verbose=3)
    assert given.layer_sizes is sizes
    assert given.get_params()["likelihood"] == {"a": "gaussian"}
    copy = clone(given)
    assert copy is not given and copy.get_params() == given.get_params()
    assert copy.set_params(latent="gaussian", verbose=0).latent == "gaussian"
    with pytest.raises(ValueError, match="Invalid parameter 'units'"):
        given.set_params(units=3)


def test_only_layer_sizes_is_positional():
    with pytest.raises(TypeError, match="positional"):
        HierarchicalSparseEncoder((3,), None)


def test_parameters_are_never_changed_by_fit(X):
    sizes, floors, layers, families = [4, 3], [0.1, 0.2], [1, 0], {0: "gaussian"}
    given = HierarchicalSparseEncoder(
        sizes, free_bits=floors, layers=layers, likelihood=families, max_iter=1, random_state=0
    )
    before = given.get_params()
    given.fit(X).partial_fit(X).transform(X)
    after = given.get_params()
    assert all(after[name] is before[name] for name in before)
    assert (sizes, floors, layers, families) == ([4, 3], [0.1, 0.2], [1, 0], {0: "gaussian"})


@pytest.mark.parametrize(
    ("parameter", "table"),
    [
        ("latent", LATENT_LAWS),
        ("posterior", POSTERIORS),
        ("optimizer", OPTIMIZERS),
        ("likelihood", {**FAMILIES, "auto": None}),
    ],
)
def test_options_are_those_of_the_tables(parameter, table):
    (options, *_) = HierarchicalSparseEncoder._parameter_constraints[parameter]
    assert options.options == set(table)


def test_constraints_cover_every_parameter():
    constraints = HierarchicalSparseEncoder._parameter_constraints
    assert set(constraints) == set(HierarchicalSparseEncoder().get_params())


@pytest.mark.parametrize("sizes", [[4, 3], (4, 3), np.array([4, 3]), (np.int64(4), np.int32(3))])
def test_layer_sizes_of_any_integers(X, sizes):
    fitted = encoder(layer_sizes=sizes, max_iter=1).fit(X)
    assert fitted.layer_sizes_ == (4, 3)
    assert all(type(size) is int for size in fitted.layer_sizes_)


def test_automatic_sizes_are_reported(X):
    fitted = encoder(layer_sizes="auto", max_iter=1).fit(X)
    assert len(fitted.layer_sizes_) == 4
    assert list(fitted.layer_sizes_) == sorted(fitted.layer_sizes_, reverse=True)
    assert fitted.transform(X).shape == (80, sum(fitted.layer_sizes_))
    assert fitted.layer_sizes == "auto"


@pytest.mark.parametrize(
    ("hidden", "resolved"),
    [(None, None), (7, (7, 7, 7)), ((9, 8, 7), (9, 8, 7)), ([9, 8, 7], (9, 8, 7))],
)
def test_hidden_layer_sizes(X, hidden, resolved):
    fitted = encoder(hidden_layer_sizes=hidden, max_iter=1).fit(X)
    assert fitted.hidden_layer_sizes_ == resolved


def test_automatic_hidden_layer_sizes_are_reported(X):
    resolved = encoder(hidden_layer_sizes="auto", max_iter=1).fit(X).hidden_layer_sizes_
    assert resolved is None or len(resolved) == len(SIZES)


@pytest.mark.parametrize(
    "parameters",
    [
        {"latent": "gaussian"},
        {"latent": "laplace"},
        {"latent": "spike_and_slab", "firing_rate": 0.2},
        {"posterior": "mean_field"},
        {"batch_norm": False},
        {"skip_connections": False},
        {"firing_rate": None},
        {"hidden_layer_sizes": 5},
        {"hidden_layer_sizes": (7, 6, 5), "skip_connections": False, "firing_rate": None},
        {"optimizer": "adam", "learning_rate": 1e-3},
        {"free_bits": (0.0, 0.1, 0.2)},
        {"sparsity_penalty": 0.1},
        {"weight_decay": 0.1},
        {"input_dropout": 0.3},
        {"kl_weight": 0.0},
        {"kl_warmup": 0.0},
        {"kl_warmup": 1.0},
        {"device": "cpu"},
    ],
    ids=str,
)
def test_every_parameter_trains(X, parameters):
    fitted = encoder(**parameters).fit(X)
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.score_samples(X)).all()
    assert np.isfinite(fitted.sample(5)).all()


def test_density_preset_is_a_dict_of_parameters(X):
    parameters = {**DENSITY_PRESET, "max_iter": 1}
    four = HierarchicalSparseEncoder((6, 5, 4, 3), **parameters).fit(X)
    assert four.get_params().items() >= parameters.items()


def test_firing_rate_decides_how_many_units_start_on(X):
    # At a learning rate of nearly 0 the features are those that training starts from.
    start = {"layer_sizes": (200,), "max_iter": 20, "learning_rate": 1e-12, "feature": "active"}
    shares = [
        encoder(firing_rate=rate, **start).fit_transform(X).mean() for rate in (0.05, 0.2, 0.5)
    ]
    np.testing.assert_allclose(shares, (0.05, 0.2, 0.5), atol=0.05)


# What comes out


def test_transform_is_every_layer_side_by_side(X, fitted):
    features = fitted.transform(X)
    assert features.shape == (80, sum(SIZES))
    assert features.dtype == np.float64
    assert fitted.layer_slices_ == [slice(0, 6), slice(6, 10), slice(10, 13)]
    assert fitted.n_features_in_ == 5
    assert not hasattr(fitted, "feature_names_in_")
    for layer, part in enumerate(fitted.layer_slices_):
        alone = refit_not(fitted, layers=[layer])
        assert alone.layer_slices_ == [slice(0, SIZES[layer])]
        np.testing.assert_array_equal(alone.transform(X), features[:, part])


@pytest.mark.parametrize(
    ("layers", "emitted"),
    [("all", [0, 1, 2]), ([0, 2], [0, 2]), ((2, 0), [0, 2]), (np.array([1]), [1]), ([-1], [2])],
    ids=str,
)
def test_layers_are_emitted_from_the_bottom_up(X, fitted, layers, emitted):
    some = refit_not(fitted, layers=layers)
    everything = fitted.transform(X)
    expected = np.hstack([everything[:, fitted.layer_slices_[layer]] for layer in emitted])
    np.testing.assert_array_equal(some.transform(X), expected)
    ends = np.cumsum([SIZES[layer] for layer in emitted]).tolist()
    assert some.layer_slices_ == list(map(slice, [0, *ends[:-1]], ends))
    names = some.get_feature_names_out()
    assert names.tolist() == [f"layer{la}_{unit}" for la in emitted for unit in range(SIZES[la])]


def test_names_are_padded_to_the_width_of_the_last_index(X):
    names = encoder(layer_sizes=(101, 100, 11, 10), max_iter=1).fit(X).get_feature_names_out()
    assert names.dtype == object
    wanted = ["layer0_000", "layer0_100", "layer1_00", "layer1_99", "layer2_00", "layer2_10"]
    assert set(wanted) <= set(names)
    assert names[0] == "layer0_000" and names[-1] == "layer3_9"
    assert len(names) == len(set(names)) == 222


def test_fit_transform_is_fit_then_transform(X):
    np.testing.assert_array_equal(encoder().fit_transform(X), encoder().fit(X).transform(X))


def test_statistics_of_a_rectified_unit(X, fitted):
    median, mean, active = (
        refit_not(fitted, feature=name).transform(X) for name in ("median", "mean", "active")
    )
    assert (median >= 0).all() and (median == 0).any() and (median > 0).any()
    assert (mean > 0).all() and (mean >= median).all()
    assert ((active >= 0) & (active <= 1)).all()
    np.testing.assert_array_equal(active > 0.5, median > 0)
    assert not np.signbit(median).any()  # no -0.0


def test_statistics_of_a_gaussian_unit(X):
    fitted = encoder(latent="gaussian").fit(X)
    median = fitted.transform(X)
    assert (median < 0).any() and (median != 0).all()
    np.testing.assert_array_equal(fitted.set_params(feature="mean").transform(X), median)
    active = fitted.set_params(feature="active").transform(X)
    np.testing.assert_array_equal(active > 0.5, median > 0)


@pytest.mark.parametrize("feature", ["median", "mean", "active"])
def test_sparse_output_holds_the_same_numbers(X, fitted, feature):
    dense = refit_not(fitted, feature=feature).transform(X)
    sparse = refit_not(fitted, feature=feature, sparse_output=True).transform(X)
    assert isinstance(sparse, csr_array) and sparse.dtype == dense.dtype
    np.testing.assert_array_equal(sparse.toarray(), dense)
    assert sparse.nnz == np.count_nonzero(dense)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_follows_the_input(X, fitted, dtype):
    rows = X.astype(dtype)
    features = fitted.transform(rows)
    assert features.dtype == dtype
    assert fitted.score_samples(rows).dtype == dtype
    assert fitted.score_samples(rows, n_importance_samples=2).dtype == dtype
    assert fitted.inverse_transform(features).dtype == dtype
    assert isinstance(fitted.score(rows), float)
    np.testing.assert_allclose(features, fitted.transform(X), atol=1e-4)
    swapped = rows.astype(rows.dtype.newbyteorder())
    assert fitted.transform(swapped).dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float16])
def test_other_numbers_are_computed_in_float64(dtype):
    rows = (np.random.default_rng(0).random((40, 4)) * 2).astype(dtype)
    features = encoder().fit(rows).transform(rows)
    assert features.dtype == np.float64
    np.testing.assert_array_equal(features, encoder().fit(rows).transform(rows.astype(np.float64)))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_out(X, fitted, kind):
    library = pytest.importorskip(kind)
    framed = refit_not(fitted).set_output(transform=kind)
    out = framed.transform(X)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(out.to_numpy(), fitted.transform(X))
    with pytest.raises(ValueError, match="sparse"):
        framed.set_params(sparse_output=True).transform(X)


def test_frames_in_keep_index_and_names(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"), index=np.arange(80) + 1000)
    fitted = encoder().fit(frame)
    assert fitted.feature_names_in_.tolist() == list("abcde")
    assert fitted.get_feature_names_out(list("abcde"))[0] == "layer0_0"
    out = fitted.set_output(transform="pandas").transform(frame)
    assert out.index.equals(frame.index)
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(list("abcdX"))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(frame[list("edcba")])


def test_frames_and_arrays_give_the_same_model(X):
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    expected = encoder().fit_transform(X)
    columns = list("abcde")
    for frame in (pd.DataFrame(X, columns=columns), pl.DataFrame(X, schema=columns), X.tolist()):
        np.testing.assert_array_equal(encoder().fit_transform(frame), expected)


def test_columns_of_every_numeric_kind_of_pandas():
    pd = pytest.importorskip("pandas")
    numbers = list(range(6))
    frame = pd.DataFrame(
        {
            "int": numbers,
            "Int": pd.array(numbers, dtype="Int64"),
            "Float": pd.array(numbers, dtype="Float64"),
            "bool": [True, False] * 3,
            "boolean": pd.array([True, False] * 3, dtype="boolean"),
            "object": np.array(numbers, dtype=object),
            "float32": np.array(numbers, dtype=np.float32),
        }
    )
    fitted = encoder().fit(frame)
    assert fitted.likelihood_.tolist() == [
        *["gaussian"] * 3,
        *["bernoulli"] * 2,
        *["gaussian"] * 2,
    ]
    assert fitted.transform(frame).shape == (6, 13)


@pytest.mark.parametrize("holder", ["numpy", "nullable", "arrow", "sparse"])
@pytest.mark.parametrize("size", [32, 64])
def test_features_have_the_precision_of_a_frame(X, holder, size):
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    dtype = {
        "numpy": f"float{size}",
        "nullable": f"Float{size}",
        "arrow": pd.ArrowDtype(getattr(pa, f"float{size}")()),
        "sparse": pd.SparseDtype(f"float{size}", 0.0),
    }
    rows = X.astype(f"float{size}")
    frame = pd.DataFrame(rows).astype(dtype[holder])
    features = encoder().fit(frame).transform(frame)
    assert features.dtype == rows.dtype
    np.testing.assert_array_equal(features, encoder().fit(rows).transform(rows))


def test_columns_of_the_same_name_are_refused(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match="Expected unique column names, got 'a' more than once"):
        encoder().fit(frame)


def test_in_a_pipeline(X):
    pipeline = make_pipeline(StandardScaler(), encoder()).set_output(transform="pandas")
    pytest.importorskip("pandas")
    assert pipeline.fit_transform(X).shape == (80, sum(SIZES))
    assert pipeline.get_feature_names_out()[0] == "layer0_0"
    assert np.isfinite(pipeline.score(X))


# Back to the data


def test_inverse_transform_gives_rows(X, fitted):
    features = fitted.transform(X)
    rows = fitted.inverse_transform(features)
    assert rows.shape == X.shape
    np.testing.assert_array_equal(fitted.inverse_transform(csr_array(features)), rows)
    np.testing.assert_array_equal(fitted.inverse_transform(coo_array(features)), rows)
    means = refit_not(fitted, feature="mean")
    assert means.inverse_transform(means.transform(X)).shape == X.shape


def test_inverse_transform_reconstructs():
    # One cause, seen in all columns: after some training the rows come back.
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 1)) * [1, -2, 3] + [10, 0, -5] + 0.1 * rng.normal(size=(200, 3))
    fitted = encoder(layer_sizes=(8,), max_iter=30, learning_rate=0.02, firing_rate=None).fit(rows)
    back = fitted.inverse_transform(fitted.transform(rows))
    assert (np.mean((back - rows) ** 2, axis=0) < 0.2 * rows.var(axis=0)).all()


def test_inverse_transform_of_some_layers_puts_the_others_at_their_training_medians(X, fitted):
    everything = fitted.transform(X)
    bottom = refit_not(fitted, layers=[0])
    filled = np.tile(np.median(everything, axis=0), (80, 1))
    filled[:, :6] = everything[:, :6]
    np.testing.assert_allclose(
        bottom.inverse_transform(everything[:, :6]), fitted.inverse_transform(filled), rtol=1e-12
    )


def test_inverse_transform_says_what_it_needs(X, fitted):
    features = fitted.transform(X)
    with pytest.raises(ValueError, match=r"inverse_transform needs layer 0 .* Got \[1, 2\]"):
        refit_not(fitted, layers=[1, 2]).inverse_transform(features[:, 6:])
    with pytest.raises(ValueError, match=r"feature 'median' or 'mean'.* Got 'active'"):
        refit_not(fitted, feature="active").inverse_transform(features)
    with pytest.raises(ValueError, match="Z has 12 features, but HierarchicalSparseEncoder emits"):
        fitted.inverse_transform(features[:, :-1])
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform(np.full((2, 13), np.nan))


def test_components_are_what_a_unit_adds(X, fitted):
    features = fitted.transform(X)
    medians = np.median(features, axis=0)
    expected = []
    for unit in range(SIZES[0]):
        values = features[:, unit]
        on, off = medians.copy(), medians.copy()
        on[unit] = values[values > 0].mean() if (values > 0).any() else 0.0
        off[unit] = 0.0
        both = fitted.inverse_transform(np.array([on, off]))
        expected.append(both[0] - both[1])
    assert fitted.components_.shape == (SIZES[0], 5)
    np.testing.assert_allclose(fitted.components_, expected, atol=1e-9)
    for emitted in ({"layers": [2]}, {"feature": "active"}, {"sparse_output": True}):
        other = refit_not(fitted, **emitted)
        np.testing.assert_array_equal(other.components_, fitted.components_)


# Scores and samples


def test_score_is_the_mean_of_the_samples_scores(X, fitted):
    scores = fitted.score_samples(X)
    assert scores.shape == (80,)
    assert fitted.score(X) == pytest.approx(scores.mean(), rel=1e-12)
    assert fitted.score(X, y=np.zeros(80)) == fitted.score(X)
    np.testing.assert_array_equal(fitted.score_samples(X), scores)


def test_importance_weighted_bound_is_tighter(X, fitted):
    elbo = fitted.score(X)
    bounds = [fitted.score_samples(X, k).mean() for k in (2, 16, 128)]
    assert elbo < bounds[1] < bounds[2]
    assert bounds[0] < bounds[2]
    np.testing.assert_array_equal(
        fitted.score_samples(X, np.int64(16)), fitted.score_samples(X, 16)
    )


def test_scores_are_in_the_units_of_the_data(X):
    # Columns 8 times as wide have a density smaller by log 8 each. The standardised data that the
    # network sees are the same: a power of 2 keeps the very bits.
    narrow, wide = encoder().fit(X), encoder().fit(8 * X)
    np.testing.assert_allclose(
        wide.history_["elbo"], np.subtract(narrow.history_["elbo"], 5 * np.log(8)), rtol=1e-5
    )
    # The rows' noise differs, as it belongs to their content.
    difference = narrow.score_samples(X, 100) - wide.score_samples(8 * X, 100)
    assert difference.mean() == pytest.approx(5 * np.log(8), abs=0.2)


def test_training_improves_the_bound(X):
    untrained = encoder(learning_rate=1e-9).fit(X).score(X)
    assert encoder(max_iter=30, learning_rate=0.01).fit(X).score(X) > untrained + 0.5


def test_sample_gives_new_rows(X, fitted):
    rows = fitted.sample(500)
    assert rows.shape == (500, 5) and rows.dtype == np.float64
    assert len(np.unique(rows, axis=0)) == 500
    np.testing.assert_array_equal(fitted.sample(500), rows)  # random_state is a number
    assert fitted.sample().shape == (1, 5)
    # The columns' own scales: within one standard deviation of their means.
    assert (np.abs(rows.mean(axis=0) - X.mean(axis=0)) < X.std(axis=0)).all()
    assert (rows.std(axis=0) < 3 * X.std(axis=0)).all()


def test_samples_differ_where_random_state_does_not_fix_them(X, fitted):
    for state in (None, np.random.RandomState(0)):
        free = refit_not(fitted, random_state=state)
        assert not np.array_equal(free.sample(3), free.sample(3))


def test_samples_of_each_family():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 2, 60), rng.normal(size=60), np.full(60, 7.5)])
    fitted = encoder().fit(rows)
    assert fitted.likelihood_.tolist() == ["bernoulli", "gaussian", "gaussian"]
    sampled = fitted.sample(200)
    assert set(sampled[:, 0]) == {0.0, 1.0}
    assert len(set(sampled[:, 1])) == 200
    assert (sampled[:, 2] == 7.5).all()


# What it says of itself


def test_unit_summary(X, fitted):
    pd = pytest.importorskip("pandas")
    summary = fitted.unit_summary(X)
    assert isinstance(summary, pd.DataFrame)
    assert list(summary.columns) == ["layer", "unit", "kl", "zero_share", "mean", "std", "used"]
    assert summary["layer"].tolist() == [0] * 6 + [1] * 4 + [2] * 3
    assert summary["unit"].tolist() == [*range(6), *range(4), *range(3)]
    features = fitted.transform(X)
    np.testing.assert_allclose(summary["zero_share"], (features == 0).mean(axis=0))
    np.testing.assert_allclose(summary["mean"], features.mean(axis=0))
    np.testing.assert_allclose(summary["std"], features.std(axis=0))
    assert (summary["kl"] >= 0).all()
    used = (summary["kl"] > 0.01) & (summary["std"] > 0.01)
    assert summary["used"].dtype == bool and (summary["used"] == used).all()
    assert used.any()

    upper = refit_not(fitted, layers=[1, 2]).unit_summary(X)
    pd.testing.assert_frame_equal(upper, summary[6:].reset_index(drop=True))


def test_unit_summary_without_pandas(X, fitted, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pandas" else find_spec(name, *rest),
    )
    summary = fitted.unit_summary(X)
    assert type(summary) is dict
    assert list(summary) == ["layer", "unit", "kl", "zero_share", "mean", "std", "used"]
    assert all(isinstance(v, np.ndarray) and v.shape == (13,) for v in summary.values())


def test_unit_summary_where_a_unit_is_dead(X):
    # Free of any duty, and pushed towards 0: dead units are those that never change.
    fitted = encoder(sparsity_penalty=1e3, max_iter=20, learning_rate=0.02).fit(X)
    summary = fitted.unit_summary(X)
    features = fitted.transform(X)
    dead = np.ptp(features, axis=0) == 0
    assert dead.any()
    assert not np.asarray(summary["used"])[dead].any()


def test_history_is_data(X, fitted):
    history = fitted.history_
    assert set(history) == HISTORY_KEYS
    assert all(len(column) == fitted.n_iter_ == 6 for column in history.values())
    assert json.loads(json.dumps(history)).keys() == history.keys()
    assert np.shape(history["kl"]) == (6, 3)
    np.testing.assert_allclose(
        history["elbo"], np.subtract(history["reconstruction"], np.sum(history["kl"], axis=1))
    )
    assert np.isnan(history["validation_elbo"]).all()
    assert history["kl_weight"][-1] == 1.0
    assert history["learning_rate"][-1] < history["learning_rate"][0] == SPANNING.learning_rate
    assert fitted.best_iter_ == 6


def test_kl_weight_rises_to_its_value(X):
    weights = encoder(max_iter=4, kl_weight=0.5, kl_warmup=0.5).fit(X).history_["kl_weight"]
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.5, 0.5])


def test_verbose_prints_one_line_per_epoch(X, capsys):
    encoder(max_iter=3).fit(X)
    assert capsys.readouterr() == ("", "")
    encoder(max_iter=3, verbose=1).fit(X)
    out, err = capsys.readouterr()
    assert not err
    lines = out.splitlines()
    assert len(lines) == 3
    assert [line.split(":")[0] for line in lines] == ["Epoch 1", "Epoch 2", "Epoch 3"]
    encoder(max_iter=2, verbose=1).fit(X, X_val=X)
    assert all("held out" in line for line in capsys.readouterr().out.splitlines())


# When to stop


def test_early_stopping_on_rows_that_are_given(X):
    # No improvement is large enough: the first epoch sets the mark, two wait for a better one.
    stopped = encoder(max_iter=50, kl_warmup=0.0, n_iter_no_change=2, tol=1e6)
    stopped.fit(X[:60], X_val=X[60:])
    assert stopped.n_iter_ == 3
    held_out = stopped.history_["validation_elbo"]
    assert len(held_out) == 3 and np.isfinite(held_out).all()
    assert stopped.best_iter_ == np.argmax(held_out) + 1


def test_best_weights_are_kept(X):
    # Far too fast: the last epochs are not the best ones.
    fitted = encoder(max_iter=12, learning_rate=0.5, n_iter_no_change=12, kl_warmup=0.0)
    fitted.fit(X[:60], X_val=X[60:])
    held_out = fitted.history_["validation_elbo"]
    assert fitted.best_iter_ == np.argmax(held_out) + 1
    assert fitted.score(X[60:]) == pytest.approx(max(held_out), rel=1e-4)


def test_rows_to_stop_on_are_not_used_where_it_does_not_stop(X):
    with_rows = encoder(early_stopping=False).fit(X[:60], X_val=X[60:])
    assert np.isnan(with_rows.history_["validation_elbo"]).all()
    np.testing.assert_array_equal(with_rows.transform(X), encoder().fit(X[:60]).transform(X))


@pytest.mark.parametrize("input_dropout", [0.0, 0.3])
def test_rows_to_stop_on_do_not_touch_the_weights(X, input_dropout):
    # They choose an epoch, and the last one here.
    settings = {"kl_warmup": 1.0, "learning_rate": 0.01, "input_dropout": input_dropout}
    with_rows = encoder(n_iter_no_change=9, **settings).fit(X[:60], X_val=X[60:])
    assert with_rows.best_iter_ == 2
    np.testing.assert_array_equal(
        with_rows.transform(X), encoder(**settings).fit(X[:60]).transform(X)
    )


def test_early_stopping_holds_rows_out(X):
    fitted = encoder(early_stopping=True, validation_fraction=0.25).fit(X)
    assert np.isfinite(fitted.history_["validation_elbo"]).all()
    assert not np.array_equal(fitted.transform(X), encoder().fit(X).transform(X))
    again = encoder(early_stopping=True, validation_fraction=0.25).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), again.transform(X))


@pytest.mark.parametrize(("n_rows", "stops"), [(10_000, False), (10_001, True)])
def test_automatic_early_stopping(n_rows, stops):
    rows = np.random.default_rng(0).normal(size=(n_rows, 2)).astype(np.float32)
    fitted = encoder(layer_sizes=(2,), batch_size=5_000, max_iter=1).fit(rows)
    assert np.isfinite(fitted.history_["validation_elbo"]).all() == stops


# Hidden entries


def test_normalisation_is_that_of_whole_rows_after_a_training_with_hidden_entries(X):
    module = encoder(input_dropout=0.5, batch_size=len(X)).fit(X)._model.new_module()
    norm, given = module.bottom_up.norms[0], []
    norm.register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    with torch.no_grad():
        module.messages(torch.from_numpy(X.astype(np.float32)))
    (sums,) = given
    torch.testing.assert_close(norm.running_mean, sums.mean(dim=0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(norm.running_variance, sums.var(dim=0), rtol=1e-4, atol=1e-5)


def test_the_held_out_bound_of_a_training_with_hidden_entries_is_the_score(X):
    fitted = encoder(input_dropout=0.5).fit(X[:60], X_val=X[60:])
    told = fitted.history_["validation_elbo"][fitted.best_iter_ - 1]
    assert fitted.score(X[60:]) == pytest.approx(told, rel=1e-5)


@pytest.mark.parametrize(("input_dropout", "by_bound"), [(0.0, True), (0.3, False)])
def test_what_training_maximises_chooses_where_entries_are_hidden(X, input_dropout, by_bound):
    # Floors that no unit reaches: its KL costs nothing in training, and all of it in the bound.
    parameters = {"free_bits": 50.0, "kl_warmup": 0.0, "max_iter": 12, "learning_rate": 0.02}
    fitted = encoder(input_dropout=input_dropout, **parameters).fit(X[:60], X_val=X[60:])
    best_by_bound = np.argmax(fitted.history_["validation_elbo"]) + 1
    assert (fitted.best_iter_ == best_by_bound) == by_bound
    assert best_by_bound < 6 and (by_bound or fitted.best_iter_ > 6)


def test_hidden_entries_are_other_ones_with_another_seed_and_the_same_with_the_same(X):
    fits = [encoder(input_dropout=0.5, random_state=seed).fit(X) for seed in (0, 0, 1)]
    features = [fitted.transform(X) for fitted in fits]
    np.testing.assert_array_equal(features[0], features[1])
    assert not np.allclose(features[0], features[2])
    assert not np.allclose(features[0], encoder(input_dropout=0.0).fit(X).transform(X))


# Going on


def test_warm_start_goes_on_from_the_weights(X):
    first = encoder(warm_start=True, max_iter=5).fit(X)
    features = first.transform(X)
    first.set_params(learning_rate=1e-12, max_iter=3).fit(X)
    # Only the running moments of the normalisation move on.
    assert np.abs(first.transform(X) - features).mean() < 0.01
    assert first.n_iter_ == 3 and len(first.history_["elbo"]) == 3
    assert first.history_["kl_weight"] == [1.0] * 3  # what is trained needs no warm-up
    cold = encoder(learning_rate=1e-12, max_iter=3).fit(X).transform(X)
    assert np.abs(cold - features).max() > 0.1


def test_warm_start_on_rows_with_holes(X):
    # The network is told of missing entries in the columns that had some in the first fit.
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    for first, second in ((X, holes), (holes, X)):
        fitted = encoder(warm_start=True, max_iter=1).fit(first).fit(second)
        assert np.isfinite(fitted.transform(holes)).all()


def test_warm_start_needs_the_same_network(X):
    fitted = encoder(warm_start=True).fit(X)
    features = fitted.transform(X)
    with pytest.raises(ValueError, match=r"differs in \['layer_sizes'\].*warm_start=False"):
        fitted.set_params(layer_sizes=(6, 4, 2)).fit(X)
    fitted.set_params(layer_sizes=SIZES)
    with pytest.raises(ValueError, match="X has 4 features, but the encoder is expecting 5"):
        fitted.fit(X[:, :4])
    with pytest.raises(ValueError, match=r"differs in \['likelihood'\] \(itself, or by what the"):
        fitted.set_params(likelihood="student_t").fit(X)
    fitted.set_params(likelihood="auto")
    np.testing.assert_array_equal(fitted.transform(X), features)
    fitted.set_params(layers=[0], feature="mean").fit(X)  # says nothing about the network
    assert fitted.transform(X).shape == (80, 6)


def test_warm_start_needs_the_same_names_in_their_order(X):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=list("abcde"))
    fitted = encoder(warm_start=True).fit(frame)
    with pytest.raises(ValueError, match=r"got 'e' in the place of 'a'.*warm_start=False"):
        fitted.fit(frame[list("edcba")])
    assert fitted.feature_names_in_.tolist() == list("abcde")


def test_warm_start_needs_the_same_categories():
    first, second = np.array([["x"], ["y"]] * 10), np.array([["p"], ["q"]] * 10)
    fitted = encoder(warm_start=True).fit(first)
    with pytest.raises(ValueError, match=r"column 0 had other categories.*warm_start=False"):
        fitted.fit(second)
    assert np.isfinite(fitted.fit(first[::-1]).transform(first)).all()


def test_fit_starts_anew_without_warm_start(X):
    fitted = encoder().fit(X[:30, :3]).partial_fit(X[:30, :3]).fit(X)
    np.testing.assert_array_equal(fitted.transform(X), encoder().fit(X).transform(X))
    assert fitted.n_features_in_ == 5 and fitted.n_iter_ == 2
    # Nor does anything of an earlier stream stay for the next.
    np.testing.assert_array_equal(
        fitted.partial_fit(X).transform(X), encoder().fit(X).partial_fit(X).transform(X)
    )


def test_partial_fit_learns_from_a_stream(X):
    streamed = encoder(max_iter=20, learning_rate=0.01)
    for _ in range(20):
        assert streamed.partial_fit(X) is streamed
    assert streamed.n_iter_ == streamed.best_iter_ == 20
    assert all(len(column) == 20 for column in streamed.history_.values())
    assert streamed.history_["kl_weight"][0] < streamed.history_["kl_weight"][-1] == 1.0
    assert set(streamed.history_["learning_rate"]) == {streamed.learning_rate}
    assert streamed.score(X) > encoder(learning_rate=1e-9).fit(X).score(X) + 0.5
    assert streamed.transform(X).shape == (80, sum(SIZES))


def test_partial_fit_warms_up_over_the_rows_of_the_first_call(X):
    streamed = encoder(max_iter=4, kl_warmup=1.0, batch_size=80)
    for _ in range(6):
        streamed.partial_fit(X)
    np.testing.assert_allclose(streamed.history_["kl_weight"], [0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_partial_fit_keeps_families_and_scale_of_the_first_call(X):
    streamed = encoder().partial_fit(X)
    families = streamed.likelihood_
    streamed.partial_fit((X > 3).astype(float))
    np.testing.assert_array_equal(streamed.likelihood_, families)
    with pytest.raises(ValueError, match="X has 3 features"):
        streamed.partial_fit(X[:, :3])


@pytest.mark.parametrize("likelihood", ["gaussian", "student_t"])
@pytest.mark.parametrize("first", [5.0, np.nan, "a row"])
def test_a_column_without_a_scale_gets_one_from_later_calls(X, likelihood, first):
    X = X + 100.0
    start = X[:1] if first == "a row" else np.column_stack([X[:, :4], np.full(len(X), first)])
    streamed = encoder(likelihood=likelihood, max_iter=20, learning_rate=0.01).partial_fit(start)
    for _ in range(40):
        streamed.partial_fit(X)
    moved = X + [0, 0, 0, 0, 3]
    assert np.abs(streamed.transform(moved) - streamed.transform(X)).max() > 0.1
    holes = X.copy()
    holes[::2, 4] = np.nan
    assert np.abs(streamed.impute(holes)[::2, 4] - X[:, 4].mean()).max() < 4 * X[:, 4].std()
    scores = [model.score(X) for model in (streamed, encoder(likelihood=likelihood).fit(X))]
    assert scores[0] > scores[1]  # which has had 3 passes


def drifting(n_rows, shift, seed):
    rng = np.random.default_rng(seed)
    causes = rng.gamma(1.0, 1.0, size=(n_rows, 3))
    return causes @ np.eye(3, 6) + 0.3 * rng.normal(size=(n_rows, 6)) + shift


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_what_goes_on_reads_rows_as_far_out_as_it_was_trained_on(way):
    # The columns leave the range of the first rows, all reads of which would be at its end.
    encoder_ = encoder(max_iter=3, learning_rate=0.01, warm_start=way == "warm_start")
    method = "fit" if way == "warm_start" else way
    for number in range(12):
        getattr(encoder_, method)(drifting(200, 3.0 * number, number))
    rows = drifting(500, 33.0, 99)
    one, other = (encoder_.transform(part) for part in (rows, rows + 3.0))
    assert encoder_.transform(rows).std(axis=0).max() > 0.1
    assert np.abs(one - other).max() > 0.1
    # Beyond the last rows, where nothing was learned, values count no further than before.
    far = rows + 1e6
    np.testing.assert_array_equal(encoder_.transform(far), encoder_.transform(far + 1e6))


def test_a_short_chunk_does_not_decide_what_is_usual(X):
    streamed = encoder(max_iter=20)
    for _ in range(20):
        streamed.partial_fit(X)
    before, components = np.concatenate(streamed._medians), streamed.components_
    medians = np.median(streamed.transform(X), axis=0)
    streamed.partial_fit(X[:1])
    after = np.concatenate(streamed._medians)
    # One row moves them by a thousandth of the way to its own values.
    assert np.abs(after - before).max() < 0.01
    assert (np.abs(streamed.components_).sum(axis=1) > 0).sum() == (
        np.abs(components).sum(axis=1) > 0
    ).sum()
    assert np.abs(before - medians).max() < 0.3


def test_another_optimizer_starts_with_moments_of_its_own(X):
    streamed = encoder().partial_fit(X).set_params(optimizer="adam")
    streamed.partial_fit(X)
    moments = streamed._progress.trainer["optimizer"]
    assert moments["step"] == moments_after(X, "adam")["step"]
    # Adam's second moment is a mean of squares; Adamax had left the largest ones.
    assert moments["square"].max() < 0.1 * moments_after(X, "adamax")["square"].max()


def test_a_stream_recovers_from_a_junk_cell(X):
    # Too far out for a step: it is dropped, and the others of its call are shorter.
    streamed = encoder(likelihood="gaussian", learning_rate=1e-3).partial_fit(X)
    junk = X.copy()
    junk[5, 1] = 1e14
    streamed.partial_fit(junk)
    assert streamed.history_["learning_rate"][-1] < 1e-3
    streamed.partial_fit(X)
    assert streamed.history_["learning_rate"][-1] == 1e-3


def test_steps_of_one_batch_calls_get_shorter_until_one_is_good(X):
    # The first step leaves weights that no later one of that length gets away from.
    streamed = encoder(learning_rate=1e20, batch_norm=False, firing_rate=None, batch_size=len(X))
    rates = [streamed.partial_fit(X).history_["learning_rate"][-1] for _ in range(4)]
    np.testing.assert_allclose(rates, 1e20 / np.array([1, 2, 4, 8]))


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint64])
def test_the_batch_size_is_any_integer(X, kind):
    fitted = encoder(batch_size=kind(100), max_iter="auto").set_params(layer_sizes=(2,))
    assert fitted.fit(X[:20]).n_iter_ >= 60


def moments_after(X, optimizer):
    return encoder(optimizer=optimizer).partial_fit(X)._progress.trainer["optimizer"]


def test_a_stream_goes_on_on_another_kind_of_device(X):
    streamed = encoder().partial_fit(X)
    # A CUDA generator's state has 16 bytes.
    streamed._progress.trainer["generator"] = np.zeros(16, dtype=np.uint8)
    assert np.isfinite(streamed.partial_fit(X).score(X))


def test_partial_fit_needs_the_same_network(X):
    streamed = encoder().partial_fit(X)
    features = streamed.transform(X)
    for changed in ({"layer_sizes": (6, 4, 2)}, {"latent": "gaussian"}, {"firing_rate": None}):
        before = {name: getattr(streamed, name) for name in changed}
        with pytest.raises(ValueError, match=rf"differs in \['{next(iter(changed))}'\].*new enc"):
            streamed.set_params(**changed).partial_fit(X)
        np.testing.assert_array_equal(streamed.set_params(**before).transform(X), features)
    with pytest.raises(ValueError, match=r"differs in \['likelihood'\].*new encoder"):
        streamed.set_params(likelihood={0: "student_t"}).partial_fit(X)
    streamed.set_params(likelihood="auto")
    with pytest.raises(ValueError, match=r"categorical_features tells column 2 otherwise"):
        streamed.set_params(categorical_features=[2]).partial_fit(X)
    streamed.set_params(categorical_features="from_dtype")
    streamed.set_params(feature="mean", learning_rate=1e-3, likelihood="gaussian").partial_fit(X)


def test_partial_fit_after_fit_has_the_full_weight_of_the_kl(X):
    fitted = encoder(kl_warmup=1.0).fit(X)
    before = fitted.transform(X)
    fitted.partial_fit(X[:40])
    assert fitted.n_iter_ == fitted.best_iter_ == 3
    assert fitted.history_["kl_weight"][-1] == 1.0
    assert not np.array_equal(fitted.transform(X), before)


def stream(pieces, between=lambda estimator: estimator, start=None):
    streamed = encoder(max_iter=5) if start is None else start
    for piece in pieces:
        streamed = between(streamed.partial_fit(piece))
    return streamed


def test_partial_fit_goes_on_after_pickling(X):
    pieces = [X[:30], X[30:60], X[60:61], X]
    plain = stream(pieces)
    pickled = stream(pieces, between=lambda estimator: pickle.loads(pickle.dumps(estimator)))
    np.testing.assert_array_equal(plain.transform(X), pickled.transform(X))
    np.testing.assert_array_equal(plain.score_samples(X), pickled.score_samples(X))
    assert plain.history_["elbo"] == pickled.history_["elbo"]


def test_partial_fit_goes_on_in_another_process(X, tmp_path):
    pieces = [X[:30], X[30:60], X]
    expected = stream(pieces).transform(X)
    half = stream(pieces[:1])
    (tmp_path / "half.pkl").write_bytes(pickle.dumps((half, pieces[1:], X)))
    code = (
        "import pickle, sys, numpy, torch\n"
        "torch.set_num_threads(int(sys.argv[3]))\n"
        "estimator, pieces, X = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for piece in pieces:\n"
        "    estimator.partial_fit(piece)\n"
        "numpy.save(sys.argv[2], estimator.transform(X))\n"
    )
    import torch

    subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            code,
            tmp_path / "half.pkl",
            tmp_path / "out.npy",
            str(torch.get_num_threads()),
        ],
        check=True,
        cwd=Path(skrgvae.__file__).parents[1],
    )
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)


# Families of the columns


def test_automatic_families():
    rng = np.random.default_rng(0)
    inside = rng.random((40, 3))
    assert encoder().fit(inside).likelihood_.tolist() == ["bernoulli"] * 3
    mixed = np.column_stack([inside, rng.normal(size=40), inside[:, 0] > 0.5])
    assert encoder().fit(mixed).likelihood_.tolist() == [*["gaussian"] * 4, "bernoulli"]
    assert encoder().fit(mixed > 0.5).likelihood_.tolist() == ["bernoulli"] * 5


CATEGORICAL = {family: [0, 1, 2] if family == "categorical" else None for family in FAMILIES}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_one_family_for_all(family):
    rows = np.random.default_rng(0).integers(0, 2, (40, 3)).astype(float)
    fitted = encoder(likelihood=family, categorical_features=CATEGORICAL[family]).fit(rows)
    assert fitted.likelihood_.tolist() == [family] * 3
    assert np.isfinite(fitted.score(rows))


def test_families_by_name_and_position():
    pd = pytest.importorskip("pandas")
    rows = np.random.default_rng(0).random((40, 4))
    fitted = encoder(likelihood={1: "gaussian", np.int64(2): "auto"}).fit(rows)
    assert fitted.likelihood_.tolist() == ["bernoulli", "gaussian", "bernoulli", "bernoulli"]
    frame = pd.DataFrame(rows, columns=list("abcd"))
    fitted = encoder(likelihood={"d": "gaussian", 0: "gaussian", "c": "auto"}).fit(frame)
    assert fitted.likelihood_.tolist() == ["gaussian", "bernoulli", "bernoulli", "gaussian"]


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        ({"a": "zipf"}, r"likelihood\['a'\] must be one of .*'gaussian'.* Got 'zipf'"),
        ({"a": "poisson"}, "Column 'a': likelihood 'poisson' needs "),
        (
            {"a": "categorical"},
            r"likelihood\['a'\] is 'categorical', but only .* in categorical_f",
        ),
        ("categorical", "likelihood 'categorical' for all columns needs categorical"),
        ({"a": None}, r"likelihood\['a'\] must be one of .* Got None"),
        ({"z": "gaussian"}, r"names the column 'z', which X doesn't have .*names \['a', 'b'\]"),
        ({2: "gaussian"}, r"names the column 2, which X doesn't have \(positions 0 to 1"),
        ({-1: "gaussian"}, "names the column -1, which X doesn't have"),
        ({"b": "bernoulli"}, "Column 'b': likelihood 'bernoulli' needs values"),
        ("bernoulli", "Column 'b': likelihood 'bernoulli' needs values"),
    ],
    ids=str,
)
def test_families_that_can_not_be(likelihood, message):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [0.0, 0.5, 1.0], "b": [0.0, 0.5, 1.5]})
    with pytest.raises(ValueError, match=message):
        encoder(likelihood=likelihood).fit(frame)


def test_positions_name_the_columns_of_an_array(X):
    with pytest.raises(ValueError, match="Column 0: likelihood 'bernoulli' needs "):
        encoder(likelihood={0: "bernoulli"}).fit(X)
    with pytest.raises(ValueError, match="names the column 'a', which X doesn't have"):
        encoder(likelihood={"a": "gaussian"}).fit(X)


# Tables at the edge


def test_constant_columns_contribute_nothing(X):
    constant = np.column_stack([X, np.full(80, 123.0), np.full(80, -4.0)])
    fitted = encoder().fit(constant)
    scores = fitted.score_samples(constant)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(fitted.inverse_transform(fitted.transform(constant))[:, 5], 123)
    assert (fitted.components_[:, 5:] == 0).all()
    # Whatever stands in them later does not matter either.
    moved = constant.copy()
    moved[:, 5] = 124.0
    np.testing.assert_array_equal(fitted.transform(moved), fitted.transform(constant))


@pytest.mark.parametrize(
    "shape",
    [(1, 3), (2, 3), (7, 3), (21, 3), (41, 1), (30, 1)],
    ids=["one row", "two rows", "less than a batch", "a row more", "and one column", "one column"],
)
@pytest.mark.parametrize("sizes", [(1,), (5,), (5, 1, 3)], ids=str)
def test_small_tables(shape, sizes):
    for rows in (
        np.random.default_rng(0).normal(size=shape),
        np.random.default_rng(0).random(size=shape),
    ):
        fitted = encoder(layer_sizes=sizes, firing_rate=0.5).fit(rows)
        assert fitted.transform(rows).shape == (shape[0], sum(sizes))
        assert np.isfinite(fitted.transform(rows)).all()
        assert np.isfinite(fitted.score_samples(rows)).all()
        assert fitted.sample(2).shape == (2, shape[1])
        assert fitted.components_.shape == (sizes[0], shape[1])
        assert len(fitted.unit_summary(rows)["kl"]) == sum(sizes)
        assert np.isfinite(fitted.partial_fit(rows[:1]).score(rows))


def test_only_constant_columns():
    rows = np.full((20, 3), 7.0)
    fitted = encoder().fit(rows)
    assert np.isfinite(fitted.score(rows))
    np.testing.assert_array_equal(fitted.sample(4), np.full((4, 3), 7.0))


# Nearly 0, as an optimiser with a scale of its own per weight makes much of rounding errors.
UNTRAINED = {"learning_rate": 1e-12}


@pytest.mark.parametrize("exponent", [-300, -30, 30, 300])
def test_columns_of_any_scale(X, exponent):
    centred = X - X.mean(axis=0)  # with numbers below 0: all inside [0, 1] would be intensities
    scaled = centred * 10.0**exponent
    fitted = encoder(**UNTRAINED).fit(scaled)
    expected = encoder(**UNTRAINED).fit_transform(centred)
    np.testing.assert_allclose(fitted.transform(scaled), expected, atol=1e-4)
    assert np.isfinite(encoder().fit(scaled).score_samples(scaled)).all()


def test_columns_far_from_zero(X):
    # Seconds since 1970: centred in float64, else nothing is left of them.
    far = X + 1.6e9
    expected = encoder(**UNTRAINED).fit_transform(X)
    np.testing.assert_allclose(encoder(**UNTRAINED).fit_transform(far), expected, atol=1e-4)
    assert np.isfinite(encoder().fit(far).score_samples(far)).all()


def test_memory_layout_does_not_matter(X):
    def numbers(rows):
        fitted = encoder().fit(rows, X_val=rows)
        features = fitted.transform(rows)
        layout = np.empty_like(rows, shape=features.shape)
        layout[:] = features
        if rows.strides[0] < 0:
            layout = layout[::-1].copy()[::-1]
        return {
            "transform": features,
            "score_samples": fitted.score_samples(rows),
            "importance weighted": fitted.score_samples(rows, 2),
            "inverse_transform": fitted.inverse_transform(layout),
            "unit_summary": np.asarray(fitted.unit_summary(rows)["kl"]),
        }

    read_only = X.copy()
    read_only.setflags(write=False)
    tables = {
        "fortran": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=0)[::2],
        "backwards": X[::-1].copy()[::-1],
        "columns backwards": X[:, ::-1].copy()[:, ::-1],
        "read-only": read_only,
        "big-endian": X.astype(">f8"),
    }
    expected = numbers(X)
    for layout, table in tables.items():
        for name, values in numbers(table).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{layout}: {name}")


def test_which_batches_come_again(monkeypatch):
    """Code is made for the sizes that all passes of a fit have, and the usual one of a stream."""
    X, seen = np.random.default_rng(0).normal(size=(209, 3)), set()
    fused_pass = Hierarchy.fused_pass

    def look(module, n_rows, recurrent):
        seen.add((n_rows, recurrent))
        return fused_pass(module, n_rows, recurrent)

    monkeypatch.setattr(Hierarchy, "fused_pass", look)
    encoder = HierarchicalSparseEncoder((4, 2), max_iter=1, batch_size=100, random_state=0)
    encoder.fit(X)
    assert seen == {(69, True), (70, True)}
    seen.clear()
    for n_rows in (100, 130, 70):
        encoder.partial_fit(X[:n_rows])
    assert seen == {(100, True), (65, False), (70, False)}
