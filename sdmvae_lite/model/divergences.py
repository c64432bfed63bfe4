r"""Every divergence of the book, as a pure function named as its chapter names it.

All take tensors that broadcast to one shape and return one value per element: sum over the last
axis for the divergence of a frame. Logarithms are natural. All are finite and differentiable in
float32 wherever the true value is finite. Chapters :doc:`08_variational_sparse_coding` and
:doc:`09_sparsity_promoting_prior` derive those of sparse codes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import logsigmoid, softplus

LOG_VARIANCE_FLOOR = -80.0  # exp(80) is still a float32; far below any power spectrum


def complex_gaussian_nll(power: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return the negative log-likelihood of a circular complex Gaussian, without its log π.

    .. math:: -\log p(x) - \log\pi = \frac{|x|^2}{\sigma^2} + \log\sigma^2

    That is the paper's likelihood (Section 3.3) of a power :math:`|x|^2`. Below a log-variance of
    -80, where float32 would overflow, it follows its tangent. See :doc:`03_choose_a_loss`.
    """
    return _Likelihood.apply(*torch.broadcast_tensors(power, log_variance))


class _Likelihood(torch.autograd.Function):
    """`complex_gaussian_nll`, with gradients from the ratio |x|²/σ²: an eighth of a step less."""

    @staticmethod
    def forward(ctx: Any, power: Tensor, log_variance: Tensor) -> Tensor:
        floored = log_variance.clamp(min=LOG_VARIANCE_FLOOR)
        ratio = torch.exp(-floored).mul_(power)
        ctx.save_for_backward(ratio, log_variance)
        return torch.addcmul(log_variance, ratio, floored.sub_(log_variance).add_(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        ratio, log_variance = ctx.saved_tensors
        by_power = None
        if ctx.needs_input_grad[0]:
            floored = log_variance.clamp(min=LOG_VARIANCE_FLOOR)
            by_power = gradient * torch.exp(-floored) * (1 + floored - log_variance)
        return by_power, torch.addcmul(gradient, gradient, ratio, value=-1)


def itakura_saito(power: Tensor, estimate: Tensor) -> Tensor:
    r"""Return the Itakura–Saito divergence :math:`s/\hat s - \log(s/\hat s) - 1` of powers > 0.

    Unchanged when both are scaled together (Févotte, Bertin and Durrieu, 2009), it is
    `complex_gaussian_nll` less its minimum over the variance. See :doc:`03_choose_a_loss`.

    >>> itakura_saito(torch.tensor([1.0, 10.0]), torch.tensor([2.0, 20.0]))
    tensor([0.1931, 0.1931])
    """
    log_ratio = torch.log(power) - torch.log(estimate)
    return torch.expm1(log_ratio) - log_ratio


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Return the KL from :math:`\mathcal N(\mu, \sigma^2)` to the standard normal.

    .. math:: \tfrac12\left(\mu^2 + \sigma^2 - 1 - \log\sigma^2\right)

    The regulariser of the standard VAE (paper, eq. 3). See :doc:`04_derive_the_elbo`.
    """
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar)


def gaussian_kl_between(
    mu: Tensor, logvar: Tensor, prior_mu: Tensor, prior_logvar: Tensor
) -> Tensor:
    r"""Return the KL from one Gaussian to another, of given means and log-variances."""
    log_ratio = logvar - prior_logvar
    # (mu - mu_0) / sigma_0 is squared last, so that a wide prior never meets an overflowed square
    distance = (mu - prior_mu) * torch.exp(-0.5 * prior_logvar)
    return 0.5 * (distance.square() + torch.expm1(log_ratio) - log_ratio)


def ard_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Return the KL to a zero-mean Gaussian of the optimal variance γ = μ² + σ² (paper, eq. 9).

    .. math:: \tfrac12 \log\left(1 + \frac{\mu^2}{\sigma^2}\right)

    Zero for a coefficient without a signal, and the same when μ and σ are scaled together.

    >>> ard_kl(torch.tensor(0.0), torch.tensor(-3.0)).item()
    0.0
    """
    silent = mu == 0
    log_power = 2 * torch.log(torch.where(silent, 1.0, mu.abs()))
    return torch.where(silent, 0.0, 0.5 * softplus(log_power - logvar))


def ard_kl_at(mu: Tensor, logvar: Tensor, gamma: Tensor) -> Tensor:
    r"""Return the KL to :math:`\mathcal N(0, \gamma)` for any γ > 0 (paper, eqs. 5 and 7).

    >>> mu, logvar = torch.tensor(0.5), torch.tensor(-1.0)
    >>> gamma = optimal_gamma(mu, logvar)
    >>> torch.allclose(ard_kl_at(mu, logvar, gamma), ard_kl(mu, logvar))
    True
    """
    return gaussian_kl_between(mu, logvar, torch.zeros_like(mu), torch.log(gamma))


def optimal_gamma(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Return the prior variances of least KL, :math:`\gamma = \mu^2 + \sigma^2`.

    They solve the first of the two alternating updates (paper, eqs. 8a and 9).
    """
    return mu.square() + logvar.exp()


def student_t_kl(
    mu: Tensor, logvar: Tensor, nu: Tensor | float, scale: Tensor | float = 1.0
) -> Tensor:
    r"""Return a bound on the KL to a Student-t, the prior with the paper's inverse-Gamma (eq. 6).

    With :math:`\gamma \sim \mathrm{IG}(\nu/2, \nu s^2/2)` a Gaussian of variance γ is a Student-t
    with ν degrees of freedom and scale s. Under the best posterior of γ, again an inverse-Gamma,
    the bound is, less the entropy of the code's posterior, minus the log-density of the prior at
    the coefficient's root mean square :math:`r = \sqrt{\mu^2 + \sigma^2}`:

    .. math:: -\log t_\nu(r) - \tfrac12\log(2\pi e \sigma^2)
              = \tfrac{\nu+1}{2} \log\left(1 + \frac{r^2}{\nu s^2}\right)
                + \tfrac12\log\frac{\nu s^2}{2 \sigma^2} - \tfrac12
                + \log\frac{\Gamma(\nu/2)}{\Gamma((\nu+1)/2)}

    For ν → ∞ it is the KL to a Gaussian of variance s². For ν → 0 it is `ard_kl` and a constant
    without bound, :math:`-\log(\nu/2) - \tfrac12\log(2\pi e)`. It is least, but not zero, where
    μ = 0 and σ = s. See :doc:`19_fix_the_scale`.

    >>> student_t_kl(torch.tensor(0.0), torch.tensor(0.0), nu=1.0)
    tensor(0.4189)
    """
    exact = torch.as_tensor(nu, dtype=torch.float64)  # large numbers nearly cancel
    gammas = torch.lgamma(exact / 2) - torch.lgamma((exact + 1) / 2) + 0.5 * torch.log(exact / 2)
    log_nu, half = (value.to(mu.dtype) for value in (torch.log(exact), (exact + 1) / 2))
    log_scale = torch.log(torch.as_tensor(scale, dtype=mu.dtype, device=mu.device))
    silent = mu == 0
    log_power = 2 * torch.log(torch.where(silent, 1.0, mu.abs()))
    log_square = torch.where(silent, logvar, torch.logaddexp(log_power, logvar))
    far = softplus(log_square - 2 * log_scale - log_nu)
    return half * far + log_scale - 0.5 * (logvar + 1) + gammas.to(mu.dtype)


def student_t_gamma(
    mu: Tensor, logvar: Tensor, nu: Tensor | float, scale: Tensor | float = 1.0
) -> Tensor:
    r"""Return the variance of the Gaussian prior that has the gradient of `student_t_kl`.

    .. math:: \frac{1}{\mathbb{E}[1/\gamma]} = \frac{\nu s^2 + \mu^2 + \sigma^2}{\nu + 1}

    For ν → ∞ it is s², for ν → 0 `optimal_gamma`. See :doc:`19_fix_the_scale`.
    """
    nu, scale = (torch.as_tensor(value, dtype=mu.dtype, device=mu.device) for value in (nu, scale))
    return (nu * scale.square() + optimal_gamma(mu, logvar)) / (nu + 1)


def bernoulli_kl(logit: Tensor, prior_logit: Tensor) -> Tensor:
    r"""Return the KL between two Bernoulli distributions given by their logits.

    .. math:: g \log\frac{g}{g_0} + (1-g) \log\frac{1-g}{1-g_0}, \qquad g = \mathrm{sigmoid}(l)
    """
    g = torch.sigmoid(logit)
    active = logsigmoid(logit) - logsigmoid(prior_logit)
    silent = logsigmoid(-logit) - logsigmoid(-prior_logit)
    return g * active + torch.sigmoid(-logit) * silent


def spike_and_slab_kl(mu: Tensor, logvar: Tensor, gate_logit: Tensor, alpha: float) -> Tensor:
    r"""Return the KL from a spike-and-slab posterior to the fixed prior of VSC.

    The posterior is :math:`g\,\mathcal N(\mu, \sigma^2) + (1-g)\,\delta_0`, the prior
    :math:`\alpha\,\mathcal N(0, 1) + (1-\alpha)\,\delta_0`, with g the sigmoid of ``gate_logit``:

    .. math:: g\,\mathrm{KL}\left(\mathcal N(\mu,\sigma^2)\,\|\,\mathcal N(0,1)\right)
              + \mathrm{KL}\left(\mathrm{Bern}(g)\,\|\,\mathrm{Bern}(\alpha)\right)

    Tonolini, Jensen and Murray-Smith, 2020, with a fixed prior; α is strictly between 0 and 1.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must be strictly between 0 and 1, not {alpha}")
    prior_logit = gate_logit.new_tensor(math.log(alpha) - math.log1p(-alpha))
    slab = torch.sigmoid(gate_logit) * gaussian_kl(mu, logvar)
    return slab + bernoulli_kl(gate_logit, prior_logit)


def spike_and_slab_kl_between(
    mu: Tensor,
    logvar: Tensor,
    gate_logit: Tensor,
    prior_mu: Tensor,
    prior_logvar: Tensor,
    prior_gate_logit: Tensor,
) -> Tensor:
    """Return the KL between two spike-and-slab distributions, as VSC's pseudo-inputs need it.

    The slabs' divergence counts with the probability that the posterior is active.
    """
    slab = torch.sigmoid(gate_logit) * gaussian_kl_between(mu, logvar, prior_mu, prior_logvar)
    return slab + bernoulli_kl(gate_logit, prior_gate_logit)
