"""Kernels run on a CUDA device where there is one, else in Triton's interpreter."""

import os

import pytest
import torch

from skrgvae import compiled, kernels

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined

pytest.importorskip("triton", reason="kernels need Triton")


@pytest.fixture
def device(monkeypatch) -> torch.device:
    """Where tensors have to be for kernels to work on them."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    monkeypatch.setattr(kernels, "available", lambda like: like.dtype == torch.float32)
    monkeypatch.setattr(compiled, "available", lambda like: False)
    return torch.device("cpu")
