"""What the parameter `categorical_features` says of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def resolve_categorical(
    categorical_features: Any, names: Sequence[str] | None, n_columns: int
) -> NDArray[np.bool_] | None:
    """Mask of the columns named as categorical; None for "from_dtype"."""
    if isinstance(categorical_features, str) and categorical_features == "from_dtype":
        return None
    mask = np.zeros(n_columns, dtype=bool)
    if categorical_features is None:
        return mask
    wanted = np.asarray(categorical_features)
    if wanted.size == 0:
        return mask
    is_text = wanted.dtype.kind in "UT" or (
        wanted.dtype == object and all(isinstance(name, str) for name in wanted.flat)
    )
    if wanted.ndim != 1 or not (is_text or wanted.dtype.kind in "biu"):
        raise ValueError(
            "categorical_features must be 'from_dtype', None or an array-like of bool, int or "
            f"str. Got {categorical_features!r}."
        )
    if is_text:
        if names is None:
            raise ValueError(
                "categorical_features should be passed as an array of integers or as a boolean "
                "mask when the model is fitted on data without feature names."
            )
        for name in wanted.tolist():
            if name not in names:
                raise ValueError(
                    f"categorical_features has an item value {name!r} which is not a valid "
                    f"feature name of the training data. Observed feature names: {list(names)}"
                )
            mask[names.index(name)] = True
    elif wanted.dtype.kind == "b":
        if wanted.shape != mask.shape:
            raise ValueError(
                "categorical_features set as a boolean mask must have shape (n_features,), got: "
                f"{wanted.shape}"
            )
        mask[wanted] = True
    else:
        if wanted.max() >= n_columns or wanted.min() < 0:
            raise ValueError(
                "categorical_features set as integer indices must be in [0, n_features - 1], "
                f"which is [0, {n_columns - 1}]. Got {categorical_features!r}."
            )
        mask[wanted] = True
    return mask
