"""How the weight of the KL and the learning rate move over the planned steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Fall(NamedTuple):
    """How a learning rate falls: constant at first, then as a power of the steps that are left.

    Attributes
    ----------
    after : float
        Share of the planned steps at the full rate.
    power : float
    last : float
        Share of the full rate at which it stays.
    """

    after: float
    power: float
    last: float


LATE = Fall(after=0.5, power=1.0, last=0.01)
EARLY = Fall(after=0.2, power=2.0, last=0.001)
# Weights that decay forget what they were 1 / (rate * decay) steps ago. Trainings of so many of
# these spans gain nothing at the full rate after the first of them: on MNIST the bound of the
# averaged weights stands still then, 11 nats above that of the weights, which wander. It rises as
# the rate falls, the slower the better. Shorter ones need the full rate for longer.
MANY_SPANS = 10


def fall_for(n_steps: int, learning_rate: float, weight_decay: float) -> Fall:
    """How the learning rate falls in a training of so many steps."""
    return EARLY if learning_rate * weight_decay * n_steps > MANY_SPANS else LATE


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
    fall : Fall or None
        Of the learning rate; a stream has no end to fall towards.
    """

    n_steps: int
    learning_rate: float
    kl_weight: float
    kl_warmup: float
    fall: Fall | None

    def kl_weight_at(self, step: int) -> float:
        """Weight of the KL at a step (0 = first)."""
        return self.kl_weight * min(1.0, (step + 1) / max(self.kl_warmup * self.n_steps, 1.0))

    def learning_rate_at(self, step: int) -> float:
        """Learning rate at a step (0 = first)."""
        if self.fall is None:
            return self.learning_rate
        progress = min((step + 1) / self.n_steps, 1.0)
        remaining = min(1.0, (1.0 - progress) / (1.0 - self.fall.after))
        return self.learning_rate * max(remaining**self.fall.power, self.fall.last)

    def settled(self, step: int) -> bool:
        """Whether the bound tells after so many steps if more of them are of use.

        Before the KL has its full weight, the bound is not what training maximises. Where the
        rate falls early, it is because the bound hardly rises before.
        """
        wanders = self.fall == EARLY and self.learning_rate_at(step) > 0.5 * self.learning_rate
        return step >= self.kl_warmup * self.n_steps and not wanders
