"""
What a model file costs
=======================

Claim: a model of the paper's size (784 named columns, layers of 300-200-100-50) takes at most 5 %
more bytes in a file than its weights do, loads in less than 50 ms once the package and torch are
imported, takes less than twice its size and 10 MB of memory, and transforms to the same bits in
another process.

    python examples/robustness/model_file_cost.py --results cost.json

Times are medians over processes of the first load in each: of the clock, and of computing alone,
which differ where the machine is shared.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import skrgvae
from skrgvae import HierarchicalSparseEncoder

PROCESS = """
import sys, time, tracemalloc
import numpy as np
import torch
import skrgvae.persistence.model_file
from skrgvae import HierarchicalSparseEncoder

torch.set_num_threads(int(sys.argv[2]))
folder = sys.argv[1]
clock, computing = time.perf_counter(), time.process_time()
loaded = HierarchicalSparseEncoder.load(folder + "/model")
print(time.perf_counter() - clock, time.process_time() - computing)
tracemalloc.start()
HierarchicalSparseEncoder.load(folder + "/model")
print(tracemalloc.get_traced_memory()[1])
np.savez(folder + "/out.npz", loaded.transform(np.load(folder + "/X.npy")), loaded.components_)
"""


def study(n_processes=5, max_iter=50):
    """Figures of one model, in the units that their names say."""
    X = (np.random.default_rng(0).random((100, 784)) < 0.2).astype(np.float64)
    names = [f"pixel_{row}_{column}" for row in range(28) for column in range(28)]
    encoder = HierarchicalSparseEncoder(max_iter=max_iter, random_state=0)
    encoder.fit(pd.DataFrame(X, columns=names))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        encoder.save(path / "model")
        np.save(path / "X.npy", X)
        n_bytes = (path / "model").stat().st_size
        lines = []
        for _ in range(n_processes):
            done = subprocess.run(
                [
                    sys.executable,
                    "-W",
                    "ignore",
                    "-c",
                    PROCESS,
                    folder,
                    str(torch.get_num_threads()),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            lines.append([float(number) for number in done.stdout.split()])
        found = np.load(path / "out.npz")
        del encoder.feature_names_in_  # X has none
        same = [found["arr_0"] == encoder.transform(X), found["arr_1"] == encoder.components_]
    clock, computing, peak = np.median(lines, axis=0)
    weights = sum(array.nbytes for array in encoder._model.arrays.values())
    return {
        "weight_bytes": weights,
        "file_bytes": n_bytes,
        "share_above_weights": round(n_bytes / weights - 1, 5),
        "load_milliseconds": round(1000 * clock, 1),
        "load_milliseconds_of_computing": round(1000 * computing, 1),
        "load_peak_bytes": int(peak),
        "peak_within_twice_the_file_and_10_MB": bool(peak <= 2 * n_bytes + 10_000_000),
        "same_bits_in_another_process": bool(all(part.all() for part in same)),
    }


def main(arguments=None):
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--max-iter", type=int, default=50)
    parser.add_argument("--results", type=Path, help="JSON file for the figures")
    options = parser.parse_args(arguments)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "versions": {
            "skrgvae": skrgvae.__version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
        "processes": options.processes,
        **study(options.processes, options.max_iter),
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    if options.results is not None:
        options.results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
