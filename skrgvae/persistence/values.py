"""Parameters as JSON and back, type by type: nothing but what is listed here is ever made.

None, booleans, whole numbers, finite floats, strings and lists are what they are in JSON.
Everything else is an object with a single entry that names its type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
NUMPY_TYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "float16", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
}
# Words of the Mersenne Twister behind a RandomState.
N_WORDS = 624


def encode(value: Any) -> Any:
    """Give a value the form it has in a file.

    Raises
    ------
    TypeError
        If a file can't hold a value of this type.
    """
    if isinstance(value, str):
        return str(value)
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is list:
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[_key(key), encode(item)] for key, item in value.items()]}
    if hasattr(value, "to_numpy"):  # an index or a series of pandas
        value = value.to_numpy()
    if isinstance(value, np.generic | np.ndarray) and value.dtype.name in NUMPY_TYPES:
        return {"numpy": [value.dtype.name, encode(value.tolist())]}
    if isinstance(value, range | np.ndarray):  # an array of words, say
        return encode(list(value))
    if isinstance(value, np.random.RandomState):
        return {"RandomState": _random_state(value)}
    raise TypeError(
        f"a model file can't hold a {type(value).__name__}, only None, booleans, numbers, "
        "strings, lists, tuples, mappings, arrays, series of pandas and RandomState"
    )


def decode(value: Any) -> Any:
    """Read what `encode` gave; a RandomState goes on where it stood.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise ValueError(f"a value must name one type, not {len(value)}")
    ((name, content),) = value.items()
    if name == "float" and isinstance(content, str) and content in NOT_FINITE:
        return NOT_FINITE[content]
    if name == "tuple" and isinstance(content, list):
        return tuple(decode(content))
    if name == "mapping" and isinstance(content, list):
        return dict(_pair(item) for item in content)
    if name == "numpy" and isinstance(content, list) and len(content) == 2:
        return _numpy(*content)
    if name == "RandomState" and isinstance(content, list) and len(content) == 4:
        return _decoded_random_state(*content)
    raise ValueError(f"no value can be made of {name[:40]!r}")


def _key(key: Any) -> str | int:
    key = key.item() if isinstance(key, np.generic) else key
    if type(key) not in (str, int):
        raise TypeError(f"a model file can't hold a mapping from {type(key).__name__}")
    return key


def _pair(item: Any) -> tuple[Any, Any]:
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[0], str | int):
        raise ValueError("a mapping must consist of pairs of a string or whole number and a value")
    return item[0], decode(item[1])


def _numpy(name: Any, content: Any) -> Any:
    if not isinstance(name, str) or name not in NUMPY_TYPES:
        raise ValueError("unknown type of numpy")
    try:
        with np.errstate(all="raise"):
            return np.array(decode(content), dtype=NUMPY_TYPES[name])[()]  # 0-d: a scalar
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"no array of {name}: {error}") from error


def _random_state(state: np.random.RandomState) -> list[Any]:
    name, words, position, has_gauss, gauss = state.get_state()
    if name != "MT19937":
        raise TypeError(f"a model file can't hold a RandomState of {name}, only of MT19937")
    return [np.asarray(words).tolist(), int(position), int(has_gauss), float(gauss)]


def _decoded_random_state(
    words: Any, position: Any, has_gauss: Any, gauss: Any
) -> np.random.RandomState:
    # numpy takes a position as it comes, and reads there.
    if (
        not isinstance(words, list)
        or len(words) != N_WORDS
        or not all(type(word) is int and 0 <= word < 2**32 for word in words)
        or type(position) is not int
        or not 0 <= position <= N_WORDS
        or has_gauss not in (0, 1)
        or type(gauss) is not float
    ):
        raise ValueError("no state of a RandomState")
    state = np.random.RandomState(0)
    state.set_state(("MT19937", np.array(words, np.uint32), position, has_gauss, gauss))
    return state
