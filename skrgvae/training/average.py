"""An average over the steps of a training that has no end to lower its learning rate towards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

# The average reaches back over about the last 1 / (DECAY + 1) of all steps.
DECAY = 8.0
# Steps between two looks at the weights: neighbours differ little.
EVERY = 5


class Average:
    """Polynomial-decay average of a module's weights and running moments.

    ::

        average_t = (1 - a_t) average_{t-1} + a_t weights_t,    a_t = (d + 1) / (t + d)

    (Shamir and Zhang 2013, "Stochastic gradient descent for non-smooth optimization: convergence
    results and optimal averaging schemes", polynomial-decay averaging.) At a constant learning
    rate the weights wander around a minimum; their average stays in its middle, and the first
    steps are forgotten.

    Parameters
    ----------
    module : nn.Module
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.number = 0
        self.values = {name: value.clone() for name, value in self._moving().items()}

    def after_step(self, step: int) -> None:
        """Take the weights in, every few steps."""
        if step % EVERY:
            return
        self.number += 1
        share = (DECAY + 1) / (self.number + DECAY)
        for name, value in self._moving().items():
            self.values[name].lerp_(value, share)

    def state(self) -> dict[str, Any]:
        """Where the average and the module stand, without tensors."""
        return {
            "number": self.number,
            "average": {name: value.cpu().numpy().copy() for name, value in self.values.items()},
            "last": {name: value.cpu().numpy().copy() for name, value in self._moving().items()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, with the module at its last step."""
        self.number = state["number"]
        for name, value in self._moving().items():
            self.values[name].copy_(torch.tensor(state["average"][name]))
            value.copy_(torch.tensor(state["last"][name]))

    def apply(self) -> None:
        """Put the average into the module."""
        if self.number:
            for name, value in self._moving().items():
                value.copy_(self.values[name])

    def _moving(self) -> dict[str, Tensor]:
        """Everything that training moves, by name."""
        state = self.module.state_dict()
        return {name: value for name, value in state.items() if value.dtype == torch.float32}
