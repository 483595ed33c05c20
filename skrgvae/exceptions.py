"""Errors of the package's own."""

from __future__ import annotations


class ModelFileError(ValueError):
    """A file can't be trusted to be what `save` wrote; the message says what is wrong with it."""
