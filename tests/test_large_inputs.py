"""Rows in a memory map are trained on and transformed without a copy of them."""

import importlib.util
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from skrgvae import HierarchicalSparseEncoder, model
from skrgvae.data import sources

SCRIPTS = Path(__file__).parents[1] / "examples" / "robustness"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    spec = importlib.util.spec_from_file_location("large_inputs", SCRIPTS / "large_inputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arrays_stay_smaller_than_half_of_the_rows(script, tmp_path, monkeypatch):
    # Of a table this small a block would be a large part. What is left are a few numbers per row
    # (its place in the order), and the rows that the summary of the columns keeps.
    monkeypatch.setattr(sources, "BLOCK", 2**16)
    monkeypatch.setattr(model, "PIECE", 2**16)
    script.write_rows(tmp_path / "rows.npy", 200_000, 40)
    X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    out = np.lib.format.open_memmap(tmp_path / "out.npy", "w+", np.float32, (len(X), 2))
    encoder = HierarchicalSparseEncoder(
        (4, 2), layers=[1], max_iter=1, batch_size=10_000, random_state=0
    )
    encoder.fit(X[:100])  # what is imported on the way is no array
    peaks = {}
    tracemalloc.start()
    try:
        for name, call in (
            ("fit", lambda: encoder.fit(X)),
            ("transform", lambda: encoder.transform(X, out=out)),
            ("score", lambda: encoder.score_samples(X)),
        ):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            call()
            peaks[name] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert max(peaks.values()) < X.nbytes / 2, peaks
    assert np.isfinite(encoder.history_["validation_elbo"]).all()  # a part was held out
    np.testing.assert_array_equal(out[-50:], encoder.transform(X[-50:]))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux has /proc")
def test_the_script(script, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    options = [str(folder), "--rows", "3000", "--columns", "20", "--results", str(tmp_path)]
    record = script.main(options)
    written = json.loads((tmp_path / "large_inputs.json").read_text(encoding="utf-8"))
    assert written == json.loads(capsys.readouterr().out)
    assert record["settings"]["rows"] == 3000
    assert record["input_bytes"] == 3000 * 20 * 4
    assert record["output_bytes"] == 3000 * 50 * 4
    assert record["phases"].keys() == {"write", "fit", "transform"}
    for figures in record["phases"].values():
        assert figures["peak_bytes_above_import"] >= figures["bytes_above_import_afterwards"]
    assert record["largest_difference_to_rows_alone"] <= 1e-6
    assert record["within_limit"]
    assert not list(folder.iterdir())
