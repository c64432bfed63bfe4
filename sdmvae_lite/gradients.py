r"""The gradients of the three objectives, derived by hand.

`training.fit` leaves them to autograd; `lockstep.fit_many`, which has whole tables to fill, uses
these: they are written where the optimiser reads them, and nothing is computed that the update
does not need. ``tests/test_gradients.py`` holds each to autograd in float64.

Every tensor begins with a dimension of runs, so that several networks of one shape share one
batched product. A name that begins with ``d_`` is the derivative of a run's negative ELBO,
averaged over its batch, with respect to what follows. See :doc:`10_train_sdm_vae`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .divergences import LOG_VARIANCE_FLOOR, gaussian_kl, optimal_gamma
from .models import VAE

Tensors = Mapping[str, Tensor]  # by the parameter's name in the model


class Noise(NamedTuple):
    """The random numbers of a step, each (runs, batch, code_size).

    See :doc:`10_train_sdm_vae`.
    """

    normal: Tensor
    uniform: Tensor  # for VSC's gates


class Code(NamedTuple):
    """A sample of the code, its price, and the way back.

    See :doc:`10_train_sdm_vae`.
    """

    z: Tensor  # (runs, batch, m)
    kl: Tensor  # (runs, batch, code_size)
    backward: Callable[[Tensor], tuple[Tensor, ...]]  # from d_z to what each head is to blame for


def negative_elbo(
    model: VAE,
    weights: Tensors,
    gradients: Tensors,
    frames: Tensor,
    noise: Noise,
) -> Tensor:
    r"""Reconstruction and KL of each run; the gradients are written where they belong.

    The way back begins at the likelihood, whose derivative is the relative error of the variance,
    :math:`\partial/\partial \log\sigma_f^2 = 1 - s_f / \sigma_f^2`, and goes layer by layer.
    See :doc:`10_train_sdm_vae`.

    Args:
        model: any one of the runs, for its kind, dictionary, α and slope, which all share.
        weights: every parameter by its name in the model, (runs, ...).
        gradients: likewise; overwritten.
        frames: power spectra, (runs, batch, n_bins).

    Returns:
        (runs, 2), averaged over the batch.
    """
    batch = frames.shape[1]
    heads, sample = CODES[model.config.model]
    hidden = _tanh(_linear(weights, "encoder_hidden", frames))
    code = sample(model, *(_linear(weights, head, hidden) for head in heads), noise)
    decoded = _tanh(_linear(weights, "decoder_hidden", code.z))
    log_variance = _linear(weights, "decoder_log_variance", decoded)
    ratio = log_variance.clamp(min=LOG_VARIANCE_FLOOR).neg_().exp_().mul_(frames)
    reconstruction = ratio.sum((1, 2)) + log_variance.sum((1, 2))
    losses = torch.stack((reconstruction, code.kl.sum((1, 2))), dim=1) / batch

    d_log_variance = torch.rsub(ratio, 1 / batch, alpha=1 / batch)
    d_decoded = _backward(weights, gradients, "decoder_log_variance", decoded, d_log_variance)
    d_decoded = _tanh_backward(decoded, d_decoded)
    d_z = _backward(weights, gradients, "decoder_hidden", code.z, d_decoded)
    d_hidden = sum(
        _backward(weights, gradients, head, hidden, d_head)
        for head, d_head in zip(heads, code.backward(d_z), strict=True)
    )
    _weight_gradient(gradients, "encoder_hidden", frames, _tanh_backward(hidden, d_hidden))
    return losses


def vae_code(model: VAE, mu: Tensor, logvar: Tensor, noise: Noise) -> Code:
    r"""z = μ + σε against a standard normal: the KL adds μ to δμ and ½(σ² - 1) to δ log σ².

    See :doc:`10_train_sdm_vae`.
    """
    spread = torch.exp(0.5 * logvar).mul_(noise.normal)  # σ ε

    def backward(d_z: Tensor) -> tuple[Tensor, ...]:
        batch = d_z.shape[1]
        return d_z + mu / batch, 0.5 * (d_z * spread + torch.expm1(logvar) / batch)

    return Code(mu + spread, gaussian_kl(mu, logvar), backward)


def sdm_vae_code(model: VAE, mu: Tensor, logvar: Tensor, noise: Noise) -> Code:
    r"""z = D a against the optimal prior: the KL adds μ/γ to δμ and -½ μ²/γ to δ log σ².

    See :doc:`10_train_sdm_vae`.
    """
    spread = torch.exp(0.5 * logvar).mul_(noise.normal)
    gamma = optimal_gamma(mu, logvar)

    def backward(d_z: Tensor) -> tuple[Tensor, ...]:
        d_a, pull = d_z @ model.dictionary, mu / gamma / d_z.shape[1]
        return d_a + pull, 0.5 * (d_a * spread - pull * mu)

    return Code(model.synthesis(mu + spread), 0.5 * (torch.log(gamma) - logvar), backward)


def vsc_code(model: VAE, mu: Tensor, logvar: Tensor, logit: Tensor, noise: Noise) -> Code:
    r"""z = t (μ + σε), t the relaxed gate, against the fixed spike and slab.

    The KL g KL(slab) + KL(Bern(g) ‖ Bern(α)) reaches the gate's logit l through
    :math:`g' = g(1-g)`, times KL(slab) + l - logit(α). See :doc:`10_train_sdm_vae`.
    """
    spread = torch.exp(0.5 * logvar).mul_(noise.normal)
    slab = mu + spread
    active = torch.sigmoid(logit)
    gate = torch.sigmoid(model.slope * (noise.uniform - 1 + active))
    prior_logit = math.log(model.config.alpha / (1 - model.config.alpha))
    slab_kl, surprise = gaussian_kl(mu, logvar), logit - prior_logit
    gate_kl = active * surprise + math.log1p(math.exp(prior_logit)) - softplus(logit)

    def backward(d_z: Tensor) -> tuple[Tensor, ...]:
        batch, d_slab = d_z.shape[1], d_z * gate
        d_mu = d_slab + active * mu / batch
        d_logvar = 0.5 * (d_slab * spread + active * torch.expm1(logvar) / batch)
        d_active = d_slab * slab * (1 - gate) * model.slope + (slab_kl + surprise) / batch
        return d_mu, d_logvar, d_active * active * (1 - active)

    return Code(gate * slab, active * slab_kl + gate_kl, backward)


GAUSSIAN_HEADS = ("encoder_mu", "encoder_logvar")
CODES = {
    "vae": (GAUSSIAN_HEADS, vae_code),
    "sdm-vae": (GAUSSIAN_HEADS, sdm_vae_code),
    "vsc": ((*GAUSSIAN_HEADS, "encoder_gate"), vsc_code),
}


def _linear(weights: Tensors, name: str, x: Tensor) -> Tensor:
    bias, weight = weights[f"{name}.bias"], weights[f"{name}.weight"]
    return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)


def _backward(weights: Tensors, gradients: Tensors, name: str, x: Tensor, d_y: Tensor) -> Tensor:
    """The gradient of a layer's weights, written; returns that of its input."""
    _weight_gradient(gradients, name, x, d_y)
    return torch.bmm(d_y, weights[f"{name}.weight"])


def _weight_gradient(gradients: Tensors, name: str, x: Tensor, d_y: Tensor) -> None:
    torch.bmm(d_y.mT, x, out=gradients[f"{name}.weight"])
    torch.sum(d_y, dim=1, out=gradients[f"{name}.bias"])


def _tanh(x: Tensor) -> Tensor:
    """tanh in place, by way of the sigmoid, which torch computes twice as fast on a CPU."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


def _tanh_backward(y: Tensor, d_y: Tensor) -> Tensor:
    return torch.addcmul(d_y, d_y * y, y, value=-1)
