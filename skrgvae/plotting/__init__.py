"""Pictures of a fitted encoder, in the manner of scikit-learn's Displays.

A Display keeps the numbers it draws: `from_estimator` computes and draws them, the constructor
takes them as they are, and `plot` draws them once more elsewhere. matplotlib is imported when
something is drawn. Artists stay at hand as attributes, to restyle them.
"""

from skrgvae.plotting.dictionary import DictionaryDisplay
from skrgvae.plotting.hierarchy import HierarchyDisplay
from skrgvae.plotting.reconstruction import ReconstructionDisplay
from skrgvae.plotting.top_rows import TopRowsDisplay
from skrgvae.plotting.training_curve import TrainingCurveDisplay
from skrgvae.plotting.traversal import TraversalDisplay
from skrgvae.plotting.unit_activity import UnitActivityDisplay

__all__ = [
    "DictionaryDisplay",
    "HierarchyDisplay",
    "ReconstructionDisplay",
    "TopRowsDisplay",
    "TrainingCurveDisplay",
    "TraversalDisplay",
    "UnitActivityDisplay",
]
