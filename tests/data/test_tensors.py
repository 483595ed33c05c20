"""Tensors of torch as tables."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from skrgvae import HierarchicalSparseEncoder

X = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def fitted():
    return HierarchicalSparseEncoder((3, 2), max_iter=1, random_state=0).fit(X.numpy())


def tensors():
    """Tensors, and the arrays that they stand for."""
    rough = X.bfloat16()
    part = torch.complex(X, X).conj().imag
    assert part.is_neg()
    return {
        "float64": (X, X.numpy()),
        "part of a graph": (X.clone().requires_grad_(), X.numpy()),
        "bfloat16": (rough, rough.float().numpy()),
        "float16": (X.half(), X.half().numpy()),
        "negative": (part, -X.numpy()),
        "whole numbers": (X.int(), X.int().numpy()),
    }


@pytest.mark.parametrize("name", tensors())
def test_a_tensor_is_the_array_of_its_numbers(fitted, name):
    tensor, array = tensors()[name]
    features = fitted.transform(tensor)
    np.testing.assert_array_equal(features, fitted.transform(array))
    assert features.dtype == (np.float32 if name == "bfloat16" else np.float64)
    parameters = {"layer_sizes": (3, 2), "max_iter": 1, "random_state": 0}
    learned = HierarchicalSparseEncoder(**parameters).fit(tensor, X_val=tensor)
    expected = HierarchicalSparseEncoder(**parameters).fit(array, X_val=array)
    assert learned.score(tensor) == expected.score(array)


def test_complex_tensors_are_refused_as_arrays_are(fitted):
    with pytest.raises(ValueError, match="Complex data not supported"):
        fitted.transform(torch.complex(X, X).conj())


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "impute"])
def test_sparse_tensors_are_refused(fitted, method, layout):
    sparse = X.to_sparse(layout=getattr(torch, layout))
    estimator = HierarchicalSparseEncoder((3, 2)) if "fit" in method else fitted
    message = rf"dense tensor, got one of layout torch\.{layout}: pass a scipy sparse matrix"
    with pytest.raises(TypeError, match=message):
        getattr(estimator, method)(sparse)
    assert fitted.transform(csr_array(X.numpy())).shape == (40, 5)
