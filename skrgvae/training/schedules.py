"""How the weight of the KL and the learning rate move over the planned steps."""

from __future__ import annotations

from dataclasses import dataclass

# The rate is constant for this share of the planned steps, then falls linearly ...
CONSTANT_SHARE = 0.5
# ... to this share of itself.
LAST_RATE = 0.01


@dataclass(frozen=True)
class Schedule:
    """Schedules over `n_steps` planned steps; after them everything stays as at the last one.

    Attributes
    ----------
    n_steps : int
        Planned steps.
    learning_rate, kl_weight : float
        Their full values.
    kl_warmup : float
        Share of the planned steps over which the weight of the KL rises linearly from 0.
    decay : bool
        Whether the learning rate falls; a stream has no end to fall towards.
    """

    n_steps: int
    learning_rate: float
    kl_weight: float
    kl_warmup: float
    decay: bool

    def kl_weight_at(self, step: int) -> float:
        """Weight of the KL at a step (0 = first)."""
        return self.kl_weight * min(1.0, (step + 1) / max(self.kl_warmup * self.n_steps, 1.0))

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step (0 = first)."""
        if not self.decay:
            return self.learning_rate
        progress = min((step + 1) / self.n_steps, 1.0)
        remaining = min(1.0, (1.0 - progress) / (1.0 - CONSTANT_SHARE))
        return self.learning_rate * max(remaining, LAST_RATE)

    def warm(self, step: int) -> bool:
        """Whether the weight of the KL has reached its full value."""
        return step >= self.kl_warmup * self.n_steps
