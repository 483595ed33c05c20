"""What a unit raises: from any layer down through the hierarchy to the columns of the data."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrgvae.data.sources import ArrayRows
from skrgvae.inspection.tables import (
    as_array,
    as_table,
    check_count,
    check_encoder,
    checked,
    column_names,
    deviations,
    emitted_units,
    strongest,
)
from skrgvae.typical import active_means

# Rows drawn from the model, with a seed of their own: they give the spread of the columns and
# the mean active values of the upper units, which a fitted encoder does not keep. Fewer of very
# wide tables, at 8 million numbers.
N_DRAWN = 2000
MIN_DRAWN = 200
MAX_NUMBERS = 2**23
DRAW_SEED = 0
# Drawn values beyond these quantiles count as if they stood there: where a column has a long
# tail, a few draws in it would be all of the spread.
TAILS = (0.01, 0.99)


def layer_components(encoder: Any, layer: int = 0) -> NDArray[np.float64]:
    """`components_` of any layer: what each of its units adds to the data.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    layer : int, default=0
        0 = bottom, for which this is `components_`.

    Returns
    -------
    ndarray of shape (n_units, n_features)
        E[x] with the unit at its mean active value and the other units of its layer and above at
        their training medians, minus E[x] with it at 0, in the units of the data; of a
        categorical column half the sum of the absolute changes of its probabilities.

    Raises
    ------
    ValueError
        If there is no such layer.

    Notes
    -----
    The layers below follow at the means of their priors given the layers above. Medians would
    hide every unit that makes lower ones more probable without making them the rule. The mean
    active value of an upper unit is that of its positive medians over 2,000 rows drawn from the
    model.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import layer_components
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> layer_components(encoder, 1).shape
    (4, 64)
    """
    check_encoder(encoder)
    n_layers = len(encoder.layer_sizes_)
    if not isinstance(layer, Integral) or isinstance(layer, bool) or not 0 <= layer < n_layers:
        raise ValueError(f"layer must be an int in the range [0, {n_layers}). Got {layer!r}.")
    if layer == 0:  # whose mean active values were kept in training
        return _components(encoder, 0, encoder._active_means)
    return components_by_layer(encoder, [int(layer)], drawn_rows(encoder))[0]


def unit_effects(encoder: Any, n_columns: int | None = 5) -> Any:
    """Columns of the data that every emitted unit raises or lowers most.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    n_columns : int or None, default=5
        Columns per unit at most; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `rank` (1 = the largest absolute weight), `column` (its name, or
        x0, x1, ...), `effect` (the entry of `layer_components`, in the units of the data) and
        `weight` (the effect in standard deviations of the column over 2,000 rows drawn from
        the model, cut at the 1 % and 99 % quantiles, so that columns can be compared; of a
        categorical column the effect itself).
        Columns without effect are left out.

    Raises
    ------
    ValueError
        If `n_columns` is neither None nor an int of at least 1.

    See Also
    --------
    unit_inputs : What raises the unit itself.
    unit_links : Which lower units an upper unit raises.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import unit_effects
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=20, random_state=0).fit(X)
    >>> effects = unit_effects(encoder, n_columns=2)
    >>> len(effects["column"])  # two for each of 12 units
    24
    """
    check_encoder(encoder)
    n_columns = check_count("n_columns", n_columns, encoder.n_features_in_)
    drawn = drawn_rows(encoder)
    effects = np.concatenate(components_by_layer(encoder, encoder._emitted(), drawn))
    weights = _in_deviations(encoder, effects, drawn)
    units, ranks, columns = strongest(weights, n_columns)
    layer, unit = emitted_units(encoder)
    return as_table(
        {
            "layer": layer[units],
            "unit": unit[units],
            "rank": ranks,
            "column": column_names(encoder)[columns],
            "effect": effects[units, columns],
            "weight": weights[units, columns],
        }
    )


def unit_links(encoder: Any, n_units: int | None = 5) -> Any:
    """Lower units that every emitted upper unit raises or lowers most: the hierarchy's map.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    n_units : int or None, default=5
        Lower units per upper unit at most, from all layers below; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `layer`, `unit`, `rank` (1 = the largest absolute weight), `lower_layer`,
        `lower_unit`, `effect` (prior mean of the lower unit with the upper one at its mean active
        value, minus that with it at 0, as in `layer_components`) and `weight` (the effect as a
        share of the lower unit's own mean active value). Empty for an encoder of one layer.

    Raises
    ------
    ValueError
        If `n_units` is neither None nor an int of at least 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import unit_links
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=2, random_state=0).fit(X)
    >>> links = unit_links(encoder, n_units=1)
    >>> links["layer"].tolist(), links["lower_layer"].tolist()
    ([1, 1, 1, 1], [0, 0, 0, 0])
    """
    check_encoder(encoder)
    sizes = encoder.layer_sizes_
    n_units = check_count("n_units", n_units, sum(sizes))
    known = _active_means(encoder, drawn_rows(encoder))
    parts = []
    for layer in encoder._emitted():
        on, off = _on_and_off(encoder, layer, known[layer])
        n_below = sum(sizes[:layer])
        effects = (np.concatenate(on, axis=1) - np.concatenate(off, axis=1))[:, :n_below]
        typical = np.concatenate([*known[:layer], np.empty(0)])
        weights = np.divide(effects, typical, out=np.zeros_like(effects), where=typical > 0)
        units, ranks, lower = strongest(weights, n_units)
        lower_layer = np.repeat(np.arange(layer), sizes[:layer])[lower]
        parts.append(
            {
                "layer": np.full(len(units), layer),
                "unit": units,
                "rank": ranks,
                "lower_layer": lower_layer,
                "lower_unit": lower - np.cumsum([0, *sizes])[lower_layer],
                "effect": effects[units, lower],
                "weight": weights[units, lower],
            }
        )
    return as_table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def explain(
    encoder: Any, X: ArrayLike, *, n_units: int | None = 10, n_columns: int | None = 3
) -> Any:
    """Which units are on for each of a few rows, and which columns each one stands for there.

    Parameters
    ----------
    encoder : HierarchicalSparseEncoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        One row or a few.
    n_units : int or None, default=10
        Units per row at most; None: all that are on.
    n_columns : int or None, default=3
        Columns per unit at most; None: all.

    Returns
    -------
    pandas.DataFrame, or dict of ndarray where pandas is not installed
        Columns `row` (position in `X`), `layer`, `unit`, `value` (the median of the unit's
        posterior), `kl` (what the row tells of the unit that the layers above don't say, in nats
        by one sample; the largest first), `rank`, `column`, `effect` and `weight`. A unit is on
        where its median is not exactly zero: for laws without zeros, always. The effect is E[x] of
        the column with the unit as it is, minus that with the unit at 0, in the units of the
        data: all other units of its layer and above stay as they are in this row, and the layers
        below follow at their prior means. The weight is the effect in standard deviations of the
        column, as in `unit_effects`.

    Raises
    ------
    ValueError
        If `n_units` or `n_columns` is neither None nor an int of at least 1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skrgvae import HierarchicalSparseEncoder
    >>> from skrgvae.inspection import explain
    >>> X = load_digits().data / 16
    >>> encoder = HierarchicalSparseEncoder((8, 4), max_iter=20, random_state=0).fit(X)
    >>> some_on = X[encoder.transform(X).any(axis=1)]
    >>> table = explain(encoder, some_on[:3], n_columns=2)
    >>> sorted(set(table["row"])), set(table["rank"]) <= {1, 2}
    ([0, 1, 2], True)
    """
    table = as_array(checked(encoder, X))
    n_columns = check_count("n_columns", n_columns, table.shape[1])
    layer, unit = emitted_units(encoder)
    n_units = check_count("n_units", n_units, len(layer))
    model, names, drawn = encoder._model, column_names(encoder), drawn_rows(encoder)
    parts = []
    for row in range(len(table)):
        one = ArrayRows(table[row : row + 1])
        medians = [values[0] for values in model.medians(one)]
        all_kl = model.unit_kl(one)
        value = np.array([medians[at][number] for at, number in zip(layer, unit, strict=True)])
        kl = np.array([all_kl[at][number] for at, number in zip(layer, unit, strict=True)])
        shown = np.argsort(-kl, kind="stable")
        shown = shown[value[shown] != 0][:n_units]
        effects = np.array(
            [_effect_here(encoder, medians, layer[at], unit[at]) for at in shown]
        ).reshape(len(shown), table.shape[1])
        weights = _in_deviations(encoder, effects, drawn)
        which, ranks, columns = strongest(weights, n_columns)
        at = shown[which]
        parts.append(
            {
                "row": np.full(len(at), row),
                "layer": layer[at],
                "unit": unit[at],
                "value": value[at],
                "kl": kl[at],
                "rank": ranks,
                "column": names[columns],
                "effect": effects[which, columns],
                "weight": weights[which, columns],
            }
        )
    return as_table({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _effect_here(
    encoder: Any, medians: list[NDArray[np.float64]], layer: int, unit: int
) -> NDArray[np.float64]:
    """E[x] with a unit as it is in one row minus E[x] with it at 0, shape (n_columns,)."""
    upper = [np.tile(values, (2, 1)) for values in medians[layer:]]
    upper[0][1, unit] = 0.0
    present, absent = zip(
        *(np.split(values, 2) for values in encoder._model.follow(upper)), strict=True
    )
    return encoder._model.effects(present, absent)[0]


def components_by_layer(
    encoder: Any, layers: Sequence[int], drawn: NDArray[np.float64], by_category: bool = False
) -> list[NDArray[np.float64]]:
    """`layer_components` of some layers, given what `drawn_rows` gave.

    With `by_category` a categorical column is as many as it has categories: the changes of their
    probabilities.
    """
    known = _active_means(encoder, drawn)
    return [_components(encoder, layer, known[layer], by_category) for layer in layers]


def _components(
    encoder: Any, layer: int, on_at: NDArray[np.floating], by_category: bool = False
) -> NDArray[np.float64]:
    return encoder._model.effects(*_on_and_off(encoder, layer, on_at), by_category)


def _on_and_off(
    encoder: Any, layer: int, on_at: NDArray[np.floating]
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Values of all layers, one row per unit of a layer: with it on, and with it at 0."""
    n_units = encoder.layer_sizes_[layer]
    upper = [
        np.tile(median.astype(np.float64), (n_units, 1)) for median in encoder._medians[layer:]
    ]
    on, off = upper[0].copy(), upper[0].copy()
    np.fill_diagonal(on, on_at)
    np.fill_diagonal(off, 0.0)
    follow = encoder._model.follow
    return follow([on, *upper[1:]]), follow([off, *upper[1:]])


def drawn_rows(encoder: Any) -> NDArray[np.float64]:
    """Rows drawn from the model, shape (n_drawn, n_columns); always the same ones."""
    n_drawn = min(N_DRAWN, max(MIN_DRAWN, MAX_NUMBERS // encoder.n_features_in_))
    return encoder._model.sample(n_drawn, DRAW_SEED)


def _active_means(encoder: Any, drawn: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Mean of the positive medians of every unit, one array per layer; 0 where there are none."""
    upper = encoder._model.medians(ArrayRows(drawn))[1:]
    return [encoder._active_means.astype(np.float64), *map(active_means, upper)]


def _in_deviations(
    encoder: Any, effects: NDArray[np.float64], drawn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Effects in standard deviations of the columns, of categorical ones as they are.

    0 where a column is constant.
    """
    spread = deviations(np.clip(drawn, *np.quantile(drawn, TAILS, axis=0)))
    spread = np.where(spread > 0, spread, deviations(drawn))  # rarely other than its usual value
    spread[encoder.likelihood_ == "categorical"] = 1.0
    return np.divide(effects, spread, out=np.zeros_like(effects), where=spread > 0)
