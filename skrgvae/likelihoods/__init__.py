"""p(x | z): one family of laws per file, and the table that joins them column by column."""

from skrgvae.likelihoods.auto import resolve_auto
from skrgvae.likelihoods.columns import FAMILIES, ColumnLikelihood
from skrgvae.likelihoods.family import Family

__all__ = ["FAMILIES", "ColumnLikelihood", "Family", "resolve_auto"]
