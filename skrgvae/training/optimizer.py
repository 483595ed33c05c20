"""One flat buffer for all parameters, and torch's optimisers over it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamax": torch.optim.Adamax,
    "adam": torch.optim.Adam,
}


def flatten_parameters(module: nn.Module) -> nn.Parameter:
    """Move all parameters into one buffer, and their gradients into another.

    The module's own parameters become views of the two buffers. An optimiser then makes a few
    passes over one long vector instead of a few dozen short ones.

    Returns
    -------
    nn.Parameter of shape (n_parameters,)
        The buffer; its `grad` is the buffer of gradients.
    """
    parameters = list(module.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = flat.data[start:stop].view_as(parameter)
        parameter.grad = flat.grad[start:stop].view_as(parameter)
        start = stop
    return flat
