"""What `skrgvae.compiled` does on the CPU, on CUDA devices: kernels in Triton's language.

Triton comes with torch's CUDA builds. It compiles a kernel when it first runs, for which it needs
a C compiler; without either the same is computed by torch, a few dozen kernels in place of one.
"""

from __future__ import annotations

from functools import cache
from subprocess import SubprocessError

import torch
from torch import Tensor


def available(like: Tensor) -> bool:
    """Whether there are kernels for tensors like this one."""
    return like.dtype == torch.float32 and like.device.type == "cuda" and run()


@cache
def run() -> bool:
    """Whether Triton is there, and its kernels compile and run."""
    try:
        from skrgvae.kernels.bernoulli import log_prob_and_slopes

        log_prob_and_slopes(*torch.zeros(2, 1, 1, dtype=torch.float32, device="cuda"))
    except (ImportError, OSError, RuntimeError, SubprocessError):
        return False
    return True
