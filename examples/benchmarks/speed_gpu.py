"""
Speed on a GPU
==============

Training on a CUDA device: an epoch of the network without hidden layers, a step of a wide one in
units of what the device multiplies in TF32, both beside torch's own operations one after the other
(the same products, in TF32 as well), and whole fits::

    python examples/benchmarks/speed_gpu.py

The data are static binarized MNIST in the folder SKRGVAE_DATA_HOME, or drawn pixels without it.
"""

import argparse
import json
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from speed_steps import SIZES, medians, pixels, products, trainer_for

from skrgvae import HierarchicalSparseEncoder, kernels
from skrgvae.data.sources import ArrayRows
from skrgvae.torch_modes import products_in_tf32
from skrgvae.training import Rows
from skrgvae.training.steps import Steps

sys.path.insert(0, str(Path(__file__).parents[1] / "robustness"))
import report

WIDE, WIDE_COLUMNS, WIDE_BATCH = (4096,) * 4, 4096, 4096


@contextmanager
def eager():
    """torch alone, one operation after the other, with products in TF32 as in recorded steps."""
    steps = patch("skrgvae.training.trainer.RecordedSteps", Steps)
    with steps, patch.object(kernels, "run", lambda: False), products_in_tf32():
        yield


def device_clock():
    """Seconds, once the device's work is done."""
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(run, n_turns):
    """Median of some turns after a first one."""
    return medians({"run": run}, n_turns, device_clock)["run"]


def binarized_mnist():
    """The 50,000 training rows of static binarized MNIST, or as many of about as many ones."""
    path = Path(os.environ.get("SKRGVAE_DATA_HOME", "")) / "static_binarized_mnist.npz"
    if not path.is_file():
        return pixels(50_000), "drawn pixels"
    with np.load(path, allow_pickle=False) as file:
        return np.unpackbits(file["train"], axis=1).astype(np.float32), path.name


def epochs(n_turns):
    """Seconds of an epoch of the network without hidden layers at a batch size of 100."""
    table, name = binarized_mnist()
    device = torch.device("cuda")
    found = {"rows": len(table), "data": name}
    for key, mode, some in (("recorded", nullcontext, table), ("eager", eager, table[:10_000])):
        with mode():
            n_steps = len(some) // 100
            trainer = trainer_for(some, 100, (n_turns + 1) * n_steps, SIZES, device=device)
            rows = Rows(ArrayRows(some), device)
            took = seconds(lambda trainer=trainer, rows=rows: trainer.epoch(rows), n_turns)
            found[f"{key}_milliseconds_per_step"] = 1e3 * took / n_steps
            found[f"{key}_seconds"] = took * len(table) / len(some)
    return found


def product_rate(n_turns, size=8192):
    """Multiplications and additions per second of a large product in TF32."""
    one, other, out = torch.randn(3, size, size, device="cuda").unbind()
    with products_in_tf32():
        took = seconds(lambda: [torch.mm(one, other, out=out) for _ in range(5)], n_turns) / 5
    return 2 * size**3 / took


def wide(n_turns):
    """Milliseconds of a step of a wide network on many rows, and its share of that rate."""
    up, down, decoder = products(WIDE_COLUMNS, WIDE)
    operations = sum(
        2 * WIDE_BATCH * a * b * (3 if needed else 2) for a, b, needed in [*up, *down, *decoder]
    )
    rate, device, n_steps = product_rate(n_turns), torch.device("cuda"), 4
    table = pixels(WIDE_BATCH * n_steps, WIDE_COLUMNS)
    found = {"layer_sizes": WIDE, "columns": WIDE_COLUMNS, "batch": WIDE_BATCH}
    found.update(operations_per_step=operations, products_per_second=rate)
    for key, mode in (("recorded", nullcontext), ("eager", eager)):
        with mode():
            trainer = trainer_for(table, WIDE_BATCH, 100 * n_steps, WIDE, device=device)
            rows = Rows(ArrayRows(table), device)
            took = seconds(lambda trainer=trainer, rows=rows: trainer.epoch(rows), 3) / n_steps
        found[f"{key}_milliseconds_per_step"] = 1e3 * took
        found[f"{key}_share_of_the_rate"] = operations / took / rate
        del trainer, rows
        torch.cuda.empty_cache()
    return found


def fits(n_turns):
    """Seconds of whole fits and of a transform, everything at its default."""
    table, name = binarized_mnist()
    found = {}
    for key, X in (("digits", report.digits()), (name, table)):
        encoder = HierarchicalSparseEncoder(random_state=0, device="cuda")
        started = time.perf_counter()
        encoder.fit(X)
        found[f"fit, {key}"] = time.perf_counter() - started
        found[f"epochs, {key}"] = encoder.n_iter_
        found[f"transform, {key}"] = seconds(lambda e=encoder, X=X: e.transform(X), 3)
    return found


def main(argv=None):
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        parser.error("torch finds no CUDA device")
    parts = {"epoch": epochs, "wide": wide, "fits": fits}
    found = {"device": torch.cuda.get_device_name(), "triton": kernels.run()}
    found.update({name: measure(arguments.turns) for name, measure in parts.items()})
    record = report.described(found)
    arguments.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, default=float)
    (arguments.results / "speed_gpu.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return record


if __name__ == "__main__":
    main()
