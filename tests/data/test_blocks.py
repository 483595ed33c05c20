"""Rows that lie elsewhere go into the encoder as rows in memory do, a block at a time."""

from collections import deque
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
from scipy.sparse import csc_array, csr_array, issparse

from skrgvae import HierarchicalSparseEncoder, estimator, model
from skrgvae.data import sources
from skrgvae.data.blocks import as_blocks

N_ROWS, N_COLUMNS = 120, 6
NAMES = [f"column_{number}" for number in range(N_COLUMNS)]


class Sliced:
    """Rows that can be sliced and nothing else, as HDF5 and zarr hand them out."""

    def __init__(self, table):
        self.table = table
        self.shape = table.shape
        self.dtype = table.dtype
        self.read = []

    def __getitem__(self, key):
        assert isinstance(key, slice) and key.step is None
        rows = self.table[key]
        self.read.append(rows.size)
        return rows.copy()

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all rows at once")


class Again:
    """Batches that can be iterated over again and again."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    factors = np.maximum(rng.normal(size=(N_ROWS, 3)), 0)
    table = factors @ rng.normal(size=(3, N_COLUMNS)) + 0.2 * rng.normal(size=(N_ROWS, N_COLUMNS))
    table[rng.random(table.shape) < 0.05] = np.nan
    return table.astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 16 rows, pools of 48."""
    monkeypatch.setattr(sources, "BLOCK", 16 * N_COLUMNS)
    monkeypatch.setattr(sources, "POOL", 48 * N_COLUMNS)


def memmap(table, folder):
    np.save(folder / "table.npy", table)
    return np.load(folder / "table.npy", mmap_mode="r")


def parquet(table, folder, n_rows_each=50):
    path = folder / "table.parquet"
    written = pa.table(dict(zip(NAMES, table.T, strict=True)))
    pyarrow.parquet.write_table(written, path, row_group_size=n_rows_each)
    return path


def hdf5(table, folder):
    file = pytest.importorskip("h5py").File(folder / "table.h5", "w")
    return file.create_dataset("table", data=table)


def zarr(table, folder):
    store = pytest.importorskip("zarr")
    array = store.open(str(folder / "table.zarr"), "w", shape=table.shape, dtype=table.dtype)
    array[:] = table
    return array


KINDS = {
    "memmap": memmap,
    "sliced": lambda table, folder: Sliced(table),
    "hdf5": hdf5,
    "zarr": zarr,
    "parquet file": lambda table, folder: pa.parquet.ParquetFile(parquet(table, folder)),
    "dataset": lambda table, folder: pa.dataset.dataset(parquet(table, folder)),
    "arrays": lambda table, folder: Again([table[:50], table[50:57], table[57:]]),
    "pandas frames": lambda table, folder: Again(
        [pd.DataFrame(table[:50], columns=NAMES), pd.DataFrame(table[50:], columns=NAMES)]
    ),
    "polars frames": lambda table, folder: deque(
        [pl.DataFrame(table[:50], schema=NAMES), pl.DataFrame(table[50:], schema=NAMES)]
    ),
    "sparse matrices": lambda table, folder: Again([csr_array(table[:50]), csr_array(table[50:])]),
}
WITH_NAMES = ("parquet file", "dataset", "pandas frames", "polars frames")


@pytest.fixture(params=KINDS)
def elsewhere(request, table, tmp_path, small_blocks):
    X = KINDS[request.param](table, tmp_path)
    return SimpleNamespace(X=X, has_names=request.param in WITH_NAMES)


def small_encoder(**parameters):
    settings = {"max_iter": 3, "batch_size": 20, "random_state": 0} | parameters
    return HierarchicalSparseEncoder((6, 3), **settings)


@pytest.fixture
def fitted(table, elsewhere):
    named = pd.DataFrame(table, columns=NAMES)
    return small_encoder().fit(named if elsewhere.has_names else table)


def test_transform_and_scores_equal_those_of_rows_in_memory(elsewhere, table, fitted):
    named = pd.DataFrame(table, columns=NAMES) if elsewhere.has_names else table
    features, expected = fitted.transform(elsewhere.X), fitted.transform(named)
    assert features.dtype == expected.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-6)
    np.testing.assert_allclose(
        fitted.score_samples(elsewhere.X), fitted.score_samples(named), rtol=1e-5
    )
    imputed = fitted.impute(elsewhere.X)
    assert isinstance(imputed, np.ndarray) and imputed.dtype == np.float32  # also for frames
    np.testing.assert_allclose(imputed, np.asarray(fitted.impute(named)), atol=1e-5)


def test_fit_learns_and_repeats_itself(elsewhere, table):
    encoder = small_encoder(max_iter=10).fit(elsewhere.X)
    assert encoder.n_features_in_ == N_COLUMNS
    assert encoder.n_iter_ == 10
    if elsewhere.has_names:
        assert encoder.feature_names_in_.tolist() == NAMES
    assert encoder.history_["elbo"][-1] > encoder.history_["elbo"][0]
    again = small_encoder(max_iter=10).fit(elsewhere.X)
    np.testing.assert_array_equal(again.transform(elsewhere.X), encoder.transform(elsewhere.X))


def test_the_first_weights_are_those_of_rows_in_memory(elsewhere, table):
    # What fit learns of the columns doesn't depend on how it reads them; the order of rows does.
    # A rate this small leaves the weights where they start.
    encoder = small_encoder(max_iter=1, learning_rate=1e-30, batch_norm=False).fit(elsewhere.X)
    named = pd.DataFrame(table, columns=NAMES) if elsewhere.has_names else table
    expected = small_encoder(max_iter=1, learning_rate=1e-30, batch_norm=False).fit(named)
    assert encoder.likelihood_.tolist() == expected.likelihood_.tolist()
    np.testing.assert_allclose(encoder.transform(named), expected.transform(named), atol=1e-5)


def test_early_stopping_holds_rows_out_and_weights_count(elsewhere):
    weights = np.random.default_rng(1).uniform(0, 2, N_ROWS)
    weights[::10] = 0
    encoder = small_encoder(early_stopping=True, n_iter_no_change=2, tol=1e6, max_iter=20)
    encoder.fit(elsewhere.X, sample_weight=weights)
    assert np.isfinite(encoder.history_["validation_elbo"]).all()
    assert encoder.n_iter_ < 20


def test_rows_to_stop_on_may_lie_elsewhere(elsewhere, table):
    X = pd.DataFrame(table, columns=NAMES) if elsewhere.has_names else table
    encoder = small_encoder(max_iter=2).fit(X, X_val=elsewhere.X)
    expected = small_encoder(max_iter=2).fit(X, X_val=X)
    np.testing.assert_allclose(
        encoder.history_["validation_elbo"], expected.history_["validation_elbo"], rtol=1e-5
    )


def test_partial_fit(elsewhere):
    encoder = small_encoder()
    for _ in range(3):
        encoder.partial_fit(elsewhere.X)
    assert encoder.n_iter_ == 3
    assert np.isfinite(encoder.history_["elbo"]).all()


def test_no_more_than_a_block_is_read_at_once(table, small_blocks):
    X = Sliced(table)
    small_encoder(early_stopping=True).fit(X).transform(X)
    assert max(X.read) <= 16 * N_COLUMNS


def test_whole_numbers_and_booleans_that_are_sliced(small_blocks):
    rng = np.random.default_rng(0)
    for X in (rng.random((40, 6)) < 0.3, rng.integers(0, 256, (40, 6), dtype=np.uint8)):
        encoder = small_encoder().fit(Sliced(X))
        expected = small_encoder().fit(X)
        assert encoder.likelihood_.tolist() == expected.likelihood_.tolist()
        features = encoder.transform(Sliced(X))
        assert features.dtype == np.float64
        np.testing.assert_allclose(features, encoder.transform(X), atol=1e-7)


def test_categories_of_all_blocks_are_known(small_blocks):
    colours = pd.DataFrame({"colour": ["red", "blue"] * 10 + ["green"] * 10, "size": range(30)})
    batches = Again([colours[:20], colours[20:]])
    encoder = small_encoder(feature="mean").fit(batches)
    assert encoder.likelihood_.tolist() == ["categorical", "gaussian"]
    features = encoder.transform(colours)
    np.testing.assert_allclose(encoder.transform(batches), features, atol=1e-7)
    unknown = encoder.transform(colours.assign(colour=None))
    assert np.abs(features[20:] - unknown[20:]).max() > 1e-4


def test_numbers_in_blocks_may_be_categories(small_blocks):
    X = np.column_stack([np.arange(150.0), np.repeat([4.0, 5.0, 6.0], 50)])
    in_blocks = small_encoder(categorical_features=[1]).fit(Sliced(X))
    assert in_blocks.likelihood_.tolist() == ["gaussian", "categorical"]
    in_memory = small_encoder(categorical_features=[1]).fit(X)
    first, second = (encoder._columns.categories for encoder in (in_blocks, in_memory))
    assert first == second == (None, (4.0, 5.0, 6.0))


def test_categories_of_numbers_may_begin_in_a_later_block(small_blocks):
    X = np.column_stack([np.arange(150.0), np.repeat([np.nan, np.nan, 6.0], 50)])
    encoder = small_encoder(categorical_features=[1]).fit(Sliced(X))
    assert encoder._columns.categories == (None, (6.0,))


@pytest.mark.parametrize("turn", [1, -1])
def test_a_column_may_have_nothing_in_some_batches(turn):
    words, numbers = ["x", "y"] * 10, 1.6e9 + np.arange(20.0)
    whole = pd.DataFrame({"word": words, "time": numbers, "none": [None] * 20})
    first, second = whole[:10].copy(), whole[10:].copy()
    first["word"], second["time"] = (pd.Series([None] * 10, dtype=object, index=first.index), None)
    batches = Again([first, second][::turn])
    encoder = small_encoder().fit(batches)
    assert encoder.likelihood_.tolist() == ["categorical", "gaussian", "gaussian"]
    # As float64, in which a second more is another number.
    features = encoder.transform(pd.concat(list(batches)))
    np.testing.assert_allclose(encoder.transform(batches), features, atol=1e-7)
    assert encoder.impute(whole)["time"].nunique() == 20
    assert features.dtype == encoder.transform(batches).dtype == np.float64


@pytest.mark.parametrize("n_rows_each", [1, 7, 16, 50, 1000])
def test_row_groups_are_read_in_pieces(table, tmp_path, small_blocks, n_rows_each):
    file = pa.parquet.ParquetFile(parquet(table, tmp_path, n_rows_each))
    found = as_blocks(file)
    for order in (range(found.n_blocks), found.shuffled(np.random.default_rng(0))):
        pieces = [piece.to_numpy() for piece in found.read(order)]
        assert len(pieces) == found.n_blocks
        assert max(len(piece) for piece in pieces) <= 16
        rows = np.concatenate(pieces)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(table, axis=0))
    if found.n_blocks > file.num_row_groups > 1:
        assert list(order) != sorted(order)


def test_what_is_empty_counts_for_nothing(table, tmp_path):
    written = pa.table(dict(zip(NAMES, table.T, strict=True)))
    with pa.parquet.ParquetWriter(tmp_path / "table.parquet", written.schema) as writer:
        for part in (written[:0], written[:70], written[:0], written[70:]):
            writer.write_table(part)
    for X in (
        pa.parquet.ParquetFile(tmp_path / "table.parquet"),
        pa.dataset.dataset(tmp_path / "table.parquet"),
        Again([table[:0], table[:70], table[:0], table[70:]]),
        Again([table[:70].tolist(), [], table[70:].tolist()]),
    ):
        assert small_encoder().fit(X).transform(X).shape == (N_ROWS, 9)


def test_a_folder_of_files_is_one_dataset(table, tmp_path, small_blocks):
    for number, part in enumerate((table[:33], table[33:34], table[34:])):
        path = tmp_path / f"{number}.parquet"
        pa.parquet.write_table(pa.table(dict(zip(NAMES, part.T, strict=True))), path)
    X = pa.dataset.dataset(tmp_path)
    encoder = small_encoder().fit(X)
    named = pd.DataFrame(table, columns=NAMES)
    np.testing.assert_allclose(encoder.transform(X), encoder.transform(named), atol=1e-6)


def one_batch(table):
    yield table


@pytest.mark.parametrize(
    "once",
    [
        one_batch,
        lambda table: iter([table]),
        lambda table: map(np.asarray, [table]),
        lambda table: pa.table(dict(zip(NAMES, table.T, strict=True))).to_reader(),
    ],
)
def test_what_can_be_read_once_only_is_refused(once, table):
    fitted = small_encoder().fit(table)
    for call in (small_encoder().fit, small_encoder().partial_fit, fitted.transform):
        with pytest.raises(TypeError, match=r"X is an iterator .*can be read only once"):
            call(once(table))


class Growing:
    """More, or fewer, batches each time."""

    def __init__(self, table, n_batches):
        self.table = table
        self.n_batches = iter(n_batches)

    def __iter__(self):
        return iter([self.table] * next(self.n_batches))


@pytest.mark.parametrize(("then", "now"), [(3, "more"), (1, "1")])
def test_batches_that_do_not_come_again_are_an_error(table, then, now):
    with pytest.raises(ValueError, match=f"X gave 2 batches when .*, and {now} now"):
        small_encoder().fit(Growing(table, [2, 2, 2, then]))


def test_batches_must_be_alike(table):
    with pytest.raises(ValueError, match=r"X has 5 features, but .* is expecting 6"):
        small_encoder().fit(Again([table, table[:, :5]]))
    with pytest.raises(ValueError, match="feature names should match"):
        small_encoder().fit(
            Again([pd.DataFrame(table, columns=NAMES), pd.DataFrame(table, columns=NAMES[::-1])])
        )
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        small_encoder().fit(Again([]))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        small_encoder().fit(Again([table[:0], table[:0]]))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        small_encoder().fit(Sliced(table[:0]))
    spoiled = table.copy()
    spoiled[-1, 2] = np.inf
    with pytest.raises(ValueError, match="contains infinity"):
        small_encoder().fit(Sliced(spoiled))


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 2)),
        [[0.0, 1.0]],
        ((0.0, 1.0),),
        pd.DataFrame({"a": [1.0]}),
        pd.Series([1.0]),
        pl.DataFrame({"a": [1.0]}),
        pa.table({"a": [1.0]}),
        "text",
        {"a": [1.0]},
        3,
        None,
    ],
    ids=lambda X: type(X).__name__,
)
def test_what_is_in_memory_has_no_blocks(X):
    assert as_blocks(X) is None


# transform into an array of the caller's


def test_features_into_an_array_that_is_there(elsewhere, fitted, tmp_path):
    expected = fitted.transform(elsewhere.X)
    for dtype in (np.float32, np.float64):
        out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", dtype, (N_ROWS, 9))
        assert fitted.transform(elsewhere.X, out=out) is out
        np.testing.assert_array_equal(out, expected)
    wide = np.zeros((N_ROWS, 20), np.float32)
    fitted.transform(elsewhere.X, out=wide[:, 3:12])
    np.testing.assert_array_equal(wide[:, 3:12], expected)
    assert not wide[:, :3].any() and not wide[:, 12:].any()


def test_an_array_that_can_not_take_the_features(table):
    fitted = small_encoder(layers=[1]).fit(table)
    read_only = np.zeros((N_ROWS, 3))
    read_only.setflags(write=False)
    for out, kind, message in (
        (np.zeros((N_ROWS, 9)), ValueError, r"have the shape \(120, 3\). Got \(120, 9\)"),
        (np.zeros((N_ROWS - 1, 3)), ValueError, r"Got \(119, 3\)"),
        (np.zeros(N_ROWS * 3), ValueError, r"Got \(360,\)"),
        (read_only, ValueError, "writeable"),
        (np.zeros((N_ROWS, 3), int), TypeError, "out must be an ndarray of floats"),
        ([[0.0] * 3] * N_ROWS, TypeError, "out must be an ndarray of floats. Got list"),
    ):
        with pytest.raises(kind, match=message):
            fitted.transform(table, out=out)
    with pytest.raises(ValueError, match="out must be None with sparse_output=True"):
        fitted.set_params(sparse_output=True).transform(table, out=np.zeros((N_ROWS, 3)))


def test_pieces_of_rows_give_the_features_of_the_whole(table):
    fitted = small_encoder().fit(table)
    for dtype, error in ((np.float32, 1e-6), (np.float64, 1e-7)):
        X = table.astype(dtype)
        whole = fitted.transform(X)
        for n_rows in (1, 7, 50):
            parts = [fitted.transform(X[i : i + n_rows]) for i in range(0, N_ROWS, n_rows)]
            np.testing.assert_allclose(np.concatenate(parts), whole, atol=error)


# sparse in, sparse out


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return csr_array(rng.binomial(2, 0.04, size=(400, 50)).astype(np.float32))


def test_batches_of_counts_are_counts(counts):
    parts = [counts[start : start + 100] for start in range(0, 400, 100)]
    fitted = HierarchicalSparseEncoder((3,), max_iter=1)
    assert set(fitted.fit(Again(parts)).likelihood_) == {"negative_binomial"}
    assert set(fitted.fit(counts).likelihood_) == {"negative_binomial"}


@pytest.mark.parametrize("make", [csr_array, csc_array])
def test_a_sparse_table_is_never_dense_as_a_whole(counts, make, monkeypatch):
    X = make(counts)
    n_numbers = 20 * X.shape[1]
    monkeypatch.setattr(sources, "BLOCK", n_numbers)
    monkeypatch.setattr(model, "PIECE", n_numbers)
    sizes = []
    toarray = csr_array.toarray

    def spy(self, *args, **kwargs):
        sizes.append(self.shape[0] * self.shape[1])
        return toarray(self, *args, **kwargs)

    encoder = small_encoder(early_stopping=True, likelihood="gaussian")
    with monkeypatch.context() as patch:
        patch.setattr(csr_array, "toarray", spy)
        encoder.fit(X)
        features = encoder.transform(X)
        scores = encoder.score_samples(X)
    assert sizes and max(sizes) <= n_numbers
    np.testing.assert_allclose(features, encoder.transform(X.toarray()), atol=1e-6)
    np.testing.assert_allclose(scores, encoder.score_samples(X.toarray()), rtol=1e-5)


def test_sparse_features_are_never_dense_as_a_whole(counts, monkeypatch):
    encoder = small_encoder(likelihood="gaussian").fit(counts)
    expected = encoder.transform(counts)
    encoder.set_params(sparse_output=True)
    sizes = []

    def spy(part, *args, **kwargs):
        if not issparse(part):
            sizes.append(part.shape[0])
        return csr_array(part, *args, **kwargs)

    monkeypatch.setattr(model, "PIECE", 25 * (50 + 9))
    monkeypatch.setattr(estimator, "csr_array", spy)
    features = encoder.transform(counts)
    assert issparse(features) and features.format == "csr"
    assert features.dtype == np.float32
    assert sizes == [25] * 16
    np.testing.assert_allclose(features.toarray(), expected, atol=1e-6)
    assert features.nnz == (features.toarray() != 0).sum()
