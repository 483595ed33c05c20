"""Laws of latent units: densities, samples and KL divergences in closed form."""

from skrgvae.distributions.laws import LATENT_LAWS, LatentLaw
from skrgvae.distributions.rectified_gaussian import RectifiedGaussian

__all__ = ["LATENT_LAWS", "LatentLaw", "RectifiedGaussian"]
