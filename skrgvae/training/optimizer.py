"""One flat buffer for all parameters, and the optimisers over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from skrgvae import compiled

BETA, DECAY, EPSILON = 0.9, 0.999, 1e-8


class Adamax(torch.optim.Optimizer):
    """Adamax (Kingma and Ba 2015, "Adam: a method for stochastic optimization", section 7.1).

    ::

        mean_t = 0.9 mean_{t-1} + 0.1 g_t
        norm_t = max(0.999 norm_{t-1}, |g_t|)
        value_t = value_{t-1} - rate / (1 - 0.9^t) mean_t / (norm_t + 1e-8)

    A step takes one pass over the memory. AMSGrad keeps the largest second moment so far; with a
    second moment that forgets all but the last gradient, this is the square of norm_t, but for
    the decay: torch's fused kernel for it does the work where there is no compiled code.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        self.newest: dict[Tensor, Tensor] = {}  # second moments, of the last gradient alone

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take a step; there is no closure to call."""
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["step"] = torch.zeros((), device=parameter.device)
                    state["mean"] = torch.zeros_like(parameter)
                    state["square"] = torch.zeros_like(parameter)
                step, mean, square = state["step"], state["mean"], state["square"]
                if compiled.available(parameter):
                    from skrgvae.compiled import adamax

                    step += 1
                    rate = group["lr"] / (1 - BETA ** step.item())
                    vectors = parameter, parameter.grad, mean, square
                    adamax.step(*vectors, BETA, DECAY**2, rate, EPSILON)
                    continue
                square.mul_(DECAY**2)
                if parameter not in self.newest:
                    self.newest[parameter] = torch.zeros_like(parameter)
                adam(
                    [parameter],
                    [parameter.grad],
                    [mean],
                    [self.newest[parameter]],
                    [square],
                    [step],
                    amsgrad=True,
                    beta1=BETA,
                    beta2=0.0,
                    lr=group["lr"],
                    weight_decay=0.0,
                    eps=EPSILON,
                    maximize=False,
                    foreach=False,
                    fused=True,
                )


class Adam(torch.optim.Adam):
    """Adam in a single pass over the memory."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, lr=lr, fused=True)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamax": Adamax,
    "adam": Adam,
}


def flatten_parameters(module: nn.Module) -> nn.Parameter:
    """Move all parameters, and their gradients, into one buffer each.

    The module's own parameters become views of it. An optimiser then makes one pass over one
    long vector instead of a few dozen over short ones.

    Returns
    -------
    nn.Parameter of shape (n_parameters,)
        The buffer; its `grad` is that of the gradients, zeros to begin with.
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


def write_gradients(loss: Tensor, module: nn.Module, flat: nn.Parameter) -> None:
    """Replace the gradients in the buffer by those of a loss."""
    gradients = torch.autograd.grad(loss, list(module.parameters()), materialize_grads=True)
    with torch.no_grad():
        torch.cat([gradient.reshape(-1) for gradient in gradients], out=flat.grad)
