"""Training: objective, schedules, batches, optimiser, loop, history."""

from skrgvae.training.advice import advice
from skrgvae.training.average import Average
from skrgvae.training.batches import Rows
from skrgvae.training.history import Epoch, History
from skrgvae.training.loop import Hooks, Run, Stopping, Validation, fit_epochs
from skrgvae.training.schedules import Schedule, fall_for
from skrgvae.training.snapshot import Snapshot, restore, take_snapshot
from skrgvae.training.steps import Settings
from skrgvae.training.trainer import Trainer

__all__ = [
    "Average",
    "Epoch",
    "History",
    "Hooks",
    "Rows",
    "Run",
    "Schedule",
    "Settings",
    "Snapshot",
    "Stopping",
    "Trainer",
    "Validation",
    "advice",
    "fall_for",
    "fit_epochs",
    "restore",
    "take_snapshot",
]
