"""Writing a file so that it is there in full or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Tell, before the work, whether a file may be written at a path.

    Returns
    -------
    Path
        Where the file will be: the end of the chain where `path` is a symbolic link.

    Raises
    ------
    OSError
        If the folder isn't there, or `path` is something other than a file.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(2, "the folder does not exist", str(target.parent))
    # What is replaced must be a file, not a device such as /dev/stdout.
    if target.is_dir():
        raise IsADirectoryError(21, "not a regular file", str(path))
    if target.exists() and not target.is_file():
        raise OSError(22, "not a regular file", str(path))
    return target


def write_atomically(path: str | os.PathLike[str], data: bytes | bytearray) -> None:
    """Write a file that replaces the one at `path` only when it is safe on the disk.

    A file that was there keeps its permissions; where the write fails it keeps its content, too.

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes-like

    Raises
    ------
    OSError
        If the file can't be written, with `path` as its file name.
    """
    target = check_writable(path)
    try:
        try:
            _replace(target, data)
        except FileNotFoundError:  # a new file was taken for a leftover, or an old one has gone
            _replace(target, data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    # The new file is in place by now: where a system can't flush folders, that is no failure.
    with suppress(OSError):
        _flush_folder(target.parent)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Remove what processes that were killed while they wrote a file have left beside it."""
    target = Path(os.path.realpath(path))
    for leftover in target.parent.glob(f"{_prefix(target)}*.tmp"):
        with suppress(OSError):  # another user's, or one that is being written
            leftover.unlink()


def _prefix(target: Path) -> str:
    """How the names of new files begin; that of the target may be too long for an addition."""
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def _replace(target: Path, data: bytes | bytearray) -> None:
    # In the same folder, as a file can't be renamed into another file system.
    temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}.tmp")
    try:
        _write_new(temporary, data)
        if target.exists():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _write_new(path: Path, data: bytes | bytearray) -> None:
    """Write a file that is new, and flush it to the disk.

    On Linux it has no name until it is complete: a process must be killed between that moment and
    the next to leave it behind.
    """
    try:
        with open(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666), "wb") as file:
            _write_through(file, data)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                # The folder changes no path here, but makes Python follow the link in /proc.
                os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=folder)
            finally:
                os.close(folder)
    except (AttributeError, OSError):  # another system, or a file system that can't; or no space
        with open(path, "xb") as file:
            _write_through(file, data)


def _write_through(file: BinaryIO, data: bytes | bytearray) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make a rename in the folder outlive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
