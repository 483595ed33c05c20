"""Matrix products, on the processor by the quickest library that torch brings for them.

torch multiplies matrices of float32 by MKL, which has no AVX-512 code for processors other than
Intel's. Its oneDNN has, and takes half of the time on AMD's, but is asked only where products may
be rounded, which is a setting of the whole process. The operator that torch's own compiler puts in
the place of a linear layer asks it for a single product, in full precision.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

# From so many multiplications on a product is worth the code that is made for it. Both libraries
# take equally long for a tenth as many; in between there is little to gain.
LEAST_MULTIPLICATIONS = 10_000_000


class Products:
    """Products of a pass over so many rows.

    Parameters
    ----------
    n_rows : int
    recurrent : bool
        Whether many passes will have as many rows. oneDNN makes code for every shape that it
        meets, some 1 MB, and keeps it for long.
    """

    def __init__(self, n_rows: int, recurrent: bool) -> None:
        self.n_rows = n_rows
        self._by_onednn = recurrent and onednn_is_quicker()

    def multiply(self, a: Tensor, b: Tensor, out: Tensor | None = None) -> Tensor:
        """a b, as `torch.mm`."""
        if not self._suits_onednn(a, b):
            return torch.mm(a, b, out=out)
        found = _product(a, b.t(), None)
        return found if out is None else out.copy_(found)

    def add(self, to: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Add a b to a matrix, in its place."""
        if not self._suits_onednn(a, b):
            return to.addmm_(a, b)
        return to.add_(_product(a, b.t(), None))

    def affine(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> Tensor:
        """x W^T + b."""
        if not self._suits_onednn(x, weight.t()):
            return torch.addmm(bias, x, weight.t(), out=out)
        return out.copy_(_product(x, weight, bias))

    def _suits_onednn(self, a: Tensor, b: Tensor) -> bool:
        return (
            self._by_onednn
            and a.numel() * b.shape[1] >= LEAST_MULTIPLICATIONS
            and all(
                factor.dtype == torch.float32 and factor.layout == torch.strided and factor.is_cpu
                for factor in (a, b)
            )
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x W^T + b by oneDNN."""
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
    x = torch.full((64, 128), 1 + 2**-12, dtype=torch.float32)
    weight = torch.eye(128, dtype=torch.float32)
    try:
        return torch.equal(_product(x, weight, None), x)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
