"""How the bound and its terms went over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from skrgvae.inspection.tables import check_encoder
from skrgvae.plotting._canvas import require_matplotlib, several_axes
from skrgvae.plotting._checks import check_epoch
from skrgvae.plotting._style import BLUE, GRAY, GREEN, SMALL, VERMILION, line_styles

NEEDED = ("elbo", "validation_elbo", "reconstruction", "kl")
CURVES: dict[str, tuple[str, dict[str, Any]]] = {
    "reconstruction": ("reconstruction, training", {"color": GREEN, "linestyle": ":"}),
    "elbo": ("ELBO, training", {"color": BLUE, "linestyle": "-"}),
    "validation_elbo": ("ELBO, held out", {"color": VERMILION, "linestyle": "--"}),
}
# Share of the epochs, at the start, that may leave the picture: the first bounds of a run are
# often so low that nothing else could be seen.
START = 0.1


class TrainingCurveDisplay:
    """Curves of the ELBO, the reconstruction and the KL of every layer over the epochs.

    The vertical range is that of the epochs after the first tenth; the start may leave it.

    Parameters
    ----------
    history : mapping of str to sequence
        One entry per epoch, as in `history_`: `elbo`, `validation_elbo` (NaN without held-out
        rows), `reconstruction` and `kl` (one number per layer), in nats per sample.
    best_iter : int, default=None
        Epoch (1 = first) whose weights were kept, marked where there were held-out rows.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib Axes
        The bound, and the KL.
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The bound's curves by their key in `history`.
    kl_lines_ : list of matplotlib Line2D
        One per layer, bottom first.

    See Also
    --------
    UnitActivityDisplay : The KL at the end, unit by unit.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.plotting import TrainingCurveDisplay
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> display = TrainingCurveDisplay.from_estimator(encoder, ax=Figure().subplots(1, 2))
    >>> [line.get_label() for line in display.kl_lines_]
    ['layer 0', 'layer 1']
    """

    def __init__(self, history: Mapping[str, Sequence], *, best_iter: int | None = None) -> None:
        self.history = history
        self.best_iter = best_iter

    @classmethod
    def from_estimator(cls, encoder: Any, *, ax: Any = None) -> Self:
        """Draw the training of a fitted encoder.

        Parameters
        ----------
        encoder : HierarchicalSparseEncoder
            Fitted.
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            As in `plot`.

        Returns
        -------
        TrainingCurveDisplay

        Raises
        ------
        TypeError
            If `encoder` is not a HierarchicalSparseEncoder.
        NotFittedError
            If it is not fitted.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        check_encoder(encoder)
        return cls(encoder.history_, best_iter=encoder.best_iter_).plot(ax)

    @classmethod
    def from_history(
        cls, history: Mapping[str, Sequence], *, best_iter: int | None = None, ax: Any = None
    ) -> Self:
        """Draw a history.

        Parameters
        ----------
        history : mapping of str to sequence
        best_iter : int, default=None
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            As in `plot`.

        Returns
        -------
        TrainingCurveDisplay
        """
        return cls(history, best_iter=best_iter).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array-like of 2 Axes or None, default=None
            A single one gives its place to two; None: a new figure.

        Returns
        -------
        self : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If the history lacks a column or an epoch, if `best_iter` is none of its epochs, or if
            `ax` holds another number of axes.
        """
        require_matplotlib(f"{type(self).__name__}.plot")
        curves, kl = self._checked()
        if self.best_iter is not None:
            check_epoch("best_iter", self.best_iter, len(kl))
        self.axes_ = several_axes(ax, 2, 2, (8.0, 3.2))
        self.figure_ = self.axes_[0].figure
        epochs = np.arange(1, len(kl) + 1)
        self.lines_ = {}
        for name, values in curves.items():
            label, style = CURVES[name]
            (self.lines_[name],) = self.axes_[0].plot(epochs, values, label=label, **style)
        later = np.concatenate([values[int(START * len(kl)) :] for values in curves.values()])
        low, high = later.min(), max(values.max() for values in curves.values())
        margin = 0.05 * (high - low) or 1.0
        self.axes_[0].set_ylim(low - margin, high + margin)
        if self.best_iter is not None and "validation_elbo" in curves:
            self.axes_[0].axvline(self.best_iter, color=GRAY, linewidth=1, label="weights kept")
        self.axes_[0].set_ylabel("nats per sample")
        self.axes_[0].set_title("Bound (larger is better)")
        self.kl_lines_ = [
            self.axes_[1].plot(epochs, kl[:, layer], label=f"layer {layer}", **style)[0]
            for layer, style in enumerate(line_styles(kl.shape[1]))
        ]
        self.axes_[1].set_ylim(bottom=0)
        self.axes_[1].set_ylabel("KL (nats per sample)")
        self.axes_[1].set_title("KL of each layer (0 = bottom)")
        for axes in self.axes_:
            axes.set_xlabel("epoch")
            axes.legend(fontsize=SMALL)
        return self

    def _checked(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Curves of the bound that have values, and the KL of shape (n_epochs, n_layers)."""
        missing = [name for name in NEEDED if name not in self.history]
        if missing:
            raise ValueError(f"history must hold {', '.join(NEEDED)}. Missing: {missing}.")
        kl = np.asarray(self.history["kl"], dtype=np.float64)
        curves = {name: np.asarray(self.history[name], dtype=np.float64) for name in CURVES}
        if kl.ndim != 2 or not kl.size or {len(values) for values in curves.values()} != {len(kl)}:
            raise ValueError(
                "history must hold one entry per epoch, and at least one. Got lengths "
                f"{ {name: len(self.history[name]) for name in NEEDED} }."
            )
        if np.isnan(curves["validation_elbo"]).any():
            del curves["validation_elbo"]
        if not all(np.isfinite(values).all() for values in [kl, *curves.values()]):
            raise ValueError("history must hold finite numbers, but for `validation_elbo`.")
        return curves, kl
