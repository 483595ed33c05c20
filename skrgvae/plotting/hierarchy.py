"""A map of which upper unit drives which lower ones."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.inspection import unit_links
from skrgvae.inspection.effects import components_by_layer, drawn_rows
from skrgvae.inspection.tables import check_encoder
from skrgvae.plotting._canvas import require_matplotlib, single_axes
from skrgvae.plotting._categories import shown_columns
from skrgvae.plotting._checks import (
    check_count,
    check_image_shape,
    check_names,
    check_table,
)
from skrgvae.plotting._map import Link, effect_matrices, links_to_show, units_to_show, untangled
from skrgvae.plotting._reading import table_of
from skrgvae.plotting._style import (
    BLUE,
    COLORS,
    SMALL,
    VERMILION,
    as_it_stands,
    symmetric_norm,
)

STEP = 1.3  # from one node to the next, in widths of a node
RISE = 2.8  # from one layer to the next
WIDEST, NARROWEST = 4.0, 0.7  # points; the strongest link, and any
INCHES = 0.5  # a node


class HierarchyDisplay:
    """The strongest links between neighbouring layers, the top layer on top.

    From the top down: units with the strongest links, then in each layer below the units that
    those shown above move most. Links get thicker with their strength, and dashed where the upper
    unit lowers the lower one. What is left out is counted beside the map.

    Parameters
    ----------
    links : DataFrame or dict of array-like of shape (n_links,)
        As `skrgvae.inspection.unit_links` gives them: `layer` and `unit` of the upper unit,
        `lower_layer`, `lower_unit` and `effect` (change of the lower unit's prior mean). Links
        that are not there count as zero; those past a layer are not drawn.
    layer_sizes : sequence of int
        Units per layer, bottom first.
    effects : sequence of array-like of shape (n_units, n_features), default=None
        What the units of each layer do to the data, bottom layer first. With `image_shape` they
        are the nodes' images, each on its own scale; without, every bottom unit is named after the
        column that it changes most.
    column_names : sequence of str, default=None
        Names of the columns; None: "x0", "x1", ...
    image_shape : tuple of (height, width), default=None
        Draws `effects` as images.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    units_ : list of ndarray of int
        Units shown in each layer, bottom layer first, from left to right.
    links_ : list of matplotlib PathPatch
        Lowest pair of layers first.
    images_ : list of matplotlib AxesImage
        The nodes, bottom layer first; only for images.
    nodes_ : list of matplotlib Circle
        The nodes, bottom layer first; only without images.

    See Also
    --------
    skrgvae.inspection.unit_links : All links as a table.
    DictionaryDisplay : The effects of units on the data.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import HierarchyDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = HierarchyDisplay.from_estimator(encoder, X, n_units=3, ax=Figure().subplots())
    >>> [len(units) for units in display.units_]
    [3, 3]
    """

    def __init__(
        self,
        links: Any,
        layer_sizes: Sequence[int],
        *,
        effects: Sequence[ArrayLike] | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
    ) -> None:
        self.links = links
        self.layer_sizes = layer_sizes
        self.effects = effects
        self.column_names = column_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        encoder: Any,
        X: ArrayLike,
        *,
        n_units: int = 12,
        n_links: int = 24,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw how the layers of an encoder hang together.

        Links are the effects of `skrgvae.inspection.unit_links`, effects on the data those of
        `skrgvae.inspection.layer_components`, but of every category by itself, "column=category",
        the change of its probability. All layers are drawn, whatever `transform` emits.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted, with two layers or more.
        X : array-like of shape (n_samples, n_features)
            Rows that give the columns' standard deviations, in which a bottom unit's largest
            effect is found; that on a category is the change of its probability as it is.
        n_units : int, default=12
            Units shown per layer at most.
        n_links : int, default=24
            Links shown per pair of layers at most.
        image_shape : tuple of (height, width), default=None
            Draws the units' effects on the data as images.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        HierarchyDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        ValueError
            If it has one layer, if no unit moves another, or if `image_shape` does not give the
            columns.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        check_image_shape(image_shape, encoder.n_features_in_)
        by_category = image_shape is None
        columns = shown_columns(encoder, table_of(encoder, X), by_category)
        unit = columns.effect_unit if by_category else 1.0
        whole = copy(encoder).set_params(layers="all")
        layers = range(len(encoder.layer_sizes_))
        components = components_by_layer(encoder, layers, drawn_rows(encoder), by_category)
        display = cls(
            unit_links(whole, n_units=None),
            encoder.layer_sizes_,
            effects=[part / unit for part in components],
            column_names=columns.names,
            image_shape=image_shape,
        )
        return display.plot(ax, n_units=n_units, n_links=n_links)

    @classmethod
    def from_links(
        cls,
        links: Any,
        layer_sizes: Sequence[int],
        *,
        n_units: int = 12,
        n_links: int = 24,
        ax: Any = None,
    ) -> Self:
        """Draw links alone.

        Parameters
        ----------
        links : DataFrame or dict of array-like of shape (n_links,)
            As `skrgvae.inspection.unit_links` gives them.
        layer_sizes : sequence of int
            Units per layer, bottom first.
        n_units : int, default=12
            Units shown per layer at most.
        n_links : int, default=24
            Links shown per pair of layers at most.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        HierarchyDisplay
        """
        return cls(links, layer_sizes).plot(ax, n_units=n_units, n_links=n_links)

    def plot(self, ax: Any = None, *, n_units: int = 12, n_links: int = 24) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.
        n_units : int, default=12
            Units shown per layer at most.
        n_links : int, default=24
            Links shown per pair of layers at most.

        Returns
        -------
        self : HierarchyDisplay

        Raises
        ------
        ValueError
            If the parts don't fit together, or no unit moves another.
        TypeError
            If `ax` is not an Axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        check_count("n_units", n_units)
        check_count("n_links", n_links)
        pairs = effect_matrices(self.links, self.layer_sizes)
        effects = self._checked_effects()
        names = self._checked_names(effects)
        shown = units_to_show(pairs, n_units)
        if not all(len(units) for units in shown):
            raise ValueError("links must not be all zero between two layers: nothing to draw.")
        links = [
            links_to_show(pair, shown[lower + 1], shown[lower], n_links)
            for lower, pair in enumerate(pairs)
        ]
        self.units_ = untangled(shown, links)
        width = STEP * max(len(units) for units in self.units_)
        # Where units stand across, layer by layer.
        places = [
            {int(unit): width * (rank + 0.5) / len(units) for rank, unit in enumerate(units)}
            for units in self.units_
        ]
        height = self._node_height()
        rise = height + RISE - 1
        n_layers = len(places)
        size = (INCHES * width + 2.0, INCHES * rise * (n_layers - 1) + 2.2)
        self.ax_ = single_axes(ax, size)
        self.figure_ = self.ax_.figure
        self._draw_links(links, places, rise, height)
        self._draw_nodes(places, rise, height, effects)
        self._label(links, pairs, places, rise, effects, names)
        self.ax_.set_xlim(-0.1, width + 0.1)
        self.ax_.set_ylim(-height / 2 - 0.1, rise * (n_layers - 1) + height / 2 + 0.1)
        self.ax_.set_aspect("equal")
        self.ax_.spines[:].set_visible(False)
        self.ax_.tick_params(length=0)
        return self

    def _checked_effects(self) -> list[NDArray[np.float64]] | None:
        if self.effects is None:
            if self.image_shape is not None:
                raise ValueError("image_shape must be None where there are no effects to draw.")
            return None
        if len(self.effects) != len(self.layer_sizes):
            raise ValueError(
                f"effects must hold {len(self.layer_sizes)} layers. Got {len(self.effects)}."
            )
        effects = [check_table("effects", part) for part in self.effects]
        shapes = [(size, effects[0].shape[1]) for size in self.layer_sizes]
        if [part.shape for part in effects] != shapes:
            raise ValueError(
                f"effects must have shapes {shapes}. Got {[part.shape for part in effects]}."
            )
        check_image_shape(self.image_shape, shapes[0][1])
        return effects

    def _checked_names(self, effects: list[NDArray[np.float64]] | None) -> list[str] | None:
        """Of the columns, where units are named after them."""
        if effects is None or self.image_shape is not None:
            return None
        return check_names("column_names", self.column_names, effects[0].shape[1], "x")

    def _node_height(self) -> float:
        """Of a node that is 1 wide."""
        return 1.0 if self.image_shape is None else self.image_shape[0] / self.image_shape[1]

    def _draw_links(
        self,
        links: Sequence[Sequence[Link]],
        places: Sequence[dict[int, float]],
        rise: float,
        height: float,
    ) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        curve = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        strongest = max(abs(link.effect) for pair in links for link in pair)
        self.links_ = []
        for lower, pair in enumerate(links):
            bottom, top = rise * lower + height / 2, rise * (lower + 1) - height / 2
            middle = (bottom + top) / 2
            for link in pair:
                start, end = places[lower + 1][link.upper], places[lower][link.lower]
                patch = PathPatch(
                    Path([(start, top), (start, middle), (end, middle), (end, bottom)], curve),
                    fill=False,
                    edgecolor=BLUE if link.effect > 0 else VERMILION,
                    linestyle="-" if link.effect > 0 else (0, (3, 1.2)),
                    linewidth=max(WIDEST * abs(link.effect) / strongest, NARROWEST),
                    alpha=0.8,
                )
                self.links_.append(self.ax_.add_patch(patch))

    def _draw_nodes(
        self,
        places: Sequence[dict[int, float]],
        rise: float,
        height: float,
        effects: Sequence[NDArray[np.float64]] | None,
    ) -> None:
        if effects is not None and self.image_shape is not None:
            self.images_ = [
                self._draw_image(effects[layer][unit], unit, place, rise * layer, height)
                for layer, units in enumerate(places)
                for unit, place in units.items()
            ]
            return
        from matplotlib.patches import Circle

        self.nodes_ = []
        for layer, units in enumerate(places):
            for unit, place in units.items():
                node = Circle((place, rise * layer), 0.4, fc="white", ec="0.3", zorder=3)
                self.nodes_.append(self.ax_.add_patch(node))
                self.ax_.text(
                    place,
                    rise * layer,
                    str(unit),
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color="black",
                    zorder=4,
                )

    def _draw_image(
        self, effect: NDArray[np.float64], unit: int, place: float, level: float, height: float
    ) -> Any:
        image = self.ax_.imshow(
            effect.reshape(self.image_shape),
            cmap=COLORS,
            norm=symmetric_norm(np.abs(effect).max()),
            interpolation="nearest",
            extent=(place - 0.5, place + 0.5, level - height / 2, level + height / 2),
            zorder=3,
        )
        self.ax_.text(
            place - 0.47,
            level + height / 2 - 0.04,
            str(unit),
            ha="left",
            va="top",
            fontsize=SMALL - 1,
            color="black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            zorder=4,
        )
        return image

    def _label(
        self,
        links: Sequence[Sequence[Link]],
        pairs: Sequence[NDArray[np.float64]],
        places: Sequence[dict[int, float]],
        rise: float,
        effects: Sequence[NDArray[np.float64]] | None,
        names: list[str] | None,
    ) -> None:
        """Say what is shown of what there is, how to read links, and what bottom units are."""
        from matplotlib.lines import Line2D

        levels, labels = [], []
        for layer, (units, size) in enumerate(zip(places, self.layer_sizes, strict=True)):
            levels.append(rise * layer)
            labels.append(f"layer {layer}\n{len(units)} of {size} units")
        for lower, (pair, of) in enumerate(zip(links, pairs, strict=True)):
            levels.append(rise * (lower + 0.5))
            labels.append(f"{len(pair)} of {of.size:,} links")
        self.ax_.set_yticks(levels, labels, fontsize=SMALL)
        self.ax_.set_xticks([])
        if effects is not None and names is not None:
            named = []
            for unit in places[0]:
                column = int(np.abs(effects[0][unit]).argmax())
                sign = "+" if effects[0][unit, column] > 0 else "−"
                named.append(f"{as_it_stands(names[column])} {sign}")
            self.ax_.set_xticks(list(places[0].values()), named, rotation=90, fontsize=SMALL)
        strongest = max(abs(link.effect) for pair in links for link in pair)
        self.ax_.legend(
            handles=[
                Line2D([], [], color=BLUE, linewidth=WIDEST / 2, label="raises"),
                Line2D(
                    [], [], color=VERMILION, linewidth=WIDEST / 2, linestyle="--", label="lowers"
                ),
            ],
            title=f"widest link: prior mean of the lower unit changes by {strongest:.2g}",
            title_fontsize=SMALL,
            fontsize=SMALL,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            frameon=False,
        )
