"""What one program of a kernel works on at a time."""

from __future__ import annotations

import triton

# Numbers in a tile: eight for each thread of a program with Triton's usual four warps.
TILE = 1024
# Units side by side: 32 bytes, the least that memory hands out.
FEWEST_UNITS, MOST_ROWS = 8, 128


def tiles(n_rows: int, n_units: int) -> tuple[int, int]:
    """Rows and units of a tile: as many rows as there are, to a limit, then more units."""
    rows = min(MOST_ROWS, triton.next_power_of_2(n_rows))
    units = max(FEWEST_UNITS, min(TILE // rows, triton.next_power_of_2(n_units)))
    return rows, units
