"""What pickles and the files of joblib and skops carry: weights, and nothing they learned from."""

import io
import pickle
import pickletools

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skrgvae import HierarchicalSparseEncoder

X = np.random.default_rng(0).normal(size=(5000, 10))
# What a pickle may be larger than the weights by: attributes, history, names of arrays.
MOST_BESIDES = 20_000


def encoder():
    return HierarchicalSparseEncoder((6, 4), max_iter=2, random_state=0)


def n_weight_bytes(fitted):
    return sum(array.nbytes for array in fitted._model.arrays.values())


def by_joblib(fitted):
    file = io.BytesIO()
    joblib.dump(fitted, file)
    return file.getvalue()


@pytest.mark.parametrize("dumps", [pickle.dumps, by_joblib])
def test_neither_data_nor_caches(dumps):
    fitted = encoder().fit(X, X_val=X[:1000])
    size = len(dumps(fitted))
    assert size < n_weight_bytes(fitted) + MOST_BESIDES < X.nbytes / 5
    fitted.transform(X)
    fitted.score(X.astype(np.float32))
    assert len(dumps(fitted)) == size


def test_a_stream_adds_the_optimisers_state_alone():
    fitted = encoder().partial_fit(X)
    parameters = 2 * n_weight_bytes(fitted)  # two moments
    generators = 6_000
    assert len(pickle.dumps(fitted)) < 3 * parameters / 2 + generators + MOST_BESIDES


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_no_class_of_torch_and_no_device(method):
    fitted = getattr(encoder(), method)(X)
    fitted.transform(X)
    modules = {
        argument.split()[0].split(".")[0]
        for opcode, argument, _ in pickletools.genops(pickle.dumps(fitted, protocol=2))
        if opcode.name == "GLOBAL"
    }
    assert modules <= {"skrgvae", "numpy", "_codecs", "copy_reg"}


def test_no_callbacks_once_it_is_fitted():
    pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has no callbacks")
    from sklearn.callback import ProgressBar

    unfitted = encoder().set_callbacks(ProgressBar())
    assert "_skl_callbacks" in vars(pickle.loads(pickle.dumps(unfitted)))  # for other processes
    assert len(pickle.dumps(encoder().fit(X))) == len(
        pickle.dumps(encoder().set_callbacks(ProgressBar()).fit(X))
    )


TRUSTED = [
    "skrgvae.estimator.HierarchicalSparseEncoder",
    "skrgvae.model.Model",
    "skrgvae.data.columns.Columns",
    "skrgvae.network.architecture.Architecture",
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_skops_with_the_documented_types(method):
    sio = pytest.importorskip("skops.io", reason="skops is not installed")
    fitted = getattr(encoder(), method)(X)
    trusted = [*TRUSTED, *(["skrgvae.stream.Progress"] if method == "partial_fit" else [])]
    data = sio.dumps(fitted)
    assert sorted(sio.get_untrusted_types(data=data)) == sorted(trusted)
    loaded = sio.loads(data, trusted=trusted)
    assert_array_equal(loaded.transform(X), fitted.transform(X))
    assert_array_equal(loaded.score_samples(X[:50]), fitted.score_samples(X[:50]))
    assert_array_equal(
        loaded.partial_fit(X[:50]).transform(X), fitted.partial_fit(X[:50]).transform(X)
    )
