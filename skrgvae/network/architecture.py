"""The shape of a network as plain data: what a saved model needs to be built again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """Everything that decides which parameters a network has.

    Attributes
    ----------
    layer_sizes : tuple of int
        Units per stochastic layer, bottom first.
    hidden_layer_sizes : tuple of int or None
        Width of the deterministic layer below each stochastic layer on the way up, and of the
        one that leaves it on the way down; None: no deterministic layers.
    families : tuple of str
        Likelihood family of each column.
    n_categories : tuple of int
        Categories of each column, 0 for numbers; empty: all are numbers.
    marked : tuple of int
        Positions of the columns whose missing entries the bottom-up pass is told of.
    latent, posterior : str
        Names in `LATENT_LAWS` and `POSTERIORS`.
    batch_norm, skip_connections : bool
    direct_inputs : bool
        Whether, on the way up, every layer reads the row beside the layer below.
    firing_rate : float or None
        Share of rows for which a unit is on when training starts.
    """

    layer_sizes: tuple[int, ...]
    hidden_layer_sizes: tuple[int, ...] | None
    families: tuple[str, ...]
    n_categories: tuple[int, ...] = ()
    marked: tuple[int, ...] = ()
    latent: str = "rectified_gaussian"
    posterior: str = "structured"
    batch_norm: bool = True
    firing_rate: float | None = None
    skip_connections: bool = False
    direct_inputs: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Fields as JSON-able values."""
        return asdict(self)
