"""Work beside the thread or the stream that asks for it, one piece after the other.

torch splits single operations over its threads. Those of a training step are so short that the
second thread mostly waits for the first, and waits by spinning: on a busy machine the step then
takes many times as long. Whole operations side by side need no more than two meetings per step,
and a thread that waits for one sleeps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import torch


class _SecondThread:
    """Runs tasks in the order they come."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._reached: SimpleQueue[BaseException | None] = SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def hand(self, task: Callable[[], Any]) -> None:
        """A task for the end of the queue."""
        self._tasks.put(task)

    def wait(self) -> None:
        """Until the queue is empty; raises what the first task to fail raised."""
        self._tasks.put(self._report)
        if (error := self._reached.get()) is not None:
            raise error

    def end(self) -> None:
        """After the tasks in the queue."""
        self._tasks.put(None)
        self._thread.join()

    def _report(self) -> None:
        self._reached.put(self._error)
        self._error = None

    def _work(self) -> None:
        torch.set_num_threads(1)
        while (task := self._tasks.get()) is not None:
            if self._error is None or task == self._report:
                try:
                    task()
                except BaseException as error:
                    self._error = error


class _SideStream:
    """Starts tasks on a stream of their own, for the current one to wait for."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self._stream = stream
        # What tasks read must stay: the current stream would reuse memory that it has let go of.
        self._begun: list[Callable[[], Any]] = []

    def hand(self, task: Callable[[], Any]) -> None:
        """Start a task after all that the current stream has been told so far."""
        self._begun.append(task)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            task()

    def wait(self) -> None:
        """Let what the current stream is told from now on wait for all tasks."""
        torch.cuda.current_stream().wait_stream(self._stream)
        self._begun.clear()


# What works aside for each thread that has it. A fork copies the note and not the thread.
_local = threading.local()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: setattr(_local, "second", None))


@contextmanager
def second_thread() -> Iterator[None]:
    """Let `aside` hand what the calling thread gives it to another thread."""
    second = _SecondThread()
    try:
        with _handing_to(second):
            yield
    finally:
        second.end()


@contextmanager
def side_stream(stream: torch.cuda.Stream) -> Iterator[None]:
    """Let `aside` start what the calling thread gives it on another stream of a CUDA device."""
    with _handing_to(_SideStream(stream)):
        yield


def aside(task: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in the second thread, on the side stream, or at once if there is neither.

    Nothing that it reads may change, and nothing that it writes may be read, before `wait`.
    """
    second = _second()
    if second is None:
        task(*arguments)
    else:
        second.hand(lambda: task(*arguments))


def wait() -> None:
    """Until all that was put aside is done.

    Raises
    ------
    BaseException
        What the first task that failed has raised; those after it were left out.
    """
    second = _second()
    if second is not None:
        second.wait()


@contextmanager
def _handing_to(second: _SecondThread | _SideStream) -> Iterator[None]:
    outer = _second()
    _local.second = second
    try:
        yield
    finally:
        _local.second = outer


def _second() -> _SecondThread | _SideStream | None:
    return getattr(_local, "second", None)
