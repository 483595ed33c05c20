"""The fuzzing script, whose changes to files the tests use too."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzzer = _load(ROOT / "examples" / "robustness" / "fuzz_model_files.py")
split, joined = fuzzer.split, fuzzer.joined


def signed(header, arrays):
    """A file with a valid checksum, as a hostile author would make it."""
    return fuzzer.signed(joined(header, arrays))


def document_of(header):
    return json.loads(header["__metadata__"]["skrgvae"])
