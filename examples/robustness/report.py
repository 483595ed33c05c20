"""What every record of these scripts holds beside its figures, and the data they share."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.datasets import fetch_openml, load_digits

import skrgvae

RESULTS = Path(__file__).parents[1] / "results"


def digits():
    """The embedded digits: 1797 rows of 64 intensities in [0, 1]."""
    return (load_digits().data / 16).astype(np.float32)


def mnist(n_rows):
    """Rows from all over MNIST, 784 intensities in [0, 1]."""
    folder = os.environ.get("SKRGVAE_DATA_HOME")
    if folder and (Path(folder) / "mnist.npz").is_file():
        with np.load(Path(folder) / "mnist.npz", allow_pickle=False) as file:
            images = file["X_train"]
    else:
        images = fetch_openml("mnist_784", version=1, as_frame=False).data[:60_000]
    images = images.reshape(len(images), 784)
    return (images[:: len(images) // n_rows][:n_rows] / 255).astype(np.float32)


def processor():
    info = Path("/proc/cpuinfo")
    models = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in models if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_cores():
    """Cores that this process may use."""
    can_tell = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if can_tell else os.cpu_count()


def described(figures):
    """The figures with date, versions and machine."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "skrgvae": skrgvae.__version__,
            "scikit-learn": sklearn.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "processor": processor(),
            "system": platform.platform(),
            "usable_cores": usable_cores(),
            "torch_threads": torch.get_num_threads(),
        },
        **figures,
    }


def write(name, figures, results=RESULTS):
    """Write the figures with date, versions and machine, and print them."""
    record = described(figures)
    text = json.dumps(record, indent=1, default=float)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        (results / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)
    return record
