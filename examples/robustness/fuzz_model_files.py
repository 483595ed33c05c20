"""
Model files from strangers
==========================

Claim: whatever a file holds, `HierarchicalSparseEncoder.load` ends in an encoder or in a
`ModelFileError`. No file whose bytes were altered without a new checksum is accepted, and one that
a hostile author signed anew is refused or gives finite weights of the right shapes. Nothing in it
is run, reading takes no more memory than twice the file's size plus 10 MB, and no file takes long.

    python examples/robustness/fuzz_model_files.py --files 100000 --results fuzz.json

Every file is made from one of a few small models by one to three random changes: to its bytes, to
its header, or to its header and arrays with a new checksum. Python's audit events tell whether
loading imports, compiles, runs, connects, unpickles or opens anything else; `tracemalloc` tells
what it allocates. A file that breaks the claim is kept, and ends the script with status 1.
"""

import argparse
import hashlib
import json
import platform
import random
import resource
import struct
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

import skrgvae
from skrgvae import HierarchicalSparseEncoder, ModelFileError

MAX_SECONDS = 1.0  # of computing time, for one file
SPARE_BYTES = 10_000_000

FORBIDDEN = (
    *("compile", "ctypes.", "exec", "ftplib.", "import", "marshal.", "mmap.", "os.", "pickle."),
    *("shutil.", "socket.", "subprocess.", "sys._getframe", "tempfile.", "urllib.", "webbrowser."),
)


# The files to start from


def base_files(folder):
    """Bytes of a few small models that differ in what their files hold."""
    rng = np.random.default_rng(0)
    bits = (rng.random((60, 6)) < 0.4).astype(np.float32)
    mixed = np.column_stack([rng.normal(20, 5, size=60), bits[:, 0], rng.normal(size=60)])
    small = {"max_iter": 2, "batch_size": 20, "random_state": 0}
    encoders = [
        HierarchicalSparseEncoder((4, 3), **small).fit(bits),
        HierarchicalSparseEncoder((5,), hidden_layer_sizes=(4,), likelihood={0: "gaussian"})
        .set_params(**{**small, "random_state": np.random.RandomState(0)})
        .fit(mixed),
        HierarchicalSparseEncoder(
            (4, 3, 2),
            batch_norm=False,
            firing_rate=None,
            skip_connections=False,
            free_bits=np.array([0.1, 0, 0.2]),
            learning_rate=np.float32(0.01),
            **small,
        ).partial_fit(mixed),
    ]
    encoders[0].feature_names_in_ = np.array([f"pixel {i} \N{SNOWMAN}" for i in range(6)], object)
    path = Path(folder) / "base"
    files = []
    for encoder in encoders:
        encoder.save(path)
        files.append(path.read_bytes())
    return files


def split(data):
    """Header of a file as a dict, and the bytes of its arrays."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def joined(header, arrays):
    """A file of a header, as bytes or to be written as JSON, and the bytes of its arrays."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + arrays


def signed(data):
    """The file with a valid checksum in place of the first thing that looks like one."""
    length = int.from_bytes(data[:8], "little")
    start = data[8 : 8 + length].find(b'sha256\\": \\"')
    if start < 0:
        return data
    start += 8 + len(b'sha256\\": \\"')
    blank = data[:start] + b"0" * 64 + data[start + 64 :]
    return data[:start] + hashlib.sha256(blank).hexdigest().encode() + data[start + 64 :]


# Changes to bytes


def flip_bits(data, rng):
    altered = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        altered[rng.randrange(len(altered))] ^= 1 << rng.randrange(8)
    return bytes(altered)


def cut_off(data, rng):
    return data[: rng.randrange(len(data))]


def lengthen(data, rng):
    return data + rng.randbytes(rng.choice([1, 8, 1000]))


def move_a_piece(data, rng):
    start, size = rng.randrange(len(data)), rng.choice([1, 8, 64, 500])
    piece, rest = data[start : start + size], data[:start] + data[start + size :]
    place = rng.randrange(len(rest) + 1)
    return rng.choice(
        [rest, rest[:place] + piece + rest[place:], data[:place] + piece + data[place:]]
    )


def overwrite(data, rng):
    start, size = rng.randrange(len(data)), rng.choice([1, 4, 8, 64, 500])
    filling = rng.choice(
        [b"\0" * size, b"\xff" * size, rng.randbytes(size), b"[" * size, b'"' * size]
    )
    return data[:start] + filling + data[start + size :]


def lie_about_the_length(data, rng):
    length = int.from_bytes(data[:8], "little")
    lies = [
        0,
        1,
        2,
        length - 1,
        length + 1,
        length + 8,
        len(data) - 8,
        len(data),
        2**31,
        2**63,
        2**64 - 1,
    ]
    return struct.pack("<Q", rng.choice([*lies, rng.randrange(2 * len(data))]) % 2**64) + data[8:]


def junk(data, rng):
    return rng.randbytes(rng.randrange(200))


def replace_the_header(data, rng):
    """Headers that are meant for the parser."""
    n = rng.choice([10, 1000, 100_000])
    text = rng.choice(
        [
            b"[" * n,
            b'{"a":' * n,
            b"[" + b"[]," * n + b"[]]",
            b"[" + b"{}," * n + b"{}]",
            b'["' + b"\\u4e2d" * n + b'"]',
            b'["\\ud83d\\ude00' + b"x" * n + b'"]',
            b"[" + b"9" * n + b"]",
            b"[1e" + b"9" * n + b"]",
            b'{"__metadata__": {"skrgvae": "' + b"[" * n + b'"}}',
            b'{"__metadata__": {"skrgvae": "[' + b"0.5," * n + b'0]"}}',
            b'"' + b"\xff\xfe" * n + b'"',
            b"{" + b'"a": 1, ' * n + b'"a": 1}',
            b" " * n + b"{}",
        ]
    )
    return joined(text, data[-1000:])


BYTES = [flip_bits, cut_off, lengthen, move_a_piece, overwrite, lie_about_the_length]
BYTES += [junk, replace_the_header]


# Changes to what the bytes mean

STRANGE = [
    *(None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e308, 2**31, 2**63, 2**64, 10**30, -(2**63)),
    *(
        "",
        "a",
        "cuda:0",
        "gaussian",
        "bernoulli",
        "F64",
        "F32",
        "__class__",
        "os.system",
        "\0",
        "\ud800",
    ),
    *([], [0], [[]], {}, {"a": 1}, {"tuple": [1]}, {"tuple": 1}, {"float": "nan"}, {"float": "x"}),
    *({"numpy": ["float64", [1.0, "a"]]}, {"numpy": ["object", [1]]}, {"numpy": ["int8", 300]}),
    *({"numpy": ["float16", 1e300]}, {"mapping": [[0, "gaussian"]]}, {"mapping": [[[], 1]]}),
    *({"RandomState": [[0] * 624, 10**6, 0, 0.0]}, {"RandomState": [[0] * 624, 624, 0, 0.0]}),
]


def strange(rng):
    if rng.random() < 0.9:
        return rng.choice(STRANGE)
    n = rng.choice([100, 2000, 20_000])
    kind = rng.randrange(5)
    if kind == 0:  # deep
        return nested(min(n, 900))
    return [["gaussian"] * n, [1] * n, "x" * n, {"numpy": ["float64", [[1]] * n]}][kind - 1]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def places(value, found=None):
    """Every (container, key) in nested lists and dicts."""
    found = [] if found is None else found
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], dict | list):
            places(value[key], found)
    return found


def edit(value, rng):
    """Change one thing somewhere in nested lists and dicts."""
    container, key = rng.choice(places(value))
    action = rng.randrange(6)
    if action == 0:
        del container[key]
    elif action == 1:
        other, other_key = rng.choice(places(value))
        container[key] = json.loads(json.dumps(other[other_key]))
    elif action == 2 and isinstance(container, list):
        container.insert(key, strange(rng))
    elif action == 2:
        container[rng.choice(["a", "skrgvae", "layers", "random_state", ""])] = strange(rng)
    elif action == 3 and type(container[key]) in (int, float):
        container[key] += rng.choice([1, -1, 2**32, 0.5])
    else:
        container[key] = strange(rng)


def edit_the_content(header, arrays, rng):
    document = json.loads(header["__metadata__"]["skrgvae"])
    parts = ["content", "parameters", "architecture"]
    part = rng.choice(parts)
    value = document["content"] if part == "content" else document["content"][part]
    edit(value, rng)
    return with_document(header, document), arrays


def edit_the_document(header, arrays, rng):
    document = json.loads(header["__metadata__"]["skrgvae"])
    del document["sha256"]
    edit({"document": document} if rng.random() < 0.1 else document, rng)
    return with_document(header, {"sha256": "0" * 64, **document}), arrays


def with_document(header, document):
    return {**header, "__metadata__": {"skrgvae": json.dumps(document)}}


def edit_the_layout(header, arrays, rng):
    names = [name for name in header if name != "__metadata__"]
    name, other = rng.choice(names), rng.choice(names)
    action = rng.randrange(5)
    if action == 0:
        header[name], header[other] = header[other], header[name]
    elif action == 1:
        header[rng.choice([other + "x", "training.history", "a" * 1000])] = header.pop(name)
    elif action == 2:
        header[name]["shape"] = rng.choice(
            [
                [],
                [0],
                [2**62, 4],
                [2**32, 2**32],
                [-1, -1],
                [1] * 40,
                header[other]["shape"],
                [10**9],
            ]
        )
    elif action == 3:
        header[name]["data_offsets"] = rng.choice(
            [[0, 0], header[other]["data_offsets"], [0, 2**63], [-8, 0], [0, len(arrays)], [8, 0]]
        )
    else:
        edit(header[name], rng)
    return header, arrays


def edit_numbers(header, arrays, rng):
    """Write unusual numbers into an array."""
    name = rng.choice([name for name in header if name != "__metadata__"])
    begin, end = header[name]["data_offsets"]
    formats = {"F32": "<f", "F64": "<d", "I64": "<q", "BOOL": "<B"}
    pattern = formats[header[name]["dtype"]]
    values = [0, 1, -1, 2**40] if pattern == "<q" else [0, 1, 2, 255]
    if pattern in ("<f", "<d"):
        values = [float("nan"), float("inf"), 3e38, -3e38, 1e-45, 0.0, -1.0, 1e10]
    position = begin + struct.calcsize(pattern) * rng.randrange(
        max(1, (end - begin) // struct.calcsize(pattern))
    )
    piece = struct.pack(pattern, rng.choice(values))
    if rng.random() < 0.5:
        piece = flip_bits(arrays[position : position + len(piece)] or b"\0", rng)
    return header, arrays[:position] + piece + arrays[position + len(piece) :]


def larger(header, arrays, rng):
    """Enlarge a layer or the table, in the shapes too, as far as they are read off."""
    document = json.loads(header["__metadata__"]["skrgvae"])
    architecture = document["content"]["architecture"]
    factor = rng.choice([10, 10**4, 10**8])
    if rng.random() < 0.5:
        architecture["layer_sizes"] = [size * factor for size in architecture["layer_sizes"]]
    else:
        n = min(factor, 10**4)
        architecture["layer_sizes"] = architecture["layer_sizes"] * n
        if architecture["hidden_layer_sizes"]:
            architecture["hidden_layer_sizes"] = architecture["hidden_layer_sizes"] * n
    if rng.random() < 0.5:
        arrays += bytes(4 * 10**6)
        last = {"dtype": "F32", "shape": [10**6]}
        header["more"] = {**last, "data_offsets": [len(arrays) - 4 * 10**6, len(arrays)]}
    return with_document(header, document), arrays


MEANING = [edit_the_content] * 4 + [edit_the_document, edit_the_layout, edit_numbers, edit_numbers]


def edit_the_text(data, rng):
    """Change characters of the header, which no JSON library would write so."""
    length = int.from_bytes(data[:8], "little")
    header, arrays = data[8 : 8 + length], data[8 + length :]
    start = rng.randrange(length)
    mark = rng.choice([b"0", b"1", b",", b"[", b'"', b"\\", b"{", b":", b"null", b"F32", b"shape"])
    new = rng.choice(
        [b"", b" ", b"9" * 30, b"1e400", b"NaN", b"-", b"\\u0000", b'"', b"[", b"\xff", mark * 2]
    )
    place = header.find(mark, start)
    if place >= 0:
        header = header[:place] + new + header[place + len(mark) :]
    return joined(header, arrays)


def mutate(files, rng):
    """Name of the kind of change, a file, and whether its checksum was made anew."""
    data = rng.choice(files)
    kind = rng.random()
    if kind < 0.65:
        change = rng.choice(BYTES)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            data = change(data, rng) or b"\0"
            name, change = change.__name__, rng.choice(BYTES[:-2])
        return name, data, False
    if kind < 0.67:
        header = split(data)[0]
        return "mix_files", joined(header, split(rng.choice(files))[1]), True
    if kind < 0.75:
        altered = edit_the_text(data, rng)
        return edit_the_text.__name__, signed(altered), True
    header, arrays = split(data)
    for _ in range(rng.choice([0, 0, 0, 1, 5])):
        header, arrays = edit_numbers(header, arrays, rng)
    change = larger if rng.random() < 0.01 else rng.choice(MEANING)
    data = joined(*change(header, arrays, rng))
    is_signed = rng.random() < 0.9
    return change.__name__, signed(data) if is_signed else data, is_signed


# Watching a file being loaded


class Watch:
    """Collects audit events, while it is on, that loading a file has no business to raise."""

    def __init__(self, path):
        self.path = str(path)
        self.on = False
        self.found = []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.on:
            return
        if event == "open":
            if str(arguments[0]) != self.path or arguments[1] != "r":
                self.found.append((event, str(arguments[:2])))
        elif event.startswith(FORBIDDEN):
            self.found.append((event, str(arguments)[:200]))


def load_watched(path, watch):
    """What became of a file: outcome, message, encoder, seconds, and peak of allocated bytes."""
    encoder, message = None, ""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    started = time.process_time()
    watch.on = True
    try:
        encoder = HierarchicalSparseEncoder.load(path)
        outcome = "accepted"
    except ModelFileError as error:
        outcome, message = "refused", str(error)
    except Exception as error:
        outcome, message = "crashed", repr(error)
    finally:
        watch.on = False
    seconds = time.process_time() - started
    return outcome, message, encoder, seconds, tracemalloc.get_traced_memory()[1] - before


def weight_faults(encoder):
    """What is wrong with the weights of an encoder of a made-up file."""
    return [
        f"{name} is not finite"
        for name, array in encoder._model.arrays.items()
        if not np.isfinite(array).all()
    ]


def feature_faults(encoder):
    """What is wrong with what it computes, and whether all of that is finite.

    Weights may be finite and yet so large that results are not.
    """
    rows = np.linspace(0, 1, 2 * encoder.n_features_in_).reshape(2, -1)
    if hasattr(encoder, "feature_names_in_"):
        del encoder.feature_names_in_  # or scikit-learn warns that the rows have none
    try:
        features = encoder.set_params(sparse_output=False).transform(rows)
        components = encoder.components_
    except ValueError:  # the encoder's own word on what it can't do
        return [], False
    faults = []
    if features.shape != (2, encoder.get_feature_names_out().size):
        faults.append(f"features have the shape {features.shape}")
    if components.shape != (encoder.layer_sizes_[0], encoder.n_features_in_):
        faults.append(f"components_ has the shape {components.shape}")
    return faults, bool(np.isfinite(features).all() and np.isfinite(components).all())


def fuzz(n_files, seed=0, keep=None, progress=lambda done: True):
    """Load changed files and count what becomes of them.

    Parameters
    ----------
    n_files : int
    seed : int
    keep : path or None
        Folder for files that break the claim.
    progress : callable
        Told the number of files done; ends the work by False.

    Returns
    -------
    dict
        Counts, the largest time and memory, and `failures`, a list of what broke the claim.
    """
    rng = random.Random(seed)
    outcomes, failures = Counter(), []
    slowest, largest, transformed, not_finite = 0.0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        files = base_files(folder)
        path = Path(folder) / "model"
        watch = Watch(path)
        for data in files:  # what the first load of a process imports is not the file's doing
            path.write_bytes(data)
            feature_faults(HierarchicalSparseEncoder.load(path))
        rss_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tracemalloc.start()
        for number in range(n_files):
            name, data, is_signed = mutate(files, rng)
            path.write_bytes(data)
            outcome, message, encoder, seconds, peak = load_watched(path, watch)
            faults = [message] if outcome == "crashed" else []
            if outcome == "accepted":
                if data in files:
                    outcome = "accepted, as it is the original"
                elif is_signed:
                    outcome = "accepted, signed"
                    faults += weight_faults(encoder)
                    if rng.random() < 0.2:  # it takes longer than all the rest
                        transformed += 1
                        more, finite = feature_faults(encoder)
                        faults += more
                        not_finite += not finite
                else:
                    faults.append("an altered file was accepted")
            faults += [f"loading raised the event {event}" for event in watch.found]
            watch.found.clear()
            excess = peak - 2 * len(data)
            if excess > SPARE_BYTES:
                faults.append(f"loading {len(data)} bytes took {peak} bytes")
            if seconds > MAX_SECONDS:
                faults.append(f"loading {len(data)} bytes took {seconds:.2f} s")
            slowest, largest = max(slowest, seconds), max(largest, excess)
            outcomes[f"{name}: {outcome}"] += 1
            if faults:
                failures.append({"file": number, "change": name, "faults": faults})
                if keep is not None:
                    (Path(keep) / f"{seed}-{number}").write_bytes(data)
            if not progress(number + 1):
                break
        tracemalloc.stop()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "files": number + 1,
        "seed": seed,
        "outcomes": dict(sorted(outcomes.items())),
        "accepted_and_transformed": transformed,
        "of_these_not_finite": not_finite,
        "slowest_seconds": round(slowest, 4),
        "largest_peak_above_twice_the_file": largest,
        "resident_kB_before_and_at_most": [rss_before, rss],
        "failures": failures,
    }


def main(arguments=None):
    """Fuzz, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="JSON file to add the figures to")
    parser.add_argument("--keep", type=Path, help="folder for files that break the claim")
    options = parser.parse_args(arguments)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    def progress(done):
        minutes = (time.monotonic() - started) / 60
        if done % 5_000 == 0:
            print(f"{done} files, {minutes:.1f} minutes", flush=True)
        return options.minutes is None or minutes < options.minutes

    result = fuzz(options.files, options.seed, options.keep, progress)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, one core, {platform.system()}",
        "versions": {
            "skrgvae": skrgvae.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "seconds": round(time.monotonic() - started),
        **result,
    }
    for name, count in result["outcomes"].items():
        print(f"{count:>8}  {name}")
    print(
        f"slowest file {result['slowest_seconds']} s, largest peak of memory above twice the file "
        f"{result['largest_peak_above_twice_the_file'] / 1e6:.1f} MB"
    )
    print(f"{len(result['failures'])} failures in {result['files']} files")
    if options.results is not None:
        runs = json.loads(options.results.read_text()) if options.results.is_file() else []
        options.results.write_text(json.dumps([*runs, result], indent=2) + "\n")
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
