"""Named arrays and a JSON header in one file, checked to the last bit.

It is a safetensors file: 8 bytes with the length of a header in JSON, the header, the arrays. Its
`__metadata__` has one entry, "skrgvae", a JSON object in a string:

- `sha256`: checksum of the whole file, these 64 digits set to 0;
- `kind`: what the file is, such as "model";
- `format_version`: version of what the kind holds;
- `content`: what the writer put there.

Reading runs nothing, believes nothing and allocates nothing before its size is known to be right.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import reprlib
import stat
from collections.abc import Collection, Mapping
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrgvae.exceptions import ModelFileError
from skrgvae.persistence.atomic import write_atomically

KEY = "skrgvae"
NO_DIGEST = "0" * 64

# safetensors' names of the types a file may hold.
DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "BOOL": "|b1", "U8": "|u1"}
MAX_DIMENSIONS = 8

# What reading may take beside the bytes of the file, and what a header may take of it, in bytes
# per character (with copies), more per character of a string with one beyond ASCII, and per value
# of its JSON.
SPARE_BYTES = 8_000_000
BYTES_PER_CHARACTER, MORE_IN_WIDE_STRINGS = 5, 15
BYTES_PER_VALUE = {b",": 100, b"[": 150, b"{": 350, b":": 150}


def write(
    path: str | os.PathLike[str],
    kind: str,
    version: int,
    content: Mapping[str, Any],
    arrays: Mapping[str, NDArray],
) -> None:
    """Write a file in full or not at all.

    Parameters
    ----------
    path : str or os.PathLike
    kind : str
        What the file is; `read` wants to be told the same.
    version : int
        Version of the content's format.
    content : mapping
        Values that JSON has, without NaN and infinities.
    arrays : mapping of str to ndarray
        Of float64, float32, int64, bool or uint8.

    Raises
    ------
    OSError
        If the file can't be written; what was at `path` is still there.
    ValueError
        If the content is so large beside the arrays that `read` would refuse it.
    """
    write_atomically(path, pack(kind, version, content, arrays))


def pack(
    kind: str, version: int, content: Mapping[str, Any], arrays: Mapping[str, NDArray]
) -> bytearray:
    """Return the bytes of a file, the same for the same arguments."""
    from safetensors.numpy import save

    document = {
        "sha256": NO_DIGEST,  # first, so that no other 64 zeros stand before it
        "kind": kind,
        "format_version": version,
        "content": content,
    }
    metadata = {KEY: json.dumps(document, allow_nan=False)}
    in_order = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    data = bytearray(save(in_order, metadata))
    header = bytes(data[8 : 8 + int.from_bytes(data[:8], "little")])
    _check_header_cost(header, len(data))
    start = data.index(NO_DIGEST.encode())
    data[start : start + len(NO_DIGEST)] = hashlib.sha256(data).hexdigest().encode()
    return data


def read(
    path: str | os.PathLike[str], kind: str, versions: Collection[int]
) -> tuple[int, dict[str, Any], dict[str, NDArray]]:
    """Read a file that nothing is known about.

    Parameters
    ----------
    path : str or os.PathLike
    kind : str
        What the file must be.
    versions : collection of int
        Versions of the content's format that the caller understands.

    Returns
    -------
    version : int
    content : dict
        As `write` was given it, unchanged but otherwise unchecked: a file with a valid checksum
        may still be made up.
    arrays : dict of str to ndarray
        Views of one buffer.

    Raises
    ------
    ModelFileError
        If the file is anything but what `write` wrote.
    OSError
        If the operating system doesn't hand out the file.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # opening a pipe would wait for a writer
        raise ModelFileError(f"{os.fspath(path)}: not a regular file")
    with open(path, "rb") as file:
        try:
            return _read(file, kind, versions)
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(path)}: {error}") from error.__cause__


def _read(
    file: BufferedReader, kind: str, versions: Collection[int]
) -> tuple[int, dict[str, Any], dict[str, NDArray]]:
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= size - 8:
        raise ModelFileError("not a safetensors file, or cut off")
    header = _read_exactly(file, length)
    _check_header_cost(header, size)
    entries = _parsed(header.tobytes())
    document = _document(entries.pop("__metadata__", None), kind, versions)
    layout = _layout(entries, size - 8 - length)
    data = _read_exactly(file, size - 8 - length)

    digest = document["sha256"]
    checksum = hashlib.sha256(start)
    checksum.update(header.tobytes().replace(digest.encode(), NO_DIGEST.encode(), 1))
    checksum.update(data.data)
    if checksum.hexdigest() != digest:
        raise ModelFileError("damaged or altered: the checksum is not that of the content")
    return (
        document["format_version"],
        document["content"],
        {
            name: _array(name, data[begin:end], dtype, shape)
            for name, (dtype, shape, begin, end) in layout.items()
        },
    )


def _read_exactly(file: BufferedReader, size: int) -> NDArray[np.uint8]:
    buffer = np.empty(size, np.uint8)
    if file.readinto(buffer.data) != size:
        raise ModelFileError("cut off while it was read")
    return buffer


def _check_header_cost(header: bytes | NDArray[np.uint8], size: int) -> None:
    """Refuse a header whose values would take more memory than the file may."""
    text = bytes(header)
    cost = len(text) * BYTES_PER_CHARACTER + _n_wide(text) * MORE_IN_WIDE_STRINGS
    cost += sum(text.count(mark) * weight for mark, weight in BYTES_PER_VALUE.items())
    if cost > size + SPARE_BYTES:
        raise ModelFileError("the header is too large beside the arrays")


def _n_wide(text: bytes) -> int:
    """Characters, at most, of the strings with characters beyond ASCII."""
    if b"\\u" not in text:
        return 0
    # The content is JSON in a string of JSON: its own such characters have two backslashes. An odd
    # number would make the string of all of it wide; `write` puts none there.
    escapes = re.finditer(rb"(?<!\\)(\\+)u", text)
    if any(len(found[1]) % 2 for found in escapes):
        return len(text)
    wide = (part for part in text.split(b'"') if b"\\u" in part)
    return sum(len(part) - 6 * part.count(b"\\u") for part in wide)  # \\u00e4 is one


def _parsed(text: bytes | str) -> dict[str, Any]:
    """Return the JSON object in a text, told from everything that is none."""
    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode("ascii"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_no_number,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the header can't be read: {error}") from error
    if not isinstance(value, dict):
        raise ModelFileError("the header is no JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice")
    return values


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _document(metadata: Any, kind: str, versions: Collection[int]) -> dict[str, Any]:
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise ModelFileError("a safetensors file, but not one of skrgvae")
    document = _parsed(metadata[KEY])
    if document.get("kind") != kind:
        raise ModelFileError(f"the file is no {kind} but {reprlib.repr(document.get('kind'))}")
    version = document.get("format_version")
    if type(version) is not int or version not in versions:
        raise ModelFileError(
            f"the file has format version {reprlib.repr(version)}, this version of skrgvae reads "
            f"{', '.join(map(str, sorted(versions)))}: use the version that wrote it, or a newer "
            "one"
        )
    digest = document.get("sha256")
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ModelFileError("the checksum is no SHA-256")
    if set(document) != {"sha256", "kind", "format_version", "content"} or not isinstance(
        document["content"], dict
    ):
        raise ModelFileError("the header has too few, too many or wrong entries")
    return document


def _layout(
    entries: dict[str, Any], size: int
) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """dtype, shape, begin and end of every array: side by side, without gaps, to the end."""
    layout = {name: _entry(name, entry, size) for name, entry in entries.items()}
    position = 0
    for name, (_, _, begin, end) in sorted(layout.items(), key=lambda item: item[1][2:]):
        if begin != position:
            raise ModelFileError(f"array {reprlib.repr(name)} is not where the one before it ends")
        position = end
    if position != size:
        raise ModelFileError(f"the arrays have {position} bytes, the file has {size}: cut off?")
    return layout


def _entry(name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"array {reprlib.repr(name)} has too few, too many or wrong entries")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelFileError(f"array {reprlib.repr(name)} has the type {reprlib.repr(dtype)}")
    for numbers in (shape, offsets):
        # No factor larger than the file: the product below stays small.
        if not isinstance(numbers, list) or not all(
            type(number) is int and 0 <= number <= size for number in numbers
        ):
            raise ModelFileError(f"array {reprlib.repr(name)} has sizes that can't be")
    if len(shape) > MAX_DIMENSIONS or len(offsets) != 2:
        raise ModelFileError(f"array {reprlib.repr(name)} has too many dimensions or offsets")
    begin, end = offsets
    width = np.dtype(DTYPES[dtype]).itemsize
    if begin % width or end - begin != math.prod(shape) * width:
        raise ModelFileError(f"array {reprlib.repr(name)} has a shape that its bytes don't fill")
    return dtype, tuple(shape), begin, end


def _array(name: str, data: NDArray[np.uint8], dtype: str, shape: tuple[int, ...]) -> NDArray:
    if dtype == "BOOL" and data.size and data.max() > 1:
        raise ModelFileError(f"array {reprlib.repr(name)} holds what is neither true nor false")
    return data.view(DTYPES[dtype]).reshape(shape)
