"""Training: objective, schedules, batches, optimiser, loop, history."""

from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch, History
from skrgvae.training.loop import Hooks, Settings, Stopping, Trainer, fit_epochs
from skrgvae.training.schedules import Schedule

__all__ = [
    "Epoch",
    "History",
    "Hooks",
    "Rows",
    "Schedule",
    "Settings",
    "Stopping",
    "Trainer",
    "fit_epochs",
]
