"""The full search: layer sizes by successive halving, on the training rows of a fold alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrgvae.pilot.data import Data
from skrgvae.recipe import SEARCHING
from skrgvae.resolve import given, resolve_max_iter
from skrgvae.suggest import suggest_layer_sizes

_FACTOR = 3
_N_INNER = 2
_WIDTHS = (0.5, 1, 2)


def candidate_sizes(suggested: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Up to three depths of the suggested sizes, each at a half, one and two times the width.

    Parameters
    ----------
    suggested : tuple of int
        Bottom first.
    """
    depths = sorted({1, min(2, len(suggested)), len(suggested)})
    return [
        tuple(max(1, round(width * size)) for size in suggested[:depth])
        for depth in depths
        for width in _WIDTHS
    ]


def with_searched_sizes(encoder: Any, data: Data, train: NDArray[np.intp], seed: int) -> Any:
    """The encoder with the layer sizes that serve a linear classifier best.

    Successive halving: all candidates with a ninth of the epochs, the better third of them with a
    third. The epochs are the encoder's `max_iter`, or those of the default for a training without
    hidden layers. Candidates are judged by the AUC of a logistic regression, in a cross-validation
    within the training rows. They have hidden layers where the encoder gives their widths: "auto"
    stands for none here.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
    data : Data
    train : ndarray of int of shape (n_train,)
        Rows to search on.
    seed : int

    Returns
    -------
    HierarchicalSparseEncoder
        Not fitted.
    """
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    X, y = data.rows(train), data.y[train]
    n_rows, n_columns = X.shape
    suggested = suggest_layer_sizes(X)
    asked = encoder.max_iter, encoder.batch_size
    epochs = resolve_max_iter(*asked, SEARCHING, n_rows, n_columns, sum(suggested))
    # So few epochs are too short for hidden layers: no round of the search is to have them unless
    # their widths are given.
    hidden = given(encoder.hidden_layer_sizes, None)
    pipeline = make_pipeline(
        clone(encoder).set_params(hidden_layer_sizes=hidden),
        StandardScaler(),
        LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000),
    )
    step = pipeline.steps[0][0]
    search = HalvingGridSearchCV(
        pipeline,
        {f"{step}__layer_sizes": candidate_sizes(suggested)},
        resource=f"{step}__max_iter",
        min_resources=max(1, epochs // _FACTOR**2),
        max_resources=max(1, epochs // _FACTOR),
        factor=_FACTOR,
        scoring="roc_auc_ovr",
        cv=StratifiedKFold(_N_INNER, shuffle=True, random_state=seed),
        refit=False,
        random_state=seed,
    ).fit(X, y)
    return encoder.set_params(layer_sizes=search.best_params_[f"{step}__layer_sizes"])
