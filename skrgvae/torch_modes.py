"""torch as this package needs it, whatever its user does with torch beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

# Kinds of devices that products may be rounded on by `torch.autocast`.
_ROUNDED = ("cpu", "cuda", "mps", "xpu")


@contextmanager
def own_modes() -> Iterator[None]:
    """Compute with gradients and in the tensors' own precision.

    A caller may stand in `torch.no_grad`, `inference_mode` or `autocast`, which are all set for
    the calling thread alone, and have another default device. Also a decorator.
    """
    with torch.inference_mode(False), torch.enable_grad(), ExitStack() as exact:
        for kind in _ROUNDED:
            if torch.is_autocast_enabled(kind):
                exact.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # what is made without a device is small
            exact.enter_context(torch.device("cpu"))
        yield


def what_is_wrong_with(device: str) -> Exception | None:
    """Why nothing can be computed on a device of this machine; None where something can."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return error
    return None


_precision = threading.Lock()


@contextmanager
def products_in_tf32() -> Iterator[None]:
    """Multiply matrices of a CUDA device in TF32, which is a setting of the whole process.

    So one thread at a time is inside.
    """
    with _precision:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def _one_thread() -> None:
    torch.set_num_threads(1)


# A forked process inherits what OpenMP believes about its threads, but not the threads: the first
# parallel loop would wait for them forever. torch's own DataLoader does the same to its workers.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread)
