"""Same seed, same bits; no global state touched; a row's numbers are its own."""

import hashlib
import io
import os
import pickle
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

import skrgvae
from skrgvae import HierarchicalSparseEncoder
from skrgvae.torch_modes import own_modes

FAMILIES = ["gaussian", "bernoulli"]


def rows_of(family, n_rows=150, n_columns=6):
    rng = np.random.default_rng(1)
    rows = rng.random((n_rows, n_columns))
    return rows if family == "bernoulli" else np.log(rows / (1 - rows)) * 5


def encoder(**parameters):
    defaults = {"layer_sizes": (7, 4, 3), "max_iter": 2, "batch_size": 32, "random_state": 3}
    return HierarchicalSparseEncoder(**{**defaults, **parameters})


def fingerprint(estimator, rows):
    """Hash of all that a fit decides."""
    parts = [
        estimator.transform(rows),
        estimator.score_samples(rows),
        estimator.score_samples(rows, n_importance_samples=3),
        estimator.sample(4),
        estimator.components_,
        np.array(estimator.history_["elbo"]),
    ]
    parts += [estimator._model.arrays[name] for name in sorted(estimator._model.arrays)]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


@pytest.fixture(scope="module")
def fitted():
    return {family: encoder().fit(rows_of(family)) for family in FAMILIES}


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  the global generator is what this is about
    torch.manual_seed(seed)


@pytest.fixture
def keep_global_generators():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])


@pytest.mark.parametrize(
    "parameters",
    [{}, {"early_stopping": True}, {"hidden_layer_sizes": 5, "latent": "gaussian"}],
    ids=str,
)
def test_same_seed_same_bits(parameters, keep_global_generators):
    rows = rows_of("gaussian")
    seed_everything(0)
    first = fingerprint(encoder(**parameters).fit(rows), rows)
    seed_everything(1)
    second = encoder(**parameters).fit(rows)
    assert fingerprint(second, rows) == first
    assert fingerprint(clone(second).fit(rows), rows) == first
    assert fingerprint(second.fit(rows), rows) == first
    assert fingerprint(encoder(**parameters, random_state=4).fit(rows), rows) != first


def numbers_of_a_fit():
    rows = rows_of("gaussian")
    fitted = encoder(early_stopping=True, optimizer="adam").fit(rows)
    return fingerprint(fitted, rows), fingerprint(fitted.partial_fit(rows), rows)


@pytest.mark.parametrize("missing", [False, True])
def test_a_second_thread_changes_no_bit(missing):
    """Steps of this size have one."""
    rows = rows_of("gaussian", 200)
    if missing:
        rows[::3, 1] = np.nan
    parameters = {"layer_sizes": (300, 100), "batch_size": 100}
    n_threads, found = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(fingerprint(encoder(**parameters).fit(rows), rows))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(n_threads)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "mode",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
    ids=["no_grad", "inference_mode", "autocast"],
)
def test_what_the_caller_does_with_torch_changes_nothing(mode):
    expected = numbers_of_a_fit()
    with mode():
        states = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert numbers_of_a_fit() == expected
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == states


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_no_kind_of_device_rounds_products(kind):
    before = torch.is_autocast_enabled(kind)
    torch.set_autocast_enabled(kind, True)
    try:
        with own_modes():
            assert not torch.is_autocast_enabled(kind)
        assert torch.is_autocast_enabled(kind)
    finally:
        torch.set_autocast_enabled(kind, before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_default_dtype_changes_nothing(dtype):
    expected = numbers_of_a_fit()
    torch.set_default_dtype(dtype)
    try:
        assert numbers_of_a_fit() == expected
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_default_device_changes_nothing():
    expected = numbers_of_a_fit()
    torch.set_default_device("meta")  # where nothing can be computed
    try:
        assert numbers_of_a_fit() == expected
        assert torch.get_default_device().type == "meta"
    finally:
        torch.set_default_device(None)


def test_no_seed_no_repetition():
    rows = rows_of("gaussian")
    free = encoder(random_state=None)
    assert not np.array_equal(free.fit_transform(rows), free.fit_transform(rows))


SCRIPT = """
import random, sys
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
random.seed(9), np.random.seed(9), torch.manual_seed(9)
from test_reproducibility import FAMILIES, encoder, fingerprint, rows_of
for family in FAMILIES:
    rows = rows_of(family)
    print(fingerprint(encoder().fit(rows), rows))
    print(fingerprint(encoder().partial_fit(rows).partial_fit(rows[:50]), rows))
"""


def test_same_bits_in_another_process(one_thread):
    expected = []
    for family in FAMILIES:
        rows = rows_of(family)
        expected.append(fingerprint(encoder().fit(rows), rows))
        expected.append(fingerprint(encoder().partial_fit(rows).partial_fit(rows[:50]), rows))
    source = str(Path(skrgvae.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": source, "PYTHONHASHSEED": "77"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split() == expected


# Global state


def global_state():
    return {
        "random": random.getstate(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "dtype": torch.get_default_dtype(),
        "grad": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.get_float32_matmul_precision(),
        ),
        "filters": list(warnings.filters),
        "numpy errors": np.geterr(),
        "environment": dict(os.environ),
        "print options": np.get_printoptions(),
    }


@pytest.mark.parametrize("random_state", [0, None])
def test_global_state_is_left_alone(random_state):
    rows = rows_of("gaussian")
    estimator = encoder(random_state=random_state)

    def fails():
        with pytest.raises(ValueError, match="0 feature"):
            estimator.fit(rows[:, :0])

    steps = {
        "fit": lambda: estimator.fit(rows),
        "fit with early stopping": lambda: estimator.fit(rows, X_val=rows[:20]),
        "partial_fit": lambda: estimator.partial_fit(rows),
        "transform": lambda: estimator.transform(rows),
        "inverse_transform": lambda: estimator.inverse_transform(estimator.transform(rows)),
        "score": lambda: estimator.score(rows),
        "score_samples": lambda: estimator.score_samples(rows, 3),
        "sample": lambda: estimator.sample(3),
        "unit_summary": lambda: estimator.unit_summary(rows),
        "components_": lambda: estimator.components_,
        "failed fit": fails,
    }
    for name, step in steps.items():
        before = global_state()
        step()
        after = global_state()
        if random_state is None:
            # scikit-learn's meaning of None: a number from numpy's global generator.
            before.pop("numpy"), after.pop("numpy")
        assert after == before, name


def test_a_generator_that_is_given_is_the_only_one_that_moves():
    rows, generator = rows_of("gaussian"), np.random.RandomState(0)
    before = generator.get_state()[2]
    encoder(random_state=generator).fit(rows)
    assert generator.get_state()[2] != before


@pytest.mark.parametrize("n_threads", [1, 2])
def test_number_of_threads_is_the_users(n_threads):
    before = torch.get_num_threads()
    rows = rows_of("gaussian")
    try:
        torch.set_num_threads(n_threads)
        encoder().fit(rows).transform(rows)
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)


def test_data_are_left_alone():
    for family in FAMILIES:
        rows = rows_of(family)
        for table in (rows, rows.astype(np.float32), np.asfortranarray(rows)):
            copy = table.copy()
            estimator = encoder(early_stopping=True).fit(table).partial_fit(table)
            features = estimator.transform(table)
            kept = features.copy()
            estimator.score_samples(table, 2)
            estimator.inverse_transform(features)
            estimator.unit_summary(table)
            np.testing.assert_array_equal(table, copy)
            np.testing.assert_array_equal(features, kept)


# A row's numbers are its own


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_samples", [None, 1, 5])
def test_rows_do_not_see_each_other(fitted, family, dtype, n_samples, monkeypatch):
    rows = rows_of(family).astype(dtype)

    def numbers(table):
        if n_samples is None:
            return fitted[family].transform(table)
        return fitted[family].score_samples(table, n_importance_samples=n_samples)

    # Scores are in nats, of the size of the number of columns: relative for what is above 1.
    tolerance = {np.float32: 1e-6, np.float64: 1e-7}[dtype]
    close = {"rtol": tolerance, "atol": tolerance}
    everything = numbers(rows)
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_allclose(numbers(rows[order]), everything[order], **close)
    np.testing.assert_allclose(numbers(rows[::3]), everything[::3], **close)
    one_by_one = np.concatenate([numbers(rows[i : i + 1]) for i in range(20)])
    np.testing.assert_allclose(one_by_one, everything[:20], **close)
    repeated = numbers(np.repeat(rows[:10], 7, axis=0))
    np.testing.assert_allclose(repeated, np.repeat(everything[:10], 7, axis=0), **close)
    for piece in (1, 97, 1000):
        # The package's own pieces, as they come for larger tables.
        monkeypatch.setattr("skrgvae.model.PIECE", piece)
        np.testing.assert_allclose(numbers(rows), everything, **close)


def test_equal_rows_share_their_noise(fitted):
    rows = rows_of("gaussian")[:5]
    for other in (np.vstack([rows, rows]), np.vstack([rows, rows])[::-1]):
        scores = fitted["gaussian"].score_samples(other)
        assert len(np.unique(scores.round(9))) == 5
    # And -0.0 is 0.0, as it is for every comparison.
    signed = np.zeros((1, 6))
    np.testing.assert_array_equal(
        fitted["gaussian"].score_samples(signed), fitted["gaussian"].score_samples(-signed)
    )


def test_summary_does_not_see_the_order(fitted):
    rows = rows_of("gaussian")
    one, other = (fitted["gaussian"].unit_summary(table) for table in (rows, rows[::-1]))
    for name in ("kl", "zero_share", "mean", "std"):
        np.testing.assert_allclose(one[name], other[name], atol=1e-7)


def test_many_threads_may_ask_one_encoder():
    rows = rows_of("gaussian")
    shared = encoder().fit(rows)
    pieces = [rows[start : start + 10] for start in range(0, 150, 10)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda piece: (shared.transform(piece), shared.score(piece)), pieces)
        )
    for piece, (features, score) in zip(pieces, answers, strict=True):
        np.testing.assert_array_equal(features, shared.transform(piece))
        assert score == shared.score(piece)


# On disk


class Spy(pickle.Unpickler):
    """Notes from which packages the objects come."""

    def __init__(self, file):
        super().__init__(file)
        self.packages = set()

    def find_class(self, module, name):
        self.packages.add(module.split(".")[0])
        return super().find_class(module, name)


def pickled(estimator, method):
    buffer = io.BytesIO()
    pickle.dump(estimator, buffer) if method == "pickle" else joblib.dump(estimator, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("method", ["pickle", "joblib"])
@pytest.mark.parametrize("stream", [False, True], ids=["fit", "partial_fit"])
def test_round_trip_gives_the_same_bits(method, stream):
    rows = rows_of("gaussian")
    original = encoder().partial_fit(rows) if stream else encoder().fit(rows)
    again = joblib.load(io.BytesIO(pickled(original, method)))
    assert fingerprint(again, rows) == fingerprint(original, rows)
    assert again.get_params() == original.get_params()
    assert set(vars(again)) == set(vars(original))
    assert fingerprint(again.partial_fit(rows), rows) == fingerprint(
        original.partial_fit(rows), rows
    )


@pytest.mark.parametrize("stream", [False, True], ids=["fit", "partial_fit"])
def test_a_pickle_holds_neither_torch_nor_the_data(stream):
    rows = rows_of("gaussian", n_rows=4000)  # 192 kB
    estimator = encoder(max_iter=1, batch_size=500)
    estimator = estimator.partial_fit(rows) if stream else estimator.fit(rows, X_val=rows)
    # Asked in both precisions, so that all that is kept for later calls is there.
    estimator.transform(rows), estimator.transform(rows.astype(np.float32))
    estimator.score_samples(rows, 2), estimator.sample(100)
    data = pickle.dumps(estimator)
    spy = Spy(io.BytesIO(data))
    spy.load()
    assert not spy.packages & {"torch", "pandas", "polars"}
    assert len(data) < 30_000
    assert rows[:50].tobytes()[:80] not in data


def test_a_pickle_does_not_grow_with_use():
    rows = rows_of("gaussian")
    estimator = encoder().fit(rows)
    before = len(pickle.dumps(estimator))
    estimator.transform(rows), estimator.score(rows), estimator.sample(5), estimator.components_
    assert len(pickle.dumps(estimator)) == before


def test_a_clone_is_not_fitted(fitted):
    copy = clone(fitted["gaussian"])
    assert not [name for name in vars(copy) if name.endswith("_") or name.startswith("_")]
