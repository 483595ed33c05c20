"""Parameter sets for a purpose other than that of the defaults."""

from __future__ import annotations

from typing import Any

#: Parameters of `HierarchicalSparseEncoder` for the best bound rather than the best features:
#: ``HierarchicalSparseEncoder(layer_sizes=(300, 200, 100, 50), **DENSITY_PRESET)``. The widths of
#: the deterministic layers are for four stochastic layers.
DENSITY_PRESET: dict[str, Any] = {
    "hidden_layer_sizes": (512, 256, 128, 64),
    "firing_rate": None,
    "free_bits": 0.0,
    "skip_connections": True,
    "kl_warmup": 0.2,
    "learning_rate": 1e-2,
    "weight_decay": 0.1,
    "input_dropout": 0.0,
    "batch_size": 250,
    "max_iter": 100,
}
