"""Log-probability of Bernoulli columns, and its derivatives by the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from skrgvae.compiled.arithmetic import ONE, ZERO, clamped, compiled, exp, f, log

# exp of minus this is a normal number still, and lost beside 1.
FURTHEST = f(87)


@compiled
def _terms(values, outputs, terms, slopes):
    for row in range(len(outputs)):
        x, y, term, slope = values[row], outputs[row], terms[row], slopes[row]
        for column in range(len(y)):
            size = clamped(abs(y[column]), FURTHEST)
            bell = exp(-size)
            total = ONE + bell
            # p(x = 1) and log p of the likelier value
            lesser = bell / total
            p = lesser if y[column] < ZERO else ONE - lesser
            positive = ZERO if y[column] < ZERO else y[column]
            term[column] = x[column] * y[column] - positive - log(total)
            slope[column] = x[column] - p


def log_prob_and_slopes(values: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the rows, (n_rows,), and slopes of their sum, like the outputs.

    Parameters
    ----------
    values, outputs : Tensor of shape (n_rows, n_columns)
        Values in [0, 1], and what their probabilities are sigmoids of.
    """
    terms, slopes = torch.empty_like(outputs), torch.empty_like(outputs)
    _terms(values.numpy(), outputs.numpy(), terms.numpy(), slopes.numpy())
    return terms.sum(dim=-1), slopes
