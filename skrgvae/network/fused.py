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
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skrgvae import compiled
from skrgvae.likelihoods import ColumnLikelihood
from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.modules import LOG_RANGE, VARIANCE_FLOOR, Affine, BatchNorm, Hidden
from skrgvae.network.records import SampledTerms
from skrgvae.network.top_down import LOWEST_PRIOR, LayerPrior, Step, TopDown, TopPrior
from skrgvae.network.units import Units, where_above

if TYPE_CHECKING:
    from skrgvae.compiled.norm import CompiledNorm
    from skrgvae.compiled.units import CompiledUnits


class FusedPass:
    """Terms of the bound for batches of one number of rows, and their gradients.

    Its results are overwritten by the next call.

    Parameters
    ----------
    likelihood : ColumnLikelihood
    bottom_up : BottomUp
    top_down : TopDown
    n_rows : int
    """

    def __init__(
        self, likelihood: ColumnLikelihood, bottom_up: BottomUp, top_down: TopDown, n_rows: int
    ) -> None:
        self.likelihood = likelihood
        self.up = _Upward(bottom_up)
        self.down = _Downward(top_down, n_rows)

    @torch.no_grad()
    def forward(self, table: Tensor, noise: Tensor) -> SampledTerms:
        """Terms of the bound for rows in data units, by one joint sample per row.

        Parameters
        ----------
        table : Tensor of shape (n_rows, n_columns)
        noise : Tensor of shape (n_rows, n_units of all layers)
        """
        observed = self.likelihood.observe(table)
        messages = self.up.forward(self.likelihood.inputs(observed))
        outputs = self.down.forward(messages, observed.informed(), noise)
        log_likelihood, self.slopes = self.likelihood.log_prob_and_slopes(observed, outputs)
        return SampledTerms(log_likelihood, self.down.kl, self.down.values)

    @torch.no_grad()
    def backward(
        self, by_log_likelihood: float, by_kl: Tensor, by_values: Tensor | None = None
    ) -> None:
        """Write the gradient of all parameters to their `grad`, which must be there.

        Parameters
        ----------
        by_log_likelihood : float
            Slope of what is differentiated by the log-likelihood of each row.
        by_kl : Tensor of shape (n_units,)
            The same by the KL of every unit of all layers, in each row.
        by_values : Tensor of shape (n_rows, n_units) or None
            The same by the values; None: zeros.
        """
        by_outputs, *by_parameters = self.slopes
        for parameter, slope in zip(self.likelihood.parameters(), by_parameters, strict=True):
            torch.mul(slope, by_log_likelihood, out=parameter.grad)
        by_messages = self.down.backward(by_outputs.mul_(by_log_likelihood), by_kl, by_values)
        self.up.backward(by_messages)


class _Affine:
    """y = x W^T + b."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, Affine)
        self.weight, self.bias = module.weight, module.bias

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return torch.addmm(self.bias, x, self.weight.t())

    def backward(self, grad: Tensor) -> None:
        """Gradients of the parameters."""
        torch.mm(grad.t(), self.x, out=self.weight.grad)
        torch.sum(grad, dim=0, out=self.bias.grad)


class _Norm:
    """What `BatchNorm` does, or nothing in its place, to the first columns of a matrix."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module if isinstance(module, BatchNorm) else None
        self.compiled: CompiledNorm | None = None
        if self.module is not None and compiled.available(self.module.gain):
            from skrgvae.compiled.norm import CompiledNorm

            self.compiled = CompiledNorm()

    def forward(self, x: Tensor) -> None:
        """Put the results in the place of the values."""
        if self.module is None:
            return
        module, part = self.module, x[:, : len(self.module.gain)]
        self.use_batch, momentum = module.count(x)
        if self.compiled is not None and self.use_batch:
            self.compiled.forward(x, _norm_state(module), momentum, VARIANCE_FLOOR)
            return
        self.x = part.clone(memory_format=torch.contiguous_format)  # others take a slow path
        out, self.mean, self.inverse_deviation = torch.ops.aten.native_batch_norm(
            self.x, *_norm_state(module), self.use_batch, momentum, VARIANCE_FLOOR
        )
        part.copy_(out)

    def backward(self, grad: Tensor) -> None:
        """Put the gradients of the values in the place of those of the results."""
        if self.module is None:
            return
        gain, shift, *running = _norm_state(self.module)
        learned = gain.requires_grad
        if self.compiled is not None and self.use_batch:
            slopes = self.compiled.backward(grad)
        else:
            part = grad[:, : len(gain)]
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
        for parameter, slope in zip((gain, shift) if learned else (), slopes, strict=False):
            assert parameter.grad is not None
            parameter.grad.copy_(slope)


def _norm_state(module: BatchNorm) -> tuple[Tensor, ...]:
    return module.gain, module.shift, module.running_mean, module.running_variance


class _Hidden:
    """Affine, normalised, rectified."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, Hidden)
        self.affine, self.norm = _Affine(module.affine), _Norm(module.norm)

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

    def __init__(self, module: Step) -> None:
        self.hidden = _Hidden(module.hidden) if isinstance(module.hidden, Hidden) else None
        self.head = _Affine(module.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.forward(x if self.hidden is None else self.hidden.forward(x))

    def backward(self, grad: Tensor, grad_x: Tensor) -> None:
        """Add the gradient of the input to `grad_x`."""
        first = self.head
        first.backward(grad)
        if self.hidden is not None:
            grad = self.hidden.backward(torch.mm(grad, first.weight))
            first = self.hidden.affine
        grad_x.addmm_(grad, first.weight)


class _Message:
    """The map from what a layer reads to its message.

    A message has pseudo-observations, and beside them the logarithms of their precisions.
    """

    def __init__(self, head: nn.Module, norm: nn.Module) -> None:
        self.affine, self.norm = _Affine(head), _Norm(norm)

    def forward(self, x: Tensor) -> Tensor:
        """The message, (n_rows, 2 n_units)."""
        message = self.affine.forward(x)
        self.norm.forward(message)
        self.loc = message.chunk(2, dim=1)[0]
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
        if from_above is not None:
            grad[:, : self.loc.shape[1]] += where_above(from_above, self.loc, 0.0)
        self.norm.backward(grad)
        self.affine.backward(grad)


class _Upward:
    """The bottom-up pass."""

    def __init__(self, module: BottomUp) -> None:
        self.hidden = [_Hidden(hidden) for hidden in module.hidden]
        self.messages = [_Message(*pair) for pair in zip(module.heads, module.norms, strict=True)]

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Messages to all layers, bottom first."""
        found = []
        below = inputs
        for layer, message in enumerate(self.messages):
            if self.hidden:
                below = self.hidden[layer].forward(below)
            found.append(message.forward(below))
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
                grad = torch.mm(grad, first.weight)
                if from_above is not None:
                    grad += from_above
                grad = self.hidden[layer].backward(grad)
                first = self.hidden[layer].affine
            if layer > 0:
                from_above = torch.mm(grad, first.weight)


class _TopPrior:
    """Locations of the top layer, and beside them the logarithms of its scales."""

    lowest = -math.inf

    def __init__(self, module: TopPrior) -> None:
        self.loc, self.raw_scale = module.loc, module.raw_scale

    def forward(self, above: Tensor) -> Tensor:
        """Both for the values of the layers above, (n_rows, 2 n_units)."""
        return torch.cat([self.loc, self.raw_scale]).repeat(len(above), 1)

    def backward(self, grad: Tensor, grad_above: Tensor) -> None:
        """Gradients of the parameters."""
        grad_loc, grad_raw = grad.chunk(2, dim=1)
        torch.sum(grad_loc, dim=0, out=self.loc.grad)
        torch.sum(grad_raw, dim=0, out=self.raw_scale.grad)


class _LayerPrior:
    """The same of a layer given those above it."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, LayerPrior)
        self.step, self.norm = _Step(module.step), _Norm(module.norm)
        self.lowest = LOWEST_PRIOR if module.quiet else -math.inf

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

    def __init__(self, module: TopDown, n_rows: int) -> None:
        self.priors: list[_LayerPrior | _TopPrior] = [_LayerPrior(p) for p in module.priors]
        self.priors.append(_TopPrior(module.top))
        self.decoder = _Step(module.decoder)
        sizes = module.layer_sizes
        ends = [sum(sizes[: layer + 1]) for layer in range(len(sizes))]
        self.columns = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        # What the prior of a layer reads (nothing for the top one), and the decoder.
        nearest = [*self.columns[1:], slice(ends[-1], ends[-1])]
        self.above = [slice(end, ends[-1]) for end in ends] if module.skip else nearest
        self.decoded = slice(0, ends[-1]) if module.skip else self.columns[0]
        make = _units_for(module.top.loc)
        self.units = [
            make(n_rows, columns, prior.lowest)
            for columns, prior in zip(self.columns, self.priors, strict=True)
        ]
        self.kl, self.values, self.grad_values = module.top.loc.new_empty(3, n_rows, ends[-1])
        # Of priors and messages.
        self.grads = [module.top.loc.new_empty(2, n_rows, 2 * size) for size in sizes]

    def forward(
        self, messages: Sequence[Tensor], informed: Tensor | None, noise: Tensor
    ) -> Tensor:
        """Outputs for the likelihood; beside them stand the values and the KL of all units."""
        for layer in reversed(range(len(messages))):
            prior = self.priors[layer].forward(self.values[:, self.above[layer]])
            given = prior, messages[layer], informed, noise
            self.units[layer].forward(*given, self.values, self.kl)
        return self.decoder.forward(self.values[:, self.decoded])

    def backward(
        self, grad_outputs: Tensor, kl_weights: Tensor, by_values: Tensor | None
    ) -> list[Tensor]:
        """Gradients of the parameters; returned are those of the messages."""
        if by_values is None:
            self.grad_values.zero_()
        else:
            self.grad_values.copy_(by_values)
        self.decoder.backward(grad_outputs, self.grad_values[:, self.decoded])
        for layer, (grad_prior, grad_message) in enumerate(self.grads):
            grads = grad_prior, grad_message
            self.units[layer].backward(self.grad_values, kl_weights, *grads)
            self.priors[layer].backward(grad_prior, self.grad_values[:, self.above[layer]])
        return [grad_message for _, grad_message in self.grads]


def _units_for(like: Tensor) -> Callable[..., Units | CompiledUnits]:
    """The quickest way to work on units of a tensor's dtype and on its device."""
    if not compiled.available(like):
        return Units
    from skrgvae.compiled.units import CompiledUnits

    return partial(CompiledUnits, widest=LOG_RANGE)
