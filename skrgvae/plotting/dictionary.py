"""What the units of a layer stand for in the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.data.sources import ArrayRows
from skrgvae.inspection import layer_components
from skrgvae.inspection.tables import check_encoder
from skrgvae.plotting._canvas import panels_across, require_matplotlib, several_axes
from skrgvae.plotting._categories import shown_columns
from skrgvae.plotting._checks import (
    check_count,
    check_image_shape,
    check_index,
    check_names,
    check_table,
)
from skrgvae.plotting._reading import table_of
from skrgvae.plotting._style import (
    BLUE,
    COLORS,
    SMALL,
    VERMILION,
    as_it_stands,
    symmetric_norm,
    with_values,
)
from skrgvae.plotting._tiles import draw_tiles, tiles_across, tiles_size

PANELS_ACROSS, PANEL_WIDTH = 4, 3.0  # at most, and in inches


class DictionaryDisplay:
    """Effects of units on the data: images, or bars by column names.

    Parameters
    ----------
    effects : array-like of shape (n_units, n_features)
        What each unit adds to the data, `components_` for instance.
    unit_names : sequence of str, default=None
        What the units are called; None: "0", "1", ...
    column_names : sequence of str, default=None
        Names of the columns; None: "x0", "x1", ...
    image_shape : tuple of (height, width), default=None
        Draws images in place of bars.
    effect_label : str, default="change of E[x]"
        What the numbers are, with their unit.
    title : str, default=None
        What is shown of what there is.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for all images, or one per unit for bars.
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        One per unit, each divided by its largest absolute value; only for images.
    colorbar_ : matplotlib Colorbar
        Only for images.
    bars_ : list of matplotlib BarContainer
        One per unit, the largest effect on top; only for bars.

    See Also
    --------
    skrgvae.inspection.layer_components : The effects of all units of a layer.
    TraversalDisplay : One unit over its whole range.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import DictionaryDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = DictionaryDisplay.from_components(
    ...     encoder.components_, image_shape=(8, 8), ax=Figure().subplots()
    ... )
    >>> len(display.images_)
    8
    """

    def __init__(
        self,
        effects: ArrayLike,
        *,
        unit_names: Sequence[str] | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
        effect_label: str = "change of E[x]",
        title: str | None = None,
    ) -> None:
        self.effects = effects
        self.unit_names = unit_names
        self.column_names = column_names
        self.image_shape = image_shape
        self.effect_label = effect_label
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        encoder: Any,
        X: ArrayLike,
        *,
        layer: int = 0,
        units: Sequence[int] | None = None,
        n_units: int | None = None,
        n_bars: int = 6,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw what units of a layer do to the data.

        The effects are those of `skrgvae.inspection.layer_components`, through the hierarchy down
        to the data. Bars are divided by the column's standard deviation over the rows; of a
        categorical column they are half the sum of the absolute changes of its probabilities,
        which has no sign.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows that give the units' KL and the columns' standard deviations.
        layer : int, default=0
            0 = bottom.
        units : sequence of int, default=None
            Units of the layer; None: those with the largest KL over the rows.
        n_units : int, default=None
            How many of the largest; None: 50 as images, 8 as bars. Not used with `units`.
        n_bars : int, default=6
            Columns per unit, those it changes most. Not used with images.
        image_shape : tuple of (height, width), default=None
            Draws images in place of bars.
        ax : matplotlib Axes, array-like of Axes or None, default=None
            As in `plot`.

        Returns
        -------
        DictionaryDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such layer or unit, or `image_shape` does not give the columns.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        check_index("layer", layer, len(encoder.layer_sizes_))
        check_image_shape(image_shape, encoder.n_features_in_)
        size = encoder.layer_sizes_[layer]
        table = table_of(encoder, X)
        if units is None:
            wanted = (8 if image_shape is None else 50) if n_units is None else n_units
            n_shown = min(check_count("n_units", wanted), size)
            chosen = np.argsort(-encoder._model.unit_kl(ArrayRows(table))[layer], kind="stable")[
                :n_shown
            ]
            title = f"layer {layer}: " + (
                f"all {size} units, largest KL first"
                if n_shown == size
                else f"the {n_shown} of {size} units with the largest KL"
            )
        else:
            chosen = np.array([check_index("units", unit, size) for unit in units], dtype=np.intp)
            if not len(chosen):
                raise ValueError("units must name at least one unit. Got none.")
            title = f"layer {layer}: {len(chosen)} of {size} units"
        columns = shown_columns(encoder, table, by_category=False)
        effects = layer_components(encoder, layer)[chosen]
        label = "change of E[x]"
        if image_shape is None:
            effects /= columns.effect_unit
            label = "change of E[x] (std. dev.)"
            if columns.categorical.any():
                label += " or of probabilities"
        display = cls(
            effects,
            unit_names=[str(unit) for unit in chosen],
            column_names=columns.names,
            image_shape=image_shape,
            effect_label=label,
            title=title,
        )
        return display.plot(ax, n_bars=n_bars)

    @classmethod
    def from_components(
        cls,
        components: ArrayLike,
        *,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
        n_bars: int = 6,
        ax: Any = None,
    ) -> Self:
        """Draw rows of `components_`, or any other effects on the columns, in the order given.

        Parameters
        ----------
        components : array-like of shape (n_units, n_features)
        column_names : sequence of str, default=None
        image_shape : tuple of (height, width), default=None
        n_bars : int, default=6
        ax : matplotlib Axes, array-like of Axes or None, default=None
            As in `plot`.

        Returns
        -------
        DictionaryDisplay
        """
        display = cls(components, column_names=column_names, image_shape=image_shape)
        return display.plot(ax, n_bars=n_bars)

    def plot(self, ax: Any = None, *, n_bars: int = 6) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of Axes or None, default=None
            Images need one; bars one per unit, or a single one whose place is divided. None: a
            new figure.
        n_bars : int, default=6
            Columns per unit, those it changes most.

        Returns
        -------
        self : DictionaryDisplay

        Raises
        ------
        ValueError
            If shapes and names don't fit together, or `ax` holds another number of axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        effects = check_table("effects", self.effects)
        n_units, n_features = effects.shape
        shape = check_image_shape(self.image_shape, n_features)
        names = check_names("unit_names", self.unit_names, n_units, "")
        columns = check_names("column_names", self.column_names, n_features, "x")
        n_bars = min(check_count("n_bars", n_bars), n_features)
        if shape is None:
            self._draw_bars(ax, effects, names, columns, n_bars)
        else:
            self._draw_images(ax, effects.reshape(-1, *shape), names)
        self.figure_ = self.axes_[0].figure
        return self

    def _draw_images(self, ax: Any, images: NDArray[np.float64], names: list[str]) -> None:
        n_across = tiles_across(ax, len(images), images.shape[1:])
        width, height = tiles_size(len(images), n_across, images.shape[1:], labelled=True)
        self.axes_ = several_axes(ax, 1, 1, (max(width, 4.5), height + 1.6))
        largest = np.abs(images).max(axis=(1, 2))
        # Each on its own scale: on a common one, the strongest few would leave the others gray.
        scaled = images / np.where(largest > 0, largest, 1.0)[:, None, None]
        labels = with_values(names, largest)
        self.images_ = draw_tiles(
            self.axes_[0], scaled, n_across, symmetric_norm(1.0), COLORS, labels
        )
        self.colorbar_ = self.axes_[0].figure.colorbar(
            self.images_[0],
            ax=self.axes_[0],
            label=f"{self.effect_label}, as a share of the unit's largest",
            location="bottom",
            shrink=0.5,
            aspect=30,
            ticks=[-1, 0, 1],
        )
        self.axes_[0].set_xlabel(f"unit: largest {self.effect_label}", fontsize=SMALL)
        if self.title is not None:
            self.axes_[0].set_title(self.title)

    def _draw_bars(
        self,
        ax: Any,
        effects: NDArray[np.float64],
        names: list[str],
        columns: list[str],
        n_bars: int,
    ) -> None:
        n_across = panels_across(ax, min(PANELS_ACROSS, len(effects)), PANEL_WIDTH)
        n_down = -(-len(effects) // n_across)
        size = (PANEL_WIDTH * n_across, n_down * (0.6 + 0.2 * n_bars) + 0.5)
        self.axes_ = several_axes(ax, len(effects), n_across, size)
        self.bars_ = []
        bound = 1.1 * np.abs(effects).max() or 1.0
        for axes, effect, name in zip(self.axes_, effects, names, strict=True):
            largest = np.argsort(-np.abs(effect), kind="stable")[:n_bars]
            places = np.arange(n_bars)
            colors = [BLUE if value >= 0 else VERMILION for value in effect[largest]]
            self.bars_.append(axes.barh(places, effect[largest], color=colors, height=0.7))
            shown = [as_it_stands(columns[column]) for column in largest]
            axes.set_yticks(places, shown, fontsize=SMALL)
            axes.set_ylim(n_bars - 0.5, -0.5)
            axes.set_xlim(-bound, bound)
            axes.axvline(0, color="0.3", linewidth=0.8)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(axis="y", length=0)
            axes.set_title(f"unit {as_it_stands(name)}", fontsize="medium")
        for axes in self.axes_[-n_across:]:
            axes.set_xlabel(self.effect_label, fontsize=SMALL)
        if self.title is not None and ax is None:
            self.axes_[0].figure.suptitle(self.title)
