"""The classifier in front of which features are compared."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

BUDGETS = (100, 300, 1000, "all")
N_DRAWS = 5
N_FOLDS = 3
STRENGTHS = (0.01, 0.1, 1.0)  # of C
MAX_ITER = 1000

# What scikit-learn says of classes with fewer rows than there are folds. Such a fold trains or
# scores without the class, which is meant.
MEANT = ("The least populated class", "y_pred contains classes not in y_true")


def probe(
    Z_train: Any,
    y_train: np.ndarray,
    Z_test: Any,
    y_test: np.ndarray,
    budgets: Sequence[int | str] = BUDGETS,
    draws: int = N_DRAWS,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Balanced accuracy of a LogisticRegression on few and on all labels.

    Inputs are standardised by the statistics of all training rows: it needs no labels, and a
    feature that is zero in every labelled row still gets its scale. Sparse ones are not centred.

    Parameters
    ----------
    Z_train, Z_test : array or CSR array of shape (n_samples, n_features)
        Features.
    y_train, y_test : array of shape (n_samples,)
        Class labels.
    budgets : sequence of int or "all"
        Numbers of labelled training rows; those above the number of rows there are fall away.
    draws : int
        How often the labelled rows are drawn; "all" needs one.
    seed : int
        Of the draws and of the folds that choose C.

    Returns
    -------
    dict
        By budget: `n_labels`, and for each draw the `scores` on the test rows, their
        `row_errors` (standard errors for the test rows being a sample), the chosen `C`, and
        whether the classifier `converged`.
    """
    scaler = StandardScaler(with_mean=not sparse.issparse(Z_train))
    Z_train, Z_test = scaler.fit_transform(Z_train), scaler.transform(Z_test)
    results = {}
    for budget in budgets:
        if budget != "all" and budget > len(y_train):
            continue
        drawn = []
        for draw in range(1 if budget == "all" else draws):
            rows = slice(None)
            if budget != "all":
                rows = draw_labels(y_train, budget, np.random.default_rng([seed, budget, draw]))
            drawn.append(classify(Z_train[rows], y_train[rows], Z_test, y_test, seed + draw))
        results[str(budget)] = {
            "n_labels": len(y_train) if budget == "all" else budget,
            **{key: [record[key] for record in drawn] for key in drawn[0]},
        }
    return results


def draw_labels(y: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of `size` rows, in proportion to the classes but at least 3 of each.

    Three, so that every fold that chooses C has each class; a class with fewer rows gives all.
    """
    classes, counts = np.unique(y, return_counts=True)
    sizes = allocate(counts, size)
    return np.concatenate(
        [
            rng.choice(np.flatnonzero(y == label), n, replace=False)
            for label, n in zip(classes, sizes, strict=True)
        ]
    )


def allocate(counts: np.ndarray, size: int) -> np.ndarray:
    """Rows of each class, summing to `size`."""
    least = np.minimum(counts, N_FOLDS)
    if not least.sum() <= size <= counts.sum():
        raise ValueError(
            f"size must lie between {least.sum()} ({N_FOLDS} rows per class) and {counts.sum()} "
            f"(all rows), got {size}"
        )
    ideal = size * counts / counts.sum()
    sizes = np.maximum(np.floor(ideal).astype(int), least)
    while sizes.sum() > size:
        sizes[np.argmax(np.where(sizes > least, sizes - ideal, -np.inf))] -= 1
    while sizes.sum() < size:
        sizes[np.argmax(np.where(sizes < counts, ideal - sizes, -np.inf))] += 1
    return sizes


def classify(Z_train, y_train, Z_test, y_test, seed):
    """Choose C by cross-validation, fit on all rows given, score on the test rows."""
    search = GridSearchCV(
        LogisticRegression(class_weight="balanced", max_iter=MAX_ITER),
        {"C": STRENGTHS},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as a figure instead
        for message in MEANT:
            warnings.filterwarnings("ignore", message=message)
        search.fit(Z_train, y_train)
    score, row_error = balanced_accuracy(y_test, search.predict(Z_test))
    return {
        "scores": score,
        "row_errors": row_error,
        "C": search.best_params_["C"],
        "converged": bool(np.max(search.best_estimator_.n_iter_) < MAX_ITER),
    }


def balanced_accuracy(y: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    """Mean over the classes of the share that is found, and its binomial standard error."""
    classes, counts = np.unique(y, return_counts=True)
    recall = np.array([np.mean(predicted[y == label] == label) for label in classes])
    error = np.sqrt(np.sum(recall * (1 - recall) / counts)) / len(classes)
    return float(recall.mean()), float(error)
