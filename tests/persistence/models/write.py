"""Writes a small model with the version at hand, to be kept when that version is released:

python tests/persistence/models/write.py

Beside the model it writes rows and what the model gave for them.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import skrgvae
from skrgvae import HierarchicalSparseEncoder


def main():
    rng = np.random.default_rng(0)
    causes = rng.gamma(1.0, size=(120, 2))
    columns = {
        "length": 20 + causes @ [1.0, 3.0] + rng.normal(size=120),
        "Größe": causes @ [10.0, -5.0] + rng.normal(size=120),
        "on": (causes[:, 0] > 1).astype(float),
        "constant": np.full(120, 7.0),
    }
    encoder = HierarchicalSparseEncoder(
        (4, 3, 2),
        hidden_layer_sizes=(5, 4, 3),
        likelihood={"constant": "gaussian", 2: "bernoulli"},
        free_bits=[0.01, 0.02, 0.03],
        learning_rate=np.float64(0.02),
        early_stopping=True,
        max_iter=15,
        batch_size=20,
        random_state=0,
    ).fit(pd.DataFrame(columns))
    folder = Path(__file__).parent
    encoder.save(folder / f"{skrgvae.__version__}.safetensors")
    X = np.column_stack(list(columns.values()))[:10]
    frame = pd.DataFrame(X, columns=list(columns))
    np.savez(
        folder / f"{skrgvae.__version__}.npz",
        X=X,
        features=encoder.transform(frame),
        bounds=encoder.score_samples(frame),
        components=encoder.components_,
        elbo=encoder.history_["elbo"],
    )


if __name__ == "__main__":
    main()
