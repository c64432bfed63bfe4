r"""The mixture x = s + b of speech and noise, and what its EM algorithm changes in each M-step.

.. math::
    x_{fn} \sim \mathcal N_c(0, V_{fn}), \qquad
    V_{fn} = g_n \sigma_f^2(z_n) + (W H)_{fn} + \varepsilon

The variances of speech are decoded of the code, with a gain g for each frame. Those of noise are a
product of non-negative matrices of a low rank (Itakura–Saito NMF). Arrays have one row a frame, as
everywhere in this package, so that the noise is written H W; ε keeps digital silence finite.

Given codes sampled from their posterior, the M-step lowers, P = \|x\|² being the observed powers,

.. math:: Q(W, H, g) = \frac1R \sum_{r, f, n} \log V_{fn}^{(r)} + \frac{P_{fn}}{V_{fn}^{(r)}}
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ..model.divergences import complex_gaussian_nll

QUIET = 0.2  # share of the frames, in each bin, that noise alone is taken to fill at the start
FLOOR = 1e-10  # ε, as a share of the mean power
_TINY = 1e-30  # below any sum of powers that is divided by


class Mixture(NamedTuple):
    """The parameters of a mixture."""

    patterns: Tensor  # W, (rank, n_bins), each row of unit sum
    activity: Tensor  # H, (n_frames, rank)
    gain: Tensor  # g, (n_frames, 1)
    floor: Tensor  # ε, ()

    @property
    def noise(self) -> Tensor:
        """Variances of the noise, H W + ε, (n_frames, n_bins)."""
        return torch.addmm(self.floor, self.activity, self.patterns)


def first_guess(power: Tensor, rank: int, generator: Generator | None = None) -> Mixture:
    """Return parameters to begin with: noise as steady as the quietest frames of each bin.

    Powers of Gaussian noise of variance v are exponential, so that a share q of them lies below
    -log(1 - q) v. Each pattern is that spectrum with a jitter of its own, or all would stay equal.
    """
    n_frames, n_bins = power.shape
    floor = FLOOR * power.mean() + _TINY
    steady = torch.quantile(power, QUIET, dim=0) / -math.log1p(-QUIET) + floor
    jitter = torch.rand(rank, n_bins, generator=generator, dtype=power.dtype, device=power.device)
    patterns = steady * (0.5 + jitter)
    activity, gain = power.new_full((n_frames, rank), 1 / rank), power.new_ones(n_frames, 1)
    return _unit_sums(Mixture(patterns, activity, gain, floor))


def objective(power: Tensor, speech: Tensor, mixture: Mixture) -> Tensor:
    """Return Q as a mean over frames and bins; ``speech`` holds variances as in `m_step`."""
    total = mixture.gain * speech + mixture.noise
    return complex_gaussian_nll(power, total.log()).mean()


def m_step(power: Tensor, speech: Tensor, mixture: Mixture) -> Mixture:
    r"""Return W, H and g updated in turn, each so that Q cannot rise.

    .. math::
        W \leftarrow W \odot \left[
            \frac{(P \odot \sum_r V_r^{-2}) H^\top}{\sum_r V_r^{-1} H^\top} \right]^{1/2},
        \qquad
        g \leftarrow g \odot \left[
            \frac{\sum_f P \odot \sum_r \sigma_r^2 \odot V_r^{-2}}
                 {\sum_f \sum_r \sigma_r^2 \odot V_r^{-1}} \right]^{1/2}

    and H as W. The exponent ½ makes them steps of majorise and minimise: log V lies below its
    tangent, and 1/V, convex, below the mean of its parts (Févotte and Idier, 2011; Leglaive et al.,
    2018). Columns of W are brought to unit sum, which changes no product. ``speech`` is
    (R, n_frames, n_bins). See :doc:`23_enhance_speech`.
    """
    once, twice = _inverses(power, speech, mixture)
    ratio = _over(mixture.activity.T @ twice, mixture.activity.T @ once)
    mixture = mixture._replace(patterns=mixture.patterns * ratio.sqrt())

    once, twice = _inverses(power, speech, mixture)
    ratio = _over(twice @ mixture.patterns.T, once @ mixture.patterns.T)
    mixture = mixture._replace(activity=mixture.activity * ratio.sqrt())

    inverse = (mixture.gain * speech + mixture.noise).reciprocal()
    once = speech * inverse
    twice = once * (power * inverse)
    ratio = _over(twice.mean(dim=0).sum(dim=1), once.mean(dim=0).sum(dim=1))
    mixture = mixture._replace(gain=mixture.gain * ratio.sqrt().unsqueeze(1))
    return _unit_sums(mixture)


def wiener_gain(speech: Tensor, mixture: Mixture) -> Tensor:
    r"""Return the share of x that is speech, in [0, 1], (n_frames, n_bins).

    It is the posterior mean of the Wiener gain over the R samples of the code:

    .. math:: \hat s_{fn} = \frac1R \sum_r \frac{g_n \sigma_{r,fn}^2}{V_{r,fn}} x_{fn}
    """
    scaled = mixture.gain * speech
    return (scaled / (scaled + mixture.noise)).mean(dim=0)


def speech_power(power: Tensor, speech: Tensor, mixture: Mixture) -> Tensor:
    r"""Return the expected power of speech as the model was trained on it, without its gain.

    .. math:: \mathbb E[|s|^2 \mid x] / g = (G^2 P + G\, W H) / g,
              \qquad G = g \sigma^2 / V

    of one sample of the code, ``speech`` (n_frames, n_bins).
    """
    noise, scaled = mixture.noise, mixture.gain * speech
    total = scaled + noise
    return speech / total * (scaled / total * power + noise)


def _inverses(power: Tensor, speech: Tensor, mixture: Mixture) -> tuple[Tensor, Tensor]:
    """Return the means over samples of 1 / V and P / V², each (n_frames, n_bins)."""
    inverse = (mixture.gain * speech + mixture.noise).reciprocal()
    return inverse.mean(dim=0), (power * inverse * inverse).mean(dim=0)


def _over(numerator: Tensor, denominator: Tensor) -> Tensor:
    return numerator / denominator.clamp(min=_TINY)


def _unit_sums(mixture: Mixture) -> Mixture:
    sums = mixture.patterns.sum(dim=1).clamp(min=_TINY)
    patterns, activity = mixture.patterns / sums.unsqueeze(1), mixture.activity * sums
    return mixture._replace(patterns=patterns, activity=activity)
