"""The file format: what comes back, and what is refused."""

import hashlib
import json
import os
import struct

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from skrgvae import ModelFileError
from skrgvae.persistence import container

CONTENT = {"text": 'naïve \N{GRINNING FACE} "x"', "numbers": [1, 0.1, -1e300], "none": None}
ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "precise": np.array([np.pi, -0.0, 5e-324]),
    "count": np.array(2**62),
    "flags": np.array([True, False, True]),
    "bytes": np.arange(5, dtype=np.uint8),
    "empty": np.zeros((0, 4)),
}


@pytest.fixture
def path(tmp_path):
    container.write(tmp_path / "file", "model", 1, CONTENT, ARRAYS)
    return tmp_path / "file"


def read(path):
    return container.read(path, "model", {1})


def split(data):
    """Header as a dict, and the bytes of the arrays."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header, arrays):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + arrays


def signed(header, arrays):
    """A file with a valid checksum, as a hostile author would make it."""
    document = json.loads(header["__metadata__"]["skrgvae"])
    document["sha256"] = "0" * 64
    header = {**header, "__metadata__": {"skrgvae": json.dumps(document)}}
    data = joined(header, arrays)
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


def test_everything_comes_back(path):
    version, content, arrays = read(path)
    assert version == 1
    assert content == CONTENT
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].shape == array.shape
        assert arrays[name].tobytes() == array.tobytes()


def test_the_same_content_gives_the_same_bytes():
    first = container.pack("model", 1, CONTENT, ARRAYS)
    assert container.pack("model", 1, CONTENT, dict(reversed(ARRAYS.items()))) == first


def test_safetensors_alone_reads_it(path):
    arrays = load_file(path)
    np.testing.assert_array_equal(arrays["weights"], ARRAYS["weights"])
    with safe_open(path, framework="np") as file:
        document = json.loads(file.metadata()["skrgvae"])
    assert document["content"] == CONTENT
    # The checksum as the documentation states it.
    data = path.read_bytes()
    blank = data.replace(document["sha256"].encode(), b"0" * 64, 1)
    assert hashlib.sha256(blank).hexdigest() == document["sha256"]


def test_every_flipped_bit_is_found(path, tmp_path):
    data = path.read_bytes()
    other = tmp_path / "other"
    for position in range(len(data)):
        altered = bytearray(data)
        altered[position] ^= 1 << position % 8
        other.write_bytes(altered)
        with pytest.raises(ModelFileError):
            read(other)


def test_every_length_is_refused_but_the_right_one(path, tmp_path):
    data = path.read_bytes()
    other = tmp_path / "other"
    for length in [*range(len(data)), len(data) + 1]:
        other.write_bytes((data + b"\0")[:length])
        with pytest.raises(ModelFileError):
            read(other)


def test_a_signed_file_is_read(path, tmp_path):
    (tmp_path / "other").write_bytes(signed(*split(path.read_bytes())))
    assert read(tmp_path / "other")[1] == CONTENT


def entry(**changes):
    def change(header, arrays):
        header["weights"] = {**header["weights"], **changes}
        return signed(header, arrays)

    return change


def document(**changes):
    def change(header, arrays):
        content = {**json.loads(header["__metadata__"]["skrgvae"]), **changes}
        header["__metadata__"]["skrgvae"] = json.dumps(content)
        return signed(header, arrays)

    return change


def renamed(old, new):
    def change(header, arrays):
        data = signed(header, arrays)
        length = int.from_bytes(data[:8], "little")
        return joined(data[8 : 8 + length].replace(old, new), data[8 + length :])

    return change


HOSTILE = {
    "another kind": (document(kind="checkpoint"), "the file is no model but 'checkpoint'"),
    "a later version": (document(format_version=2), "version 2, this version of skrgvae reads 1"),
    "a version of another type": (document(format_version=True), "format version True"),
    "more in the document": (document(more=1), "too few, too many or wrong"),
    "content of another type": (document(content=[]), "too few, too many or wrong"),
    "no metadata": (lambda h, a: joined({"weights": h["weights"]}, a), "not one of skrgvae"),
    "other metadata": (lambda h, a: joined({"__metadata__": {"a": "b"}}, a), "not one of skrgvae"),
    "a list": (lambda h, a: joined([], a), "no JSON object"),
    "no JSON": (lambda h, a: joined(b"{....", a), "header can't be read"),
    "bytes that are no text": (lambda h, a: joined(b"\xff" * 9, a), "header can't be read"),
    "deep nesting": (lambda h, a: joined(b"[" * 50_000, a), "header can't be read"),
    "a name twice": (renamed(b'"bytes"', b'"flags"'), "a name occurs twice"),
    "NaN": (lambda h, a: joined(b'{"a": NaN}', a), "NaN is no number"),
    "an infinite number": (lambda h, a: joined(b'{"a": 1e999}', a), "out of range"),
    "a very long number": (
        lambda h, a: joined(b'{"a": ' + b"9" * 5000 + b"}", a),
        "can't be read",
    ),
    "a huge header": (lambda h, a: joined(b"[" + b"[]," * 300_000, a), "too large beside"),
    "a foreign dtype": (entry(dtype="F16"), "'weights' has the type 'F16'"),
    "a dtype that is no text": (entry(dtype=["F32"]), "has the type"),
    "a narrower dtype": (entry(dtype="BOOL"), "its bytes don't fill"),
    "a wider dtype": (entry(dtype="F64"), "its bytes don't fill"),
    "a huge shape": (entry(shape=[2**62, 4]), "sizes that can't be"),
    "a negative shape": (entry(shape=[-2, -3]), "sizes that can't be"),
    "a fractional shape": (entry(shape=[2.0, 3]), "sizes that can't be"),
    "many dimensions": (entry(shape=[1] * 9), "too many dimensions"),
    "offsets beyond the end": (entry(data_offsets=[0, 2**63]), "sizes that can't be"),
    "offsets that overlap": (entry(data_offsets=[0, 24]), "is not where"),
    "three offsets": (entry(data_offsets=[0, 1, 2]), "too many dimensions or offsets"),
    "one entry more": (entry(more=1), "too few, too many or wrong"),
    "bytes at the end": (lambda h, a: signed(h, a + b"\0"), "cut off"),
    "flags that are neither": (
        lambda h, a: signed(h, a.replace(b"\1\0\1", b"\1\2\1")),
        "'flags' holds what is neither",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(path, name):
    change, message = HOSTILE[name]
    path.write_bytes(change(*split(path.read_bytes())))
    with pytest.raises(ModelFileError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("data", [b"", b"1234567", bytes(8), b"\xff" * 8, b"\xff" * 100])
def test_no_safetensors_file(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ModelFileError, match="not a safetensors file, or cut off"):
        read(tmp_path / "a")


def test_a_sparse_file_is_not_read_for_its_length(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.write(joined({"__metadata__": {"skrgvae": "{}"}}, b""))
        file.truncate(2**40)
    with pytest.raises(ModelFileError):
        read(tmp_path / "a")


def test_errors_of_the_system_are_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="not a regular file"):
        read(tmp_path / "pipe")


def test_what_could_not_be_read_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="too large beside the arrays"):
        container.write(tmp_path / "a", "model", 1, {"a": [[]] * 300_000}, ARRAYS)
    assert not list(tmp_path.iterdir())
