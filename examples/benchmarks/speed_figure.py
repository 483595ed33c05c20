"""
The figure of the page on benchmarks: how the time of a step grows
==================================================================

Drawn from the section "growth" of examples/results/speed.json::

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
PANELS = {"batch": "rows in a batch", "columns": "columns", "layers": "layers"}
LINES = {
    "step_without_numba": "step without numba",
    "step": "step",
    "products": "its matrix products alone",
}


def draw(growth, path):
    """Milliseconds of a step against what it grows with."""
    style = {"svg.fonttype": "none", "svg.hashsalt": "speed", "font.size": 9}
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, len(PANELS), figsize=(8, 2.8), layout="constrained")
        for axis, (name, label) in zip(axes, PANELS.items(), strict=True):
            numbers = [int(number) for number in growth[name]]
            for key, line in LINES.items():
                axis.plot(numbers, [row[key] for row in growth[name].values()], ".-", label=line)
            axis.set(xlabel=label, xticks=numbers, ylim=(0, None))
            if name != "layers":
                axis.set(xscale="log", yscale="log", ylim=(None, None))
                axis.set_xticks(numbers, [str(number) for number in numbers])
                axis.minorticks_off()
        axes[0].set_ylabel("milliseconds on one thread")
        axes[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    draw(json.loads(RECORD.read_text(encoding="utf-8"))["growth"], FIGURE)
