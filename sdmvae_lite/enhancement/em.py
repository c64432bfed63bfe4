"""Speech out of noise: an EM algorithm with a model of clean speech as the prior."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import delayed
from numpy.typing import ArrayLike
from torch import Generator, Tensor
from tqdm import tqdm

from ..config import SAMPLE_RATE
from ..model.divergences import complex_gaussian_nll
from ..model.models import VAE
from ..speech.spectra import as_float, istft, stft
from ..workers import as_done, torch_threads
from .mixture import Mixture, first_guess, m_step, objective, speech_power, wiener_gain
from .sampling import Density, Samples, langevin, metropolis

PRIORS = ("utterance", "estimate", "codes")
PART, OVERLAP = 20 * SAMPLE_RATE, SAMPLE_RATE  # samples; a longer waveform is taken in parts
RANDOM_WALK = 0.1  # standard deviation of a step, in those of the prior: a variance of 0.01
_LEAST_GAIN = 0.05  # of the pass that the first code is encoded of


class Method(NamedTuple):
    """How often EM goes round, and how long its chains are."""

    sampler: str
    iterations: int
    burn: int  # steps thrown away in every E-step
    keep: int  # steps kept
    last: tuple[int, int]  # both, in the last E-step


METHODS = {
    "fast": Method("langevin", 30, 1, 1, (10, 30)),
    "mcem": Method("metropolis", 100, 30, 10, (75, 25)),
    "encoder": Method("encoder", 30, 0, 1, (0, 1)),
}


class Iteration(NamedTuple):
    """Where EM stands after one."""

    mixture: Mixture
    codes: Tensor  # (R, n_frames, code_size), samples of the last E-step
    speech: Tensor  # (R, n_frames, n_bins), variances decoded of them, without the gain
    objective: float  # Q of these samples, per frame and bin

    @property
    def gain(self) -> Tensor:
        """What the mixture's spectra are multiplied by to leave speech, (n_frames, n_bins)."""
        return wiener_gain(self.speech, self.mixture)


class Enhanced(NamedTuple):
    """The two parts of a waveform, which add up to it."""

    speech: np.ndarray  # (n_samples,)
    noise: np.ndarray  # (n_samples,), what was removed


def enhance(
    model: VAE,
    waveform: ArrayLike,
    method: str = "fast",
    *,
    prior: str | Tensor = "utterance",
    iterations: int | None = None,
    rank: int = 8,
    seed: int = 0,
    progress: bool = False,
) -> Enhanced:
    """Return the speech of a noisy waveform and the noise, by `em`, on the model's device.

    More than twenty seconds are taken in parts that overlap by one and are cross-faded. Silence
    stays silence.

    Args:
        waveform: (n_samples,) at 16 kHz, of any level.
        method, prior, iterations, rank: of `em`.
        seed: of the samples and the first guess of noise.
        progress: show a bar of the iterations.

    Raises ValueError for a waveform that is not one-dimensional, shorter than a window or not
    finite, and as `em` does. See :doc:`23_enhance_speech`.
    """
    plan = _plan(method, prior, iterations, rank)
    mixture, of_model = as_float(waveform), next(model.parameters())
    peak = np.abs(mixture).max(initial=0.0)
    if not np.isfinite(peak):
        raise ValueError("the waveform holds samples that are NaN or infinite")
    generator = Generator(of_model.device).manual_seed(seed)
    speech, weights = np.zeros(mixture.shape), np.zeros(mixture.shape)
    parts = _parts(len(mixture))
    with tqdm(total=len(parts) * (plan.iterations + 1), disable=not progress, leave=False) as bar:
        for part in parts:
            spectrum = stft(mixture[part] / (peak or 1.0), model.config.stft)
            power = torch.from_numpy(np.abs(spectrum) ** 2).to(of_model)  # type and device
            for estimate in em(model, power, method, prior, iterations, rank, generator):
                bar.update()
                bar.set_postfix(Q=estimate.objective)
            length = part.stop - part.start
            cleaned = istft(estimate.gain.cpu().numpy() * spectrum, length, model.config.stft)
            weight = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
            weight = np.minimum(weight / OVERLAP, 1.0)
            speech[part] += weight * cleaned
            weights[part] += weight
    found = (peak * speech / weights).astype(mixture.dtype)
    return Enhanced(found, mixture - found)


def enhance_all(
    model: VAE,
    waveforms: Iterable[ArrayLike],
    method: str = "fast",
    *,
    n_jobs: int = -1,
    progress: bool = False,
    **options: Any,
) -> list[Enhanced]:
    """Return `enhance` of many waveforms, in their order; several at a time, each on one thread.

    What becomes of a waveform does not depend on the others: all start from the same seed.

    Args:
        n_jobs: at a time; -1 is one a core. A model on a GPU takes 1.
        progress: show a bar of the waveforms.
        options: ``prior``, ``iterations``, ``rank`` and ``seed`` of `enhance`.

    Raises ValueError as `enhance` does, with the number of the waveform, counted from 0.
    """
    given = list(waveforms)
    jobs = (delayed(_numbered)(n, model, x, method, options) for n, x in enumerate(given))
    done = tqdm(as_done(jobs, n_jobs), total=len(given), disable=not progress, unit="waveform")
    return [found for _, found in sorted(done, key=itemgetter(0))]


def _numbered(
    number: int, model: VAE, waveform: ArrayLike, method: str, options: dict[str, Any]
) -> tuple[int, Enhanced]:
    try:
        with torch_threads(1):
            return number, enhance(model, waveform, method, **options)
    except ValueError as error:
        raise ValueError(f"waveform {number}: {error}") from error


@torch.no_grad()
def em(
    model: VAE,
    power: Tensor,
    method: str = "fast",
    prior: str | Tensor = "utterance",
    iterations: int | None = None,
    rank: int = 8,
    generator: Generator | None = None,
) -> Iterator[Iteration]:
    r"""Yield an estimate after every iteration, and one more after a last, longer E-step.

    E-step: codes are drawn from their `posterior` given the mixture, or found by the encoder.
    M-step: `mixture.m_step`. It begins with the code that the encoder gives the mixture after a
    Wiener gain of the quietest frames.

    Methods:

    - ``mcem``: a random walk, its step a tenth of the prior's standard deviation (Leglaive et al.,
      2018);
    - ``fast``: `sampling.langevin`, each coefficient on the scale of the encoder's standard
      deviation, so that two steps an iteration are enough;
    - ``encoder``: no samples, but the encoder's mean of `mixture.speech_power` (in the spirit of
      Pariente et al., 2019).

    The prior variances γ are the model's. Where they follow the frame, as the SDM-VAE's do,
    ``prior`` says which stand for them:

    - ``utterance``: the mean over frames of those of the first code, the same for all frames;
    - ``estimate``: those of the code of the speech estimated so far;
    - ``codes``: those of the sampled codes, with the encoder's first variances;
    - a tensor that broadcasts to (n_frames, code_size): γ itself, such as a training set's mean.

    Args:
        power: (n_frames, n_bins), of a mixture of which no sample exceeds one.
        iterations: another number than the method's.
        rank: of the noise.

    Raises ValueError for an unknown method or prior, or numbers below 1.
    """
    plan = _plan(method, prior, iterations, rank)
    mixture = first_guess(power, rank, generator)
    noise_share = mixture.noise / power.clamp(min=mixture.floor)
    share = (1 - noise_share).clamp(min=_LEAST_GAIN)
    output = model(share.square() * power, sample=False)
    code, variance, step = output.code, output.variance, torch.full_like(power[:, :1], 0.5)
    gamma = output.gamma.mean(dim=0) if isinstance(prior, str) else prior.to(power)
    gamma = gamma.expand_as(code)
    for number in range(plan.iterations + 1):
        is_last = number == plan.iterations
        burn, keep = plan.last if is_last else (plan.burn, plan.keep)
        density = posterior(model, power, mixture, gamma)
        if plan.sampler == "encoder":
            cleaned = speech_power(power, decoded(model, code), mixture)
            code = model(cleaned, sample=False).code
            samples = Samples(code[None], decoded(model, code)[None], code[:, 0], step)
        elif plan.sampler == "langevin":
            samples = langevin(density, code, variance.sqrt(), burn, keep, generator, step)
        else:
            scale = RANDOM_WALK * gamma.mean(dim=0).sqrt() * (variance > 0)
            samples = metropolis(density, code, scale, burn, keep, generator)
        code, step = samples.codes[-1], samples.step
        if not is_last:
            mixture = m_step(power, samples.kept, mixture)
        value = objective(power, samples.kept, mixture).item()
        yield Iteration(mixture, samples.codes, samples.kept, value)
        if prior == "estimate":
            gamma = model(speech_power(power, samples.kept[-1], mixture), sample=False).gamma
        elif prior == "codes":
            gamma = model.gamma(code, variance.log())


def posterior(model: VAE, power: Tensor, mixture: Mixture, gamma: Tensor) -> Density:
    r"""Return the log-density of codes given the mixture, as `sampling.Density`.

    .. math:: \log p(z_n \mid x_n) = -\sum_f \left[ \log V_{fn} + \frac{P_{fn}}{V_{fn}} \right]
              - \sum_j \frac{z_{nj}^2}{2 \gamma_{nj}} + \text{const}
    """
    noise = mixture.noise

    def density(code: Tensor) -> tuple[Tensor, Tensor]:
        speech = decoded(model, code)
        total = mixture.gain * speech + noise
        likelihood = complex_gaussian_nll(power, total.log()).sum(dim=1)
        return -likelihood - 0.5 * (code.square() / gamma).sum(dim=1), speech

    return density


def decoded(model: VAE, code: Tensor) -> Tensor:
    """Return the variances of speech that a model decodes of codes, (n_frames, n_bins)."""
    return model.decode(model.synthesis(code)).exp()


def _plan(method: str, prior: str | Tensor, iterations: int | None, rank: int) -> Method:
    """Return the method that the arguments of `em` name, checked."""
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}: choose one of {', '.join(METHODS)}")
    if isinstance(prior, str) and prior not in PRIORS:
        raise ValueError(f"unknown prior {prior!r}: choose one of {', '.join(PRIORS)}, or a tensor")
    plan = METHODS[method]
    plan = plan if iterations is None else plan._replace(iterations=iterations)
    if plan.iterations < 1 or rank < 1:
        raise ValueError(f"{plan.iterations} iterations of rank {rank}: both are to be 1 or more")
    return plan


def _parts(length: int) -> list[slice]:
    """Return overlapping parts of a waveform, equally long, in their order."""
    count = max(1, math.ceil((length - OVERLAP) / (PART - OVERLAP)))
    size = math.ceil((length + (count - 1) * OVERLAP) / count)
    starts = np.linspace(0, length - size, count).astype(int)
    return [slice(start, start + size) for start in starts.tolist()]
