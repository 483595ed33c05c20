"""Rows beside what the encoder makes of them, and rows that it makes up."""

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
    check_table,
)
from skrgvae.plotting._deviations import COLORED, add_colorbar, mean_and_spread
from skrgvae.plotting._reading import table_of, unit_values
from skrgvae.plotting._style import as_it_stands
from skrgvae.plotting._tiles import draw_tiles, row_centers, tiles_size

KINDS = ("rows", "reconstructions", "samples")
LABELS = ("rows", "reconstructions\nE[x | z]", "samples\nE[x | z]")


class ReconstructionDisplay:
    """Rows, their reconstructions, and as many samples from the model.

    As images, or as a heat map over the columns in standard deviations from each column's mean. A
    category has a column of its own, "column=category": 1 for the rows that have it, else 0, and
    its probability in reconstructions and samples.

    Parameters
    ----------
    rows, reconstructions, samples : array-like of shape (n_rows, n_features)
        Cells of `rows` that are missing, as NaN, stay blank, or orange in images. From an
        encoder, a categorical column is as many as it has categories; in images, it holds their
        positions in sorted order, in reconstructions and samples that of the likeliest.
    mean, spread : array-like of shape (n_features,), default=None
        Of the columns, for the heat map; None: those of `rows`. From an encoder, the mean of a
        category is its share of the known cells, and the categories of a column have one standard
        deviation together: the root of the sum of their variances.
    column_names : sequence of str, default=None
        Names of the columns; None: "x0", "x1", ...
    image_shape : tuple of (height, width), default=None
        Draws images in place of a heat map.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        Images one by one, rows first; or the heat maps of `rows`, `reconstructions`, `samples`.
    colorbar_ : matplotlib Colorbar
        Only for the heat map.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import ReconstructionDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     encoder, X[:10], image_shape=(8, 8), ax=Figure().subplots()
    ... )
    >>> len(display.images_)
    30
    """

    def __init__(
        self,
        rows: ArrayLike,
        reconstructions: ArrayLike,
        samples: ArrayLike,
        *,
        mean: ArrayLike | None = None,
        spread: ArrayLike | None = None,
        column_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
    ) -> None:
        self.rows = rows
        self.reconstructions = reconstructions
        self.samples = samples
        self.mean = mean
        self.spread = spread
        self.column_names = column_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        encoder: Any,
        X: ArrayLike,
        *,
        n_rows: int = 10,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the first rows and what the encoder makes of them.

        A reconstruction is E[x | z] with every unit at its posterior median. A sample is E[x | z]
        with all units drawn from the generative model. Both are without the likelihood's own
        noise, which `HierarchicalSparseEncoder.sample` adds.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted. Its `random_state` decides on the samples.
        X : array-like of shape (n_samples, n_features)
            All of them give the columns' means and standard deviations.
        n_rows : int, default=10
            Rows shown at most, the first of `X`; as many samples.
        image_shape : tuple of (height, width), default=None
            Draws images in place of a heat map.
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        ReconstructionDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        ValueError
            If `n_rows` is not positive, or `image_shape` does not give the columns.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        check_count("n_rows", n_rows)
        check_image_shape(image_shape, encoder.n_features_in_)
        by_category = image_shape is None
        table = table_of(encoder, X)
        rows = table[:n_rows]
        columns = shown_columns(encoder, table, by_category)
        return cls(
            shown_rows(encoder, rows, by_category),
            encoder._model.decode(unit_values(encoder, rows), by_category),
            encoder._model.expected_sample(len(rows), encoder._draw_seed(), by_category),
            mean=columns.mean,
            spread=columns.spread,
            column_names=columns.names,
            image_shape=image_shape,
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None: a new figure.

        Returns
        -------
        self : ReconstructionDisplay

        Raises
        ------
        ValueError
            If shapes and names don't fit together.
        TypeError
            If `ax` is not an Axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        rows = check_table("rows", self.rows, missing=True)
        parts = [rows]
        for name in KINDS[1:]:
            part = check_table(name, getattr(self, name), rows.shape[1])
            if len(part) != len(rows):
                raise ValueError(f"{name} must have {len(rows)} rows. Got {len(part)}.")
            parts.append(part)
        shape = check_image_shape(self.image_shape, rows.shape[1])
        if shape is None:
            self._draw_heat_maps(ax, parts)
        else:
            self._draw_images(ax, np.concatenate(parts).reshape(-1, *shape))
        self.ax_.tick_params(length=0)
        self.figure_ = self.ax_.figure
        return self

    def _draw_images(self, ax: Any, images: NDArray[np.float64]) -> None:
        from matplotlib.colors import Normalize

        n_across, shape = len(images) // len(KINDS), images.shape[1:]
        width, height = tiles_size(len(images), n_across, shape, labelled=False)
        self.ax_ = single_axes(ax, (width + 1.2, height + 0.2))
        norm = Normalize(np.nanmin(images), np.nanmax(images))
        self.images_ = draw_tiles(self.ax_, images, n_across, norm, "gray")
        self.ax_.set_yticks(row_centers(len(KINDS), shape), LABELS)

    def _draw_heat_maps(self, ax: Any, parts: Sequence[NDArray[np.float64]]) -> None:
        n_rows, n_features = parts[0].shape
        names = check_names("column_names", self.column_names, n_features, "x")
        mean, spread = mean_and_spread(self.mean, self.spread, parts[0])
        size = (max(5.0, 0.22 * n_features + 2.0), 0.12 * len(KINDS) * n_rows + 2.4)
        self.ax_ = single_axes(ax, size)
        gap = 0.08 * n_rows
        tops = [(n_rows + gap) * part for part in range(len(KINDS))]
        self.images_ = [
            self.ax_.imshow(
                (part - mean) / spread,
                **COLORED,
                interpolation="nearest",
                aspect="auto",
                extent=(-0.5, n_features - 0.5, top + n_rows, top),
            )
            for part, top in zip(parts, tops, strict=True)
        ]
        self.ax_.set_ylim(tops[-1] + n_rows, 0)
        self.ax_.set_yticks([top + n_rows / 2 for top in tops], LABELS)
        self.ax_.set_xticks(range(n_features), list(map(as_it_stands, names)), rotation=90)
        self.ax_.spines[:].set_visible(False)
        self.colorbar_ = add_colorbar(self.ax_, self.images_[0])
