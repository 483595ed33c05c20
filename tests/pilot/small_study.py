"""A study small enough for tests."""

from skrgvae import HierarchicalSparseEncoder

FAST = {"quick": True, "labels": (20,), "n_splits": 2, "n_repeats": 1}


def small_encoder():
    """Too small to be good, large enough to be measured."""
    return HierarchicalSparseEncoder(layer_sizes=(8, 4), max_iter=2)


def figures(result):
    """Everything that does not depend on the clock."""
    record = result.to_dict()
    del record["seconds"], record["costs"]
    return record
