"""Threads, forks and worker processes: the same numbers, no deadlock, nothing shared."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score

import skrgvae
from skrgvae import HierarchicalSparseEncoder

X = np.random.default_rng(0).normal(size=(90, 4))


def encoder(seed=0):
    return HierarchicalSparseEncoder((5, 3), max_iter=2, batch_size=30, random_state=seed)


def features_of_a_fit(seed):
    return encoder(seed).fit(X).transform(X)


def test_fits_side_by_side():
    n_threads = torch.get_num_threads()
    expected = [features_of_a_fit(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for one, other in zip(pool.map(features_of_a_fit, range(8)), expected, strict=True):
            np.testing.assert_array_equal(one, other)
        # Nor does a thread keep the number of threads that one of the fits took for itself.
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {n_threads}
    assert torch.get_num_threads() == n_threads


def test_large_fits_side_by_side():
    """Each has a second thread of its own, and leaves none behind."""
    rows = np.random.default_rng(1).normal(size=(200, 30))

    def features(seed):
        larger = HierarchicalSparseEncoder((300, 100), max_iter=2, random_state=seed)
        return larger.fit(rows).transform(rows)

    n_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = [features(seed) for seed in range(4)]
        before = threading.active_count()
        with ThreadPoolExecutor(4) as pool:
            for one, other in zip(pool.map(features, range(4)), expected, strict=True):
                np.testing.assert_array_equal(one, other)
        assert threading.active_count() == before
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("method", ["transform", "score_samples", "sample"])
def test_a_fresh_model_is_asked_by_many_threads_at_once(method):
    fitted = encoder().fit(X)
    argument = 50 if method == "sample" else X
    expected = getattr(fitted, method)(argument)
    fitted._model._modules.clear()  # every thread finds no network yet, and makes one
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(getattr(fitted, method), [argument] * 16):
            np.testing.assert_array_equal(answer, expected)


# With the parent's threads at work, a child that counts on them waits for ever; the plain matrix
# product is what fills OpenMP's pool for sure. Two threads, whatever the machine has.
FORK = """
import multiprocessing, sys, warnings
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from test_concurrency import X, encoder
torch.set_num_threads(2)
fitted = encoder().fit(X)
fitted.transform(X)
large = torch.ones(600, 600)
(large @ large).exp().sum()

def work():
    (large @ large).exp().sum()
    same = np.array_equal(fitted.transform(X), encoder().fit(X).transform(X))
    sys.exit(0 if same else 3)

child = multiprocessing.get_context("fork").Process(target=work)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on forks beside threads
    child.start()
child.join(100)
if child.is_alive():
    child.kill()
    sys.exit("the forked process hangs")
assert torch.get_num_threads() == 2
sys.exit(child.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_no_deadlock_after_a_fork():
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": str(Path(skrgvae.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
def test_joblib(backend):
    # joblib's worker processes compute on one thread each.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        expected = [features_of_a_fit(seed) for seed in range(3)]
        fitted = encoder().fit(X)
        tasks = [joblib.delayed(features_of_a_fit)(i) for i in range(3)]
        tasks += [joblib.delayed(fitted.transform)(X)] * 3
        with joblib.parallel_config(backend=backend, n_jobs=2):
            answers = joblib.Parallel()(tasks)
    finally:
        torch.set_num_threads(n_threads)
    for one, other in zip(answers, expected + [fitted.transform(X)] * 3, strict=True):
        np.testing.assert_array_equal(one, other)


def test_dask():
    distributed = pytest.importorskip("distributed", reason="dask is not installed")
    expected = cross_val_score(encoder(), X, cv=3)
    with (
        distributed.Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
        ),
        joblib.parallel_config(backend="dask"),
    ):
        np.testing.assert_array_equal(cross_val_score(encoder(), X, cv=3), expected)
