"""Hierarchical sparse features for scikit-learn, learned without labels."""

from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.exceptions import ModelFileError
from skrgvae.presets import DENSITY_PRESET

__version__ = "0.1.0"

__all__ = ["DENSITY_PRESET", "HierarchicalSparseEncoder", "ModelFileError", "__version__"]
