"""Axes to draw on: those given, or those of a new figure."""

from __future__ import annotations

from typing import Any

import numpy as np


def require_matplotlib(caller: str) -> None:
    """Say how to install matplotlib where it is missing, before anything long is computed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{caller} needs matplotlib: pip install "skrgvae[plot]"') from error


def single_axes(ax: Any, size: tuple[float, float]) -> Any:
    """The Axes given, or that of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
    size : tuple of float
        Width and height of a new figure in inches.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes or None. Got {type(ax).__name__}.")
    return ax


def several_axes(ax: Any, n_panels: int, n_columns: int, size: tuple[float, float]) -> Any:
    """Axes for several panels, as an array of shape (n_panels,), filled row by row.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes or None
        A single one gives its place to the panels, unless there is only one panel.
    n_panels, n_columns : int
    size : tuple of float
        Width and height of a new figure in inches.
    """
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return np.array([ax]) if n_panels == 1 else _divided(ax, n_panels, n_columns)
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(-(-n_panels // n_columns), n_columns)
        return np.array([figure.add_subplot(grid[panel]) for panel in range(n_panels)])
    panels = np.asarray(ax, dtype=object).ravel()
    if not all(isinstance(panel, Axes) for panel in panels):
        raise TypeError(
            f"ax must be a matplotlib Axes, an array of them or None. Got {type(ax).__name__}."
        )
    if len(panels) != n_panels:
        raise ValueError(f"Expected ax to have {n_panels} axes, got {len(panels)}.")
    return panels


def panels_across(ax: Any, most: int, inches: float) -> int:
    """Columns of panels of that width: as many as fit into a single Axes given, else `most`."""
    from matplotlib.axes import Axes

    if not isinstance(ax, Axes):
        return most
    return min(most, max(1, round(ax.get_window_extent().width / ax.figure.dpi / inches)))


def _divided(ax: Any, n_panels: int, n_columns: int) -> Any:
    """Panels in the place of one Axes."""
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            f"A single ax whose place is to be divided into {n_panels} panels must be one of "
            f"matplotlib's subplots. Got one placed by hand; give an array of {n_panels} axes."
        )
    ax.set_axis_off()
    # A layout engine leaves room for labels by itself.
    room = {"wspace": 0.5, "hspace": 0.6} if ax.figure.get_layout_engine() is None else {}
    n_rows = -(-n_panels // n_columns)
    grid = GridSpecFromSubplotSpec(n_rows, n_columns, subplot_spec=place, **room)
    return np.array([ax.figure.add_subplot(grid[panel]) for panel in range(n_panels)])
