"""A sampled pass through a structured rectified-Gaussian hierarchy, its gradient written out.

It computes what `Hierarchy.forward` and autograd give, which are the reference that tests compare
it with. It takes a fraction of their elementwise work: the values of all layers share one matrix,
so that skip connections copy nothing; gradients are formed from what the forward pass has at
hand; and they are written to where the optimiser reads them, as no graph is there to carry them.
"""

from skrgvae.network.fused.hierarchy import FusedPass

__all__ = ["FusedPass"]
