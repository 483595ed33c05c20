"""Optimisers of one vector of parameters."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

from skrgvae import compiled, kernels
from skrgvae.second_thread import aside, wait

# Weight of the past in the mean of the gradients, and what is added to their size.
BETA, EPSILON = 0.9, 1e-8
# Of Adamax: what a largest square of a gradient keeps of itself from step to step.
DECAY = 0.999**2


class Moments:
    """What both optimisers keep of the gradients of one vector, and torch's kernel for the step.

    Parameters
    ----------
    values : nn.Parameter of shape (n_entries,)
        With its `grad`.
    n_weights : int
        Entries, from the first on, that decay.
    decay : float
        What they lose of themselves in a step, over the learning rate (Loshchilov and Hutter
        2019, "Decoupled weight decay regularization", algorithm 2).
    """

    def __init__(self, values: nn.Parameter, n_weights: int = 0, decay: float = 0.0) -> None:
        self.values, self.n_weights, self.decay = values, n_weights, decay
        self.n_steps = torch.zeros((), dtype=torch.float32, device=values.device)
        self.mean = torch.zeros_like(values, requires_grad=False)
        self.square = torch.zeros_like(values, requires_grad=False)

    def state(self) -> dict[str, NDArray]:
        """Copies as arrays; empty before the first step."""
        if not self.n_steps:
            return {}
        parts = {"step": self.n_steps, "mean": self.mean, "square": self.square}
        return {name: part.cpu().numpy().copy() for name, part in parts.items()}

    def load_state(self, state: Mapping[str, NDArray]) -> None:
        """Go on from what `state` gave."""
        for name, part in (("step", self.n_steps), ("mean", self.mean), ("square", self.square)):
            part.copy_(torch.tensor(state[name])) if state else part.zero_()

    def has_finite_gradients(self) -> Tensor:
        """Whether they can be squared, shape ()."""
        assert self.values.grad is not None
        return torch.isfinite(torch.dot(self.values.grad, self.values.grad))

    def _let_decay(self, rate: float | Tensor) -> None:
        if self.decay > 0.0:
            self.values[: self.n_weights] *= 1.0 - self.decay * rate

    def _torchs_step(
        self,
        rate: float | Tensor,
        beta2: float,
        squares: Tensor,
        largest: Tensor | None = None,
        good: Tensor | None = None,
    ) -> None:
        """Move the values by torch's kernel for Adam or, with `largest`, for AMSGrad.

        Parameters
        ----------
        rate : float or Tensor of shape ()
        beta2 : float
            Weight of the past in the mean of the squared gradients.
        squares : Tensor of shape (n_entries,)
            This mean, which is moved.
        largest : Tensor of shape (n_entries,) or None
            The largest of these means so far, which is moved and takes the place of the last.
        good : Tensor of shape () or None
            Whether anything is moved; None: it is.
        """
        assert self.values.grad is not None
        self._let_decay(rate if good is None else rate * good)
        adam(
            [self.values],
            [self.values.grad],
            [self.mean],
            [squares],
            [] if largest is None else [largest],
            [self.n_steps],
            amsgrad=largest is not None,
            beta1=BETA,
            beta2=beta2,
            lr=rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
            foreach=False,
            fused=True,
            found_inf=None if good is None else (~good).float(),
        )


class Adam(Moments):
    """Adam (Kingma and Ba 2015, "Adam: a method for stochastic optimization")."""

    @torch.no_grad()
    def step(self, rate: float) -> bool:
        """Move the values; False where gradients can't be squared, which move nothing."""
        if not self.has_finite_gradients():
            return False
        self._torchs_step(rate, 0.999, self.square)
        return True

    @torch.no_grad()
    def step_where(self, good: Tensor, rate: Tensor) -> None:
        """Move the values if a tensor says so, both of shape () and on their device."""
        self._torchs_step(rate, 0.999, self.square, good=good)


class Adamax(Moments):
    """Adamax (the same, section 7.1).

    ::

        mean_t = 0.9 mean_{t-1} + 0.1 g_t
        norm_t = max(0.999 norm_{t-1}, |g_t|)
        value_t = value_{t-1} - rate / (1 - 0.9^t) mean_t / (norm_t + 1e-8)

    A step takes one pass over the memory. AMSGrad keeps the largest second moment so far; with a
    second moment that forgets all but the last gradient, this is the square of norm_t, but for
    the decay: torch's kernel for it does the work where there is no compiled code.
    """

    def __init__(self, values: nn.Parameter, n_weights: int = 0, decay: float = 0.0) -> None:
        super().__init__(values, n_weights, decay)
        self.newest: Tensor | None = None

    @torch.no_grad()
    def step(self, rate: float) -> bool:
        """Move the values; False where gradients can't be squared, which move nothing."""
        if not self.has_finite_gradients():
            return False
        if compiled.available(self.values):
            from skrgvae.compiled import adamax

            assert self.values.grad is not None
            self.n_steps += 1
            vectors = self.values, self.values.grad, self.mean, self.square
            corrected = rate / (1 - BETA ** int(self.n_steps))

            def move(first: int, last: int, shrinkage: float) -> None:
                value, gradient, mean, square = (vector[first:last] for vector in vectors)
                options = BETA, DECAY, corrected, EPSILON, shrinkage
                adamax.step(value, gradient, mean, square, *options)

            shrinkage, half = rate * self.decay, self.n_weights // 2
            aside(move, half, self.n_weights, shrinkage)
            aside(move, self.n_weights, len(self.values), 0.0)
            move(0, half, shrinkage)
            wait()
            return True
        self._amsgrad_step(rate)
        return True

    @torch.no_grad()
    def step_where(self, good: Tensor, rate: Tensor) -> None:
        """Move the values if a tensor says so, both of shape () and on their device."""
        if kernels.available(self.values):
            from skrgvae.kernels import adamax

            assert self.values.grad is not None
            self.n_steps += good
            self._let_decay(rate * good)
            vectors = self.values.detach(), self.values.grad, self.mean, self.square
            adamax.step(*vectors, good, rate, self.n_steps, BETA, DECAY, EPSILON)
            return
        self._amsgrad_step(rate, good)

    def _amsgrad_step(self, rate: float | Tensor, good: Tensor | None = None) -> None:
        if self.newest is None:
            self.newest = torch.zeros_like(self.mean)
        self.square.mul_(DECAY if good is None else torch.where(good, DECAY, 1.0))
        self._torchs_step(rate, 0.0, self.newest, self.square, good)


OPTIMIZERS: dict[str, type[Adam] | type[Adamax]] = {"adamax": Adamax, "adam": Adam}
