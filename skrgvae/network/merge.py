"""The structured posterior: how the data's message meets the generative prior.

This file is the paper's claim. Everything else in the network could be replaced.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skrgvae.network.records import Message


def structured(loc_p: Tensor, scale_p: Tensor, message: Message) -> tuple[Tensor, Tensor]:
    """Multiply the prior's Gaussian with the bottom-up pseudo-observation.

    Salimans (2016), section 3; for Gaussian units also Sonderby et al. (2016), eqs. 16-18::

        1 / scale_q^2 = 1 / scale_p^2 + precision
        loc_q         = scale_q^2 (loc_p / scale_p^2 + precision * loc)

    written here through the gain g = precision scale_p^2 / (1 + precision scale_p^2), which needs
    no division by a small variance: loc_q = loc_p + g (loc - loc_p). With precision 0 the
    posterior is the prior, exactly. What it stands for with other laws
    than the Gaussian is written where they are.

    Parameters
    ----------
    loc_p, scale_p : Tensor of shape (..., n_rows, n_units)
        The prior given the layer above, before rectification.
    message : Message
        Pseudo-observation and its precision, shape (n_rows, n_units).

    Returns
    -------
    loc_q, scale_q : Tensor of shape (..., n_rows, n_units)
    """
    evidence = message.precision * scale_p.square()
    total = 1.0 + evidence
    loc_q = loc_p + evidence / total * (message.loc - loc_p)
    return loc_q, scale_p * torch.rsqrt(total)


def mean_field(loc_p: Tensor, scale_p: Tensor, message: Message) -> tuple[Tensor, Tensor]:
    """Take the bottom-up pass's word alone: the comparison, in which q forgets the prior."""
    informed = message.precision > 0  # else nothing is known of the row, and the prior stands
    precision = torch.where(informed, message.precision, 1.0)
    return (
        torch.where(informed, message.loc, loc_p),
        torch.where(informed, torch.rsqrt(precision), scale_p),
    )


POSTERIORS = {"structured": structured, "mean_field": mean_field}
