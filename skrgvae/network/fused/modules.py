"""`network.modules` with gradients written out: affine maps, normalisation, hidden layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skrgvae import compiled, kernels
from skrgvae.network.fused.products import Products
from skrgvae.network.fused.units import where_above
from skrgvae.network.modules import MOMENTUM, VARIANCE_FLOOR, Affine, BatchNorm, Hidden
from skrgvae.second_thread import aside

if TYPE_CHECKING:
    from skrgvae.compiled.norm import CompiledNorm
    from skrgvae.kernels.norm import KernelNorm


def gradient_of(parameter: Tensor) -> Tensor:
    """Where the gradient of a parameter is written to."""
    assert parameter.grad is not None
    return parameter.grad


class FusedLinear:
    """`Affine` without its bias: y = x W^T."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, Affine)
        self.products = products
        self.weight, self.grad_weight = module.weight.detach(), gradient_of(module.weight)

    def add(self, x: Tensor, out: Tensor) -> None:
        """Add the result to a matrix."""
        self.x = x
        self.products.add(out, x, self.weight.t())

    def backward(self, grad: Tensor) -> None:
        """Gradients of the parameters, which nothing else in the pass waits for."""
        if torch.get_num_threads() > 1:  # they share the product already
            self._write(grad, self.x)
        else:
            aside(self._write, grad, self.x)

    def by_input(self, grad: Tensor) -> Tensor:
        """Gradient of x."""
        return self.products.multiply(grad, self.weight)

    def add_by_input(self, grad: Tensor, to: Tensor) -> None:
        """Add the gradient of x to a matrix."""
        self.products.add(to, grad, self.weight)

    def _write(self, grad: Tensor, x: Tensor) -> None:
        # Of the two, x alone may be sparse; and weights are stored as inputs by outputs.
        self.products.multiply(x.t(), grad, out=self.grad_weight.t())


class FusedAffine(FusedLinear):
    """`Affine`: y = x W^T + b."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        super().__init__(module, products)
        assert isinstance(module, Affine) and module.bias is not None
        self.bias, self.grad_bias = module.bias.detach(), gradient_of(module.bias)
        self.out = self.weight.new_empty(products.n_rows, len(self.bias))

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return self.products.affine(x, self.weight, self.bias, self.out)

    def _write(self, grad: Tensor, x: Tensor) -> None:
        super()._write(grad, x)
        torch.sum(grad, dim=0, out=self.grad_bias)


class FusedNorm:
    """What `BatchNorm` does, or nothing in its place, to the first columns of a matrix."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module if isinstance(module, BatchNorm) else None
        self.compiled: CompiledNorm | None = None
        self.kernel: KernelNorm | None = None
        if self.module is None:
            return
        gain, shift = self.module.gain, self.module.shift
        running = self.module.running_mean, self.module.running_variance
        self.state = gain.detach(), shift.detach(), *running
        self.grads = (gradient_of(gain), gradient_of(shift)) if gain.requires_grad else ()
        if compiled.available(gain):
            from skrgvae.compiled.norm import CompiledNorm

            self.compiled = CompiledNorm(self.state, VARIANCE_FLOOR)
        if kernels.available(gain):
            from skrgvae.kernels.norm import KernelNorm

            options = MOMENTUM, VARIANCE_FLOOR
            self.kernel = KernelNorm(self.state, self.module.n_batches, *options)

    def forward(self, x: Tensor) -> None:
        """Put the results in the place of the values."""
        self.out = x
        if self.module is None:
            return
        self.use_batch = self.module.uses_moments_of(x)
        if self.kernel is not None and self.use_batch:
            self.kernel.forward(x)
            return
        momentum = self.module.momentum() if self.use_batch else 0.0
        if self.compiled is not None and self.use_batch:
            self.compiled.forward(x, momentum)
            return
        part = x[:, : len(self.state[0])]
        self.x = part.clone(memory_format=torch.contiguous_format)  # others take a slow path
        out, self.mean, self.inverse_deviation = torch.ops.aten.native_batch_norm(
            self.x, *self.state, self.use_batch, momentum, VARIANCE_FLOOR
        )
        part.copy_(out)

    def backward(self, grad: Tensor, from_rectified: Tensor | None = None) -> None:
        """Put the gradients of the values in the place of those of the results.

        Parameters
        ----------
        grad : Tensor of the shape of x
        from_rectified : Tensor of shape (n_rows, n_units) or None
            Gradient of the rectified results, which is to be added.
        """
        own = self.compiled or self.kernel
        if own is not None and self.use_batch:
            slopes = own.backward(grad, from_rectified)
        else:
            if from_rectified is not None:
                n_units = from_rectified.shape[1]
                grad[:, :n_units] += where_above(from_rectified, self.out[:, :n_units], 0.0)
            if self.module is None:
                return
            gain, _, *running = self.state
            part, learned = grad[:, : len(gain)], bool(self.grads)
            grad_x, *slopes = torch.ops.aten.native_batch_norm_backward(
                part.contiguous(),
                self.x,
                gain,
                *running,
                self.mean,
                self.inverse_deviation,
                self.use_batch,
                VARIANCE_FLOOR,
                [True, learned, learned],
            )
            part.copy_(grad_x)
        for gradient, slope in zip(self.grads, slopes, strict=False):
            gradient.copy_(slope)


class FusedHidden:
    """`Hidden`: affine, normalised, rectified."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, Hidden)
        self.affine, self.norm = FusedAffine(module.affine, products), FusedNorm(module.norm)

    def forward(self, x: Tensor) -> Tensor:
        self.out = self.affine.forward(x)
        self.norm.forward(self.out)
        return self.out.relu_()

    def backward(self, grad: Tensor) -> Tensor:
        """Gradient of the affine map's result."""
        grad = where_above(grad, self.out, 0.0)
        self.norm.backward(grad)
        self.affine.backward(grad)
        return grad
