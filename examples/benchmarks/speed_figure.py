"""
The figure of the page on benchmarks: what a step takes
=======================================================

Drawn from the sections "step" and "pythae" of examples/results/speed.json::

    python examples/benchmarks/speed_figure.py
"""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "examples" / "results" / "speed.json"
FIGURE = ROOT / "docs" / "figures" / "speed.svg"
BARS = {
    "step_without_numba": "step without numba",
    "step": "step",
    "products": "its matrix products alone",
    "pythae": "pythae's VAE of the same widths",
    "products_of_pythaes_vae": "its matrix products alone",
}


def draw(record, path):
    """Milliseconds per batch, one panel for each number of rows in it."""
    sections = record["step"]["milliseconds"], record["pythae"]["milliseconds_per_batch"]
    style = {"svg.fonttype": "none", "svg.hashsalt": "speed", "font.size": 9}
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, 2, figsize=(8, 2.2), layout="constrained", sharey=True)
        for axis, name in zip(axes, sections[1], strict=True):
            seen = {**sections[1][name], **sections[0][name]}
            colors = ["C0", "C0", "C7", "C1", "C7"]
            axis.barh(range(len(BARS)), [seen[key] for key in BARS], color=colors)
            axis.set(title=name, xlabel="milliseconds on one thread")
            axis.set_yticks(range(len(BARS)), BARS.values())
        axes[0].invert_yaxis()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(json.loads(RECORD.read_text(encoding="utf-8")), FIGURE)
