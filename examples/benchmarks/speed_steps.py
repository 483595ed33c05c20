"""Training steps, the matrix products in them, and those of pythae's VAE."""

import logging
import os
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from skrgvae import compiled
from skrgvae.data.sources import ArrayRows
from skrgvae.data.summary import summarise
from skrgvae.fitting import Plan, initial_module, new_trainer
from skrgvae.network import Architecture
from skrgvae.recipe import SEARCHING, SEARCHING_DEEP, hidden_layer_sizes_for
from skrgvae.training import Rows, Settings

N_COLUMNS = 784
SIZES = (300, 200, 100, 50)
CPU = torch.device("cpu")


def products(n_columns=None, sizes=None, hidden=None):
    """Inputs and outputs of the products up, down and in the decoder.

    The third entry says whether the input needs a gradient. `hidden` are the widths of the hidden
    layers.
    """
    n_columns, sizes = n_columns or N_COLUMNS, sizes or SIZES
    if hidden is not None:
        return deep_products(n_columns, sizes, hidden)
    up = [
        (below, 2 * size, position > 0)
        for position, (below, size) in enumerate(zip((n_columns, *sizes), sizes, strict=False))
    ]
    up += [(n_columns, 2 * size, False) for size in sizes[1:]]
    down = [(sum(sizes[layer + 1 :]), 2 * sizes[layer], True) for layer in range(len(sizes) - 1)]
    return up, down, [(sum(sizes), n_columns, True)]


def deep_products(n_columns, sizes, hidden):
    up, below = [], n_columns
    for layer, (width, size) in enumerate(zip(hidden, sizes, strict=True)):
        up += [(below, width, layer > 0), (width, 2 * size, True)]
        below = width
    down = []
    for layer, width in enumerate(hidden[1:]):
        down += [(sum(sizes[layer + 1 :]), width, True), (width, 2 * sizes[layer], True)]
    return up, down, [(sum(sizes), hidden[0], True), (hidden[0], n_columns, True)]


def product_step(shapes, n_rows, backward=True):
    """A function that computes the products once."""
    matrices = [
        (torch.randn(n_rows, a), torch.randn(b, a), torch.randn(n_rows, b), needed)
        for a, b, needed in shapes
    ]

    def run():
        for x, weight, _, _ in matrices:
            torch.mm(x, weight.t())
        for x, weight, gradient, needed in reversed(matrices) if backward else ():
            torch.mm(gradient.t(), x)
            if needed:
                torch.mm(gradient, weight)

    return run


def all_products(n_columns=None, sizes=None, hidden=None):
    return [shape for part in products(n_columns, sizes, hidden) for shape in part]


def pixels(n_rows, n_columns=None):
    """Rows of zeros and some ones."""
    shape = n_rows, n_columns or N_COLUMNS
    return (np.random.default_rng(0).random(shape) < 0.15).astype(np.float32)


def trainer_for(table, batch_size, n_steps, sizes=None, skip=True, device=CPU, hidden=None):
    """A trainer of the default network for few rows or, with `hidden`, for many."""
    sizes = sizes or SIZES
    families = ("bernoulli",) * table.shape[1]
    options = {"skip_connections": skip, "direct_inputs": skip and hidden is None}
    recipe = SEARCHING if hidden is None else SEARCHING_DEEP
    options["firing_rate"] = recipe.firing_rate
    architecture = Architecture(sizes, hidden, families, **options)
    module = initial_module(summarise([table]), architecture, 0)
    floors = recipe.free_bits(len(sizes))
    settings = Settings("adamax", batch_size, floors, 0.0, recipe.weight_decay)
    plan = Plan(settings, recipe.learning_rate, 20, 1.0, 0.1, None)
    return new_trainer(module, plan, n_steps, 0, device, {batch_size})


def training_steps(n_rows, n_steps, n_columns=None, sizes=None, skip=True, hidden=None):
    """A function that takes some steps of the default network, and its batches' rows."""
    table = pixels(n_rows * n_steps, n_columns)
    trainer = trainer_for(table, n_rows, n_steps, sizes, skip, hidden=hidden)
    rows = Rows(ArrayRows(table), CPU)
    return lambda: trainer.epoch(rows)


def medians(turns, n_turns, clock=time.process_time):
    """Seconds of each function, the median of its turns after a first one."""
    seconds = {name: [] for name in turns}
    for _ in range(n_turns + 1):
        for name, run in turns.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return {name: float(np.median(seen[1:])) for name, seen in seconds.items()}


@contextmanager
def interpreted():
    """torch alone, as where numba is not installed."""
    with patch.object(compiled, "loads", lambda: False):
        yield


def step_over_products(n_rows, n_turns, n_steps=8, n_columns=None, sizes=None, hidden=None):
    """Milliseconds of a step and of its products, and their ratio."""
    once = product_step(all_products(n_columns, sizes, hidden), n_rows)
    turns = {
        "products": lambda: [once() for _ in range(n_steps)],
        "step": training_steps(n_rows, n_steps, n_columns, sizes, hidden=hidden),
    }
    with interpreted():
        slower = training_steps(n_rows, n_steps, n_columns, sizes, hidden=hidden)

        def without_numba():
            with interpreted():
                slower()

        without_numba()  # what it computes with is chosen in the first step
    turns["step_without_numba"] = without_numba
    found = {name: 1e3 * took / n_steps for name, took in medians(turns, n_turns).items()}
    ratios = {
        name.replace("step", "ratio"): found[name] / found["products"]
        for name in ("step", "step_without_numba")
    }
    return {**found, **ratios}


def steps(n_turns):
    """The step over its products at two batch sizes, and in long trainings."""
    found = {f"batch {n_rows}": step_over_products(n_rows, n_turns) for n_rows in (100, 512)}
    n_rows, hidden = SEARCHING_DEEP.batch_size, hidden_layer_sizes_for(SIZES)
    found[f"batch {n_rows}, hidden layers"] = step_over_products(n_rows, n_turns, hidden=hidden)
    return {"products": [shape[:2] for shape in all_products()], "milliseconds": found}


def growth(n_turns):
    """Milliseconds of a step at other numbers of columns, layers and rows, all else as above."""
    few = max(3, n_turns // 3)
    columns = {n: step_over_products(100, few, n_columns=n) for n in (100, 400, 1600)}
    layers = {n: step_over_products(100, few, sizes=SIZES[:n]) for n in range(1, len(SIZES) + 1)}
    batches = {n: step_over_products(n, few) for n in (32, 100, 512, 1024)}
    return {"columns": columns, "layers": layers, "batch": batches, "rows": epochs_by_rows(few)}


def epochs_by_rows(n_turns):
    """Seconds of a whole epoch at a batch size of 100."""
    found = {}
    for n_rows in (500, 2_000, 8_000):
        found[n_rows] = medians({"epoch": training_steps(100, n_rows // 100)}, min(3, n_turns))
    return found


def on_threads(n_threads, run):
    """A function with so many of torch's threads."""

    def turn():
        torch.set_num_threads(n_threads)
        run()

    return turn


def by_threads(n_turns):
    """Milliseconds of a step and of its products, in wall time, at one thread and at two."""
    found, n_steps = {}, 8
    for n_rows in (100, 512):
        once, step = product_step(all_products(), n_rows), training_steps(n_rows, n_steps)
        runs = {"products": lambda once=once: [once() for _ in range(n_steps)], "step": step}
        turns = {
            f"{name}, {n_threads} threads": on_threads(n_threads, run)
            for n_threads in (1, 2)
            for name, run in runs.items()
        }
        seen = medians(turns, n_turns, time.perf_counter)
        found[f"batch {n_rows}"] = {key: 1e3 * took / n_steps for key, took in seen.items()}
    return found


# pythae's VAE of the same widths.


def mlp(widths, last):
    layers = []
    for n_inputs, n_outputs in pairwise(widths):
        layers += [nn.Linear(n_inputs, n_outputs), nn.ReLU()]
    return nn.Sequential(*layers[: len(layers) if last else -1])


def pythae_vae(n_columns=None, sizes=None):
    """A Gaussian VAE whose hidden layers and latent units have the widths of the hierarchy."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    widths = [n_columns or N_COLUMNS, *(sizes or SIZES)]

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = mlp(widths[:-1], last=True)
            self.embedding = nn.Linear(widths[-2], widths[-1])
            self.log_variance = nn.Linear(widths[-2], widths[-1])

        def forward(self, x):
            hidden = self.hidden(x)
            return ModelOutput(
                embedding=self.embedding(hidden), log_covariance=self.log_variance(hidden)
            )

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(mlp(widths[::-1], last=False), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.layers(z))

    torch.manual_seed(0)
    config = VAEConfig((widths[0],), widths[-1], reconstruction_loss="bce")
    return VAE(config, encoder=Encoder(), decoder=Decoder())


def pythae_trainer(table, batch_size, folder):
    """pythae's own trainer, with its defaults but for the batch size."""
    os.environ["TQDM_DISABLE"] = "1"  # no bars; tqdm reads it when pythae imports it
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    logging.disable(logging.WARNING)
    config = BaseTrainerConfig(
        folder, per_device_train_batch_size=batch_size, learning_rate=1e-3, no_cuda=True
    )
    rows = BaseDataset(torch.from_numpy(table), torch.zeros(len(table)))
    trainer = BaseTrainer(pythae_vae(table.shape[1]), rows, training_config=config, callbacks=[])
    trainer.prepare_training()
    return trainer


def pythae_products(n_columns=None, sizes=None):
    widths = [n_columns or N_COLUMNS, *(sizes or SIZES)]
    up = list(pairwise(widths))
    down = [(b, a) for a, b in reversed(up)]
    return [(a, b, position > 0) for position, (a, b) in enumerate([*up, up[-1], *down])]


def beside_pythae(n_turns):
    """Milliseconds per batch of an epoch of both, and of the steps of pythae's VAE alone."""
    found, n_batches = {}, 10
    for n_rows in (100, 512):
        table = pixels(n_rows * n_batches)
        with tempfile.TemporaryDirectory() as folder:
            trainer = pythae_trainer(table, n_rows, folder)
            batch = {"data": torch.from_numpy(table[:n_rows])}

            def step(trainer=trainer, batch=batch):
                for _ in range(n_batches):
                    trainer._optimizers_step(trainer.model(batch))

            once = product_step(pythae_products(), n_rows)
            turns = {
                "encoder": training_steps(n_rows, n_batches),
                "without_skip_connections": training_steps(n_rows, n_batches, skip=False),
                "pythae": lambda trainer=trainer: trainer.train_step(1),
                "pythae_without_its_data_loader": step,
                "products_of_pythaes_vae": lambda once=once: [once() for _ in range(n_batches)],
            }
            seen = medians(turns, max(5, n_turns // 2))
        found[f"batch {n_rows}"] = {key: 1e3 * took / n_batches for key, took in seen.items()}
    return {"milliseconds_per_batch": found}
