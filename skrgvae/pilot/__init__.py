"""The pilot study, which tells whether the features pay.

Three sets of features meet the same classifiers on the same folds: the raw columns, principal
components, and what :class:`~skrgvae.HierarchicalSparseEncoder` emits. `run_pilot` measures and
judges; `skrgvae.pilot.page` and `skrgvae.pilot.text` show what came of it.
"""

from skrgvae.pilot.records import PilotResult
from skrgvae.pilot.study import run_pilot
from skrgvae.pilot.worth import Payoff

__all__ = ["Payoff", "PilotResult", "run_pilot"]
