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
    users_threads()
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


# Which threads `own_threads` will give which number back. torch's number belongs to a thread, but
# a new thread takes the one set last anywhere, and keeps it: one whose first work with torch comes
# while another one computes with its own number would take that for the user's.
_to_put_back: list[tuple[int, int]] = []
_numbers = threading.Lock()


def users_threads() -> int:
    """How many threads the user lets the calling thread compute with, or `own_threads` in it.

    A thread that works with torch for the first time gets its number here.
    """
    thread, main_thread = threading.get_ident(), threading.main_thread().ident
    with _numbers:
        # The main thread is older than all that is put back.
        if thread not in (main_thread, *(other for other, _ in _to_put_back)):
            if _to_put_back and torch.get_num_threads() == 1:
                torch.set_num_threads(max(number for _, number in _to_put_back))
        return torch.get_num_threads()


@contextmanager
def own_threads(n_threads: int) -> Iterator[None]:
    """Compute with so many threads; the user's number is put back afterwards."""
    users = users_threads()
    note = (threading.get_ident(), users)
    with _numbers:
        _to_put_back.append(note)
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        with _numbers:
            torch.set_num_threads(users)
            _to_put_back.remove(note)


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


# A forked process inherits what OpenMP believes about its threads, but not the threads: the first
# parallel loop would wait for them forever. torch's own DataLoader does the same to its workers.
# Nor does it inherit the threads that would put a number back.
def _one_thread() -> None:
    _to_put_back.clear()
    _numbers.release()
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_numbers.acquire, after_in_parent=_numbers.release, after_in_child=_one_thread
    )
