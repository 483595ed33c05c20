"""Rows, a batch at a time."""

import numpy as np
import pytest
import torch
from toys import CPU

from skrgvae.data.sources import ArrayRows
from skrgvae.training import Rows


def numbered(n_rows: int, dtype=np.float64) -> np.ndarray:
    return np.stack([np.arange(n_rows), -np.arange(n_rows)], axis=1).astype(dtype)


def tables(rows, batch_size, rng):
    """The batches of one pass."""
    return [table for table, _ in rows.shuffled(batch_size, rng)]


@pytest.mark.parametrize(
    ("n_rows", "batch_size"), [(1, 1), (1, 100), (5, 100), (100, 100), (101, 100), (37, 5), (8, 1)]
)
def test_every_row_once_in_batches_of_nearly_equal_size(n_rows, batch_size):
    rows = Rows(ArrayRows(numbered(n_rows)), CPU)
    batches = tables(rows, batch_size, np.random.default_rng(0))
    assert len(batches) == rows.n_batches(batch_size)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert 1 <= min(sizes)
    assert max(sizes) <= batch_size
    joined = torch.cat(batches)
    assert sorted(joined[:, 0].tolist()) == list(range(n_rows))
    assert (joined[:, 1] == -joined[:, 0]).all()


def test_order_is_the_generators():
    rows = Rows(ArrayRows(numbered(50)), CPU)
    rng = np.random.default_rng(3)
    first, second = (torch.cat(tables(rows, 10, rng))[:, 0].tolist() for _ in range(2))
    again = torch.cat(tables(rows, 10, np.random.default_rng(3)))[:, 0].tolist()
    assert first == again
    assert first != second
    assert first != sorted(first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_and_dtype_are_kept(dtype):
    table = np.random.default_rng(0).normal(size=(9, 2)).astype(dtype)
    taken = ArrayRows(table).take(np.array([4, 0, 4]))
    assert taken.dtype == dtype
    np.testing.assert_array_equal(taken, table[[4, 0, 4]])


# Warnings are errors in these tests: torch warns when it wraps an array that can't be written to.


def test_read_only_arrays_are_not_written_to():
    table = numbered(9)
    table.setflags(write=False)
    for batch in tables(Rows(ArrayRows(table), CPU), 4, np.random.default_rng(0)):
        batch.fill_(7.0)  # a batch belongs to whoever took it
    np.testing.assert_array_equal(table, numbered(9))


def test_memory_maps(tmp_path):
    np.save(tmp_path / "table.npy", numbered(9))
    table = np.load(tmp_path / "table.npy", mmap_mode="r")
    batches = tables(Rows(ArrayRows(table), CPU), 4, np.random.default_rng(0))
    assert sorted(torch.cat(batches)[:, 0].tolist()) == list(range(9))


@pytest.mark.parametrize("view", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=0)[::2]])
def test_any_memory_layout(view):
    taken = ArrayRows(view(numbered(9))).take(np.array([7, 0, 3]))
    np.testing.assert_array_equal(taken, numbered(9)[[7, 0, 3]])
