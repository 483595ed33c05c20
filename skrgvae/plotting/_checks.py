"""What Displays refuse, in scikit-learn's wording."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.resolve import is_whole


def check_count(name: str, value: Any, lowest: int = 1) -> int:
    """Refuse what is not an int of at least `lowest`."""
    if not is_whole(value) or int(value) < lowest:
        raise ValueError(f"{name} must be an int in the range [{lowest}, inf). Got {value!r}.")
    return int(value)


def check_index(name: str, value: Any, size: int) -> int:
    """Refuse what is not a position among `size` things, 0 = first."""
    if not is_whole(value) or not 0 <= int(value) < size:
        raise ValueError(f"{name} must be an int in the range [0, {size - 1}]. Got {value!r}.")
    return int(value)


def check_epoch(name: str, value: Any, n_epochs: int) -> None:
    """Refuse what is not the number of an epoch, 1 = first."""
    if not is_whole(value) or not 1 <= int(value) <= n_epochs:
        raise ValueError(
            f"{name} must be None or an epoch, an int in the range [1, {n_epochs}]. Got {value!r}."
        )


def check_unit(encoder: Any, layer: Any, unit: Any) -> None:
    """Refuse what names no unit of a fitted encoder."""
    check_index("layer", layer, len(encoder.layer_sizes_))
    check_index("unit", unit, encoder.layer_sizes_[layer])


def check_table(
    name: str, value: ArrayLike, n_columns: int | None = None, missing: bool = False
) -> NDArray[np.float64]:
    """Finite numbers, or NaN where they may be missing, of shape (n, n_columns), n at least 1."""
    table = np.asarray(value, dtype=np.float64)
    refused = np.isinf(table) if missing else ~np.isfinite(table)
    if table.ndim != 2 or not table.size or refused.any():
        raise ValueError(
            f"{name} must be a 2-dimensional array of finite numbers. Got shape {table.shape}."
        )
    if n_columns is not None and table.shape[1] != n_columns:
        raise ValueError(f"{name} must have {n_columns} columns. Got {table.shape[1]}.")
    return table


def check_image_shape(image_shape: Any, n_features: int) -> tuple[int, int] | None:
    """Height and width in pixels that give all columns, or None."""
    if image_shape is None:
        return None
    shape = tuple(image_shape) if isinstance(image_shape, Sequence | np.ndarray) else image_shape
    if (
        not isinstance(shape, tuple)
        or len(shape) != 2
        or not all(isinstance(side, Integral) and int(side) > 0 for side in shape)
        or shape[0] * shape[1] != n_features
    ):
        raise ValueError(
            f"image_shape must be (height, width) with height * width = {n_features}, the number "
            f"of columns. Got {image_shape!r}."
        )
    return int(shape[0]), int(shape[1])


def check_numbers(name: str, value: ArrayLike, n_numbers: int) -> NDArray[np.float64]:
    """As many finite numbers as there are things to describe."""
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.shape != (n_numbers,) or not np.isfinite(numbers).all():
        raise ValueError(
            f"{name} must hold {n_numbers} finite numbers. Got an array of shape {numbers.shape}."
        )
    return numbers


def check_names(name: str, names: Any, n_names: int, prefix: str) -> list[str]:
    """As many strings as there are things to name; None: the prefix and a number."""
    listed = [f"{prefix}{i}" for i in range(n_names)] if names is None else [str(n) for n in names]
    if len(listed) != n_names:
        raise ValueError(f"{name} must hold {n_names} names. Got {len(listed)}.")
    return listed
