"""How the weight of the KL and the learning rate move over the planned steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    fall : (int, int) or None
        Step from which the rate falls to its end before the plan says so, and steps that it takes.
    """

    n_steps: int
    learning_rate: float
    kl_weight: float
    kl_warmup: float
    decay: bool
    fall: tuple[int, int] | None = None

    def kl_weight_at(self, step: int) -> float:
        """Weight of the KL at a step (0 = first)."""
        return self.kl_weight * min(1.0, (step + 1) / max(self.kl_warmup * self.n_steps, 1.0))

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step (0 = first)."""
        if not self.decay:
            return self.learning_rate
        if self.fall is None or step < self.fall[0]:
            return self.learning_rate * self._planned_share(step)
        start, n_steps = self.fall
        remaining = max(1.0 - (step + 1 - start) / n_steps, 0.0)
        return self.learning_rate * max(self._planned_share(start - 1) * remaining, LAST_RATE)

    def falling(self, step: int, n_steps: int) -> Schedule:
        """The same up to a step, after which the rate falls to its end within so many."""
        return replace(self, fall=(step, n_steps))

    def _planned_share(self, step: int) -> float:
        progress = min((step + 1) / self.n_steps, 1.0)
        return max(min(1.0, (1.0 - progress) / (1.0 - CONSTANT_SHARE)), LAST_RATE)

    def warm(self, step: int) -> bool:
        """Whether the weight of the KL has reached its full value."""
        return step >= self.kl_warmup * self.n_steps
