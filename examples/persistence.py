"""
Keeping a fitted encoder
========================

Claim: what is loaded from a model file, or by joblib, gives the very same numbers as what was put
there, and either file holds the weights but neither the training rows nor an object of torch. An
encoder that learns from a stream goes on after joblib has loaded it as if it had never been away.

There is no code in a model file. As with any pickle, load joblib's files only from people you
trust, with the versions they were written with.
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
        encoder.save(path)
        size = path.stat().st_size
        ways = {"save": HierarchicalSparseEncoder.load(path)}
        joblib.dump(encoder, path)
        ways["joblib"] = joblib.load(path)
        rows = []
        for way, loaded in ways.items():
            rows += [
                (f"{way}: transform", np.array_equal(loaded.transform(X), encoder.transform(X))),
                (
                    f"{way}: score",
                    np.array_equal(loaded.score_samples(X), encoder.score_samples(X)),
                ),
                (f"{way}: sample", np.array_equal(loaded.sample(9), encoder.sample(9))),
            ]

        # A stream, put away and taken up again after every batch.
        steady = HierarchicalSparseEncoder((64, 32, 16), max_iter=max_iter, random_state=0)
        joblib.dump(steady, path)
        for batch in batches:
            steady.partial_fit(batch)
            joblib.dump(joblib.load(path).partial_fit(batch), path)
        resumed = joblib.load(path)
        rows.append(
            ("joblib: partial_fit", np.array_equal(resumed.transform(X), steady.transform(X)))
        )

    print(f"{'after loading':<20}{'same bits':>10}")
    for name, is_same in rows:
        print(f"{name:<20}{'yes' if is_same else 'NO':>10}")
    print(
        f"\n{'model file':<20}{size / 1024:>7.0f} kB\n"
        f"{'training rows':<20}{X.nbytes / 1024:>7.0f} kB"
    )


if __name__ == "__main__":
    main()
