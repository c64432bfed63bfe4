r"""A dictionary at the output: the log-spectrum is linear in the code.

.. math:: \log\sigma_f^2 = b_f + (D a)_f

An atom is an equaliser curve: atoms of the dictionary D, (n_bins, m), are of unit root mean square,
so that a coefficient of one changes the spectrum by 4.34 dB. With a DCT the code is a cepstrum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, StudentT
from torch.linalg import vector_norm
from torch.nn.functional import linear, normalize, relu, softplus

from ..config import ModelConfig
from .dictionaries import spectral_dictionary
from .divergences import (
    ard_kl,
    complex_gaussian_nll,
    gaussian_kl,
    optimal_gamma,
    student_t_gamma,
    student_t_kl,
)
from .vae import VAE, ModelOutput, Noise, hold, reparametrise


class LogLinearVAE(VAE):
    r"""VAE whose decoder is a dictionary of log-spectra, with a sparse code if wanted.

    The prior is, by ``config.prior``, a normal or a Student-t whose scales s, one a coefficient,
    are learned, or the paper's. What the encoder says is in units of s.

    With ``config.nonzero`` = L, a frame keeps the L coefficients of most divergence from their
    prior; all others are exactly zero, in training too. Which these are, S, has its price, by how
    often each atom is used, π, which is learned:

    .. math:: -\log p(S) = -\sum_{j \in S} \log \pi_j - \sum_{j \notin S} \log(1 - \pi_j)

    An atom that is never among the L learns nothing. With ``config.thinning`` training starts from
    all coefficients, and comes down to L within so many epochs: each atom learns something first.
    With ``config.parting`` training keeps atoms from becoming alike, see `penalty`.
    """

    takes = "loglinear-vae"
    dictionary: Tensor  # D, (n_bins, m); if it is learned, up to the lengths of its columns
    log_nu: Tensor  # (), of a Student-t prior
    # one frame e^10 times as loud in a bin as expected must not turn the whole dictionary over
    gradient_limit = 200.0
    first_log_variance = -3.0  # of the posterior, in units of s²
    alike = 0.8  # |cos| of two atoms from which on the penalty parts them
    first_length = 0.01  # of learned atoms, before they are brought to one: a short one turns fast

    def __init__(
        self, config: ModelConfig = ModelConfig(model="loglinear-vae", dictionary="learned")
    ) -> None:
        super().__init__(config)
        nn.init.constant_(self.encoder_logvar.bias, self.first_log_variance)
        # spectra drawn from the prior start with a variance of one, in nepers of power
        self.log_scale = nn.Parameter(torch.full((config.m,), -0.5 * math.log(config.m)))
        if config.prior == "student-t":
            hold(self, "log_nu", torch.tensor(math.log(config.nu or 1.0)), config.nu is None)
        if config.nonzero is not None:
            self.kept = config.nonzero  # in training, of each frame
            share = torch.tensor(config.nonzero / config.m)
            self.usage_logit = nn.Parameter(torch.logit(share).repeat(config.m))

    def build_decoder(self) -> None:
        """Make D and b."""
        config, atoms = self.config, spectral_dictionary(self.config)
        if config.dictionary == "learned":
            atoms *= self.first_length
        hold(self, "dictionary", atoms, config.dictionary == "learned")
        self.bias = nn.Parameter(torch.zeros(config.n_bins))

    def begin_epoch(self, epoch: int) -> None:
        """Let the number of coefficients that are kept in training fall from m to L."""
        config = self.config
        if config.nonzero is not None and config.thinning:
            fallen = min(1.0, epoch / config.thinning)
            self.kept = round(config.m * (config.nonzero / config.m) ** fallen)

    @property
    def offset(self) -> Tensor:
        """The log-spectrum b of a frame whose code is zero, (n_bins,)."""
        return self.bias

    def atoms(self) -> Tensor:
        """Return D as it is used, (n_bins, m), its columns of unit root mean square."""
        return self.dictionary * self.to_unit()

    def to_unit(self) -> Tensor:
        """Return what brings each column of the dictionary to unit root mean square, (m,)."""
        return math.sqrt(self.config.n_bins) / vector_norm(self.dictionary, dim=0)

    def decode(self, z: Tensor) -> Tensor:
        """Return log σ² = b + D a, (batch, n_bins), of codes (batch, m)."""
        return linear(z * self.to_unit(), self.dictionary, self.bias)

    def encode(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Return the code's mean and log-variance for power spectra (batch, n_bins)."""
        mu, logvar = super().encode(frames)
        return mu * self.log_scale.exp(), logvar + 2 * self.log_scale

    def forward(self, frames: Tensor, sample: bool = True, generator: Noise = None) -> ModelOutput:
        mu, logvar = self.encode(frames)
        code = reparametrise(mu, logvar, generator) if sample else mu
        kl, gamma, variance = self.kl(mu, logvar), self.gamma(mu, logvar), logvar.exp()
        if self.config.nonzero is not None:
            active = dearest(kl, self.kept if self.training else self.config.nonzero)
            code, mu, variance = (torch.where(active, each, 0.0) for each in (code, mu, variance))
            kl = torch.where(active, kl, 0.0) + self.support_price(active)
        return ModelOutput(self.decode(code), mu, kl, gamma, variance)

    def reconstruction(self, frames: Tensor, output: ModelOutput) -> Tensor:
        r"""Return the expected negative log-likelihood of each bin; nothing is sampled for it.

        .. math:: s_f \exp\left(-v_f + \tfrac12 \sum_j D_{fj}^2 \sigma_j^2\right) + v_f,
                  \qquad v = b + D \mu
        """
        half = 0.5 * (output.variance * self.to_unit().square()) @ self.dictionary.square().T
        return complex_gaussian_nll(frames, self.decode(output.code) - half) + half

    def penalty(self) -> Tensor | float:
        r"""Return the excess coherence of learned atoms times ``config.parting``, in training.

        .. math:: \sum_{i < j} \max(0, \lvert\cos(d_i, d_j)\rvert - 0.8)^2

        It can vanish for any number of atoms, as a penalty on :math:`D^\top D - I` cannot. What
        validation sees is the bound alone.
        """
        if not self.config.parting or not self.training:
            return 0.0
        unit = normalize(self.dictionary, dim=0)
        alike = (unit.T @ unit).abs().triu(diagonal=1)
        return self.config.parting * relu(alike - self.alike).square().sum()

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the divergence of each coefficient from its prior, or its bound, (batch, m)."""
        if self.config.prior == "paper":
            return ard_kl(mu, logvar)
        if self.config.prior == "student-t":
            return student_t_kl(mu, logvar, self.log_nu.exp(), self.log_scale.exp())
        return gaussian_kl(mu * torch.exp(-self.log_scale), logvar - 2 * self.log_scale)

    def gamma(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the variance that the prior has, or takes, for each coefficient, (batch, m)."""
        if self.config.prior == "paper":
            return optimal_gamma(mu, logvar)
        if self.config.prior == "student-t":
            return student_t_gamma(mu, logvar, self.log_nu.exp(), self.log_scale.exp())
        return torch.exp(2 * self.log_scale).expand_as(mu)

    def prior(self) -> Distribution:
        """Return the distribution of coefficients, (m,), that are not zero; the paper has none."""
        if self.config.prior == "paper":
            raise ValueError("the paper's prior is improper: no code can be drawn from it")
        scale = self.log_scale.exp()
        if self.config.prior == "student-t":
            return StudentT(self.log_nu.exp(), torch.zeros_like(scale), scale)
        return Normal(torch.zeros_like(scale), scale)

    def support_price(self, active: Tensor) -> Tensor:
        """Return what each coefficient adds to -log p(S), of supports S (batch, m), true in S."""
        return softplus(torch.where(active, -self.usage_logit, self.usage_logit))


def dearest(kl: Tensor, count: int) -> Tensor:
    """Return which ``count`` coefficients of each frame have the largest divergences, (batch, m).

    >>> dearest(torch.tensor([[0.1, 3.0, 2.0]]), 2)
    tensor([[False,  True,  True]])
    """
    return torch.zeros_like(kl, dtype=torch.bool).scatter(-1, kl.topk(count).indices, True)
