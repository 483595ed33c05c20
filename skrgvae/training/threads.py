"""How many threads a training step is worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from skrgvae.second_thread import second_thread
from skrgvae.torch_modes import own_threads, users_threads

# Multiplications per step (rows times parameters) below which one thread does the work. Measured
# on two cores with 784 columns and layers of 300-200-100-50 with hidden layers: two threads gain
# nothing at batches of 100 (2e8) and a quarter of the time at 200; on a busy machine, where one of
# them waits for a core while the other spins, they lose a factor of ten and more.
WORTH_THREADS = 2.5e8
# ... and from which on a second thread takes the work that the first one need not wait for. With
# so few it gains nothing yet; with three times as many 12 %, and a third where holes are filled.
WORTH_A_SECOND = 5e6


@contextmanager
def threads_for(multiplications: float) -> Iterator[None]:
    """Compute on one thread where more would not pay, with a second one for `aside`.

    Where torch has a single thread, that is all there is. The number is put back afterwards.

    Parameters
    ----------
    multiplications : float
        Per step, forward pass only.
    """
    n_threads = users_threads()
    if n_threads == 1:
        yield
        return
    with (
        own_threads(1 if multiplications < WORTH_THREADS else n_threads),
        second_thread() if multiplications >= WORTH_A_SECOND else nullcontext(),
    ):
        yield
