"""One flat buffer for all parameters, and the optimisers over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# Entries that are updated together, so that every pass over them finds them in the cache.
BLOCK = 2**17


class Adamax(torch.optim.Adamax):
    """torch's Adamax, block by block and without temporaries as long as the parameters.

    It takes the same steps, bit by bit.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; there is no closure to call."""
        for group in self.param_groups:
            (beta1, beta2), eps = group["betas"], group["eps"]
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros(())
                    state["exp_avg"] = torch.zeros_like(parameter)
                    state["exp_inf"] = torch.zeros_like(parameter)
                state["step"] += 1
                rate = group["lr"] / (1 - beta1 ** state["step"].item())
                whole = (parameter, parameter.grad, state["exp_avg"], state["exp_inf"])
                size = torch.empty_like(parameter[:BLOCK])
                for value, gradient, mean, norm in zip(
                    *(vector.split(BLOCK) for vector in whole), strict=True
                ):
                    mean.lerp_(gradient, 1 - beta1)
                    torch.abs(gradient, out=size.resize_as_(gradient)).add_(eps)
                    torch.maximum(norm.mul_(beta2), size, out=norm)
                    value.addcdiv_(mean, norm, value=-rate)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamax": Adamax,
    "adam": torch.optim.Adam,
}


def flatten_parameters(module: nn.Module) -> nn.Parameter:
    """Move all parameters into one buffer.

    The module's own parameters become views of it. An optimiser then makes a few passes over one
    long vector instead of a few dozen short ones.

    Returns
    -------
    nn.Parameter of shape (n_parameters,)
        The buffer; its `grad` is one for the gradients, which `write_gradients` fills.
    """
    parameters = list(module.parameters())
    flat = nn.Parameter(torch.cat([parameter.detach().reshape(-1) for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = flat.data[start:stop].view_as(parameter)
        start = stop
    return flat


def write_gradients(loss: Tensor, module: nn.Module, flat: nn.Parameter) -> None:
    """Replace the gradients in the buffer by those of a loss."""
    gradients = torch.autograd.grad(loss, list(module.parameters()), materialize_grads=True)
    with torch.no_grad():
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=flat.grad)
