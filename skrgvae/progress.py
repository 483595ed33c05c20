"""What people see of a training while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skrgvae._sklearn_compat import EpochCallbacks

if TYPE_CHECKING:
    from skrgvae.training import Epoch, History


class FitHooks:
    """Around every epoch: scikit-learn's callbacks, and a line where one is asked for."""

    def __init__(
        self,
        callbacks: EpochCallbacks,
        verbose: int,
        attributes_after: Callable[[History], dict[str, Any]],
    ) -> None:
        self.callbacks = callbacks
        self.verbose = verbose
        self.attributes_after = attributes_after

    def begin_epoch(self) -> None:
        self.callbacks.begin_epoch()

    def end_epoch(self, history: History) -> bool:
        if self.verbose:
            sys.stdout.write(_progress_line(len(history.epochs), history.epochs[-1]) + "\n")
        return self.callbacks.end_epoch(lambda: self.attributes_after(history))


def _progress_line(number: int, epoch: Epoch) -> str:
    held_out = "" if np.isnan(epoch.validation_elbo) else f", held out {epoch.validation_elbo:.2f}"
    return f"Epoch {number}: ELBO {epoch.elbo:.2f} nats{held_out}, {epoch.seconds:.1f} s"
