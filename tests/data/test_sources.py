"""Rows that are read a block at a time: every row once a pass, where it stands, how often."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skrgvae.data import sources
from skrgvae.data.sources import ArrayRows, BlockRows, blocks_of, n_batches, repeats


class Lists:
    """Blocks that are lists of row numbers, readable in any order or from first to last only."""

    def __init__(self, blocks, in_any_order):
        self.blocks = blocks
        self.n_blocks = len(blocks)
        self.in_any_order = in_any_order

    def shuffled(self, rng):
        order = rng.permutation(self.n_blocks) if self.in_any_order else range(self.n_blocks)
        return list(order)

    def read(self, order):
        for number in order:
            yield self.blocks[number]


def encode(block):
    """A row is its number and the negative of that."""
    numbers = np.asarray(block, dtype=np.float32)
    rows = np.stack([numbers, -numbers], axis=1)
    rows.setflags(write=False)
    return rows


def rows_of(n_rows, n_rows_each, in_any_order=True):
    numbers = list(range(n_rows))
    blocks = [numbers[i : i + n_rows_each] for i in range(0, n_rows, n_rows_each)]
    sizes = [len(block) for block in blocks]
    return BlockRows(Lists(blocks, in_any_order), sizes, encode, 2, np.dtype(np.float32))


@pytest.fixture(params=[16, 60, 10_000], ids=lambda numbers: f"pool of {numbers} numbers")
def pool(request, monkeypatch):
    monkeypatch.setattr(sources, "POOL", request.param)
    return request.param


def numbers_in(batches):
    joined = np.concatenate(list(batches))
    np.testing.assert_array_equal(joined[:, 1], -joined[:, 0])
    return joined[:, 0].astype(int).tolist()


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("in_any_order", [True, False])
@pytest.mark.parametrize("n_rows_each", [1, 4, 7, 200])
@pytest.mark.parametrize("batch_size", [1, 5, 16, 300])
def test_every_row_once_a_pass(n_rows_each, batch_size, in_any_order):
    rows = rows_of(101, n_rows_each, in_any_order)
    batches = list(rows.batches(batch_size, np.random.default_rng(0)))
    assert len(batches) == n_batches(101, batch_size)
    assert {len(batch) for batch in batches} <= set(range(1, batch_size + 1))
    assert sorted(numbers_in(batches)) == list(range(101))
    assert all(batch.dtype == np.float32 and batch.flags.writeable for batch in batches)


def test_order_is_the_generators_and_mixes_blocks():
    rows = rows_of(200, 20)
    rng = np.random.default_rng(3)
    first, second = (numbers_in(rows.batches(10, rng)) for _ in range(2))
    assert first == numbers_in(rows.batches(10, np.random.default_rng(3)))
    assert first != second
    blocks_in_first_batch = {number // 20 for number in first[:10]}
    assert len(blocks_in_first_batch) > 1


def test_rows_in_a_fixed_order_meet_within_the_pool(monkeypatch):
    monkeypatch.setattr(sources, "POOL", 80)  # 40 rows
    found = numbers_in(rows_of(200, 20, False).batches(10, np.random.default_rng(0)))
    assert set(found[:40]) == set(range(40))
    assert found[:40] != list(range(40))


@pytest.mark.parametrize("n_rows_each", [1, 4, 7, 200])
@pytest.mark.parametrize("n_rows", [1, 3, 50])
def test_pieces_come_in_order_and_say_where_they_stand(n_rows_each, n_rows):
    rows = rows_of(30, n_rows_each)
    out = np.full((30, 2), np.nan)
    ends = [0]
    for where, piece in rows.pieces(n_rows):
        assert 1 <= len(piece) <= n_rows
        assert where.start == ends[-1]
        ends.append(where.stop)
        out[where] = piece
    np.testing.assert_array_equal(out[:, 0], range(30))


@pytest.mark.parametrize("make", [lambda: rows_of(50, 7), lambda: ArrayRows(encode(range(50)))])
def test_a_part_is_a_view_of_the_same_rows(make):
    rows = make()
    kept = np.array([0, 1, 13, 14, 15, 30, 48, 49])
    part = rows.part(kept)
    assert (part.n_rows, part.n_columns, part.dtype) == (8, 2, rows.dtype)
    assert sorted(numbers_in(part.batches(3, np.random.default_rng(0)))) == kept.tolist()
    out = np.empty((8, 2))
    for where, piece in part.pieces(3):
        out[where] = piece
    np.testing.assert_array_equal(out[:, 0], kept)
    again = part.part(np.array([1, 2, 7]))
    assert sorted(numbers_in(again.batches(2, np.random.default_rng(0)))) == [1, 13, 49]
    assert numbers_in(block for _, block in again.pieces(1)) == [1, 13, 49]
    if isinstance(part, BlockRows):
        assert again.blocks is part.blocks is rows.blocks
    else:
        assert again.table is part.table is rows.table


def test_a_block_that_changes_is_an_error():
    rows = rows_of(10, 5)
    rows.blocks.blocks[1].append(10)
    for read in (rows.pieces(100), rows.batches(4, np.random.default_rng(0))):
        with pytest.raises(ValueError, match=r"Block 1 of X had 5 rows when .*, and 6 now"):
            list(read)


def test_weighted_passes_have_as_many_rows_in_proportion():
    weights = np.array([0.5, 1.0, 3.2, 0.1, 2.0, 1.7, 0.2, 4.0])
    expected = weights * 8 / weights.sum()
    counts = [repeats(weights, np.random.default_rng(seed)) for seed in range(2000)]
    assert {int(count.sum()) for count in counts} == {8}
    assert (np.abs(counts - expected) < 1).all()
    # A count is one of the two whole numbers around its mean. Six standard errors: a false alarm
    # in 5e8 runs per row.
    share = expected % 1
    error = 6 * np.sqrt(share * (1 - share) / 2000)
    assert (np.abs(np.mean(counts, axis=0) - expected) <= error).all()


def test_equal_weights_repeat_nothing():
    for n_rows in (1, 2, 3, 10, 977):
        for weight in (1e-300, 0.1, 1.0, 7.0):
            counts = repeats(np.full(n_rows, weight), np.random.default_rng(0))
            assert counts.sum() == n_rows
            assert counts.max() <= 2


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("part", [False, True])
def test_weights_stay_with_their_rows(part):
    # Row i has weight i.
    index = np.arange(1, 60, 2 if part else 1)
    weights = index.astype(float)
    expected = weights * len(weights) / weights.sum()
    for rows in (rows_of(60, 7).part(index), ArrayRows(encode(range(60))).part(index)):
        found = numbers_in(rows.batches(8, np.random.default_rng(5), weights))
        assert len(found) == len(index)
        counts = np.bincount(found, minlength=60)
        assert counts.sum() == counts[index].sum()
        assert (np.abs(counts[index] - expected) < 1).all()


@pytest.mark.parametrize("index", [None, np.arange(3, 500, 7)])
def test_sparse_rows_are_dense_a_batch_at_a_time(index, monkeypatch):
    table = csr_array(np.random.default_rng(0).binomial(1, 0.05, size=(500, 40)).astype(float))
    dense = table.toarray() if index is None else table.toarray()[index]
    sizes = []

    class Spied(csr_array):
        def toarray(self, *args, **kwargs):
            sizes.append(self.shape[0])
            return super().toarray(*args, **kwargs)

    rows = ArrayRows(Spied(table), index)
    assert rows.is_sparse
    monkeypatch.setattr(sources, "BLOCK", 400)
    np.testing.assert_array_equal(np.concatenate(list(blocks_of(rows))), dense)
    shuffled = np.concatenate(list(rows.batches(10, np.random.default_rng(0))))
    assert sorted(shuffled.tolist()) == sorted(dense.tolist())
    assert sizes and max(sizes) <= 10
