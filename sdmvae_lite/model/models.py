r"""The book's three models, written to be read beside their equations.

All share one encoder body and one decoder (paper, Section 4.1.2):

.. math::
    s \xrightarrow{\text{encoder}} q(\text{code} \mid s) \xrightarrow{\text{sample}} z
      \xrightarrow{\text{decoder}} \log\sigma^2_\theta(z)

and differ in what the encoder infers and in its prior:

- `VAE`: a Gaussian code, a standard normal prior;
- `VSC`: a spike-and-slab code, a spike-and-slab prior;
- `SDMVAE`: a Gaussian code a with z = D a, a zero-mean prior with the optimal variances γ.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from ..config import ModelConfig
from .dictionaries import build_dictionary, check_dictionary
from .divergences import (
    ard_kl,
    bernoulli_kl,
    complex_gaussian_nll,
    gaussian_kl,
    optimal_gamma,
    spike_and_slab_kl,
    spike_and_slab_kl_between,
)

Noise = Generator | None  # where samples come from; None is torch's global generator
INPUT_FLOOR = 1e-8  # added to powers before their logarithm: below any speech, above zero
EULER = 0.5772156649  # what the mean log of an exponential variable lacks of the log of its mean

_SEEDING = Lock()  # layers draw from the global generator: one thread at a time


class ModelOutput(NamedTuple):
    """What every model returns for a batch of frames."""

    log_variance: Tensor  # (batch, n_bins), log of the decoded power spectrum
    code: Tensor  # (batch, code_size), posterior mean of the code: mu, a, or g * mu
    kl: Tensor  # (batch, code_size), divergence of each coefficient from its prior
    gamma: Tensor  # (batch, code_size), prior second moment of each coefficient


class VAE(nn.Module):
    """Variational autoencoder of power spectra (Leglaive et al., 2018; paper, Section 2).

    A subclass that changes its methods goes wherever these three go: see
    :doc:`15_bring_your_own_speech`. A configuration of another model is a ValueError.
    """

    takes = "vae"  # the ``model`` of the configurations that it is built from
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
        self.decoder_hidden = nn.Linear(config.m, config.hidden)
        self.decoder_log_variance = nn.Linear(config.hidden, config.n_bins)
        if config.input == "log-power":
            self.register_buffer("input_mean", torch.zeros(config.n_bins))
            self.register_buffer("input_std", torch.ones(()))

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
        self.decoder_log_variance.bias.copy_(mean + EULER)  # the log of the mean, if Gaussian

    def features(self, frames: Tensor) -> Tensor:
        """Return what the encoder sees of power spectra, (batch, n_bins)."""
        if self.config.input == "power":
            return frames
        return (torch.log(frames + INPUT_FLOOR) - self.input_mean) / self.input_std

    def encode(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Return the code's mean and log-variance for power spectra (batch, n_bins)."""
        hidden = torch.tanh(self.encoder_hidden(self.features(frames)))
        return self.encoder_mu(hidden), self.encoder_logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Return the log-variances (batch, n_bins) of latent codes (batch, m)."""
        return self.decoder_log_variance(torch.tanh(self.decoder_hidden(z)))

    def synthesis(self, code: Tensor) -> Tensor:
        """Return the latent z (batch, m) of a code: the code itself, but for the SDM-VAE."""
        return code

    def forward(self, frames: Tensor, sample: bool = True, generator: Noise = None) -> ModelOutput:
        """Encode power spectra (batch, n_bins); decode a sample of the posterior, or its mean."""
        mu, logvar = self.encode(frames)
        code = reparametrise(mu, logvar, generator) if sample else mu
        log_variance = self.decode(self.synthesis(code))
        return ModelOutput(log_variance, mu, self.kl(mu, logvar), self.gamma(mu, logvar))

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


class SDMVAE(VAE):
    """VAE whose code is a sparse combination of dictionary atoms (paper, Section 3).

    The encoder infers a, the decoder sees z = D a. D, (m, code_size) with unit-norm columns, is
    what the configuration names unless one is given. See :doc:`13_train_sdm_vae`.
    """

    takes = "sdm-vae"
    dictionary: Tensor  # D, (m, code_size)

    def __init__(
        self, config: ModelConfig = ModelConfig(model="sdm-vae"), dictionary: Tensor | None = None
    ) -> None:
        super().__init__(config)
        dictionary = build_dictionary(config) if dictionary is None else dictionary
        check_dictionary(dictionary)
        found, needed = tuple(dictionary.shape), (config.m, config.code_size)
        if found != needed:
            raise ValueError(f"the dictionary has shape {found}, the model needs {needed}")
        self.register_buffer("dictionary", dictionary.clone())

    def synthesis(self, code: Tensor) -> Tensor:
        """Return z = D a, row by row: (batch, k) to (batch, m) (eq. 4)."""
        return code @ self.dictionary.T

    def kl(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return ½ log(1 + μ²/σ²), (batch, k) (eq. 9)."""
        return ard_kl(mu, logvar)

    def gamma(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """Return the optimal prior variances μ² + σ², (batch, k) (eq. 9)."""
        return optimal_gamma(mu, logvar)


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
        return ModelOutput(self.decode(code), active * mu, kl, gamma)

    def penalty(self) -> Tensor | float:
        """Return m KL(mean activity of the pseudo-inputs ‖ α), their share of the objective."""
        if not self.config.pseudo_inputs:
            return 0.0
        _, _, gate_logit = self.encode(self.log_pseudo_inputs.exp())
        activity = torch.logit(torch.sigmoid(gate_logit).mean(), eps=1e-6)
        alpha = torch.logit(activity.new_tensor(self.config.alpha))
        return self.config.m * bernoulli_kl(activity, alpha)


CLASSES = {kind.takes: kind for kind in (VAE, VSC, SDMVAE)}


def reparametrise(mu: Tensor, logvar: Tensor, generator: Noise = None) -> Tensor:
    """Return a sample μ + σ ε of a Gaussian, ε standard normal: see :doc:`04_derive_the_elbo`."""
    noise = torch.randn(mu.shape, dtype=mu.dtype, device=mu.device, generator=generator)
    return mu + torch.exp(0.5 * logvar) * noise


def relaxed_gate(active: Tensor, slope: Tensor, generator: Noise = None) -> Tensor:
    """Return a differentiable draw, in (0, 1), of gates open with the probabilities ``active``."""
    eta = torch.rand(active.shape, dtype=active.dtype, device=active.device, generator=generator)
    return torch.sigmoid(slope * (eta - 1 + active))


def loss(model: VAE, frames: Tensor, output: ModelOutput) -> tuple[Tensor, Tensor]:
    """Return reconstruction and regulariser per frame, scalars; their sum is the negative ELBO.

    The constants that no parameter changes (log π per bin) are left out, as in the paper.
    """
    reconstruction = complex_gaussian_nll(frames, output.log_variance).sum(dim=-1).mean()
    return reconstruction, output.kl.sum(dim=-1).mean() + model.penalty()


def build_model(config: ModelConfig, seed: int | None = None, kind: type[VAE] | None = None) -> VAE:
    """Return the model that ``config`` names, initialised from ``seed`` (None: torch's generator).

    ``kind`` is the class of a model of one's own, built from the same configuration. Torch's
    global random state is left as it was when a seed is given. See :doc:`05_train_a_vae`.

    >>> build_model(ModelConfig(model="sdm-vae", dictionary="dct", k=64), seed=0).dictionary.shape
    torch.Size([32, 64])
    """
    kind = kind or CLASSES[config.model]
    if seed is None:
        return kind(config)
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return kind(config)
