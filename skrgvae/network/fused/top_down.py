"""`network.top_down` with gradients written out, and the units between its priors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skrgvae import compiled, kernels
from skrgvae.network.fused.modules import FusedAffine, FusedHidden, FusedNorm, gradient_of
from skrgvae.network.fused.products import Products
from skrgvae.network.fused.units import Units
from skrgvae.network.modules import LOG_RANGE, Hidden
from skrgvae.network.top_down import LayerPrior, Step, TopDown, TopPrior

if TYPE_CHECKING:
    from skrgvae.compiled.units import CompiledUnits
    from skrgvae.kernels.units import KernelUnits


class FusedStep:
    """`Step`: an optional hidden layer, then an affine head."""

    def __init__(self, module: Step, products: Products) -> None:
        deep = isinstance(module.hidden, Hidden)
        self.hidden = FusedHidden(module.hidden, products) if deep else None
        self.head = FusedAffine(module.head, products)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.forward(x if self.hidden is None else self.hidden.forward(x))

    def backward(self, grad: Tensor, grad_x: Tensor) -> None:
        """Add the gradient of the input to `grad_x`."""
        first = self.head
        first.backward(grad)
        if self.hidden is not None:
            grad = self.hidden.backward(first.by_input(grad))
            first = self.hidden.affine
        first.add_by_input(grad, grad_x)


class FusedTopPrior:
    """`TopPrior`: locations of the top layer, and beside them the logarithms of its scales."""

    lowest = -math.inf

    def __init__(self, module: TopPrior, n_rows: int) -> None:
        self.parts = module.loc.detach(), module.raw_scale.detach()
        self.grads = gradient_of(module.loc), gradient_of(module.raw_scale)
        self.out = self.parts[0].new_empty(n_rows, 2 * len(module.loc))

    def forward(self, above: Tensor) -> Tensor:
        """The prior of every row, (n_rows, 2 n_units); no layer is above to be read."""
        for half, part in zip(self.out.chunk(2, dim=1), self.parts, strict=True):
            half.copy_(part)
        return self.out

    def backward(self, grad: Tensor, grad_above: Tensor) -> None:
        """Gradients of the parameters."""
        for half, gradient in zip(grad.chunk(2, dim=1), self.grads, strict=True):
            torch.sum(half, dim=0, out=gradient)


class FusedLayerPrior:
    """`LayerPrior`: locations of a layer, and beside them the logarithms of its scales."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, LayerPrior)
        self.step, self.norm = FusedStep(module.step, products), FusedNorm(module.norm)
        self.lowest = module.lowest

    def forward(self, above: Tensor) -> Tensor:
        """The prior of every row, (n_rows, 2 n_units), for the values of the layers above."""
        prior = self.step.forward(above)
        self.norm.forward(prior)
        return prior

    def backward(self, grad: Tensor, grad_above: Tensor) -> None:
        """Gradients of the parameters; that of the values above is added to `grad_above`."""
        self.norm.backward(grad)
        self.step.backward(grad, grad_above)


class FusedTopDown:
    """The top-down pass with the decoder.

    Matrices of shape (n_rows, all units) have the layers' columns side by side, bottom first.
    """

    def __init__(self, module: TopDown, products: Products) -> None:
        self.priors: list[FusedLayerPrior | FusedTopPrior] = [
            FusedLayerPrior(prior, products) for prior in module.priors
        ]
        self.priors.append(FusedTopPrior(module.top, products.n_rows))
        self.decoder = FusedStep(module.decoder, products)
        like, sizes = module.top.loc.detach(), module.layer_sizes
        n_units, ends = sum(sizes), [sum(sizes[: layer + 1]) for layer in range(len(sizes))]
        columns = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        # What the prior of a layer reads (nothing for the top one), and the decoder.
        nearest = [*columns[1:], slice(n_units, n_units)]
        above = [slice(end, n_units) for end in ends] if module.skip else nearest
        decoded = slice(0, n_units) if module.skip else columns[0]
        self.values, self.grad_values = like.new_zeros(2, products.n_rows, n_units)
        self.above = [self.values[:, which] for which in above]
        self.grad_above = [self.grad_values[:, which] for which in above]
        self.decoded, self.grad_decoded = self.values[:, decoded], self.grad_values[:, decoded]
        self.kl = like.new_empty(n_units)
        make = _units_for(like)
        self.units = [
            make(products.n_rows, which, prior.lowest, self.values, self.kl, self.grad_values)
            for which, prior in zip(columns, self.priors, strict=True)
        ]

    def forward(
        self, messages: Sequence[Tensor], informed: Tensor | None, noise: Tensor
    ) -> Tensor:
        """Outputs for the likelihood; beside them stand the values and the KL of all units."""
        for layer in reversed(range(len(messages))):
            prior = self.priors[layer].forward(self.above[layer])
            self.units[layer].forward(prior, messages[layer], informed, noise)
        return self.decoder.forward(self.decoded)

    def backward(
        self, grad_outputs: Tensor, kl_weights: Tensor, by_values: Tensor | None
    ) -> list[Tensor]:
        """Gradients of the parameters; returned are those of the messages."""
        if by_values is None:
            self.grad_values.zero_()
        else:
            self.grad_values.copy_(by_values)
        self.decoder.backward(grad_outputs, self.grad_decoded)
        found = []
        for prior, units, grad_above in zip(self.priors, self.units, self.grad_above, strict=True):
            grad_prior, grad_message = units.backward(kl_weights)
            prior.backward(grad_prior, grad_above)
            found.append(grad_message)
        return found


def _units_for(like: Tensor) -> Callable[..., Units | CompiledUnits | KernelUnits]:
    """The quickest way to work on units of a tensor's dtype and on its device."""
    if compiled.available(like):
        from skrgvae.compiled.units import CompiledUnits

        return partial(CompiledUnits, widest=LOG_RANGE)
    if kernels.available(like):
        from skrgvae.kernels.units import KernelUnits

        return partial(KernelUnits, widest=LOG_RANGE)
    return Units
