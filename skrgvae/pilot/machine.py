"""Where a study was made: versions and processor."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from skrgvae import __version__


def versions() -> dict[str, str]:
    """Of Python and the packages that matter."""
    packages = {name: version(name) for name in ("scikit-learn", "torch", "numpy", "scipy")}
    return {"skrgvae": __version__, "python": platform.python_version(), **packages}


def processor() -> str:
    """Its name, as far as the system tells it."""
    information = Path("/proc/cpuinfo")  # on Linux, where platform.processor() may be empty
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
