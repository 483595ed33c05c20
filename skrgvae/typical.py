"""Usual values of units: where a unit stands while another one is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import Summary

if TYPE_CHECKING:
    from skrgvae.model import Model

# Rows of a stream that usual values go back over: what came earlier met another network.
MEMORY = 1000


def active_means(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Means of the values above 0 of every unit, shape (n_units,); 0 where there are none."""
    n_active = np.maximum((values > 0).sum(axis=0), 1)
    return np.maximum(values, 0).sum(axis=0) / n_active


@dataclass(frozen=True)
class Typical:
    """What the posterior medians of training rows usually are.

    Attributes
    ----------
    medians : ndarray of shape (n_units,)
        Of all units, bottom layer first.
    active_means : ndarray of shape (n_bottom_units,)
        Means of the values above 0; 0 for a unit that never is.
    """

    medians: NDArray[np.floating]
    active_means: NDArray[np.floating]

    @classmethod
    def of(cls, model: Model, summary: Summary) -> Typical:
        """That of the rows a summary keeps."""
        layers = model.medians(ArrayRows(summary.rows))
        medians = np.concatenate([np.median(values, axis=0) for values in layers])
        return cls(medians, active_means(layers[0]))

    def after(self, before: Typical, n_before: int, n: int) -> Typical:
        """The same of a stream: of `n` rows that came after others, which few rows move little."""
        share = n / (min(n_before, MEMORY) + n)
        medians = before.medians + share * (self.medians - before.medians)
        step = np.where(before.active_means > 0, share, 1) * (self.active_means > 0)
        active_means = before.active_means + step * (self.active_means - before.active_means)
        return Typical(medians, active_means)
