"""p(x | z): one family of laws per file, and the table that joins them column by column."""

from skrgvae.likelihoods.auto import resolve_auto
from skrgvae.likelihoods.check import check_counts, check_families
from skrgvae.likelihoods.columns import FAMILIES, ColumnLikelihood
from skrgvae.likelihoods.family import Family, Observed

__all__ = [
    "FAMILIES",
    "ColumnLikelihood",
    "Family",
    "Observed",
    "check_counts",
    "check_families",
    "resolve_auto",
]
