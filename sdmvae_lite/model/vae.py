"""The standard variational autoencoder: the other models change a few of its methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from ..config import ModelConfig
from .divergences import complex_gaussian_nll, gaussian_kl

Noise = Generator | None  # where samples come from; None is torch's global generator
INPUT_FLOOR = 1e-8  # added to powers before their logarithm: below any speech, above zero
EULER = 0.5772156649  # what the mean log of an exponential variable lacks of the log of its mean


class ModelOutput(NamedTuple):
    """What every model returns for a batch of frames."""

    log_variance: Tensor  # (batch, n_bins), log of the decoded power spectrum
    code: Tensor  # (batch, code_size), posterior mean of the code: mu, a, or g * mu
    kl: Tensor  # (batch, code_size), divergence of each coefficient from its prior
    gamma: Tensor  # (batch, code_size), prior second moment of each coefficient
    variance: Tensor  # (batch, code_size), of each coefficient's posterior


class VAE(nn.Module):
    """Variational autoencoder of power spectra (Leglaive et al., 2018; paper, Section 2).

    A subclass that changes its methods goes wherever these three go: see
    :doc:`15_bring_your_own_speech`. A configuration of another model is a ValueError.
    """

    takes = "vae"  # the ``model`` of the configurations that it is built from
    gradient_limit: float | None = None  # to which training scales the norm of a larger gradient
    input_mean: Tensor  # (n_bins,), of log-powers
    input_std: Tensor  # (), of all of them about these means

    def __init__(self, config: ModelConfig = ModelConfig()) -> None:
        super().__init__()
        if config.model != self.takes:  # else it would be saved as what it is not
            raise ValueError(
                f"{type(self).__name__} takes the configuration of a {self.takes}, "
                f"not of a {config.model}: {config}"
            )
        self.config = config
        self.encoder_hidden = nn.Linear(config.n_bins, config.hidden)
        self.encoder_mu = nn.Linear(config.hidden, config.code_size)
        self.encoder_logvar = nn.Linear(config.hidden, config.code_size)
        self.build_decoder()
        if config.input == "log-power":
            self.register_buffer("input_mean", torch.zeros(config.n_bins))
            self.register_buffer("input_std", torch.ones(()))

    def build_decoder(self) -> None:
        """Make the layers of `decode`."""
        self.decoder_hidden = nn.Linear(self.config.m, self.config.hidden)
        self.decoder_log_variance = nn.Linear(self.config.hidden, self.config.n_bins)

    @property
    def offset(self) -> Tensor:
        """What the decoder adds last, (n_bins,): the bias of its last layer."""
        return self.decoder_log_variance.bias

    @torch.no_grad()
    def prepare(self, frames: Iterable[Tensor]) -> None:
        """Take from the training frames, in chunks, what the model needs before its first step.

        With log-power input these are the mean of each bin and one standard deviation, and the
        decoder starts from that mean too. A model that has them already keeps them.
        """
        if self.config.input == "power" or self.input_mean.any():
            return
        n_frames, moments = 0, torch.zeros(2, self.config.n_bins, dtype=torch.float64)
        for chunk in frames:
            log = torch.log(chunk + INPUT_FLOOR).double().cpu()
            moments += torch.stack((log.sum(dim=0), log.square().sum(dim=0)))
            n_frames += len(chunk)
        mean, square = moments / n_frames
        self.input_mean.copy_(mean)
        self.input_std.copy_((square - mean.square()).mean().sqrt().clamp(min=INPUT_FLOOR))
        self.offset.copy_(mean + EULER)  # the log of the mean, if Gaussian

    def features(self, frames: Tensor) -> Tensor:
        """Return what the encoder sees of power spectra, (batch, n_bins)."""
        if self.config.input == "power":
            return frames
        return (torch.log(frames + INPUT_FLOOR) - self.input_mean) / self.input_std

    def encode(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Return the code's mean and log-variance for spectra (batch, n_bins) (paper, eq. 2)."""
        hidden = torch.tanh(self.encoder_hidden(self.features(frames)))
        return self.encoder_mu(hidden), self.encoder_logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Return the log-variances (batch, n_bins) of latent codes (batch, m) (paper, eq. 1)."""
        return self.decoder_log_variance(torch.tanh(self.decoder_hidden(z)))

    def synthesis(self, code: Tensor) -> Tensor:
        """Return the latent z (batch, m) of a code: the code itself, but for the SDM-VAE."""
        return code

    def forward(self, frames: Tensor, sample: bool = True, generator: Noise = None) -> ModelOutput:
        """Encode power spectra (batch, n_bins); decode a sample of the posterior, or its mean."""
        mu, logvar = self.encode(frames)
        code = reparametrise(mu, logvar, generator) if sample else mu
        log_variance = self.decode(self.synthesis(code))
        kl, gamma = self.kl(mu, logvar), self.gamma(mu, logvar)
        return ModelOutput(log_variance, mu, kl, gamma, logvar.exp())

    def reconstruction(self, frames: Tensor, output: ModelOutput) -> Tensor:
        """Return the negative log-likelihood of power spectra under what was decoded of them."""
        return complex_gaussian_nll(frames, output.log_variance)

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the divergence of each coefficient from its prior, (batch, code_size)."""
        return gaussian_kl(mu, logvar)

    def gamma(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the prior second moment of each coefficient, (batch, code_size): one."""
        return torch.ones_like(mu)

    def penalty(self) -> Tensor | float:
        """Return what the objective adds once a batch for the parameters themselves: nothing."""
        return 0.0

    def begin_epoch(self, epoch: int) -> None:
        """Follow a schedule, if there is one; called before each epoch, counted from 0."""


def reparametrise(mu: Tensor, logvar: Tensor, generator: Noise = None) -> Tensor:
    """Return a sample μ + σ ε of a Gaussian, ε standard normal: see :doc:`04_derive_the_elbo`."""
    noise = torch.randn(mu.shape, dtype=mu.dtype, device=mu.device, generator=generator)
    return mu + torch.exp(0.5 * logvar) * noise


def hold(module: nn.Module, name: str, value: Tensor, learned: bool) -> None:
    """Give a module a tensor that is saved with it: a parameter if it is learned, else a buffer."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


def loss(model: VAE, frames: Tensor, output: ModelOutput) -> tuple[Tensor, Tensor]:
    """Return reconstruction and regulariser per frame, scalars; their sum is the negative ELBO.

    The expectation is over the one sample that ``output`` holds (paper, eqs. 3, 7 and 10). The
    constants that no parameter changes (log π per bin) are left out, as in the paper.
    """
    reconstruction = model.reconstruction(frames, output).sum(dim=-1).mean()
    return reconstruction, output.kl.sum(dim=-1).mean() + model.penalty()
