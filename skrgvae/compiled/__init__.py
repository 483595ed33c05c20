"""Single passes over the memory in the place of many, compiled by numba where it is installed.

Everything here computes what a few lines of torch compute elsewhere, in single precision on the
CPU. Tests compare the two. Compiled code is kept on the disk by numba, so that only the first
fit after an installation waits for the compiler.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from torch import Tensor


def available(like: Tensor) -> bool:
    """Whether there is compiled code for tensors like this one."""
    cpu = like.device.type == "cpu"
    return like.dtype == torch.float32 and cpu and find_spec("numba") is not None
