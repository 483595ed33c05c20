"""The hierarchy as torch modules: records out, no optimiser and no weights of the bound in."""

from skrgvae.network.architecture import Architecture
from skrgvae.network.hierarchy import Hierarchy
from skrgvae.network.merge import POSTERIORS
from skrgvae.network.records import BoundTerms, LayerPass, Message

__all__ = ["POSTERIORS", "Architecture", "BoundTerms", "Hierarchy", "LayerPass", "Message"]
