"""How errors name a table and its columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# Names of columns and values are in quotes or, in scikit-learn's lists, in lines of their own. X
# may be among them.
_A_NAME_OR_X = re.compile(r"""'[^'\n]*'|"[^"\n]*"|^- .*|\bX\b""", re.MULTILINE)
# A message lists at most this many columns.
_MAX_LISTED = 10


@contextmanager
def named(argument: str) -> Iterator[None]:
    """Put a name in the place of X in what is raised here, or in front where there is no X.

    Scikit-learn's checks and those of this package call every table X. Only those know the
    argument that have more than one table.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):  # of which more than a message may be made
            raise
        message = _A_NAME_OR_X.sub(
            lambda found: argument if found[0] == "X" else found[0], str(error)
        )
        if argument not in message:
            message = f"{argument}: {message}"
        raise type(error)(message) from error


def listed(labels: Sequence[str]) -> str:
    """Columns of these labels, by number the first of them, for a message."""
    more = len(labels) - _MAX_LISTED
    first = ", ".join(labels[:_MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
    return f"column{'s' if len(labels) > 1 else ''} {first}"
