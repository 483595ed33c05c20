"""The same on a CUDA device. These tests run where there is one."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skrgvae import HierarchicalSparseEncoder, kernels
from skrgvae.training import batches

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

OPTIONS = {"layer_sizes": (20, 10), "max_iter": 6, "random_state": 0, "early_stopping": False}


def table_of(kind, n_rows=600):
    rng = np.random.default_rng(0)
    causes = (rng.random((n_rows, 5)) < 0.3) * rng.exponential(size=(n_rows, 5))
    table = causes @ rng.normal(size=(5, 30)) + 0.3 * rng.normal(size=(n_rows, 30))
    if kind == "binary":
        table = table > 0.2
    if kind == "counts":
        table = rng.poisson(np.exp(0.3 * table))
    table = table.astype(np.float32)
    if kind == "holes":
        table[rng.random(table.shape) < 0.2] = np.nan
    return table


def fit(table, device="cuda", **options):
    likelihood = "poisson" if (table % 1 == 0).all() and table.max() > 1 else "auto"
    encoder = HierarchicalSparseEncoder(device=device, likelihood=likelihood, **OPTIONS)
    return encoder.set_params(**options).fit(table)


@pytest.mark.parametrize("kind", ["binary", "measured", "holes", "counts"])
def test_bounds_are_those_of_the_cpu(kind):
    # Noise comes from other generators: bounds differ as those of two seeds do.
    table = table_of(kind)
    ours, theirs = fit(table), fit(table, "cpu")
    assert ours.score(table) == pytest.approx(theirs.score(table), abs=0.7)
    np.testing.assert_allclose(ours.history_["elbo"], theirs.history_["elbo"], atol=1.5)
    # The same weights give the same numbers, but for products in another order.
    moved = pickle.loads(pickle.dumps(ours)).set_params(device="cpu")
    moved._model.device = "cpu"
    np.testing.assert_allclose(ours.transform(table), moved.transform(table), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(
        ours.score_samples(table), moved.score_samples(table), rtol=1e-3, atol=5e-2
    )


@pytest.mark.parametrize("kind", ["binary", "holes"])
def test_a_seed_gives_the_same_bits(kind):
    one, other = (fit(table_of(kind)) for _ in range(2))
    assert one.history_["elbo"] == other.history_["elbo"]
    assert np.array_equal(one.transform(table_of(kind)), other.transform(table_of(kind)))


def test_rows_that_stay_on_the_host_give_the_same_bits(monkeypatch):
    expected = fit(table_of("binary")).history_["elbo"]
    monkeypatch.setattr(batches, "RESIDENT_SHARE", 0.0)
    assert fit(table_of("binary")).history_["elbo"] == expected


def test_without_kernels(monkeypatch):
    expected = fit(table_of("binary")).history_["elbo"]
    monkeypatch.setattr(kernels, "run", lambda: False)
    found = fit(table_of("binary")).history_["elbo"]
    np.testing.assert_allclose(found, expected, rtol=1e-2)  # products are not in TF32


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_layer_sizes": (16, 12), "firing_rate": None},
        {"batch_norm": False, "learning_rate": 1e-3},
        {"latent": "gaussian"},
        {"posterior": "mean_field"},
        {"optimizer": "adam", "learning_rate": 1e-3},
        {"sparsity_penalty": 0.1},
        {"input_dropout": 0.3},
        {"skip_connections": False},
        {"batch_size": 7},
    ],
    ids=str,
)
def test_every_network_trains(options):
    encoder = fit(table_of("binary", 200), **options)
    assert np.isfinite(encoder.history_["elbo"]).all()
    assert encoder.history_["elbo"][-1] > encoder.history_["elbo"][0]


def test_fits_side_by_side():
    table = table_of("binary")
    expected = fit(table).history_["elbo"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fit(table).history_["elbo"], range(8)))
    assert found == [expected] * 8


def test_partial_fit_and_early_stopping():
    table = table_of("measured")
    stream = HierarchicalSparseEncoder(device="cuda", **OPTIONS)
    for part in np.array_split(table, 3):
        stream.partial_fit(part)
    assert np.isfinite(stream.score(table))
    stopped = fit(table, early_stopping=True, max_iter=40)
    assert np.isfinite(stopped.history_["validation_elbo"]).all()


def test_the_precision_of_products_is_left_as_found():
    before = torch.get_float32_matmul_precision()
    fit(table_of("binary", 200))
    assert torch.get_float32_matmul_precision() == before
