"""Variational sparse coding: coefficients that are exactly zero, each with a probability."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..config import ModelConfig
from .divergences import (
    bernoulli_kl,
    optimal_gamma,
    spike_and_slab_kl,
    spike_and_slab_kl_between,
)
from .vae import VAE, ModelOutput, Noise, reparametrise


class VSC(VAE):
    r"""Variational sparse coding (Tonolini, Jensen and Murray-Smith, 2020).

    Each coefficient is drawn from a Gaussian slab with probability g, otherwise it is exactly zero:
    its mean, which resynthesis decodes, is g μ. Training replaces the hard gate by
    :math:`\mathrm{sigmoid}(c(\eta - 1 + g))`, η uniform, whose slope c hardens over the epochs.

    With ``config.pseudo_inputs`` = 0 the prior is a fixed spike and slab with P(active) = α.
    With U > 0 it is the posterior of learned pseudo-inputs, weighted for each frame by a linear
    classifier; then the mean activity of the pseudo-inputs is held to α, and the slab is eased
    in over the first epochs. See :doc:`08_variational_sparse_coding`.
    """

    takes = "vsc"
    slope: Tensor  # of the relaxed gate
    warmup: Tensor  # how much of the slab's mean and log-variance comes in: 0 to 1
    slope_range = (50.0, 200.0)
    slope_epochs = 100
    warmup_epochs = 20

    def __init__(self, config: ModelConfig = ModelConfig(model="vsc")) -> None:
        super().__init__(config)
        self.encoder_gate = nn.Linear(config.hidden, config.m)
        self.register_buffer("slope", torch.tensor(self.slope_range[0]))
        self.register_buffer("warmup", torch.tensor(0.0 if config.pseudo_inputs else 1.0))
        if config.pseudo_inputs:
            self.log_pseudo_inputs = nn.Parameter(torch.randn(config.pseudo_inputs, config.n_bins))
            self.classifier = nn.Linear(config.n_bins, config.pseudo_inputs)

    def begin_epoch(self, epoch: int) -> None:
        """Harden the gate, and ease in the slab where there are pseudo-inputs."""
        first, last = self.slope_range
        self.slope.fill_(first + (last - first) * min(1.0, epoch / self.slope_epochs))
        if self.config.pseudo_inputs:
            self.warmup.fill_(min(1.0, epoch / self.warmup_epochs))

    def encode(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Return the slab's mean and log-variance and the gate's logit, each (batch, m)."""
        hidden = torch.tanh(self.encoder_hidden(self.features(frames)))
        return self.encoder_mu(hidden), self.encoder_logvar(hidden), self.encoder_gate(hidden)

    def forward(self, frames: Tensor, sample: bool = True, generator: Noise = None) -> ModelOutput:
        mu, logvar, gate_logit = self.encode(frames)
        active = torch.sigmoid(gate_logit)
        if sample:
            # at warm-up 0 the slab is a standard normal, and only the gates carry information
            slab = reparametrise(self.warmup * mu, self.warmup * logvar, generator)
            code = relaxed_gate(active, self.slope, generator) * slab
        else:
            code = active * mu
        if self.config.pseudo_inputs:
            weights = torch.softmax(self.classifier(torch.log1p(frames)), dim=-1)  # (batch, U)
            prior = self.encode(self.log_pseudo_inputs.exp())  # each (U, m)
            each = (value.unsqueeze(1) for value in (mu, logvar, gate_logit))  # (batch, 1, m)
            kl = torch.einsum("bu,bum->bm", weights, spike_and_slab_kl_between(*each, *prior))
            gamma = weights @ (torch.sigmoid(prior[2]) * optimal_gamma(prior[0], prior[1]))
        else:
            kl = spike_and_slab_kl(mu, logvar, gate_logit, self.config.alpha)
            gamma = torch.full_like(mu, self.config.alpha)
        mean = active * mu
        variance = active * optimal_gamma(mu, logvar) - mean.square()
        return ModelOutput(self.decode(code), mean, kl, gamma, variance)

    def penalty(self) -> Tensor | float:
        """Return m KL(mean activity of the pseudo-inputs ‖ α), their share of the objective."""
        if not self.config.pseudo_inputs:
            return 0.0
        _, _, gate_logit = self.encode(self.log_pseudo_inputs.exp())
        activity = torch.logit(torch.sigmoid(gate_logit).mean(), eps=1e-6)
        alpha = torch.logit(activity.new_tensor(self.config.alpha))
        return self.config.m * bernoulli_kl(activity, alpha)


def relaxed_gate(active: Tensor, slope: Tensor, generator: Noise = None) -> Tensor:
    """Return a differentiable draw, in (0, 1), of gates open with the probabilities ``active``."""
    eta = torch.rand(active.shape, dtype=active.dtype, device=active.device, generator=generator)
    return torch.sigmoid(slope * (eta - 1 + active))
