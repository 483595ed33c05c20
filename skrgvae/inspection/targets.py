"""How the units go together with a target that training has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from skrgvae.data.cells import are_missing
from skrgvae.inspection.tables import activity, as_table, checked, emitted_units


def associations(encoder: Any, X: ArrayLike, y: ArrayLike, task: str = "auto") -> Any:
    """Association of every emitted unit with a target, by ranks.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    task : {"auto", "classification", "regression"}, default="auto"
        What `y` holds. "auto": "regression" for floats with decimals, else "classification".

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        One row per unit, in the order of the columns of `transform`: `layer`, `unit`, `test`,
        `effect`, `p_value` and `p_adjusted`:

        - two classes: Mann and Whitney's test, with 2 AUC - 1 of the unit's value for the second
          class (of the sorted ones) as the effect, in [-1, 1];
        - more classes: Kruskal and Wallis' test, with epsilon squared H / (n - 1), in [0, 1];
        - regression: Spearman's rank correlation, in [-1, 1].

        A unit with the same value for every row has effect 0 and p-value 1.

    Raises
    ------
    ValueError
        If `task` is unknown, if `y` has missing values, another length than `X` or a single
        value, or, for regression, is not numeric.

    Notes
    -----
    `p_adjusted` controls the false discovery rate by Benjamini and Hochberg [1]_: of the units
    with `p_adjusted` of at most 0.05, 5 % are expected to be listed by chance. Units that never
    change are no tests and don't count. Tests take rows to be independent. Training sees no
    target, so these p-values hold on its own rows as well.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg (1995). Controlling the False Discovery Rate: a Practical
       and Powerful Approach to Multiple Testing. JRSS B 57, 289-300.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import associations
    >>> X, y = load_digits(return_X_y=True)
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X / 16)
    >>> table = associations(encoder, X / 16, y)
    >>> set(table["test"])
    {'kruskal-wallis'}
    """
    if task not in ("auto", "classification", "regression"):
        raise ValueError(f"task must be 'auto', 'classification' or 'regression'. Got {task!r}.")
    features = activity(encoder, checked(encoder, X))
    target = column_or_1d(y)
    check_consistent_length(features, target)
    assert_all_finite(target, input_name="y")
    if target.dtype.kind in "OmM":  # scikit-learn looks for what is missing among floats alone
        missing = np.flatnonzero(are_missing(target))
        if len(missing):
            raise ValueError(f"Input y has no entry in row {missing[0]}.")
    if target.dtype == object and len({isinstance(value, str) for value in target}) > 1:
        raise ValueError("Input y must be uniformly strings or numbers. Got both.")
    if task == "auto":
        is_number = type_of_target(target, input_name="y") == "continuous"
        task = "regression" if is_number else "classification"
    if task == "regression":
        target = _numbers(target)
    values, codes = np.unique(target, return_inverse=True)
    if len(values) < 2:
        raise ValueError(f"y must hold at least two different values. Got only {values[0]}.")
    varies = np.flatnonzero(np.ptp(features, axis=0) > 0)
    if task == "regression":
        test, of = "spearman", _spearman
    elif len(values) == 2:
        test, of = "mann-whitney", _mann_whitney
    else:
        test, of = "kruskal-wallis", _kruskal_wallis
    effect, p_value, p_adjusted = np.zeros(features.shape[1]), *np.ones((2, features.shape[1]))
    for at in varies:
        effect[at], p_value[at] = of(features[:, at], codes)
    if len(varies):
        p_adjusted[varies] = stats.false_discovery_control(p_value[varies])
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer,
            "unit": unit,
            "test": np.full(len(layer), test),
            "effect": effect,
            "p_value": p_value,
            "p_adjusted": p_adjusted,
        }
    )


# Each takes values of a unit and the position of the target's value among the sorted ones, which
# has the ranks of the target; each gives the effect and the p-value.


def _mann_whitney(values: NDArray[np.float64], codes: NDArray[np.intp]) -> tuple[float, float]:
    second, first = values[codes == 1], values[codes == 0]
    result = stats.mannwhitneyu(second, first, method="asymptotic")
    return 2 * result.statistic / (len(first) * len(second)) - 1, result.pvalue


def _kruskal_wallis(values: NDArray[np.float64], codes: NDArray[np.intp]) -> tuple[float, float]:
    groups = np.split(values[np.argsort(codes, kind="stable")], np.cumsum(np.bincount(codes))[:-1])
    result = stats.kruskal(*groups)
    return result.statistic / (len(values) - 1), result.pvalue


def _spearman(values: NDArray[np.float64], codes: NDArray[np.intp]) -> tuple[float, float]:
    result = stats.spearmanr(values, codes)
    return result.statistic, result.pvalue


def _numbers(target: NDArray) -> NDArray[np.float64]:
    try:
        return target.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"y must be numeric for task='regression'. Got {target.dtype}."
        ) from error
