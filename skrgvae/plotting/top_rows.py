"""The rows that excite a unit most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.inspection.tables import check_encoder
from skrgvae.plotting._canvas import require_matplotlib, single_axes
from skrgvae.plotting._categories import shown_columns, shown_rows
from skrgvae.plotting._checks import (
    check_count,
    check_image_shape,
    check_names,
    check_numbers,
    check_table,
    check_unit,
)
from skrgvae.plotting._deviations import COLORED, add_colorbar, column_mean, mean_and_spread
from skrgvae.plotting._reading import table_of, unit_values
from skrgvae.plotting._style import SMALL, as_it_stands, with_values
from skrgvae.plotting._tiles import draw_tiles, tiles_across, tiles_size


class TopRowsDisplay:
    """Rows with the largest values of one unit: images, or a table of the columns they share.

    Cells of the table hold the data; their colour says how far they are from the column's mean.
    Columns come in the order of the rows' mean distance from it, the largest first. A category
    has a column of its own, "column=category", with 1 for the rows that have it, else 0.

    Parameters
    ----------
    rows : array-like of shape (n_rows, n_features)
        The most exciting first. Cells that are missing, as NaN, show a dash, or are orange in
        images. From an encoder, a categorical column is as many as it has categories; in images,
        it holds their positions in sorted order.
    values : array-like of shape (n_rows,)
        Values of the unit.
    index : sequence, default=None
        What the rows are called; None: 0, 1, ...
    mean, spread : array-like of shape (n_features,), default=None
        Of the columns over all rows, for the table; None: those of `rows`. From an encoder, the
        mean of a category is its share of the known cells, and the categories of a column have
        one standard deviation together: the root of the sum of their variances.
    column_names : sequence of str, default=None
        Names of the columns; None: "x0", "x1", ...
    image_shape : tuple of (height, width), default=None
        Draws images in place of a table.
    unit_name : str, default="unit"

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        One per row, or the table's colours alone.
    texts_ : ndarray of shape (n_rows, n_columns) of matplotlib Text
        The table's cells; only for the table.
    colorbar_ : matplotlib Colorbar
        Only for the table.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import TopRowsDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=20, random_state=0).fit(X)
    >>> display = TopRowsDisplay.from_estimator(
    ...     encoder, X, layer=0, unit=3, n_rows=5, image_shape=(8, 8), ax=Figure().subplots()
    ... )
    >>> len(display.images_)
    5
    """

    def __init__(
        self,
        rows: ArrayLike,
        values: ArrayLike,
        *,
        index: Sequence[Any] | None = None,
        mean: ArrayLike | None = None,
        spread: ArrayLike | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
        unit_name: str = "unit",
    ) -> None:
        self.rows = rows
        self.values = values
        self.index = index
        self.mean = mean
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
        n_rows: int = 10,
        n_columns: int = 8,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the rows for which a unit's posterior median is largest.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows to choose from; a data frame's index names them.
        layer : int
            0 = bottom.
        unit : int
        n_rows : int, default=10
            Rows shown at most: only those where the unit is above zero.
        n_columns : int, default=8
            Columns shown at most. Not used with images.
        image_shape : tuple of (height, width), default=None
            Draws images in place of a table.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        TopRowsDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such layer or unit, if the unit is above zero for no row, or if
            `image_shape` does not give the columns.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        check_unit(encoder, layer, unit)
        check_count("n_rows", n_rows)
        check_image_shape(image_shape, encoder.n_features_in_)
        by_category = image_shape is None
        table = table_of(encoder, X)
        values = unit_values(encoder, table)[layer][:, unit]
        top = np.argsort(-values, kind="stable")[:n_rows]
        top = top[values[top] > 0]
        if not len(top):
            raise ValueError(
                f"unit {unit} of layer {layer} is above zero for no row of X. Choose a used one; "
                "unit_summary(X) lists them."
            )
        index = getattr(X, "index", None)
        names = top if index is None or callable(index) else np.asarray(index)[top]
        columns = shown_columns(encoder, table, by_category)
        return cls(
            shown_rows(encoder, table[top], by_category),
            values[top],
            index=names.tolist(),
            mean=columns.mean,
            spread=columns.spread,
            column_names=columns.names,
            image_shape=image_shape,
            unit_name=f"unit {unit} of layer {layer}",
        ).plot(ax, n_columns=n_columns)

    def plot(self, ax: Any = None, *, n_columns: int = 8) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.
        n_columns : int, default=8
            Columns shown at most. Not used with images.

        Returns
        -------
        self : TopRowsDisplay

        Raises
        ------
        ValueError
            If shapes and names don't fit together.
        TypeError
            If `ax` is not an Axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        rows = check_table("rows", self.rows, missing=True)
        values = check_numbers("values", self.values, len(rows))
        index = check_names("index", self.index, len(rows), "")
        shape = check_image_shape(self.image_shape, rows.shape[1])
        n_columns = min(check_count("n_columns", n_columns), rows.shape[1])
        if shape is None:
            self._draw_table(ax, rows, values, index, n_columns)
        else:
            self._draw_images(ax, rows.reshape(-1, *shape), values, index)
        self.ax_.set_title(f"Rows that excite {self.unit_name} most")
        self.figure_ = self.ax_.figure
        return self

    def _draw_images(
        self,
        ax: Any,
        images: NDArray[np.float64],
        values: NDArray[np.float64],
        index: list[str],
    ) -> None:
        from matplotlib.colors import Normalize

        n_across = tiles_across(ax, len(images), images.shape[1:])
        width, height = tiles_size(len(images), n_across, images.shape[1:], labelled=True)
        self.ax_ = single_axes(ax, (max(width, 4.0), height + 0.5))
        labels = with_values(index, values)
        known = images[~np.isnan(images)]
        norm = Normalize(known.min(), known.max()) if known.size else Normalize(0.0, 1.0)
        self.images_ = draw_tiles(self.ax_, images, n_across, norm, "gray", labels)
        self.ax_.set_xlabel("row: value of the unit", fontsize=SMALL)

    def _draw_table(
        self,
        ax: Any,
        rows: NDArray[np.float64],
        values: NDArray[np.float64],
        index: list[str],
        n_columns: int,
    ) -> None:
        n_features = rows.shape[1]
        names = check_names("column_names", self.column_names, n_features, "x")
        mean, spread = mean_and_spread(self.mean, self.spread, rows)
        distance = (rows - mean) / spread
        order = np.argsort(-np.abs(column_mean(distance)), kind="stable")[:n_columns]
        self.ax_ = single_axes(ax, (0.75 * n_columns + 2.5, 0.25 * len(rows) + 2.2))
        shown = distance[:, order]
        self.images_ = [
            self.ax_.imshow(
                shown,
                **COLORED,
                interpolation="nearest",
                aspect="auto",
            )
        ]
        self.texts_ = np.array(
            [
                [
                    self.ax_.text(
                        place,
                        row,
                        _shown(rows[row, column]),
                        ha="center",
                        va="center",
                        fontsize=SMALL,
                        color="white" if shown[row, place] < 0.5 else "black",
                    )
                    for place, column in enumerate(order)
                ]
                for row in range(len(rows))
            ]
        )
        self.ax_.set_xticks(
            range(n_columns),
            [as_it_stands(names[column]) for column in order],
            rotation=35,
            ha="right",
        )
        labels = with_values(index, values)
        self.ax_.set_yticks(range(len(rows)), labels)
        self.ax_.set_ylabel("row: value of the unit")
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.colorbar_ = add_colorbar(self.ax_, self.images_[0])


def _shown(value: float) -> str:
    return "\N{EN DASH}" if np.isnan(value) else f"{value:.3g}"
