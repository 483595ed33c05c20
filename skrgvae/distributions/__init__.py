"""Laws of latent units: densities, samples and KL divergences in closed form."""

from skrgvae.distributions.laws import LATENT_LAWS, LatentLaw
from skrgvae.distributions.rectified_gaussian import RectifiedGaussian
from skrgvae.distributions.spike_and_slab import SpikeAndSlab

__all__ = ["LATENT_LAWS", "LatentLaw", "RectifiedGaussian", "SpikeAndSlab"]
