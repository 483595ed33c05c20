"""Which columns tell the network that an entry is missing."""

import numpy as np
import pytest

from skrgvae import HierarchicalSparseEncoder
from skrgvae.marks import marked_columns


def numbers(n_rows=1000, n_columns=20, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def without(table, lost):
    return np.where(lost, np.nan, table)


@pytest.mark.parametrize("make", [lambda x: x, lambda x: (x > 2).astype(float)])
@pytest.mark.parametrize("share", [0.005, 0.05, 0.3])
def test_holes_by_chance_are_no_marks(share, make):
    # Every table has a mark with probability 0.05 at most, 20 tables more than 5 with 0.0003.
    found = 0
    for seed in range(20):
        table = make(numbers(seed=seed))
        lost = np.random.default_rng(100 + seed).random(table.shape) < share
        found += bool(marked_columns(without(table, lost)))
    assert found <= 5


def test_copies_of_weighted_rows_are_no_evidence():
    # As above: 10 tables more than 4 with 0.0001. With their copies counted, all had marks.
    found = 0
    for seed in range(10):
        table = numbers(500, 10, seed)
        lost = np.random.default_rng(100 + seed).random(table.shape) < 0.2
        weights = np.where(np.arange(len(table)) % 10 == 0, 20.0, 1.0)
        encoder = HierarchicalSparseEncoder((2,), max_iter=1, batch_size=500, random_state=0)
        encoder.fit(without(table, lost), sample_weight=weights)
        found += bool(encoder._model.architecture.marked)
    assert found <= 4


def test_holes_that_go_with_another_column_are():
    table = numbers()
    lost = np.zeros(table.shape, dtype=bool)
    lost[:, 3] = table[:, 5] > 1.5  # a sensor that gives out when it is hot
    lost[:, 7] = np.random.default_rng(1).random(len(table)) < 0.1
    lost[:, 9] = table[:, 9] > 0.5  # nothing else knows of it
    assert marked_columns(without(table, lost)) == (3,)


def test_holes_that_come_together_are_and_one_speaks_for_all_in_the_same_rows():
    table = numbers()
    rng = np.random.default_rng(1)
    machine, other = rng.random(len(table)) < 0.2, rng.random(len(table)) < 0.2
    lost = np.zeros(table.shape, dtype=bool)
    lost[:, 2:5] = machine[:, None]
    lost[:, 8] = machine & other
    assert marked_columns(without(table, lost)) == (2, 8)


def test_columns_above_their_median_never_are_looked_at_below_it():
    table = numbers()
    table[:, 5] = np.minimum(table[:, 5], -1)  # at its largest value mostly
    lost = np.zeros(table.shape, dtype=bool)
    lost[:, 3] = table[:, 5] < -1
    assert marked_columns(without(table, lost)) == (3,)


def test_a_table_of_machines_in_turn_is_not_that_of_one_of_them():
    # Of 10,000 rows one in five is looked at; the first of five machines has all its sensors.
    table = numbers(10_000, 8)
    hot = (np.arange(len(table)) % 5 == 2) & (table[:, 5] > 0)
    lost = np.zeros(table.shape, dtype=bool)
    lost[hot, 3] = True
    assert marked_columns(without(table, lost)) == (3,)


@pytest.mark.parametrize("table", [numbers(), np.full((5, 3), np.nan), numbers(1)], ids=str)
def test_nothing_is_missing_or_everything(table):
    assert marked_columns(table) == ()


def test_the_encoder_reads_as_many_inputs_as_there_are_columns_and_marks():
    table = numbers(200, 4)
    lost = np.zeros(table.shape, dtype=bool)
    lost[:, 1] = table[:, 2] > 0.5
    lost[::7, 3] = True
    encoder = HierarchicalSparseEncoder((4,), max_iter=1, random_state=0)
    assert encoder.fit(without(table, lost))._model.architecture.marked == (1,)
