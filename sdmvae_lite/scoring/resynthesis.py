"""Speech through a model and back: analysis-resynthesis (paper, Section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Generator, Tensor

from ..model.models import VAE, ModelOutput
from ..speech.corpora import Corpus, Utterance
from ..speech.spectra import istft, normalise, power_and_phase, stft


class Resynthesis(NamedTuple):
    """An utterance and what a model made of it."""

    reference: np.ndarray  # (n_samples,), the waveform normalised by its maximum
    estimate: np.ndarray  # (n_samples,), resynthesised
    power: np.ndarray  # (n_frames, n_bins), power spectra of the reference
    phase: np.ndarray  # (n_frames, n_bins), the reference's unit phasors
    output: ModelOutput  # of all frames


def resynthesise(
    model: VAE, waveform: ArrayLike, sample: bool = False, generator: Generator | None = None
) -> Resynthesis:
    """Encode and decode every frame and give the decoded magnitudes the original phase.

    The waveform is normalised by its maximum first, as the frames of training were; the transform
    is the model's. See :doc:`01_hear_it_first`.

    Args:
        waveform: (n_samples,) at 16 kHz.
        sample: decode a sample of the code, drawn from ``generator``; False, the paper's
            protocol, decodes its mean.

    Raises ValueError if the waveform is silent, not one-dimensional or shorter than a window.
    """
    reference = normalise(waveform)
    power, phase = power_and_phase(stft(reference, model.config.stft))
    with torch.no_grad():
        frames = torch.from_numpy(power).to(next(model.parameters()))  # type and device
        output = model(frames, sample=sample, generator=generator)
    output = ModelOutput(*(value.cpu() for value in output))
    estimate = _with_phase(model, output.log_variance, phase, len(reference))
    return Resynthesis(reference, estimate, power, phase, output)


def code_to_waveform(model: VAE, code: Tensor, phase: np.ndarray, length: int) -> np.ndarray:
    """Return the waveform (length,) of a code, as the encoder gave it or changed by hand.

    With the code, the phase and the length of a `Resynthesis` this is its estimate.
    See :doc:`13_train_sdm_vae`.

    Args:
        code: (n_frames, code_size), what the encoder infers: a for the SDM-VAE, not z = D a.
        phase: unit phasors that the decoded magnitudes are given, (n_frames, n_bins).
        length: of the waveform, in samples; n_frames is 1 + length // hop of the model.

    Raises ValueError if code, phase and length are not of one utterance and this model.
    """
    n_frames, config = 1 + length // model.config.stft.hop_length, model.config
    shapes = (("code", code.shape, config.code_size), ("phase", phase.shape, config.n_bins))
    for name, found, width in shapes:
        if found != (n_frames, width):
            wanted = f"{length} samples need a {name} of shape {(n_frames, width)}"
            raise ValueError(f"{wanted}, not {tuple(found)}")
    with torch.no_grad():
        log_variance = model.decode(model.synthesis(code.to(next(model.parameters()))))
    return _with_phase(model, log_variance.cpu(), phase, length)


def as_list(utterances: Iterable[Utterance]) -> list[Utterance]:
    """Return utterances as a list; ValueError if there are none, or it is a whole corpus."""
    if isinstance(utterances, Corpus):
        raise ValueError("a corpus has three parts: give one of them, such as corpus.test")
    if not (listed := list(utterances)):
        raise ValueError("there are no utterances to score")
    return listed


def keep_largest(code: Tensor, count: int, size: Tensor | None = None) -> Tensor:
    """Return a code with the ``count`` largest coefficients of every frame; the others are zero.

    Of equals the first is kept. What is large is said by ``size``, shaped as the code, such as the
    price of each coefficient; None is its magnitude. Raises ValueError for a negative count, or
    sizes of another shape. See :doc:`13_train_sdm_vae`.

    >>> keep_largest(torch.tensor([[1.0, -3.0, 2.0], [0.5, 0.5, -0.5]]), 2)
    tensor([[ 0.0000, -3.0000,  2.0000],
            [ 0.5000,  0.5000,  0.0000]])
    """
    size = code.abs() if size is None else size
    if count < 0:
        raise ValueError(f"the number of coefficients to keep cannot be {count}: name 0 or more")
    if size.shape != code.shape:
        raise ValueError(f"sizes {tuple(size.shape)} do not fit a code of {tuple(code.shape)}")
    largest = size.argsort(dim=-1, descending=True, stable=True)[..., :count]
    return torch.zeros_like(code).scatter(-1, largest, code.gather(-1, largest))


def _with_phase(model: VAE, log_variance: Tensor, phase: np.ndarray, length: int) -> np.ndarray:
    magnitude = torch.exp(0.5 * log_variance).numpy()
    return istft(magnitude * phase, length, model.config.stft)
