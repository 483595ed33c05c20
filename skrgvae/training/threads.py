"""How many threads a training step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiplications per step (rows times parameters) below which one thread does the work. Measured
# on two cores with 784 columns and layers of 300-200-100-50 with hidden layers: two threads gain
# nothing at batches of 100 (2e8) and a quarter of the time at 200; on a busy machine, where one of
# them waits for a core while the other spins, they lose a factor of ten and more.
WORTH_THREADS = 2.5e8


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """Compute on one thread where more would not pay; the number is put back afterwards.

    Parameters
    ----------
    multiplications : float
        Per step, forward pass only.
    """
    n_threads = torch.get_num_threads()
    if n_threads == 1 or multiplications >= WORTH_THREADS:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
