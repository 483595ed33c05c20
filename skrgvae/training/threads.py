"""How many threads a training step is worth."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from skrgvae.second_thread import second_thread

# Multiplications per step (rows times parameters) below which one thread does the work. Measured
# on two cores with 784 columns and layers of 300-200-100-50 with hidden layers: two threads gain
# nothing at batches of 100 (2e8) and a quarter of the time at 200; on a busy machine, where one of
# them waits for a core while the other spins, they lose a factor of ten and more.
WORTH_THREADS = 2.5e8
# ... and from which on a second thread takes the work that the first one need not wait for. With
# so few it gains nothing yet; with three times as many 12 %, and a third where holes are filled.
WORTH_A_SECOND = 5e6

# Numbers of threads that the trainings running now will put back. torch's number belongs to a
# thread, but a new thread takes the one set last anywhere: one that is born while another one
# trains would take its single thread for the user's number, and keep it.
_to_put_back: list[int] = []
# None of those trainings runs in a forked process.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_to_put_back.clear)


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """Compute on one thread where more would not pay, with a second one for `aside`.

    Where torch has a single thread, that is all there is. The number is put back afterwards.

    Parameters
    ----------
    multiplications : float
        Per step, forward pass only.
    """
    n_threads = torch.get_num_threads()
    # (the main thread is older than all of them)
    if n_threads == 1 and threading.current_thread() is not threading.main_thread():
        n_threads = max([1, *_to_put_back])
    if n_threads == 1:
        yield
        return
    _to_put_back.append(n_threads)
    torch.set_num_threads(1 if multiplications < WORTH_THREADS else n_threads)
    try:
        with second_thread() if multiplications >= WORTH_A_SECOND else nullcontext():
            yield
    finally:
        torch.set_num_threads(n_threads)
        _to_put_back.remove(n_threads)
