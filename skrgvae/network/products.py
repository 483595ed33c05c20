"""Matrix products, on the processor by the quickest library that torch brings for them.

torch multiplies matrices of float32 by MKL, which has no AVX-512 code for processors other than
Intel's. Its oneDNN has, and takes half of the time on AMD's, but is asked only where products may
be rounded, which is a setting of the whole process. The operator that torch's own compiler puts in
the place of a linear layer asks it for a single product, in full precision.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# From so many multiplications on the shorter product is worth the longer way to it; with 100 x 100
# matrices both take equally long.
LEAST_MULTIPLICATIONS = 2_000_000


def multiply(a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
    """a b, as `torch.mm`."""
    product = _onednn(a, b)
    if product is None:
        return torch.mm(a, b, out=out)
    found = product(a, b.t(), None)
    return found if out is None else out.copy_(found)


def add_product(to: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add a b to a matrix, in its place."""
    product = _onednn(a, b)
    return to.addmm_(a, b) if product is None else to.add_(product(a, b.t(), None))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b, as `torch.nn.functional.linear`."""
    product = None if torch.is_grad_enabled() else _onednn(x, weight.t())  # it has no gradient
    return F.linear(x, weight, bias) if product is None else product(x, weight, bias)


def write_linear(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> Tensor:
    """The same into a matrix that is there."""
    product = _onednn(x, weight.t())
    if product is None:
        return torch.addmm(bias, x, weight.t(), out=out)
    return out.copy_(product(x, weight, bias))


def _onednn(a: Tensor, b: Tensor) -> Callable[[Tensor, Tensor, Tensor | None], Tensor] | None:
    """x, W, b -> x W^T + b, if it is quicker for the product of two matrices."""
    if a.numel() * b.shape[1] < LEAST_MULTIPLICATIONS or not onednn_is_quicker():
        return None
    for factor in (a, b):
        if factor.dtype != torch.float32 or factor.layout != torch.strided or not factor.is_cpu:
            return None
    return _product


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not (weight.is_contiguous() or weight.t().is_contiguous()):
        # The operator reads some columns of a matrix a thousand times slower than a whole one.
        weight = weight.t().contiguous().t()
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return found


@cache
def onednn_is_quicker() -> bool:
    """Whether MKL does without AVX-512 on this processor, and torch's operator is what it was."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if not (torch.backends.mkl.is_available() and capabilities.get("avx512_f")):
        return False
    if "AMD" not in capabilities.get("cpu_name", ""):
        return False
    # Rounded factors, which another release may take, would be 1.
    x, weight = torch.full((64, 128), 1 + 2**-12), torch.eye(128)
    try:
        return torch.equal(_product(x, weight, None), x)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
