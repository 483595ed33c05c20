"""Noise that belongs to a row: a function of a seed and of the row's content alone.

A score that samples must not depend on which rows stand beside a row, or in which order. So its
noise comes from no generator with a state, but from hashing (seed, content, counter) with the
finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number
generators"), and the normal quantile function.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def row_keys(table: NDArray[np.floating], seed: int) -> NDArray[np.uint64]:
    """One 64-bit key per row.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
        Equal values give equal keys in float32 and float64, -0.0 is 0.0, and a NaN any other.
    seed : int
    """
    values = np.ascontiguousarray(table.astype(np.float64) + 0.0)
    values[np.isnan(values)] = np.nan  # NaNs come with many bit patterns
    bits = values.view(np.uint64)
    positions = np.arange(1, table.shape[1] + 1, dtype=np.uint64) * _GOLDEN
    _mix(positions)
    bits ^= positions  # equal values in two columns must not cancel
    _mix(bits)
    keys = bits.sum(axis=1, dtype=np.uint64)
    keys += np.array([seed], dtype=np.uint64) * _GOLDEN
    _mix(keys)
    return keys


def normal_noise(
    keys: NDArray[np.uint64], n_units: int, samples: range = range(1)
) -> NDArray[np.float64]:
    """Standard normal numbers, shape (len(samples), n_rows, n_units).

    Parameters
    ----------
    keys : ndarray of shape (n_rows,)
    n_units : int
    samples : range
        Numbers of the samples wanted; sample i of a row is the same in every range that has it.
    """
    counters = np.arange(samples.start * n_units + 1, samples.stop * n_units + 1, dtype=np.uint64)
    counters = counters.reshape(len(samples), 1, n_units) * _GOLDEN
    state = keys[None, :, None] + counters
    _mix(state)
    # The 52 highest bits and a half: with 53 the largest would round to 1.
    uniform = ((state >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return ndtri(uniform)


def _mix(state: NDArray[np.uint64]) -> None:
    """SplitMix64's finaliser, in place; unsigned arithmetic wraps around as it is meant to."""
    state ^= state >> np.uint64(30)
    state *= _MIX_1
    state ^= state >> np.uint64(27)
    state *= _MIX_2
    state ^= state >> np.uint64(31)
