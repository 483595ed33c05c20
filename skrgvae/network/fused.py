"""A sampled pass through a structured rectified-Gaussian hierarchy, its gradient written out.

It computes what `Hierarchy.forward` and autograd give, which are the reference that tests compare
it with. It takes a fraction of their elementwise work: the values of all layers share one matrix,
so that skip connections copy nothing; gradients are formed from what the forward pass has at
hand; and they are written to where the optimiser reads them, as no graph is there to carry them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from skrgvae import compiled, kernels
from skrgvae.likelihoods import ColumnLikelihood, Observed
from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.modules import (
    LOG_RANGE,
    MOMENTUM,
    VARIANCE_FLOOR,
    Affine,
    BatchNorm,
    Hidden,
)
from skrgvae.network.products import Products
from skrgvae.network.records import SampledTerms
from skrgvae.network.top_down import LayerPrior, Step, TopDown, TopPrior
from skrgvae.network.units import Units, where_above
from skrgvae.second_thread import aside, wait

# Share of inputs that are not 0, up to which products with them alone are the faster ones on the
# CPU. Devices with thousands of cores multiply by a zero sooner than they look for it.
SPARSE = 0.02

if TYPE_CHECKING:
    from skrgvae.compiled.norm import CompiledNorm
    from skrgvae.compiled.units import CompiledUnits
    from skrgvae.kernels.norm import KernelNorm
    from skrgvae.kernels.units import KernelUnits


class Reading(NamedTuple):
    """What a pass needs of rows, and needs no parameter for.

    Attributes
    ----------
    observed : Observed
        All entries, which are scored.
    informed : Tensor of shape (n_rows, 1) or None
        Which rows the bottom-up pass is told anything of; None: all of them.
    inputs : Tensor of shape (n_rows, n_inputs)
        What it reads; sparse where few of them are not 0, as in texts.
    """

    observed: Observed
    informed: Tensor | None
    inputs: Tensor


class FusedPass:
    """Terms of the bound for batches of one number of rows, and their gradients.

    All that is as long as the rows are many is made once. What `forward` returns is overwritten
    by the next call.

    Parameters
    ----------
    likelihood : ColumnLikelihood
    bottom_up : BottomUp
    top_down : TopDown
        The parameters of all three must have their `grad`, and keep their storage.
    n_rows : int
    recurrent : bool
        Whether many batches will have as many rows.

    Attributes
    ----------
    recordable : bool
        Whether all kernels that it runs depend on shapes alone, and nothing waits for results.
    """

    def __init__(
        self,
        likelihood: ColumnLikelihood,
        bottom_up: BottomUp,
        top_down: TopDown,
        n_rows: int,
        recurrent: bool,
    ) -> None:
        self.likelihood = likelihood
        products = Products(n_rows, recurrent)
        self.up = _Upward(bottom_up, products)
        self.down = _Downward(top_down, products)
        # torch's own normalisation counts batches on the CPU.
        self.recordable = kernels.available(top_down.top.loc) and likelihood.recordable

    @torch.no_grad()
    def read(self, table: Tensor, complete: bool | None = None) -> Reading:
        """What the pass reads of rows in data units, (n_rows, n_columns).

        `complete` tells whether no entry is missing; None: look.
        """
        observed = self.likelihood.observe(table, complete)
        seen = self.likelihood.seen(observed)
        inputs = self.likelihood.inputs(seen)
        on_cpu = inputs.device.type == "cpu"
        if on_cpu and torch.count_nonzero(inputs) <= SPARSE * inputs.numel():
            inputs = inputs.to_sparse()
        return Reading(observed, seen.informed(), inputs)

    @torch.no_grad()
    def forward(self, reading: Reading, noise: Tensor) -> SampledTerms:
        """Terms of the bound for rows that were read, by one joint sample per row.

        Parameters
        ----------
        reading : Reading
        noise : Tensor of shape (n_rows, n_units of all layers)
        """
        observed, informed, inputs = reading
        messages = self.up.forward(inputs)
        outputs = self.down.forward(messages, informed, noise)
        log_likelihood, self.slopes = self.likelihood.log_prob_and_slopes(observed, outputs)
        return SampledTerms(log_likelihood, self.down.kl, self.down.values)

    @torch.no_grad()
    def backward(
        self, by_log_likelihood: float, by_kl: Tensor, by_values: Tensor | None = None
    ) -> None:
        """Write the gradients of all parameters to their `grad`.

        Parameters
        ----------
        by_log_likelihood : float
            Slope of what is differentiated by the log-likelihood of each row.
        by_kl : Tensor of shape (n_units of all layers,)
            The same by the KL of each unit in each row.
        by_values : Tensor of shape (n_rows, n_units of all layers) or None
            The same by the values; None: zeros.
        """
        by_outputs, *by_parameters = self.slopes
        for parameter, slope in zip(self.likelihood.parameters(), by_parameters, strict=True):
            torch.mul(slope, by_log_likelihood, out=parameter.grad)
        by_messages = self.down.backward(by_outputs.mul_(by_log_likelihood), by_kl, by_values)
        self.up.backward(by_messages)
        wait()


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


class _Linear:
    """y = x W^T."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, Affine)
        self.products = products
        self.weight, self.grad_weight = module.weight.detach(), _gradient(module.weight)

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
        """Add it to a matrix."""
        self.products.add(to, grad, self.weight)

    def _write(self, grad: Tensor, x: Tensor) -> None:
        # Of the two, x alone may be sparse; and weights are stored as inputs by outputs.
        self.products.multiply(x.t(), grad, out=self.grad_weight.t())


class _Affine(_Linear):
    """y = x W^T + b."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        super().__init__(module, products)
        assert isinstance(module, Affine) and module.bias is not None
        self.bias, self.grad_bias = module.bias.detach(), _gradient(module.bias)
        self.out = self.weight.new_empty(products.n_rows, len(self.bias))

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return self.products.affine(x, self.weight, self.bias, self.out)

    def _write(self, grad: Tensor, x: Tensor) -> None:
        super()._write(grad, x)
        torch.sum(grad, dim=0, out=self.grad_bias)


class _Norm:
    """What `BatchNorm` does, or nothing in its place, to the first columns of a matrix."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module if isinstance(module, BatchNorm) else None
        self.compiled: CompiledNorm | None = None
        self.kernel: KernelNorm | None = None
        if self.module is None:
            return
        gain, shift = self.module.gain, self.module.shift
        self.state = gain.detach(), shift.detach(), *self.module.running()
        self.grads = (_gradient(gain), _gradient(shift)) if gain.requires_grad else ()
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


class _Hidden:
    """Affine, normalised, rectified."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, Hidden)
        self.affine, self.norm = _Affine(module.affine, products), _Norm(module.norm)

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


class _Step:
    """An optional hidden layer, then an affine head."""

    def __init__(self, module: Step, products: Products) -> None:
        deep = isinstance(module.hidden, Hidden)
        self.hidden = _Hidden(module.hidden, products) if deep else None
        self.head = _Affine(module.head, products)

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


class _Message:
    """The map from what a layer reads to its message.

    A message has pseudo-observations, and beside them the logarithms of their precisions.
    """

    def __init__(
        self, head: nn.Module, direct: nn.Module | None, norm: nn.Module, products: Products
    ) -> None:
        self.affine, self.norm = _Affine(head, products), _Norm(norm)
        self.direct = None if direct is None else _Linear(direct, products)
        self.loc = self.affine.out.chunk(2, dim=1)[0]

    def forward(self, x: Tensor, inputs: Tensor) -> Tensor:
        """The message, (n_rows, 2 n_units), for what is below the layer, and for the row."""
        message = self.affine.forward(x)
        if self.direct is not None:
            self.direct.add(inputs, message)
        self.norm.forward(message)
        return message

    def backward(self, grad: Tensor, from_above: Tensor | None) -> None:
        """Gradients of the parameters.

        Parameters
        ----------
        grad : Tensor of shape (n_rows, 2 n_units)
            Of the message; its first half comes to hold that before the normalisation.
        from_above : Tensor of shape (n_rows, n_units) or None
            Of the rectified pseudo-observations.
        """
        self.norm.backward(grad, from_above)
        self.affine.backward(grad)
        if self.direct is not None:
            self.direct.backward(grad)


class _Upward:
    """The bottom-up pass."""

    def __init__(self, module: BottomUp, products: Products) -> None:
        self.hidden = [_Hidden(hidden, products) for hidden in module.hidden]
        none: list[nn.Module | None] = [None] * (len(module.heads) - len(module.direct))
        parts = zip(module.heads, [*none, *module.direct], module.norms, strict=True)
        self.messages = [_Message(*part, products) for part in parts]

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Messages to all layers, bottom first."""
        found = []
        below = inputs
        for layer, message in enumerate(self.messages):
            if self.hidden:
                below = self.hidden[layer].forward(below)
            found.append(message.forward(below, inputs))
            if not self.hidden:
                below = message.loc.relu()
        return found

    def backward(self, grads: Sequence[Tensor]) -> None:
        """Gradients of the parameters from those of the messages."""
        from_above: Tensor | None = None  # gradient of what a layer hands to the next one
        for layer in reversed(range(len(grads))):
            message, grad = self.messages[layer], grads[layer]
            message.backward(grad, None if self.hidden else from_above)
            first = message.affine
            if self.hidden:
                grad = first.by_input(grad)
                if from_above is not None:
                    grad += from_above
                grad = self.hidden[layer].backward(grad)
                first = self.hidden[layer].affine
            if layer > 0:
                from_above = first.by_input(grad)


class _TopPrior:
    """Locations of the top layer, and beside them the logarithms of its scales."""

    lowest = -math.inf

    def __init__(self, module: TopPrior, n_rows: int) -> None:
        self.parts = module.loc.detach(), module.raw_scale.detach()
        self.grads = _gradient(module.loc), _gradient(module.raw_scale)
        self.out = self.parts[0].new_empty(n_rows, 2 * len(module.loc))

    def forward(self, above: Tensor) -> Tensor:
        """Both for the values of the layers above, (n_rows, 2 n_units)."""
        for half, part in zip(self.out.chunk(2, dim=1), self.parts, strict=True):
            half.copy_(part)
        return self.out

    def backward(self, grad: Tensor, grad_above: Tensor) -> None:
        """Gradients of the parameters."""
        for half, gradient in zip(grad.chunk(2, dim=1), self.grads, strict=True):
            torch.sum(half, dim=0, out=gradient)


class _LayerPrior:
    """The same of a layer given those above it."""

    def __init__(self, module: nn.Module, products: Products) -> None:
        assert isinstance(module, LayerPrior)
        self.step, self.norm = _Step(module.step, products), _Norm(module.norm)
        self.lowest = module.lowest

    def forward(self, above: Tensor) -> Tensor:
        prior = self.step.forward(above)
        self.norm.forward(prior)
        return prior

    def backward(self, grad: Tensor, grad_above: Tensor) -> None:
        """The same; the gradient of the values above is added to `grad_above`."""
        self.norm.backward(grad)
        self.step.backward(grad, grad_above)


class _Downward:
    """The top-down pass with the decoder.

    Matrices of shape (n_rows, all units) have the layers' columns side by side, bottom first.
    """

    def __init__(self, module: TopDown, products: Products) -> None:
        self.priors: list[_LayerPrior | _TopPrior] = [
            _LayerPrior(prior, products) for prior in module.priors
        ]
        self.priors.append(_TopPrior(module.top, products.n_rows))
        self.decoder = _Step(module.decoder, products)
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
