"""
A stream against a fit
======================

The same rows of static binarized MNIST, once through `fit` with ten epochs, and once through
`partial_fit` in 50 chunks that are passed ten times. Both at the defaults otherwise, one seed;
the ELBO is that of the validation rows, at which neither looks while it trains::

    python examples/benchmarks/stream.py
"""

import sys
from pathlib import Path
from time import perf_counter

import numpy as np
from feature_sets import data_file

from skrgvae import HierarchicalSparseEncoder

sys.path.append(str(Path(__file__).parents[1] / "robustness"))
import report

N_CHUNKS, N_PASSES = 50, 10


def compare(train, valid, n_chunks, n_passes, **parameters):
    """Validation ELBO (nats per row) and seconds of a fit, and of a stream of the same rows."""
    started = perf_counter()
    fitted = HierarchicalSparseEncoder(
        **parameters, max_iter=n_passes, early_stopping=False, random_state=0
    ).fit(train)
    between = perf_counter()
    order = np.random.default_rng(0).permutation(len(train))
    stream = HierarchicalSparseEncoder(**parameters, random_state=0)
    for _ in range(n_passes):
        for chunk in np.array_split(order, n_chunks):
            stream.partial_fit(train[chunk])
    ended = perf_counter()
    return {
        "rows": len(train),
        "chunks": n_chunks,
        "passes": n_passes,
        "fit": {"validation_elbo": fitted.score(valid), "seconds": between - started},
        "partial_fit": {"validation_elbo": stream.score(valid), "seconds": ended - between},
    }


def main():
    with np.load(data_file("static_binarized_mnist.npz"), allow_pickle=False) as file:
        train, valid = (
            np.unpackbits(file[part], axis=1).astype(np.float32) for part in ("train", "valid")
        )
    report.write("stream", compare(train, valid, N_CHUNKS, N_PASSES))


if __name__ == "__main__":
    main()
