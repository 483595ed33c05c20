"""Searches over the encoder's parameters, with and without labels, on several workers."""

import os

import numpy as np
import pytest
import torch
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import make_pipeline

from skrgvae import HierarchicalSparseEncoder

SIZES = [(2,), (8, 4), (12, 6, 3)]


@pytest.fixture(scope="module")
def data():
    """Two classes of rows, and a cause that has nothing to do with them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    X = rng.normal(size=(120, 6)) + np.outer(2 * y - 1, [2, -2, 1, 0, 0, 0])
    return X + np.outer(rng.normal(size=120), [0, 0, 0, 2, 2, -2]), y


def encoder(**parameters):
    defaults = {"layer_sizes": (8, 4), "max_iter": 5, "batch_size": 30, "random_state": 0}
    return HierarchicalSparseEncoder(**{**defaults, **parameters})


def elbo_and_threads(estimator, X, y=None):
    """What a worker has of cores, beside the score."""
    import torch

    return {
        "elbo": estimator.score(X),
        "threads": torch.get_num_threads(),
        "process": os.getpid(),
    }


def test_search_without_labels_on_two_workers(data, monkeypatch):
    X, _ = data
    # New workers start with this environment; a limit that the user sets would hide what is
    # looked for.
    get_reusable_executor().shutdown()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    search = GridSearchCV(
        encoder(),
        {"layer_sizes": SIZES},
        scoring=elbo_and_threads,
        refit="elbo",
        cv=2,
        n_jobs=2,
    ).fit(X)
    results = search.cv_results_
    assert sorted(results["rank_test_elbo"]) == [1, 2, 3]
    assert np.isfinite(results["mean_test_elbo"]).all()
    for split in range(2):
        assert (results[f"split{split}_test_process"] != os.getpid()).all()
    n_threads = max(results[f"split{i}_test_threads"].max() for i in range(2))
    assert 2 * n_threads <= max(os.cpu_count() or 1, 2)


def test_search_by_score_is_the_same_on_one_worker_and_on_two(data):
    X, _ = data
    # Equal results are promised at equal thread counts.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with parallel_config(backend="loky", inner_max_num_threads=1):
            one, two = (
                GridSearchCV(encoder(), {"layer_sizes": SIZES}, cv=2, n_jobs=n_jobs).fit(X)
                for n_jobs in (1, 2)
            )
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], rtol=1e-6
    )
    assert one.best_params_ == two.best_params_
    best = np.argmax(two.cv_results_["mean_test_score"])
    assert two.best_params_["layer_sizes"] == SIZES[best]
    assert two.best_estimator_.layer_sizes_ == SIZES[best]
    assert two.score(X) == pytest.approx(two.best_estimator_.score(X))
    assert two.transform(X).shape == (120, sum(SIZES[best]))


def test_search_by_accuracy_in_a_pipeline(data):
    X, y = data
    # Some two dozen steps are enough for features that tell the classes apart where half the units
    # are on from the start.
    fast = encoder(max_iter=20, firing_rate=None, learning_rate=0.02)
    pipeline = make_pipeline(fast, LogisticRegression())
    grid = {"hierarchicalsparseencoder__layer_sizes": SIZES}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert ((scores >= 0) & (scores <= 1)).all()
    assert search.best_score_ == scores.max() > 0.7
    assert set(search.predict(X)) == {0, 1}


def test_parts_of_a_search_over_what_is_emitted(data):
    X, y = data
    pipeline = make_pipeline(encoder(), LogisticRegression())
    grid = {
        "hierarchicalsparseencoder__feature": ["median", "mean", "active"],
        "hierarchicalsparseencoder__layers": ["all", [0]],
        "hierarchicalsparseencoder__sparse_output": [True],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 6


def test_halving_with_epochs_as_the_resource(data):
    X, _ = data
    search = HalvingGridSearchCV(
        encoder(),
        {"layer_sizes": SIZES},
        resource="max_iter",
        min_resources=2,
        max_resources=6,
        factor=3,
        cv=2,
        random_state=0,
    ).fit(X)
    assert search.n_resources_ == [2, 6]
    assert search.best_estimator_.n_iter_ == 6
