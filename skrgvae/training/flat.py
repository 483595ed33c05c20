"""One flat buffer for all parameters of a module, and one for their gradients."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_order(module: nn.Module) -> list[nn.Parameter]:
    """All parameters, matrices first: what decays stands together."""
    return sorted(module.parameters(), key=lambda parameter: parameter.dim() < 2)


def n_weights(module: nn.Module) -> int:
    """Entries of all matrices."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1)


def flatten_parameters(module: nn.Module) -> nn.Parameter:
    """Move all parameters, in order, and their gradients into one buffer each.

    The module's own parameters become views of it. An optimiser then makes one pass over one
    long vector instead of a few dozen over short ones. Matrices lie there transposed, inputs by
    outputs: in this order, products of few rows with the weights take up to a tenth less time.

    Returns
    -------
    nn.Parameter of shape (n_parameters,)
        The buffer; its `grad` is that of the gradients, zeros to begin with.
    """
    parameters = in_order(module)
    transposed = [parameter.detach().t() for parameter in parameters]
    flat = nn.Parameter(torch.cat([part.reshape(-1) for part in transposed]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for parameter, part in zip(parameters, transposed, strict=True):
        stop = start + parameter.numel()
        parameter.data = flat.data[start:stop].view_as(part).t()
        parameter.grad = flat.grad[start:stop].view_as(part).t()
        start = stop
    return flat


def write_gradients(loss: Tensor, module: nn.Module, flat: nn.Parameter) -> None:
    """Replace the gradients in the buffer by those of a loss."""
    gradients = torch.autograd.grad(loss, in_order(module), materialize_grads=True)
    with torch.no_grad():
        torch.cat([gradient.t().reshape(-1) for gradient in gradients], out=flat.grad)
