"""The record of a training run, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Epoch:
    """What one pass over the rows gave; bounds at weight 1, in nats per row."""

    elbo: float
    validation_elbo: float  # NaN without held-out rows
    reconstruction: float
    kl: tuple[float, ...]  # per layer, bottom first
    kl_weight: float
    learning_rate: float
    seconds: float


@dataclass
class History:
    """Epochs in the order they ran."""

    epochs: list[Epoch] = field(default_factory=list)

    @classmethod
    def from_dict(cls, columns: dict[str, list]) -> History:
        """Read what `as_dict` gave."""
        rows = zip(*columns.values(), strict=True)
        return cls([Epoch(**dict(zip(columns, row, strict=True))) for row in rows])

    def as_dict(self) -> dict[str, list]:
        """One list per quantity, one entry per epoch."""
        names: Sequence[str] = list(Epoch.__dataclass_fields__)
        return {name: [getattr(epoch, name) for epoch in self.epochs] for name in names}
