"""What the units of a fitted encoder do."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A unit is used when its mean KL (nats) and the standard deviation of its emitted value both
# exceed this.
USED_ABOVE = 0.01


def unit_table(
    features: NDArray[np.floating], kl: Sequence[NDArray[np.float64]], layers: Sequence[int]
) -> Any:
    """Statistics of every emitted unit over some rows.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_units)
        Emitted values, layers side by side in the order of `layers`.
    kl : sequence of ndarray of shape (n_units of the layer,)
        Mean KL of each unit (nats), one array per layer of the model, bottom first.
    layers : sequence of int
        Layers emitted.

    Returns
    -------
    pandas.DataFrame, or a dict of ndarray of shape (n_units,) where pandas is not installed
        Columns `layer`, `unit`, `kl`, `zero_share`, `mean`, `std` and `used`.
    """
    std = features.std(axis=0, dtype=np.float64)
    unit_kl = np.concatenate([kl[layer] for layer in layers])
    table = {
        "layer": np.concatenate([np.full(len(kl[layer]), layer) for layer in layers]),
        "unit": np.concatenate([np.arange(len(kl[layer])) for layer in layers]),
        "kl": unit_kl,
        "zero_share": (features == 0).mean(axis=0),
        "mean": features.mean(axis=0, dtype=np.float64),
        "std": std,
        "used": (unit_kl > USED_ABOVE) & (std > USED_ABOVE),
    }
    if importlib.util.find_spec("pandas") is None:
        return table
    import pandas as pd

    return pd.DataFrame(table)
