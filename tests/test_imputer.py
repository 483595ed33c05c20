"""The imputer as a scikit-learn transformer."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrgvae import HierarchicalSparseEncoder, HierarchicalSparseImputer

COMPLETE, Y = load_iris(return_X_y=True)
LOST = np.random.default_rng(0).random(COMPLETE.shape) < 0.2
HOLES = np.where(LOST, np.nan, COMPLETE)
FRAME = pd.DataFrame(HOLES, columns=["a", "b", "c", "d"])
FRAME["kind"] = pd.Categorical(np.array(["x", "y", "z"])[Y])
FRAME.loc[::9, "kind"] = None


def encoder(**parameters) -> HierarchicalSparseEncoder:
    settings = {"layer_sizes": (4, 2), "max_iter": 2, "random_state": 0}
    return HierarchicalSparseEncoder(**{**settings, **parameters})


def imputer(**parameters) -> HierarchicalSparseImputer:
    return HierarchicalSparseImputer(encoder(**parameters))


def test_it_does_what_the_encoder_does():
    given = encoder()
    fitted = HierarchicalSparseImputer(given).fit(HOLES)
    filled = fitted.transform(HOLES)
    np.testing.assert_array_equal(filled, encoder().fit(HOLES).impute(HOLES))
    np.testing.assert_array_equal(filled[~LOST], HOLES[~LOST])
    assert np.isfinite(filled).all()
    assert not hasattr(given, "n_iter_")  # a clone is fitted
    assert fitted.n_features_in_ == 4


def test_the_encoder_of_its_own_is_the_default_one():
    fitted = HierarchicalSparseImputer()
    fitted.fit(HOLES[:3])
    assert fitted.encoder is None
    assert fitted.encoder_.get_params() == HierarchicalSparseEncoder().get_params()


def test_clones_and_nested_parameters():
    copy = clone(imputer().set_params(encoder__kl_weight=0.5))
    assert copy.encoder.kl_weight == 0.5
    with pytest.raises(NotFittedError):
        copy.transform(HOLES)


def test_frames_come_back_as_frames():
    fitted = imputer().fit(FRAME)
    filled = fitted.transform(FRAME)
    assert list(filled.columns) == list(FRAME.columns)
    assert filled.index.equals(FRAME.index)
    assert not filled.isna().any(axis=None)
    assert set(filled["kind"]) <= {"x", "y", "z"}
    known = FRAME["kind"].notna()
    assert (filled["kind"][known] == FRAME["kind"][known]).all()
    assert list(fitted.feature_names_in_) == list(FRAME.columns)
    assert list(fitted.get_feature_names_out()) == list(FRAME.columns)
    # An array afterwards leaves no names of an earlier frame behind.
    fitted.fit(HOLES)
    assert not hasattr(fitted, "feature_names_in_")
    assert list(fitted.get_feature_names_out()) == ["x0", "x1", "x2", "x3"]


@pytest.mark.parametrize("rows", [HOLES, FRAME[["a", "b", "c", "d"]]], ids=["array", "frame"])
@pytest.mark.parametrize("container", ["default", "pandas", "polars"])
def test_set_output(rows, container):
    if container != "default":
        pytest.importorskip(container)
    filled = imputer().set_output(transform=container).fit_transform(rows)
    names = ["x0", "x1", "x2", "x3"] if isinstance(rows, np.ndarray) else list("abcd")
    if container != "default":
        assert list(filled.columns) == names
        assert type(filled).__module__.startswith(container)
    np.testing.assert_array_equal(np.asarray(filled)[~LOST], HOLES[~LOST])


def test_it_stands_where_an_iterative_imputer_does():
    steps = make_pipeline(imputer(max_iter=20), StandardScaler(), LogisticRegression())
    search = GridSearchCV(
        steps, {"hierarchicalsparseimputer__encoder__kl_weight": [0.5, 1.0]}, cv=2
    )
    search.fit(HOLES, Y)
    assert search.best_score_ > 0.7
    in_front = make_pipeline(StandardScaler(), imputer()).fit_transform(HOLES)
    assert np.isfinite(in_front).all()


@pytest.mark.parametrize("how", ["set_output", "set_config"])
def test_dtypes_of_a_polars_frame_are_kept_in_one_of_pandas(how):
    polars = pytest.importorskip("polars")
    rows = polars.DataFrame(
        {
            "a": HOLES[:, 0],
            "b": COMPLETE[:, 1].astype(np.float32),
            "n": Y,
            "word": np.array(["x", "y", "z"])[Y],
            "kind": polars.Series([None, *"yz" * 74, "y"], dtype=polars.Categorical),
        }
    )
    fitted = imputer().fit(rows)
    expected = fitted.transform(rows).to_pandas()
    if how == "set_output":
        filled = fitted.set_output(transform="pandas").transform(rows)
    else:
        with sklearn.config_context(transform_output="pandas"):
            filled = fitted.transform(rows)
    pd.testing.assert_frame_equal(filled, expected)
    assert [filled[name].dtype.kind for name in "abn"] == ["f", "f", "f"]
    assert isinstance(filled["kind"].dtype, pd.CategoricalDtype)
    assert not filled.isna().any(axis=None)


# Weights and validation rows, which are the encoder's

WEIGHTS = np.where(Y == 0, 0.0, 1.0)


def same_as_weighted(filled):
    weighted = encoder().fit(HOLES, sample_weight=WEIGHTS).impute(HOLES)
    assert not np.array_equal(weighted, encoder().fit(HOLES).impute(HOLES))
    np.testing.assert_array_equal(filled, weighted)


def requesting(given, routing, name):
    """An imputer of an encoder that, where metadata is routed, requests some of it."""
    return HierarchicalSparseImputer(given.set_fit_request(**{name: True}) if routing else given)


@pytest.mark.parametrize("routing", [False, True])
def test_weights_are_the_encoders(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        weighted = requesting(encoder(), routing, "sample_weight")
        same_as_weighted(weighted.fit(HOLES, sample_weight=WEIGHTS).transform(HOLES))
        same_as_weighted(weighted.fit_transform(HOLES, sample_weight=WEIGHTS))


@pytest.mark.parametrize("routing", [False, True])
def test_validation_rows_are_the_encoders(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        stopped = requesting(encoder(early_stopping=True), routing, "X_val")
        stopped.fit(HOLES[::2], X_val=HOLES[1::2])
    direct = encoder(early_stopping=True).fit(HOLES[::2], X_val=HOLES[1::2])
    assert stopped.encoder_.history_["validation_elbo"] == direct.history_["validation_elbo"]


def test_weights_reach_it_in_a_pipeline():
    steps = make_pipeline(imputer(), StandardScaler())
    steps.fit(HOLES, hierarchicalsparseimputer__sample_weight=WEIGHTS)
    same_as_weighted(steps[0].transform(HOLES))


@pytest.mark.parametrize("around", [make_pipeline, make_union], ids=["pipeline", "union"])
def test_weights_are_routed_to_it(around):
    with sklearn.config_context(enable_metadata_routing=True):
        weighted = requesting(encoder(), True, "sample_weight")
        steps = around(weighted, StandardScaler().set_fit_request(sample_weight=False))
        steps.fit_transform(HOLES, sample_weight=WEIGHTS)
    fitted = steps[0] if around is make_pipeline else steps.transformer_list[0][1]
    same_as_weighted(fitted.transform(HOLES))


def test_other_encoders_take_no_weights_under_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        for unasked in (imputer(), HierarchicalSparseImputer()):
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                unasked.fit(HOLES, sample_weight=WEIGHTS)
        refuses = HierarchicalSparseImputer(encoder().set_fit_request(sample_weight=False))
        with pytest.raises(TypeError, match=r"unexpected argument.*sample_weight"):
            refuses.fit(HOLES, sample_weight=WEIGHTS)
        assert np.isfinite(imputer().fit_transform(HOLES)).all()


@pytest.mark.parametrize("routing", [False, True])
def test_unknown_parameters_of_fit_are_refused(routing):
    with (
        sklearn.config_context(enable_metadata_routing=routing),
        pytest.raises(TypeError, match=r"unexpected .*weights"),
    ):
        imputer().fit(HOLES, weights=WEIGHTS)


@pytest.mark.parametrize("given", [3, "encoder", LogisticRegression()])
def test_what_is_no_encoder_is_refused(given):
    with pytest.raises(ValueError, match="'encoder' parameter"):
        HierarchicalSparseImputer(given).fit(HOLES)


def test_other_columns_are_refused():
    fitted = imputer().fit(HOLES)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4 features"):
        fitted.transform(HOLES[:, :3])


@parametrize_with_checks([imputer(max_iter=1)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
