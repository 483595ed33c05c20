"""What the units of a fitted encoder do and stand for, and how far its bound can be trusted.

Every function takes a fitted encoder and gives a table: a pandas.DataFrame, or a dict of arrays
where pandas is not installed. The units are those that `transform` emits.
"""

from skrgvae.inspection.bound import ElboEstimate, elbo_estimate
from skrgvae.inspection.effects import explain, layer_components, unit_effects, unit_links
from skrgvae.inspection.inputs import unit_inputs
from skrgvae.inspection.targets import associations
from skrgvae.inspection.units import redundancy, top_rows, unit_statistics

__all__ = [
    "ElboEstimate",
    "associations",
    "elbo_estimate",
    "explain",
    "layer_components",
    "redundancy",
    "top_rows",
    "unit_effects",
    "unit_inputs",
    "unit_links",
    "unit_statistics",
]
