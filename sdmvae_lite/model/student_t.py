"""The VAE with a Student-t prior: one family from the standard VAE to the paper's price."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, StudentT

from ..config import ModelConfig
from .divergences import student_t_gamma, student_t_kl
from .vae import VAE, hold


class StudentTVAE(VAE):
    """VAE with a Student-t prior of scale one, whose degrees of freedom ν are learned or given.

    It keeps the inverse-Gamma that the paper puts over γ (eq. 6), see `student_t_kl`: ν → ∞ is the
    standard VAE, ν → 0 the SDM-VAE with D = I. Another scale would be undone by the decoder's first
    layer; that it is fixed is what makes the scale of a code mean something. See
    :doc:`19_fix_the_scale`.
    """

    takes = "student-vae"
    log_nu: Tensor  # (), a parameter if it is learned; then it starts at 0

    def __init__(self, config: ModelConfig = ModelConfig(model="student-vae")) -> None:
        super().__init__(config)
        hold(self, "log_nu", torch.tensor(math.log(config.nu or 1.0)), config.nu is None)

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the bound on the divergence of each coefficient from its prior, (batch, m)."""
        return student_t_kl(mu, logvar, self.log_nu.exp())

    def gamma(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return (ν + μ² + σ²) / (ν + 1), (batch, m)."""
        return student_t_gamma(mu, logvar, self.log_nu.exp())

    def prior(self) -> Distribution:
        """Return the distribution that codes (m,) of made-up frames are drawn from."""
        return StudentT(self.log_nu.exp()).expand((self.config.m,))
