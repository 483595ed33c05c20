"""Layer sizes for a data set, before any encoder is fitted."""

from __future__ import annotations

from numpy.typing import ArrayLike

from skrgvae.data.sources import blocks_of
from skrgvae.data.summary import summarise
from skrgvae.estimator import HierarchicalSparseEncoder
from skrgvae.sizes import sizes_for


def suggest_layer_sizes(X: ArrayLike) -> tuple[int, ...]:
    """Layer sizes to begin a search with, from the rows alone.

    The bottom layer gets five units per effective dimension of the standardised columns (the
    participation ratio of their correlations [1]_), from 24 to 300, but no more than one for two
    rows; the layers above follow in the proportions of the paper, 300-200-100-50, and those that
    would have fewer than three units are left out. The dimension is taken from at most
    2,000 rows. The result is a function of the data alone, and what ``layer_sizes="auto"`` stands
    for.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        As for `HierarchicalSparseEncoder.fit`.

    Returns
    -------
    tuple of int
        Units per stochastic layer, bottom first.

    Raises
    ------
    ValueError, TypeError
        What `HierarchicalSparseEncoder.fit` raises for data that it can't take.

    See Also
    --------
    HierarchicalSparseEncoder : Takes the sizes as `layer_sizes`.

    References
    ----------
    .. [1] P. Gao, E. Trautmann, B. Yu, G. Santhanam, S. Ryu, K. Shenoy, S. Ganguli (2017). A
       Theory of Multineuronal Dimensionality, Dynamics and Measurement. bioRxiv 214262.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import suggest_layer_sizes
    >>> suggest_layer_sizes(load_digits().data)
    (101, 67, 34, 17)
    """
    encoder = HierarchicalSparseEncoder()
    rows = encoder._check_table(X, reset=True, narrow=True)
    return sizes_for(summarise(blocks_of(rows)))
