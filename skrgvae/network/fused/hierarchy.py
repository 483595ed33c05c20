"""`Hierarchy.forward` with its gradient written out, and what it reads of rows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from skrgvae import kernels
from skrgvae.likelihoods import ColumnLikelihood, Observed
from skrgvae.network.bottom_up import BottomUp
from skrgvae.network.fused.bottom_up import FusedBottomUp
from skrgvae.network.fused.products import Products
from skrgvae.network.fused.top_down import FusedTopDown
from skrgvae.network.records import SampledTerms
from skrgvae.network.top_down import TopDown
from skrgvae.second_thread import wait

# Share of inputs that are not 0, up to which products with them alone are the faster ones on the
# CPU. Devices with thousands of cores multiply by a zero sooner than they look for it.
SPARSE = 0.02


class Reading(NamedTuple):
    """What a pass needs of rows, and needs no parameter for.

    Attributes
    ----------
    observed : Observed
        All entries, which are scored.
    informed : Tensor of shape (n_rows, 1) or None
        Which rows the bottom-up pass is told anything of; None: all of them.
    inputs : Tensor of shape (n_rows, n_inputs)
        What it reads; sparse where few of them are not 0, as in texts.
    """

    observed: Observed
    informed: Tensor | None
    inputs: Tensor


class FusedPass:
    """Terms of the bound for batches of one number of rows, and their gradients.

    All that is as long as the rows are many is made once. What `forward` returns is overwritten
    by the next call.

    Parameters
    ----------
    likelihood : ColumnLikelihood
    bottom_up : BottomUp
    top_down : TopDown
        The parameters of all three must have their `grad`, and keep their storage.
    n_rows : int
    recurrent : bool
        Whether many batches will have as many rows.

    Attributes
    ----------
    recordable : bool
        Whether all kernels that it runs depend on shapes alone, and nothing waits for results.
    """

    def __init__(
        self,
        likelihood: ColumnLikelihood,
        bottom_up: BottomUp,
        top_down: TopDown,
        n_rows: int,
        recurrent: bool,
    ) -> None:
        self.likelihood = likelihood
        products = Products(n_rows, recurrent)
        self.up = FusedBottomUp(bottom_up, products)
        self.down = FusedTopDown(top_down, products)
        # torch's own normalisation counts batches on the CPU.
        self.recordable = kernels.available(top_down.top.loc) and likelihood.recordable

    @torch.no_grad()
    def read(
        self, table: Tensor, complete: bool | None = None, hidden: Tensor | None = None
    ) -> Reading:
        """What the pass reads of rows in data units, (n_rows, n_columns).

        `complete` tells whether no entry is missing (None: look), and `hidden`, True where they
        are, which of them are scored and not seen.
        """
        observed = self.likelihood.observe(table, complete)
        seen = self.likelihood.seen(observed, hidden)
        inputs = self.likelihood.inputs(seen)
        on_cpu = inputs.device.type == "cpu"
        if on_cpu and torch.count_nonzero(inputs) <= SPARSE * inputs.numel():
            inputs = inputs.to_sparse()
        return Reading(observed, seen.informed(), inputs)

    @torch.no_grad()
    def forward(self, reading: Reading, noise: Tensor) -> SampledTerms:
        """Terms of the bound for rows that were read, by one joint sample per row.

        Parameters
        ----------
        reading : Reading
        noise : Tensor of shape (n_rows, n_units of all layers)
        """
        observed, informed, inputs = reading
        messages = self.up.forward(inputs)
        outputs = self.down.forward(messages, informed, noise)
        log_likelihood, self.slopes = self.likelihood.log_prob_and_slopes(observed, outputs)
        return SampledTerms(log_likelihood, self.down.kl, self.down.values)

    @torch.no_grad()
    def backward(
        self, by_log_likelihood: float, by_kl: Tensor, by_values: Tensor | None = None
    ) -> None:
        """Write the gradients of all parameters to their `grad`.

        Parameters
        ----------
        by_log_likelihood : float
            Slope of what is differentiated by the log-likelihood of each row.
        by_kl : Tensor of shape (n_units of all layers,)
            The same by the KL of each unit in each row.
        by_values : Tensor of shape (n_rows, n_units of all layers) or None
            The same by the values; None: zeros.
        """
        by_outputs, *by_parameters = self.slopes
        for parameter, slope in zip(self.likelihood.parameters(), by_parameters, strict=True):
            torch.mul(slope, by_log_likelihood, out=parameter.grad)
        by_messages = self.down.backward(by_outputs.mul_(by_log_likelihood), by_kl, by_values)
        self.up.backward(by_messages)
        wait()
