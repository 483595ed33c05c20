"""What to try where training gives nothing finite."""

from __future__ import annotations

from skrgvae.training.steps import Settings

# Beyond this a parameter is named, with its value: none of them is of use there.
MOST_OF_USE = 100.0


def advice(settings: Settings, kl_weight: float) -> str:
    """A sentence that names what is large, beside what helps otherwise.

    Parameters
    ----------
    settings : Settings
    kl_weight : float
        The full one.
    """
    others = {
        "kl_weight": kl_weight,
        "free_bits": max(settings.free_bits),
        "sparsity_penalty": settings.sparsity_penalty,
        "weight_decay": settings.weight_decay,
    }
    large = [f"{name} ({value:g})" for name, value in others.items() if value > MOST_OF_USE]
    smaller = ", ".join([*large, "learning_rate"])
    return f"Try a smaller {smaller}, batch_norm=True, or columns scaled to comparable ranges."
