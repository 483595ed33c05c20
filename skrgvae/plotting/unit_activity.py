"""How much every unit carries, and how often it is silent."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skrgvae.inspection.tables import check_encoder
from skrgvae.inspection.units import USED_ABOVE
from skrgvae.plotting._canvas import require_matplotlib, several_axes
from skrgvae.plotting._style import SMALL, VERMILION, line_styles

NEEDED = ("layer", "kl", "zero_share", "used")
LOWEST_KL = 1e-4  # nats; where the axis ends, and units below it are drawn on its edge


class UnitActivityDisplay:
    """KL and share of exact zeros of every unit, sorted within each layer.

    Parameters
    ----------
    summary : DataFrame or dict of array-like of shape (n_units,)
        As `unit_summary` gives it: `layer`, `kl` (nats), `zero_share` and `used`.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        KL, and share of zeros.
    figure_ : matplotlib Figure
    kl_lines_ : list of matplotlib Line2D
        One per layer, bottom first: KL from largest to smallest.
    unused_marks_ : list of matplotlib Line2D
        One per layer, bottom first: crosses on the units that are not used.
    zero_lines_ : list of matplotlib Line2D
        One per layer, bottom first: share of zeros in per cent, from smallest to largest.
    threshold_ : matplotlib Line2D
        KL (nats) that a used unit exceeds; its emitted value must vary as well.

    See Also
    --------
    skrgvae.HierarchicalSparseEncoder.unit_summary : The numbers drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import UnitActivityDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = UnitActivityDisplay.from_estimator(encoder, X, ax=Figure().subplots(1, 2))
    >>> [len(line.get_ydata()) for line in display.kl_lines_]
    [8, 4]
    """

    def __init__(self, summary: Any) -> None:
        self.summary = summary

    @classmethod
    def from_estimator(cls, encoder: Any, X: ArrayLike, *, ax: Any = None) -> Self:
        """Draw what the emitted units do on some rows.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted.
        X : array-like of shape (n_samples, n_features)
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            As in `plot`.

        Returns
        -------
        UnitActivityDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        return cls(encoder.unit_summary(X)).plot(ax)

    @classmethod
    def from_summary(cls, summary: Any, *, ax: Any = None) -> Self:
        """Draw what `unit_summary` gave.

        Parameters
        ----------
        summary : DataFrame or dict of array-like of shape (n_units,)
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            As in `plot`.

        Returns
        -------
        UnitActivityDisplay
        """
        return cls(summary).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            A single one gives its place to two; None: a new figure.

        Returns
        -------
        self : UnitActivityDisplay

        Raises
        ------
        ValueError
            If the summary lacks a column or a unit, or `ax` holds another number of axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        missing = [name for name in NEEDED if name not in self.summary]
        if missing:
            raise ValueError(f"summary must hold {', '.join(NEEDED)}. Missing: {missing}.")
        layer, kl, zeros, used = (np.asarray(self.summary[name]) for name in NEEDED)
        if not len(layer):
            raise ValueError("summary must hold at least one unit. Got none.")
        self.axes_ = several_axes(ax, 2, 2, (8.0, 3.2))
        self.figure_ = self.axes_[0].figure
        self.kl_lines_, self.unused_marks_, self.zero_lines_ = [], [], []
        layers = np.unique(layer)
        for number, style in zip(layers, line_styles(len(layers)), strict=True):
            own = layer == number
            share = 100 * (np.arange(own.sum()) + 0.5) / own.sum()
            order = np.argsort(-kl[own], kind="stable")
            descending = np.maximum(kl[own][order], LOWEST_KL)
            self.kl_lines_ += self.axes_[0].plot(share, descending, **style)
            unused = ~used[own][order]
            marks = {"color": style["color"], "marker": "x", "linestyle": "none"}
            self.unused_marks_ += self.axes_[0].plot(share[unused], descending[unused], **marks)
            ascending = 100 * np.sort(zeros[own])
            label = (
                f"layer {number}: {np.count_nonzero(used[own])} of {own.sum()} used, "
                f"{100 * zeros[own].mean():.0f} % zeros"
            )
            self.zero_lines_ += self.axes_[1].plot(share, ascending, label=label, **style)
        self.threshold_ = self.axes_[0].axhline(USED_ABOVE, color=VERMILION, linewidth=1)
        self.axes_[0].annotate(
            f"a used unit has more than {USED_ABOVE} nat",
            (0, USED_ABOVE),
            (4, -3),
            textcoords="offset points",
            va="top",
            color=VERMILION,
            fontsize=SMALL,
        )
        if not used.all():
            self.axes_[0].plot([], [], color="0.3", marker="x", linestyle="none", label="not used")
            self.axes_[0].legend(fontsize=SMALL)
        self.axes_[0].set_yscale("log")
        self.axes_[0].set_ylim(bottom=max(min(kl.min(), USED_ABOVE) / 2, LOWEST_KL))
        self.axes_[0].set_ylabel("mean KL of the unit (nats)")
        self.axes_[0].set_title("What units carry")
        self.axes_[1].set_ylim(-3, 103)
        self.axes_[1].set_ylabel("rows where the unit is zero (%)")
        self.axes_[1].set_title("How sparse units are")
        for axes in self.axes_:
            axes.set_xlim(0, 100)
            axes.set_xlabel("units of the layer, sorted (%)")
        self.axes_[1].legend(fontsize=SMALL)
        return self
