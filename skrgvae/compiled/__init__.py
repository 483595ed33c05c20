"""Single passes over the memory in the place of many, compiled by numba where it is installed.

Everything here computes what a few lines of torch compute elsewhere, in single precision on the
CPU. Tests compare the two. Compiled code is kept on the disk by numba, so that only the first
fit after an installation waits for the compiler.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def available(like: Tensor) -> bool:
    """Whether there is compiled code for tensors like this one."""
    return like.dtype == torch.float32 and like.device.type == "cpu" and loads()


@cache
def loads() -> bool:
    """Whether numba is there, goes with this numpy, and finds a place for what it compiles."""
    try:
        import skrgvae.compiled.arithmetic  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True
