"""
A table larger than the memory it may take
==========================================

Claim: 5,000,000 rows of 200 float32 numbers (4 GB) in a memory map are trained on for one epoch
and transformed into another memory map with at most 1 GB of anonymous memory above the import.

    python examples/robustness/large_inputs.py FOLDER

The rows are sums of a few rectified factors and noise, written to FOLDER block by block (5 GB with
the features) and deleted at the end. All parameters but `max_iter=1` and `batch_size` are the
defaults, so a tenth of the rows is held out for early stopping. Anonymous memory is RssAnon and
VmSwap of Linux's /proc/self/status: what the process holds beside the pages of files, which the
system may drop at any time. A thread reads it every 5 ms, so a shorter peak may be missed.
"""

import argparse
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import report

from skrgvae import HierarchicalSparseEncoder

SEED = 0
N_FACTORS = 20
ROWS_PER_BLOCK = 20_000
SECONDS_BETWEEN_READINGS = 0.005
LIMIT_BYTES = 1_000_000_000


def anonymous_bytes():
    """Anonymous memory of this process, in memory or swapped out."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return sum(1024 * int(fields[name].split()[0]) for name in ("RssAnon", "VmSwap"))


@contextmanager
def measured(record, name, before):
    """Record time, and peak and last reading of the anonymous memory above that before."""
    readings = [anonymous_bytes()]
    done = threading.Event()

    def read():
        while not done.wait(SECONDS_BETWEEN_READINGS):
            readings.append(anonymous_bytes())

    thread = threading.Thread(target=read)
    started = time.perf_counter()
    thread.start()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        done.set()
        thread.join()
    readings.append(anonymous_bytes())
    record[name] = {
        "seconds": round(seconds, 1),
        "peak_bytes_above_import": max(readings) - before,
        "bytes_above_import_afterwards": readings[-1] - before,
        "readings": len(readings),
    }


def write_rows(path, n_rows, n_columns):
    """A memory map of rows whose columns depend on each other."""
    rng = np.random.default_rng(SEED)
    loadings = rng.normal(size=(N_FACTORS, n_columns)).astype(np.float32)
    table = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_columns))
    for start in range(0, n_rows, ROWS_PER_BLOCK):
        block = table[start : start + ROWS_PER_BLOCK]
        factors = np.maximum(rng.standard_normal((len(block), N_FACTORS), np.float32), 0)
        block[:] = factors @ loadings + rng.standard_normal(block.shape, np.float32)
    table.flush()


def study(folder, n_rows, n_columns, encoder):
    """Figures of one training and one transform, from files to a file."""
    before = anonymous_bytes()
    phases = {}
    with measured(phases, "write", before):
        write_rows(folder / "rows.npy", n_rows, n_columns)
    X = np.load(folder / "rows.npy", mmap_mode="r")
    with measured(phases, "fit", before):
        encoder.fit(X)
    with measured(phases, "transform", before):
        shape = (n_rows, encoder.layer_slices_[-1].stop)
        out = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, shape)
        encoder.transform(X, out=out)
        out.flush()
    some = np.sort(np.random.default_rng(SEED).choice(n_rows, min(n_rows, 1000), replace=False))
    peak = max(phases[name]["peak_bytes_above_import"] for name in ("fit", "transform"))
    return {
        "bytes_after_import": before,
        "phases": phases,
        "input_bytes": X.nbytes,
        "output_bytes": out.nbytes,
        "elbo": encoder.history_["elbo"][0],
        "validation_elbo": encoder.history_["validation_elbo"][0],
        "largest_difference_to_rows_alone": np.abs(out[some] - encoder.transform(X[some])).max(),
        "peak_bytes_above_import": peak,
        "within_limit": peak <= LIMIT_BYTES,
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("folder", type=Path, help="where the rows and the features may lie")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--columns", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    options = parser.parse_args(arguments)
    encoder = HierarchicalSparseEncoder(
        layers=[3], max_iter=1, batch_size=options.batch_size, random_state=SEED
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = study(Path(folder), options.rows, options.columns, encoder)
    settings = {
        "rows": options.rows,
        "columns": options.columns,
        "batch_size": options.batch_size,
        "max_iter": 1,
        "layers": [3],
        "seed": SEED,
        "limit_bytes": LIMIT_BYTES,
    }
    return report.write("large_inputs", {"settings": settings, **figures}, options.results)


if __name__ == "__main__":
    main()
