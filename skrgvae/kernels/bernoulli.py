"""Log-probability of Bernoulli columns, and its derivatives by the outputs."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# Columns that a program works on at a time.
COLUMNS = 1024


@triton.jit
def _terms(values, outputs, rows, slopes, n_columns, COLUMNS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    total = tl.zeros([COLUMNS], tl.float32)
    for start in range(0, n_columns, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        inside = column < n_columns
        at = row * n_columns + column
        x, y = tl.load(values + at, inside, 0.0), tl.load(outputs + at, inside, 0.0)
        bell = tl.exp(-tl.abs(y))
        sum_of_both = 1.0 + bell
        # p(x = 1) and log p of the likelier value
        lesser = bell / sum_of_both
        p = tl.where(y < 0, lesser, 1.0 - lesser)
        term = x * y - tl.where(y < 0, 0.0, y) - tl.log(sum_of_both)
        total += tl.where(inside, term, 0.0)
        tl.store(slopes + at, x - p, inside)
    tl.store(rows + row, tl.sum(total, 0))


def log_prob_and_slopes(values: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the rows, (n_rows,), and slopes of their sum, like the outputs.

    Parameters
    ----------
    values, outputs : Tensor of shape (n_rows, n_columns)
        Values in [0, 1], and what their probabilities are sigmoids of.
    """
    # Beside other families they are columns of wider matrices, and the kernel knows no strides.
    values, outputs = values.contiguous(), outputs.contiguous()
    rows, slopes = outputs.new_empty(len(outputs)), torch.empty_like(outputs)
    _terms[(len(outputs),)](values, outputs, rows, slopes, outputs.shape[1], COLUMNS)
    return rows, slopes
