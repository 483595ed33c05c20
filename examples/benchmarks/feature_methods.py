"""The methods of the feature benchmark: one configuration each, for all sets.

The encoder's default layers put out 650 values. Every other method may put out as many, or as
many as it has: at most one per column for PCA and NMF. Where a method has a setting that matters,
it was chosen on held-out training rows of the digits (balanced accuracy with 100, 300 and all
labels), and the best is used everywhere:

- exemplars, threshold 0.25 .916 .949 .960, 0.5 .916 .953 .971, 1 .930 .959 .981;
- the VAE's code, 650 values .868 .898 .931, 64 values .879 .921 .958: the wider one leaves most of
  its values without content, and the classifier's standardisation blows their noise up;
- the dictionary's alpha, 0.1 .799 .947 .979, 0.2 .633 .934 .989;
- the RBM's learning rate, 0.01 .833 .903 .942, 0.05 .804 .877 .931.

PCA stands in the table twice, as neither choice of its size is the better one on all sets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import (
    PCA,
    MiniBatchDictionaryLearning,
    MiniBatchNMF,
    TruncatedSVD,
)
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skrgvae import HierarchicalSparseEncoder

N_OUTPUTS = 650
VAE_OUTPUTS = 64

# Trained by steps: this many passes over the rows, and more of them where the rows are few.
MIN_EPOCHS = 10
MIN_STEPS = 2000
BATCH_SIZE = 100

# A dictionary is learned from as many rows at most.
MAX_DICTIONARY_ROWS = 10_000


@dataclass(frozen=True)
class Method:
    """What a method reads (an attribute of `Preparation`), and how it is built.

    `build` takes the training columns, for their shape, and a seed.
    """

    reads: str
    build: Callable[[Any, int], Any]


class ExemplarFeatures(TransformerMixin, BaseEstimator):
    """Random training rows as a dictionary, a soft threshold as the code (Coates & Ng 2011).

    Feature k is max(c_k - threshold, 0), where c_k is the product of the row with exemplar k in
    standard deviations of c_k over the training rows, which makes one threshold fit all sets.
    """

    def __init__(self, n_outputs, threshold=1.0, random_state=0):
        self.n_outputs = n_outputs
        self.threshold = threshold
        self.random_state = random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        rows = rng.choice(X.shape[0], min(self.n_outputs, X.shape[0]), replace=False)
        # Counts stay sparse, so they have no centre.
        self.center_ = 0 if sparse.issparse(X) else X.mean(axis=0)
        self.exemplars_ = X[rows] - self.center_
        scale = self._products(X).std(axis=0)
        self.scale_ = np.where(scale > 0, scale, 1)
        return self

    def transform(self, X):
        return np.maximum(self._products(X) / self.scale_ - self.threshold, 0)

    def _products(self, X):
        products = (X - self.center_) @ self.exemplars_.T
        return products.toarray() if sparse.issparse(products) else products


class SparseCode(TransformerMixin, BaseEstimator):
    """MiniBatchDictionaryLearning and lasso codes, of rows whose mean square length is 1.

    So `alpha` means the same on every set. The dictionary is learned from at most `max_rows` rows.
    """

    def __init__(self, n_outputs, max_rows, alpha=0.1, random_state=0):
        self.n_outputs = n_outputs
        self.alpha = alpha
        self.max_rows = max_rows
        self.random_state = random_state

    def fit(self, X, y=None):
        self.length_ = np.sqrt(np.mean(np.sum(X**2, axis=1)))
        rows = np.random.default_rng(self.random_state).permutation(len(X))[: self.max_rows]
        self.dictionary_ = MiniBatchDictionaryLearning(
            self.n_outputs,
            alpha=self.alpha,
            max_iter=max(1, self.max_rows // len(rows)),
            batch_size=256,
            fit_algorithm="cd",
            transform_algorithm="lasso_cd",
            random_state=self.random_state,
        ).fit(self._scaled(X[rows]))
        return self

    def transform(self, X):
        return self.dictionary_.transform(self._scaled(X))

    def _scaled(self, X):
        # float64: coordinate descent does not reach its tolerance in float32.
        return X.astype(np.float64) / self.length_


class GaussianVAE(TransformerMixin, BaseEstimator):
    """The mean code of pythae's VAE with its default networks, for columns inside [0, 1].

    One hidden layer of 512 either way, cross-entropy reconstruction, Adam.
    """

    def __init__(self, n_outputs, n_epochs, learning_rate=1e-3, random_state=0):
        self.n_outputs = n_outputs
        self.n_epochs = n_epochs
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X, y=None):
        import torch
        from pythae.models import VAE, VAEConfig

        config = VAEConfig(
            input_dim=(X.shape[1],), latent_dim=self.n_outputs, reconstruction_loss="bce"
        )
        rng = np.random.default_rng(self.random_state)
        with torch.random.fork_rng():  # pythae draws from the global generator
            torch.manual_seed(self.random_state)
            self.model_ = VAE(config)
            optimizer = torch.optim.Adam(self.model_.parameters(), lr=self.learning_rate)
            n_batches = -(-X.shape[0] // BATCH_SIZE)
            for _ in range(self.n_epochs):
                for rows in np.array_split(rng.permutation(X.shape[0]), n_batches):
                    optimizer.zero_grad()
                    self.model_({"data": dense_rows(X[rows])}).loss.backward()
                    optimizer.step()
        self.model_.eval()
        return self

    def transform(self, X):
        import torch

        with torch.no_grad():
            return np.concatenate(
                [
                    self.model_.encoder(dense_rows(X[start : start + 1000])).embedding.numpy()
                    for start in range(0, X.shape[0], 1000)
                ]
            )


def dense_rows(X):
    import torch

    return torch.from_numpy(X.toarray() if sparse.issparse(X) else X)


def build_raw(X, seed):
    return FunctionTransformer()


def build_pca(X, seed):
    if sparse.issparse(X):
        return TruncatedSVD(min(N_OUTPUTS, *X.shape), random_state=seed)
    return PCA(min(N_OUTPUTS, *X.shape), random_state=seed)


def build_pca95(X, seed):
    """Fewer components: the classifier's standardisation blows those of small variance up.

    Sparse columns: the first 100 of the uncentred table, as is usual for texts.
    """
    if sparse.issparse(X):
        return TruncatedSVD(min(100, *X.shape), random_state=seed)
    return PCA(0.95, svd_solver="full")


def build_exemplars(X, seed):
    return ExemplarFeatures(N_OUTPUTS, random_state=seed)


def build_nmf(X, seed):
    batch_size = 1000
    return MiniBatchNMF(
        min(N_OUTPUTS, *X.shape),
        batch_size=batch_size,
        max_iter=n_epochs(X, batch_size, 200),
        tol=0,
        max_no_improvement=None,
        transform_max_iter=20,
        random_state=seed,
    )


def build_dictionary(X, seed):
    code = SparseCode(N_OUTPUTS, MAX_DICTIONARY_ROWS, random_state=seed)
    if sparse.issparse(X):
        return make_pipeline(TruncatedSVD(min(N_OUTPUTS, *X.shape), random_state=seed), code)
    return code


def build_rbm(X, seed):
    return BernoulliRBM(
        N_OUTPUTS,
        learning_rate=0.01,
        batch_size=BATCH_SIZE,
        n_iter=n_epochs(X, BATCH_SIZE, MIN_STEPS),
        random_state=seed,
    )


def build_vae(X, seed):
    return GaussianVAE(VAE_OUTPUTS, n_epochs(X, BATCH_SIZE, MIN_STEPS), random_state=seed)


def build_encoder(X, seed, **parameters):
    return HierarchicalSparseEncoder(**{"random_state": seed, **parameters})


def n_epochs(X: Any, batch_size: int, min_steps: int) -> int:
    """Passes over the rows that make at least `min_steps`, and not fewer than `MIN_EPOCHS`."""
    steps_per_epoch = -(-X.shape[0] // batch_size)
    return max(MIN_EPOCHS, -(-min_steps // steps_per_epoch))


METHODS = {
    "raw": Method("scaled", build_raw),
    "pca": Method("scaled", build_pca),
    "pca95": Method("scaled", build_pca95),
    "exemplars": Method("scaled", build_exemplars),
    "nmf": Method("unit_range", build_nmf),
    "rbm": Method("unit_range", build_rbm),
    "vae": Method("unit_range", build_vae),
    "dictionary": Method("scaled", build_dictionary),
    "encoder": Method("encoder_input", build_encoder),
}
