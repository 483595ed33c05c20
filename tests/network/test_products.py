"""Products through oneDNN are those of torch, and are left to torch where oneDNN can't serve."""

import numpy as np
import pytest
import torch

from skrgvae.network.fused import products as module
from skrgvae.network.fused.products import Products

N_ROWS, N_INPUTS, N_OUTPUTS = 130, 150, 170


@pytest.fixture(params=["oneDNN", "torch"])
def products(request, monkeypatch):
    """Both ways, wherever torch has them."""
    if request.param == "oneDNN":
        if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
            pytest.skip("torch has no oneDNN here")
        monkeypatch.setattr(module, "LEAST_MULTIPLICATIONS", 1)
    monkeypatch.setattr(module, "onednn_is_quicker", lambda: request.param == "oneDNN")
    return Products(N_ROWS, recurrent=True)


def matrices(*shapes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def layouts(matrix):
    """The same numbers, stored by rows, by columns, and as columns of a wider matrix."""
    wide = torch.zeros(len(matrix), matrix.shape[1] + 20)
    wide[:, 7:-13] = matrix
    return [matrix, matrix.t().contiguous().t(), wide[:, 7:-13]]


def assert_equal_to_float64(found, expected):
    # Rounding of float32 sums of 150 products of standard normal numbers; bfloat16 gives .03.
    np.testing.assert_allclose(found.double(), expected, rtol=0, atol=2e-5)


def test_products_in_every_layout_have_the_precision_of_float32(products):
    a, b, to, bias = matrices(
        (N_ROWS, N_INPUTS), (N_INPUTS, N_OUTPUTS), (N_ROWS, N_OUTPUTS), (N_OUTPUTS,)
    )
    expected = a.double() @ b.double()
    for left in layouts(a):
        for right in layouts(b):
            assert_equal_to_float64(products.multiply(left, right), expected)
            for out in layouts(torch.zeros_like(to)):
                assert products.multiply(left, right, out=out) is out
                assert_equal_to_float64(out, expected)
                assert products.affine(left, right.t(), bias, out) is out
                assert_equal_to_float64(out, expected + bias)
            for total in layouts(to.clone()):
                products.add(total, left, right)
                assert_equal_to_float64(total, expected + to)


def test_what_onednn_has_no_operator_for_goes_to_torch(products):
    a, b = matrices((N_ROWS, N_INPUTS), (N_INPUTS, N_OUTPUTS), dtype=torch.float64)
    assert torch.equal(products.multiply(a, b), a @ b)
    few = torch.where(a > 2, a, 0.0).float()
    torch.testing.assert_close(products.multiply(few.to_sparse(), b.float()), few @ b.float())
    assert products.multiply(a[:0].float(), b.float()).shape == (0, N_OUTPUTS)


@pytest.mark.parametrize(("recurrent", "n_columns"), [(False, 600), (True, 499)])
def test_onednn_makes_no_code_for_what_comes_once_or_is_small(recurrent, n_columns, monkeypatch):
    monkeypatch.setattr(module, "onednn_is_quicker", lambda: True)
    monkeypatch.setattr(module, "_product", None)  # can't be called
    a, b = matrices((100, 200), (200, n_columns))
    assert torch.equal(Products(100, recurrent).multiply(a, b), a @ b)


@pytest.mark.parametrize(
    ("cpu_name", "avx512", "operator", "expected"),
    [
        ("AMD EPYC 9755", True, lambda x, weight, *_: x @ weight.t(), True),
        ("AMD EPYC 7763", False, lambda x, weight, *_: x @ weight.t(), False),
        ("Intel(R) Xeon(R)", True, lambda x, weight, *_: x @ weight.t(), False),
        ("AMD EPYC 9755", True, lambda x, weight, *_: x.bfloat16().float() @ weight.t(), False),
        ("AMD EPYC 9755", True, None, False),
    ],
)
def test_where_onednn_is_asked(cpu_name, avx512, operator, expected, monkeypatch):
    capabilities = {"cpu_name": cpu_name, "avx512_f": avx512}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", operator, raising=False)
    assert module.onednn_is_quicker.__wrapped__() is expected
