"""Work that is recorded once as a CUDA graph, and then replayed."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor

from skrgvae.second_thread import side_stream
from skrgvae.torch_modes import products_in_tf32


@cache
def _streams(device: torch.device) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """Those that recordings are made on, once: torch has 32 and hands them out in turn."""
    return torch.cuda.Stream(device), torch.cuda.Stream(device)


class Recorded:
    """A function of tensors of the same shapes in every call, which returns nothing.

    The first call runs it as it is (libraries make what they need once), the second one records
    it, and from then on it is replayed. On a device without graphs every call runs it.

    Matrix products take their factors in TF32, and add up in float32, where the device can.

    Parameters
    ----------
    work : callable
        What it runs must depend on shapes alone, and wait for nothing.
    given : nested tuples of Tensor or None
        Arguments of a first call.
    """

    def __init__(self, work: Callable[..., None], given: tuple[Any, ...]) -> None:
        self.work = work
        self.given = _each(torch.clone, given)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.is_warm = False

    @staticmethod
    def shapes(given: Any) -> object:
        """What tells apart calls that need recordings of their own."""
        return _each(lambda tensor: tensor.shape, given)

    def run(self, given: tuple[Any, ...]) -> None:
        """Run it for these arguments, on the current stream."""
        for static, tensor in zip(_leaves(self.given), _leaves(given), strict=True):
            static.copy_(tensor)
        if self.graph is None and self.is_warm and next(_leaves(given)).is_cuda:
            self.graph = self._record()
        if self.graph is not None:
            self.graph.replay()
            return
        with products_in_tf32():
            self.work(*self.given)
        self.is_warm = True

    def _record(self) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        stream, beside = _streams(next(_leaves(self.given)).device)
        # Other threads of the user may work on the device meanwhile.
        recording = torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")
        with products_in_tf32(), _nothing_freed(), recording, side_stream(beside):
            self.work(*self.given)
        return graph


@contextmanager
def _nothing_freed() -> Iterator[None]:
    """Keep the garbage collector off: memory of an older graph may not be freed meanwhile."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _each(of: Callable[[Tensor], Any], nested: Any) -> Any:
    """A function of every tensor, in place of it."""
    if nested is None:
        return None
    if isinstance(nested, Tensor):
        return of(nested)
    parts = [_each(of, part) for part in nested]
    return type(nested)(*parts) if hasattr(nested, "_fields") else tuple(parts)


def _leaves(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif nested is not None:
        for part in nested:
            yield from _leaves(part)
