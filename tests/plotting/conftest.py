"""Two small fitted encoders, of images and of a table with column names, and an empty figure."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from skrgvae import HierarchicalSparseEncoder

pytest.importorskip("matplotlib")


@pytest.fixture(scope="session")
def images():
    return load_digits().data[:300] / 16


@pytest.fixture(scope="session")
def image_encoder(images):
    return HierarchicalSparseEncoder((12, 6, 4), max_iter=60, random_state=0).fit(
        images, X_val=images[:50]
    )


@pytest.fixture(scope="session")
def table():
    pytest.importorskip("pandas")
    frame = load_wine(as_frame=True).data
    return frame.set_index("wine " + frame.index.astype(str))


@pytest.fixture(scope="session")
def holed(table):
    """The table with one cell in three missing."""
    hit = np.random.default_rng(0).random(table.shape) < 1 / 3
    return table.mask(hit)


@pytest.fixture(scope="session")
def table_encoder(table):
    return HierarchicalSparseEncoder((8, 4), max_iter=60, batch_size=30, random_state=0).fit(table)


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    return Figure()
