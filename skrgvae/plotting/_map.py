"""Which units and links a map of the hierarchy shows, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrgvae.plotting._checks import check_count

NEEDED = ("layer", "unit", "lower_layer", "lower_unit", "effect")
SWEEPS = 8  # over the layers; the order hardly changes after them


class Link(NamedTuple):
    """From a unit of one layer to a unit of the next lower one."""

    upper: int
    lower: int
    effect: float  # change of the lower unit's prior mean


def effect_matrices(links: Any, layer_sizes: Sequence[int]) -> list[NDArray[np.float64]]:
    """Effects between neighbouring layers, (n_upper, n_lower), the lowest pair first.

    Parameters
    ----------
    links : DataFrame or dict of array-like of shape (n_links,)
    layer_sizes : sequence of int
        Bottom first.
    """
    sizes = [check_count("layer_sizes", size) for size in layer_sizes]
    if len(sizes) < 2:
        raise ValueError(f"A map needs two layers or more. Got layer_sizes={tuple(sizes)}.")
    missing = [name for name in NEEDED if name not in links]
    if missing:
        raise ValueError(f"links must hold {', '.join(NEEDED)}. Missing: {missing}.")
    columns = {name: np.asarray(links[name]) for name in NEEDED}
    if not np.isfinite(columns["effect"].astype(np.float64)).all():
        raise ValueError("links must hold finite effects. Got NaN or infinity.")
    pairs = []
    for lower in range(len(sizes) - 1):
        own = (columns["layer"] == lower + 1) & (columns["lower_layer"] == lower)
        pair = np.zeros((sizes[lower + 1], sizes[lower]))
        units = columns["unit"][own], columns["lower_unit"][own]
        for numbers, size in zip(units, pair.shape, strict=True):
            if len(numbers) and not 0 <= numbers.min() <= numbers.max() < size:
                raise ValueError(
                    f"links must be between the units of layer_sizes={tuple(sizes)}. Got units "
                    f"{numbers.min()} to {numbers.max()} in a layer of {size}."
                )
        pair[units] = columns["effect"][own]
        pairs.append(pair)
    return pairs


def units_to_show(pairs: Sequence[NDArray[np.float64]], n_units: int) -> list[NDArray[np.intp]]:
    """Units of every layer, bottom layer first, chosen from the top down.

    At the top those with the strongest links; below, the unit that each one shown above moves
    most, then the others that are moved most. Units without a link are left out.

    Parameters
    ----------
    pairs : sequence of ndarray of shape (n_units of the upper layer, n_units of the lower one)
        The lowest pair of layers first.
    n_units : int
        Per layer at most.
    """
    top = np.abs(pairs[-1]).max(axis=1)
    shown = [_largest(top, n_units)]
    for pair in reversed(pairs):
        strength = np.abs(pair[shown[0]])
        if not strength.size:
            return [np.empty(0, np.intp)] * (len(pairs) + 1)
        favourite = np.zeros(pair.shape[1], dtype=bool)
        favourite[strength.argmax(axis=1)] = True
        shown.insert(0, _largest(_with_first(strength.max(axis=0), favourite), n_units))
    return shown


def links_to_show(
    pair: NDArray[np.float64], upper: NDArray[np.intp], lower: NDArray[np.intp], n_links: int
) -> list[Link]:
    """Links between the units shown of two layers: the strongest of each unit, then the others."""
    strength = np.abs(pair[np.ix_(upper, lower)])
    first = np.zeros(strength.shape, dtype=bool)
    first[np.arange(len(upper)), strength.argmax(axis=1)] = True
    first[strength.argmax(axis=0), np.arange(len(lower))] = True
    rank = _with_first(strength, first)
    places = [divmod(int(place), len(lower)) for place in _largest(rank.ravel(), n_links)]
    return [Link(int(upper[i]), int(lower[j]), float(pair[upper[i], lower[j]])) for i, j in places]


def untangled(
    shown: Sequence[NDArray[np.intp]], links: Sequence[Sequence[Link]]
) -> list[NDArray[np.intp]]:
    """The same units in an order in which fewer links cross.

    Every unit goes to the mean place of those it is linked to, weighted by strength, layer by
    layer, down and up in turn: the barycentre method [1]_.

    References
    ----------
    .. [1] K. Sugiyama, S. Tagawa, M. Toda (1981). Methods for Visual Understanding of
       Hierarchical System Structures. IEEE Transactions on Systems, Man, and Cybernetics 11,
       109-125.
    """
    order = [list(map(int, units)) for units in shown]
    for sweep in range(SWEEPS):
        for lower in range(len(links))[:: -1 if sweep % 2 == 0 else 1]:
            fixed, free = (lower + 1, lower) if sweep % 2 == 0 else (lower, lower + 1)
            place = {unit: (i + 0.5) / len(order[fixed]) for i, unit in enumerate(order[fixed])}
            order[free] = _by_neighbours(order[free], place, links[lower], free == lower)
    return [np.array(units, dtype=np.intp) for units in order]


def _by_neighbours(
    units: list[int], place: dict[int, float], links: Sequence[Link], below: bool
) -> list[int]:
    pulled = dict.fromkeys(units, 0.0)
    weight = dict.fromkeys(units, 0.0)
    for link in links:
        unit, other = (link.lower, link.upper) if below else (link.upper, link.lower)
        pulled[unit] += abs(link.effect) * place[other]
        weight[unit] += abs(link.effect)
    # A unit without a link stays in the middle.
    return sorted(units, key=lambda unit: pulled[unit] / weight[unit] if weight[unit] else 0.5)


def _with_first(strength: NDArray[np.float64], first: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Numbers with the order of `strength`, but those that come first above all others."""
    return strength + np.where(first & (strength > 0), strength.max(), 0.0)


def _largest(values: NDArray[np.float64], n_values: int) -> NDArray[np.intp]:
    """Places of the largest values above zero, the largest first."""
    order = np.argsort(-values, kind="stable")[:n_values]
    return order[values[order] > 0]
