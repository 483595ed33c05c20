"""What happens to the data while one unit moves over its range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.inspection.tables import check_encoder
from skrgvae.plotting._canvas import require_matplotlib, single_axes
from skrgvae.plotting._categories import shown_columns
from skrgvae.plotting._checks import (
    check_count,
    check_image_shape,
    check_names,
    check_numbers,
    check_table,
    check_unit,
)
from skrgvae.plotting._deviations import check_spread
from skrgvae.plotting._reading import moved, table_of, unit_values
from skrgvae.plotting._style import COLORS, DISTINCT, GRAY, SMALL, as_it_stands, symmetric_norm
from skrgvae.plotting._tiles import column_centers, draw_tiles, row_centers, tiles_size


class TraversalDisplay:
    """E[x] along one unit's range: two strips of images, or a line per column.

    A category has a line of its own, "column=category": its E[x] is its probability.

    Parameters
    ----------
    values : array-like of shape (n_steps,)
        Values of the unit, rising.
    expected : array-like of shape (n_steps, n_features)
        E[x] at each of them. From an encoder, a categorical column is as many as it has
        categories; in images, it holds the position of the likeliest in sorted order.
    spread : array-like of shape (n_features,), default=None
        Standard deviations of the columns, which lines are divided by; None: 1. From an encoder,
        the categories of a column have one together: the root of the sum of their variances.
    column_names : sequence of str, default=None
        Names of the columns; None: "x0", "x1", ...
    image_shape : tuple of (height, width), default=None
        Draws images in place of lines.
    unit_name : str, default="unit"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        E[x], one per value; only for images.
    change_images_ : list of matplotlib AxesImage
        E[x] minus that of the first value, one per value; only for images.
    lines_ : dict of str to matplotlib Line2D
        By column name; only for lines. Those that change most have a name in the legend.

    See Also
    --------
    DictionaryDisplay : The effects of many units.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import TraversalDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = TraversalDisplay.from_estimator(
    ...     encoder, X, layer=0, unit=3, image_shape=(8, 8), ax=Figure().subplots()
    ... )
    >>> len(display.images_)
    9
    """

    def __init__(
        self,
        values: ArrayLike,
        expected: ArrayLike,
        *,
        spread: ArrayLike | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
        unit_name: str = "unit",
    ) -> None:
        self.values = values
        self.expected = expected
        self.spread = spread
        self.column_names = column_names
        self.image_shape = image_shape
        self.unit_name = unit_name

    @classmethod
    def from_estimator(
        cls,
        encoder: Any,
        X: ArrayLike,
        *,
        layer: int,
        unit: int,
        n_steps: int = 9,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Move one unit from its smallest to its largest value over some rows.

        The other units of its layer and of the layers above stand at their training medians, the
        layers below at the means of their priors.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows that give the unit's range and the columns' standard deviations.
        layer : int
            0 = bottom.
        unit : int
        n_steps : int, default=9
            2 or more.
        image_shape : tuple of (height, width), default=None
            Draws images in place of lines.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        TraversalDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such layer or unit, if the unit has the same value for every row, or if
            `image_shape` does not give the columns.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        check_unit(encoder, layer, unit)
        check_count("n_steps", n_steps, lowest=2)
        check_image_shape(image_shape, encoder.n_features_in_)
        by_category = image_shape is None
        table = table_of(encoder, X)
        of_rows = unit_values(encoder, table)[layer][:, unit]
        if of_rows.min() == of_rows.max():
            raise ValueError(
                f"unit {unit} of layer {layer} has the value {of_rows[0]:g} for every row of X: it"
                " has no range to be moved over. Choose a used one; unit_summary(X) lists them."
            )
        values = np.linspace(of_rows.min(), of_rows.max(), n_steps)
        columns = shown_columns(encoder, table, by_category)
        return cls(
            values,
            moved(encoder, layer, unit, values, by_category),
            spread=columns.spread,
            column_names=columns.names,
            image_shape=image_shape,
            unit_name=f"unit {unit} of layer {layer}",
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        self : TraversalDisplay

        Raises
        ------
        ValueError
            If shapes and names don't fit together.
        TypeError
            If `ax` is not an Axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        expected = check_table("expected", self.expected)
        n_steps, n_features = expected.shape
        values = check_numbers("values", self.values, n_steps)
        shape = check_image_shape(self.image_shape, n_features)
        if shape is None:
            self._draw_lines(ax, values, expected)
        else:
            self._draw_images(ax, values, expected.reshape(-1, *shape))
        self.ax_.set_xlabel(f"value of {self.unit_name}")
        self.figure_ = self.ax_.figure
        return self

    def _draw_images(
        self, ax: Any, values: NDArray[np.float64], images: NDArray[np.float64]
    ) -> None:
        from matplotlib.colors import Normalize

        n_steps, shape = len(images), images.shape[1:]
        width, height = tiles_size(2 * n_steps, n_steps, shape, labelled=False)
        self.ax_ = single_axes(ax, (width + 0.8, height + 0.5))
        change = images - images[0]
        norms = [Normalize(images.min(), images.max()), symmetric_norm(np.abs(change).max())]
        self.images_ = draw_tiles(self.ax_, images, n_steps, norms[0], "gray")
        self.change_images_ = draw_tiles(self.ax_, change, n_steps, norms[1], COLORS, first_row=1)
        self.ax_.set_xticks(column_centers(n_steps, shape), [f"{value:.2g}" for value in values])
        self.ax_.set_yticks(row_centers(2, shape), ["E[x]", f"change\n(±{norms[1].vmax:.2g})"])
        self.ax_.tick_params(length=0)

    def _draw_lines(
        self, ax: Any, values: NDArray[np.float64], expected: NDArray[np.float64]
    ) -> None:
        n_features = expected.shape[1]
        names = check_names("column_names", self.column_names, n_features, "x")
        spread = 1.0 if self.spread is None else check_spread(self.spread, n_features)
        change = (expected - expected[0]) / spread
        order = np.argsort(-np.abs(change).max(axis=0), kind="stable")
        self.ax_ = single_axes(ax, (6.5, 4.0))
        n_named = min(len(DISTINCT), n_features)
        # Those named are numbered from top to bottom, so that the legend reads as the lines end.
        named = sorted(order[:n_named], key=lambda column: -change[-1, column])
        others = {"color": GRAY, "linewidth": 0.6, "zorder": 1}
        self.lines_ = {}
        for rank, column in enumerate([*named, *order[n_named:]]):
            style = (
                {**DISTINCT[rank], "label": _label(names[column])} if rank < n_named else others
            )
            (self.lines_[names[column]],) = self.ax_.plot(values, change[:, column], **style)
        if n_features > n_named:
            self.ax_.plot([], [], label=f"{n_features - n_named} others", **others)
        self.ax_.legend(fontsize=SMALL, loc="center left", bbox_to_anchor=(1.01, 0.5))
        unit = "" if self.spread is None else " (standard deviations)"
        self.ax_.set_ylabel(f"change of E[x]{unit}")


def _label(name: str) -> str:
    """A name for the legend, which leaves out those that begin with an underscore."""
    return f"{' ' * name.startswith('_')}{as_it_stands(name)}"
