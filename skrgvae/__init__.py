"""Hierarchical sparse features for scikit-learn, learned without labels."""

from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.exceptions import ModelFileError
from skrgvae.imputer import HierarchicalSparseImputer
from skrgvae.presets import DENSITY_PRESET
from skrgvae.suggest import suggest_layer_sizes
from skrgvae.windows import WindowTransformer

__version__ = "0.1.0"

__all__ = [
    "DENSITY_PRESET",
    "HierarchicalSparseEncoder",
    "HierarchicalSparseImputer",
    "ModelFileError",
    "WindowTransformer",
    "__version__",
    "suggest_layer_sizes",
]
