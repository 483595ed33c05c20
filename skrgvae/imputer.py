"""The encoder as an imputer, for pipelines in which something else follows."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from skrgvae._sklearn_compat import fit_context, output_container
from skrgvae.estimator import HierarchicalSparseEncoder


class HierarchicalSparseImputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Missing entries filled in with what a hierarchy of sparse features expects of them.

    The rows themselves come out, with the same columns; `HierarchicalSparseEncoder` takes missing
    entries as they are and needs no imputer in front of it.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder or None, default=None
        Model of the rows, cloned before it is fitted; None: one with its defaults.

    Attributes
    ----------
    encoder_ : HierarchicalSparseEncoder
        The fitted model.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of str of shape (`n_features_in_`,)
        Names of the columns; only where all were strings.

    See Also
    --------
    HierarchicalSparseEncoder.impute : What `transform` calls.
    sklearn.impute.IterativeImputer : Each column by a regression on the others.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skrgvae import HierarchicalSparseEncoder, HierarchicalSparseImputer
    >>> X = load_iris().data
    >>> X[::7, 2] = np.nan
    >>> imputer = HierarchicalSparseImputer(
    ...     HierarchicalSparseEncoder((8, 4), max_iter=20, random_state=0)
    ... )
    >>> bool(np.isnan(imputer.fit_transform(X)).any())
    False
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "encoder": [HierarchicalSparseEncoder, None],
    }

    def __init__(self, encoder: HierarchicalSparseEncoder | None = None) -> None:
        self.encoder = encoder

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Learn a model of the rows.

        Parameters
        ----------
        X : as for `HierarchicalSparseEncoder.fit`, of shape (n_samples, n_features)
        y : Ignored
            Not used, present for API consistency by convention.
        **fit_params : dict
            `sample_weight` and `X_val` of `HierarchicalSparseEncoder.fit`. They are handed on as
            they are or, with scikit-learn's ``enable_metadata_routing=True``, as the encoder
            requests them, such as by ``set_fit_request(sample_weight=True)``.

        Returns
        -------
        self : object

        Raises
        ------
        TypeError
            If the encoder's `fit` has no such parameter.
        UnsetMetadataPassedError
            If metadata routing is on and the encoder doesn't say whether it wants a parameter.
        """
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params)["encoder"]["fit"]
        encoder = clone(self._encoder())
        self.encoder_ = encoder.fit(X, **fit_params)
        self.n_features_in_ = encoder.n_features_in_
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def transform(self, X: Any) -> Any:
        """Rows without missing entries, but for columns of strings that had none in `fit`.

        Parameters
        ----------
        X : as for `HierarchicalSparseEncoder.fit`, of shape (n_samples, n_features)

        Returns
        -------
        {ndarray, data frame} of shape (n_samples, n_features)
            A data frame for a data frame; an array for everything else, also for a Parquet file
            or batches of data frames. See `HierarchicalSparseEncoder.impute`.
        """
        check_is_fitted(self)
        filled = self.encoder_.impute(X)
        if output_container(self) == "pandas" and hasattr(filled, "to_pandas"):
            # scikit-learn would go through an array, which has one dtype for all columns.
            return filled.to_pandas()
        return filled

    def get_metadata_routing(self) -> MetadataRouter:
        """Which metadata of `fit` the encoder requests.

        Returns
        -------
        routing : MetadataRouter
        """
        # A pipeline asks for what fit_transform takes.
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="fit_transform", callee="fit")
        return MetadataRouter(owner=self).add(encoder=self._encoder(), method_mapping=mapping)

    def _encoder(self) -> HierarchicalSparseEncoder:
        return HierarchicalSparseEncoder() if self.encoder is None else self.encoder

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        of_encoder = get_tags(self._encoder())
        tags.transformer_tags = of_encoder.transformer_tags
        tags.input_tags = of_encoder.input_tags
        return tags
