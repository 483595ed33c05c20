"""
Keeping a fitted encoder with joblib
====================================

Claim: what joblib loads gives the very same numbers as what was dumped, and the file holds the
weights but neither the training rows nor an object of torch. An encoder that learns from a stream
goes on after loading as if it had never been away.

As with any pickle, load only files that you trust, with the versions they were written with.
"""

import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits

from skrgvae import HierarchicalSparseEncoder


def main(max_iter=10):
    """Print the sizes of the files, and whether the numbers came back."""
    X = load_digits().data / 16
    batches = np.array_split(X, 4)
    encoder = HierarchicalSparseEncoder((64, 32, 16), max_iter=max_iter, random_state=0)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.joblib"

        encoder.fit(X)
        joblib.dump(encoder, path, compress=True)
        loaded = joblib.load(path)
        rows = [
            ("transform", np.array_equal(loaded.transform(X), encoder.transform(X))),
            ("score_samples", np.array_equal(loaded.score_samples(X), encoder.score_samples(X))),
            ("sample", np.array_equal(loaded.sample(9), encoder.sample(9))),
        ]
        size = path.stat().st_size

        # A stream, put away and taken up again after every batch.
        steady = HierarchicalSparseEncoder((64, 32, 16), max_iter=max_iter, random_state=0)
        joblib.dump(steady, path)
        for batch in batches:
            steady.partial_fit(batch)
            joblib.dump(joblib.load(path).partial_fit(batch), path)
        resumed = joblib.load(path)
        rows.append(("partial_fit", np.array_equal(resumed.transform(X), steady.transform(X))))

    print(f"{'after loading':<16}{'same bits':>10}")
    for name, same in rows:
        print(f"{name:<16}{'yes' if same else 'NO':>10}")
    print(
        f"\n{'encoder':<16}{size / 1024:>7.0f} kB\n{'training rows':<16}{X.nbytes / 1024:>7.0f} kB"
    )


if __name__ == "__main__":
    main()
