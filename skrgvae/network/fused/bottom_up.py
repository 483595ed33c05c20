"""`network.bottom_up` with gradients written out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.fused.modules import FusedAffine, FusedHidden, FusedLinear, FusedNorm
from skrgvae.network.fused.products import Products


class _Message:
    """The map from what a layer reads to its message.

    A message has pseudo-observations, and beside them the logarithms of their precisions.
    """

    def __init__(
        self, head: nn.Module, direct: nn.Module | None, norm: nn.Module, products: Products
    ) -> None:
        self.affine, self.norm = FusedAffine(head, products), FusedNorm(norm)
        self.direct = None if direct is None else FusedLinear(direct, products)
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
            That of the message; its first half comes to hold that before the normalisation.
        from_above : Tensor of shape (n_rows, n_units) or None
            That of the rectified pseudo-observations.
        """
        self.norm.backward(grad, from_above)
        self.affine.backward(grad)
        if self.direct is not None:
            self.direct.backward(grad)


class FusedBottomUp:
    """The bottom-up pass."""

    def __init__(self, module: BottomUp, products: Products) -> None:
        self.hidden = [FusedHidden(hidden, products) for hidden in module.hidden]
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
