"""Many small images in one Axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.plotting._style import MISSING, SMALL

MOST_ACROSS = 10
GAP = 0.12  # between tiles, as a share of their width
LABELLED_GAP = 0.3  # above tiles with a label


def tiles_size(
    n_tiles: int, n_columns: int, image_shape: tuple[int, int], labelled: bool
) -> tuple[float, float]:
    """Width and height in inches that tiles take, with labels that can be read."""
    width, height = _steps(image_shape, labelled)
    inches = min(0.85, 10 / n_columns, 1.5 * image_shape[1] / image_shape[0])
    return inches * n_columns * width, inches * -(-n_tiles // n_columns) * height


def tiles_across(ax: Any, n_tiles: int, image_shape: tuple[int, int]) -> int:
    """Columns of labelled tiles: those that make them largest in an Axes given, else 10."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        return min(MOST_ACROSS, n_tiles)
    place = ax.get_window_extent()
    step_x, step_y = _steps(image_shape, labelled=True)

    def tile_width(n_columns: int) -> float:
        n_rows = -(-n_tiles // n_columns)
        return min(place.width / (n_columns * step_x), place.height / (n_rows * step_y))

    return max(range(1, n_tiles + 1), key=tile_width)


def draw_tiles(
    ax: Any,
    images: NDArray[np.floating],
    n_columns: int,
    norm: Any,
    cmap: str,
    labels: Sequence[str] = (),
    first_row: int = 0,
) -> list[Any]:
    """Draw images row by row, each one unit wide, with labels above them.

    Parameters
    ----------
    ax : matplotlib Axes
    images : ndarray of shape (n_images, height, width)
        NaN where pixels are missing.
    n_columns : int
    norm : matplotlib Normalize
    cmap : str
    labels : sequence of str
        One per image, or none at all.
    first_row : int, default=0
        Row of tiles to begin with, below those drawn before.

    Returns
    -------
    list of AxesImage
    """
    from matplotlib import colormaps

    step_x, step_y = _steps(images.shape[1:], bool(labels))
    height = images.shape[1] / images.shape[2]
    shades = colormaps[cmap].with_extremes(bad=MISSING)
    artists = []
    for tile, image in enumerate(images):
        left, top = tile % n_columns * step_x, (first_row + tile // n_columns) * step_y
        artists.append(
            ax.imshow(
                image,
                cmap=shades,
                norm=norm,
                interpolation="nearest",
                extent=(left, left + 1, top + height, top),
            )
        )
        if labels:
            ax.text(left + 0.5, top - 0.04, labels[tile], ha="center", va="bottom", fontsize=SMALL)
    n_rows = first_row - (-len(images) // n_columns)
    ax.set_xlim(-0.02, n_columns * step_x - GAP + 0.02)
    ax.set_ylim(n_rows * step_y - (step_y - height) + 0.02, height - step_y if labels else -0.02)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    return artists


def column_centers(n_columns: int, image_shape: tuple[int, int]) -> NDArray[np.floating]:
    """Where the middle of each column of tiles is."""
    return np.arange(n_columns) * _steps(image_shape, False)[0] + 0.5


def row_centers(n_rows: int, image_shape: tuple[int, int]) -> NDArray[np.floating]:
    """Where the middle of each row of tiles without labels is."""
    height = image_shape[0] / image_shape[1]
    return np.arange(n_rows) * _steps(image_shape, False)[1] + height / 2


def _steps(image_shape: Sequence[int], labelled: bool) -> tuple[float, float]:
    """From one tile to the next, across and down."""
    return 1 + GAP, image_shape[0] / image_shape[1] + (LABELLED_GAP if labelled else GAP)
