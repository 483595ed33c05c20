"""A sampled pass through a structured rectified-Gaussian hierarchy, its gradient written out.

It computes what `BottomUp`, `TopDown`, `merge.structured` and `rectified_gaussian_kl` give one
after the other, which are the reference that tests compare it with. It takes a fraction of their
elementwise work: the values of all layers share one matrix, so that skip connections copy
nothing; the KL of all units is one call; and gradients are formed from what the forward pass has
at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from skrgvae.distributions.rectified_gaussian import rectified_gaussian_kl_and_slopes
from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.modules import LOG_RANGE, VARIANCE_FLOOR, Affine, BatchNorm, Hidden
from skrgvae.network.records import SampledPass
from skrgvae.network.top_down import LOWEST_PRIOR, LayerPrior, Step, TopDown, TopPrior

Gradients = dict[Tensor, Tensor]


class RawMessage(NamedTuple):
    """A `Message` with the logarithm of its precision before that is clamped."""

    loc: Tensor
    raw_precision: Tensor


def fused_pass(
    bottom_up: BottomUp,
    top_down: TopDown,
    inputs: Tensor,
    noise: Sequence[Tensor],
    informed: Tensor | None,
) -> SampledPass:
    """One joint sample per row, and what the bound needs of it.

    Parameters
    ----------
    bottom_up : BottomUp
    top_down : TopDown
    inputs : Tensor of shape (n_rows, n_inputs)
        No gradient is formed for them.
    noise : sequence of Tensor of shape (n_rows, n_units), bottom first

    informed : Tensor of shape (n_rows, 1) or None
        False for rows whose messages have no precision.
    """
    sizes = [layer.shape[1] for layer in noise]
    parameters = [*bottom_up.parameters(), *top_down.parameters()]
    outputs, kl, values = _FusedPass.apply(
        bottom_up, top_down, inputs, noise, informed, *parameters
    )
    return SampledPass(outputs, kl.split(sizes, dim=1), values.split(sizes, dim=1))


class _FusedPass(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        bottom_up: BottomUp,
        top_down: TopDown,
        inputs: Tensor,
        noise: Sequence[Tensor],
        informed: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        # What is returned must not be kept as well: graph and result would hold each other, and
        # their memory until the garbage collector comes by.
        ctx.parameters = parameters
        ctx.up, ctx.down = _Upward(bottom_up), _Downward(top_down, noise, informed)
        outputs, kl = ctx.down.forward(ctx.up.forward(inputs), any(ctx.needs_input_grad))
        return outputs, kl, ctx.down.values.view_as(ctx.down.values)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_outputs: Tensor, grad_kl: Tensor, grad_values: Tensor
    ) -> tuple[Tensor | None, ...]:
        gradients: Gradients = {}
        grad_messages = ctx.down.backward(grad_outputs, grad_kl, grad_values, gradients)
        ctx.up.backward(grad_messages, gradients)
        return (None,) * 5 + tuple(gradients[parameter] for parameter in ctx.parameters)


class _Affine:
    """y = x W^T + b."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, Affine)
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        self.x = x
        return torch.addmm(self.module.bias, x, self.module.weight.t())

    def backward(self, grad: Tensor, gradients: Gradients) -> None:
        """Gradients of the parameters."""
        gradients[self.module.weight] = torch.mm(grad.t(), self.x)
        gradients[self.module.bias] = grad.sum(dim=0)


class _Norm:
    """What `BatchNorm` does, or nothing in its place."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module if isinstance(module, BatchNorm) else None

    def forward(self, x: Tensor) -> Tensor:
        if self.module is None:
            return x
        self.use_batch, momentum = self.module.count(x)
        self.x = x.contiguous()  # for other layouts torch takes a slow path
        out: Tensor
        out, self.mean, self.inverse_deviation = torch.ops.aten.native_batch_norm(
            self.x, *self._state(), self.use_batch, momentum, VARIANCE_FLOOR
        )
        return out

    def backward(self, grad: Tensor, gradients: Gradients) -> Tensor:
        """Gradient of the input."""
        if self.module is None:
            return grad
        grad_x: Tensor
        gain, shift, *running = self._state()
        learned = gain.requires_grad
        grad_x, grad_gain, grad_shift = torch.ops.aten.native_batch_norm_backward(
            grad,
            self.x,
            gain,
            *running,
            self.mean,
            self.inverse_deviation,
            self.use_batch,
            VARIANCE_FLOOR,
            [True, learned, learned],
        )
        gradients |= {gain: grad_gain, shift: grad_shift}
        return grad_x

    def _state(self) -> tuple[Tensor, ...]:
        module = self.module
        assert module is not None
        return module.gain, module.shift, module.running_mean, module.running_variance


class _Hidden:
    """Affine, normalised, rectified."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, Hidden)
        self.affine, self.norm = _Affine(module.affine), _Norm(module.norm)

    def forward(self, x: Tensor) -> Tensor:
        self.out = self.norm.forward(self.affine.forward(x)).relu_()
        return self.out

    def backward(self, grad: Tensor, gradients: Gradients) -> Tensor:
        """Gradient of the affine map's result."""
        grad = self.norm.backward(_where_positive(grad, self.out), gradients)
        self.affine.backward(grad, gradients)
        return grad


class _Step:
    """An optional hidden layer, then an affine head."""

    def __init__(self, module: Step) -> None:
        self.hidden = _Hidden(module.hidden) if isinstance(module.hidden, Hidden) else None
        self.head = _Affine(module.head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head.forward(x if self.hidden is None else self.hidden.forward(x))

    def backward(self, grad: Tensor, gradients: Gradients, grad_x: Tensor) -> None:
        """Add the gradient of the input to `grad_x`."""
        first = self.head
        first.backward(grad, gradients)
        if self.hidden is not None:
            grad = self.hidden.backward(torch.mm(grad, first.module.weight), gradients)
            first = self.hidden.affine
        grad_x.addmm_(grad, first.module.weight)


class _Upward:
    """The bottom-up pass."""

    def __init__(self, module: BottomUp) -> None:
        self.hidden = [_Hidden(hidden) for hidden in module.hidden]
        self.heads = [_Affine(head) for head in module.heads]
        self.norms = [_Norm(norm) for norm in module.norms]
        self.locs: list[Tensor] = []

    def forward(self, inputs: Tensor) -> list[RawMessage]:
        """Messages to all layers, bottom first."""
        messages = []
        below = inputs
        for layer, (head, norm) in enumerate(zip(self.heads, self.norms, strict=True)):
            if self.hidden:
                below = self.hidden[layer].forward(below)
            loc, raw_precision = head.forward(below).chunk(2, dim=1)
            loc = norm.forward(loc)
            self.locs.append(loc)
            messages.append(RawMessage(loc, raw_precision))
            if not self.hidden:
                below = loc.relu()
        return messages

    def backward(self, grads: Sequence[RawMessage], gradients: Gradients) -> None:
        """Gradients of the parameters from those of the messages."""
        from_above: Tensor | None = None  # gradient of what a layer hands to the next one
        for layer in reversed(range(len(grads))):
            grad_loc, grad_raw = grads[layer]
            if from_above is not None and not self.hidden:
                grad_loc += _where_positive(from_above, self.locs[layer])
            grad = torch.cat([self.norms[layer].backward(grad_loc, gradients), grad_raw], dim=1)
            first = self.heads[layer]
            first.backward(grad, gradients)
            if self.hidden:
                grad = torch.mm(grad, first.module.weight)
                if from_above is not None:
                    grad += from_above
                grad = self.hidden[layer].backward(grad, gradients)
                first = self.hidden[layer].affine
            if layer > 0:
                from_above = torch.mm(grad, first.module.weight)


class _TopPrior:
    """Location and logarithm of the scale of the top layer."""

    def __init__(self, module: TopPrior) -> None:
        self.module = module

    def forward(self, above: Tensor, loc: Tensor) -> Tensor:
        """Write the location to `loc` and return the logarithm of the scale."""
        loc.copy_(self.module.loc)
        self.raw_scale = self.module.raw_scale.expand_as(loc)
        return self.raw_scale

    def backward(
        self, grad_loc: Tensor, grad_raw: Tensor, gradients: Gradients, grad_above: Tensor
    ) -> None:
        gradients[self.module.loc] = grad_loc.sum(dim=0)
        gradients[self.module.raw_scale] = grad_raw.sum(dim=0)


class _LayerPrior:
    """The same of a layer given those above it."""

    def __init__(self, module: nn.Module) -> None:
        assert isinstance(module, LayerPrior)
        self.step, self.norm, self.quiet = _Step(module.step), _Norm(module.norm), module.quiet

    def forward(self, above: Tensor, loc: Tensor) -> Tensor:
        self.raw_loc, self.raw_scale = self.step.forward(above).chunk(2, dim=1)
        if self.quiet:
            torch.clamp(self.raw_loc, min=LOWEST_PRIOR, out=loc)
        else:
            loc.copy_(self.norm.forward(self.raw_loc))
        return self.raw_scale

    def backward(
        self, grad_loc: Tensor, grad_raw: Tensor, gradients: Gradients, grad_above: Tensor
    ) -> None:
        """Add the gradient of the values above to `grad_above`."""
        if self.quiet:
            grad_loc = _where_positive(grad_loc, self.raw_loc, LOWEST_PRIOR)
        else:
            grad_loc = self.norm.backward(grad_loc, gradients)
        self.step.backward(torch.cat([grad_loc, grad_raw], dim=1), gradients, grad_above)


class _Downward:
    """The top-down pass, the decoder and the KL.

    Matrices of shape (n_rows, all units) have the layers' columns side by side, bottom first.
    """

    def __init__(self, module: TopDown, noise: Sequence[Tensor], informed: Tensor | None) -> None:
        self.noise, self.informed = noise, informed
        sizes = [layer.shape[1] for layer in noise]
        ends = [sum(sizes[: layer + 1]) for layer in range(len(sizes))]
        self.columns = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        # What the prior of a layer reads (nothing for the top one), and the decoder.
        nearest = [*self.columns[1:], slice(ends[-1], ends[-1])]
        self.above = [slice(end, ends[-1]) for end in ends] if module.skip else nearest
        self.decoded = slice(0, ends[-1]) if module.skip else self.columns[0]
        self.priors: list[_LayerPrior | _TopPrior] = [_LayerPrior(p) for p in module.priors]
        self.priors.append(_TopPrior(module.top))
        self.decoder = _Step(module.decoder)

    def forward(self, messages: Sequence[RawMessage], with_slopes: bool) -> tuple[Tensor, Tensor]:
        """Outputs for the likelihood, and the KL of all units."""
        self.messages = messages
        shape = len(self.noise[0]), self.columns[-1].stop
        loc_q, scale_q, loc_p, scale_p, gain, gap, values = self.noise[0].new_empty(7, *shape)
        self.scale_q, self.gain, self.gap, self.values = scale_q, gain, gap, values
        for layer in reversed(range(len(messages))):
            columns = self.columns[layer]
            q_loc, q_scale, p_loc, p_scale, g, difference, value = (
                x[:, columns] for x in (loc_q, scale_q, loc_p, scale_p, gain, gap, values)
            )
            raw_scale = self.priors[layer].forward(values[:, self.above[layer]], p_loc)
            torch.exp(_clamped(raw_scale), out=p_scale)
            loc, raw_precision = messages[layer]
            evidence = _clamped(raw_precision).exp_().mul_(p_scale).mul_(p_scale)
            if self.informed is not None:
                evidence *= self.informed
            total = evidence + 1
            torch.div(evidence, total, out=g)
            torch.sub(loc, p_loc, out=difference)
            torch.addcmul(p_loc, g, difference, out=q_loc)
            torch.mul(p_scale, total.rsqrt_(), out=q_scale)
            torch.addcmul(q_loc, q_scale, self.noise[layer], out=value).relu_()
        kl, self.slopes = rectified_gaussian_kl_and_slopes(
            loc_q, scale_q, loc_p, scale_p, with_slopes
        )
        return self.decoder.forward(values[:, self.decoded]), kl

    def backward(
        self,
        grad_outputs: Tensor,
        grad_kl: Tensor,
        grad_values: Tensor,
        gradients: Gradients,
    ) -> list[RawMessage]:
        """Gradients of the parameters; returned are those of the messages."""
        assert self.slopes is not None
        by_loc_q, by_scale_q, by_loc_p, by_scale_p = (slope.mul_(grad_kl) for slope in self.slopes)
        grad_z = grad_values.clone()
        self.decoder.backward(grad_outputs, gradients, grad_z[:, self.decoded])
        grads = []
        for layer, columns in enumerate(self.columns):
            prior = self.priors[layer]
            gain = self.gain[:, columns]
            grad_merged = _where_positive(grad_z[:, columns], self.values[:, columns])
            # times scale_q: the gradient of its logarithm
            grad_spread = (grad_merged * self.noise[layer]).mul_(self.scale_q[:, columns])
            grad_spread += by_scale_q[:, columns]
            grad_merged += by_loc_q[:, columns]
            grad_message = grad_merged * gain
            grad_loc = grad_merged.sub_(grad_message)
            # of the logarithm of scale_p^2 precision
            grad_evidence = torch.addcmul(-0.5 * grad_spread, grad_loc, self.gap[:, columns])
            grad_evidence *= gain
            grad_raw = grad_spread.add_(grad_evidence, alpha=2).add_(by_scale_p[:, columns])
            grad_loc += by_loc_p[:, columns]
            grad_raw = _where_inside(grad_raw, prior.raw_scale)
            prior.backward(grad_loc, grad_raw, gradients, grad_z[:, self.above[layer]])
            raw_precision = self.messages[layer].raw_precision
            grads.append(RawMessage(grad_message, _where_inside(grad_evidence, raw_precision)))
        return grads


def _clamped(raw: Tensor) -> Tensor:
    return raw.clamp(-LOG_RANGE, LOG_RANGE)


def _where_positive(grad: Tensor, x: Tensor, threshold: float = 0.0) -> Tensor:
    """The gradient of a rectifier's input, from its input or its result."""
    passed: Tensor = torch.ops.aten.threshold_backward(grad, x, threshold)
    return passed


def _where_inside(grad: Tensor, raw: Tensor) -> Tensor:
    """The gradient of what `_clamped` was given."""
    passed: Tensor = torch.ops.aten.hardtanh_backward(grad, raw, -LOG_RANGE, LOG_RANGE)
    return passed
