"""
Speed, in units of matrix products
==================================

How long a training step and `transform` take, as multiples of the matrix products in them: the
same shapes through `torch.mm` alone, forward and backward, without a gradient for the data. What
is compared takes turns in one process, on one thread and by the processor's time, so that other
programs on the machine disturb both alike; the medians of the turns are compared. The network is
the default one on 784 columns. Other sections compare with pythae's VAE of the same widths and
with scikit-learn's transformers, and measure how times grow, memory, and imports::

    python examples/benchmarks/speed.py              # all sections, about half an hour
    python examples/benchmarks/speed.py step memory  # some of them

A section that ran before keeps its figures until it runs again. `pythae` needs that package, and
the sections that read MNIST need it in the folder SKRGVAE_DATA_HOME.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "robustness"))
import report
import speed_fits
import speed_steps

SECTIONS = {
    "step": speed_steps.steps,
    "pythae": speed_steps.beside_pythae,
    "growth": speed_steps.growth,
    "threads": speed_steps.by_threads,
    "transform": speed_fits.transforms,
    "bound": speed_fits.bounds,
    "time_to_bound": speed_fits.time_to_bound,
    "digits": speed_fits.digits,
    "search": speed_fits.search,
    "memory": speed_fits.memory,
    "import": speed_fits.imports,
}


def main(argv=None):
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--results", type=Path, default=report.RESULTS)
    arguments = parser.parse_args(argv)
    unknown = set(arguments.sections) - SECTIONS.keys()
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    path = arguments.results / "speed.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    for name in arguments.sections or SECTIONS:
        torch.set_num_threads(1)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some methods are stopped before they converge
            record[name] = report.described(SECTIONS[name](arguments.turns))
        arguments.results.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, indent=1, default=float)
        path.write_text(text + "\n", encoding="utf-8")
        print(json.dumps({name: record[name]}, indent=1, default=float), flush=True)
    return record


if __name__ == "__main__":
    main()
