"""Speech through a model and back: analysis-resynthesis (paper, Section 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Generator

from .config import STFTConfig
from .models import VAE, ModelOutput
from .spectra import istft, normalise, power_and_phase, stft


class Resynthesis(NamedTuple):
    """An utterance and what a model made of it.

    See :doc:`01_hear_it_first`.
    """

    reference: np.ndarray  # (n_samples,), the waveform normalised by its maximum
    estimate: np.ndarray  # (n_samples,), resynthesised
    power: np.ndarray  # (n_frames, n_bins), power spectra of the reference
    output: ModelOutput  # of all frames


def resynthesise(
    model: VAE,
    waveform: np.ndarray,
    sample: bool = False,
    generator: Generator | None = None,
    config: STFTConfig = STFTConfig(),
) -> Resynthesis:
    """Encode and decode every frame and give the decoded magnitudes the original phase.

    The waveform is normalised by its maximum first, as the frames of training were. Its length
    is kept. See :doc:`01_hear_it_first`.

    Args:
        waveform: (n_samples,) at 16 kHz.
        sample: decode a sample of the code; False, the paper's protocol, decodes its mean.
        generator: source of that sample.

    Raises:
        ValueError: if the waveform is silent, not one-dimensional or shorter than a window, or
            if the STFT's bins are not the model's.
    """
    if config.n_bins != model.config.n_bins:
        raise ValueError(
            f"an STFT of {config.n_bins} bins does not fit a model of {model.config.n_bins}"
        )
    reference = normalise(waveform)
    power, phase = power_and_phase(stft(reference, config))
    device = next(model.parameters()).device
    with torch.no_grad():
        frames = torch.from_numpy(power.astype(np.float32)).to(device)
        output = model(frames, sample=sample, generator=generator)
    output = ModelOutput(*(value.cpu() for value in output))
    magnitude = torch.exp(0.5 * output.log_variance).numpy()
    estimate = istft(magnitude * phase, len(reference), config)
    return Resynthesis(reference, estimate, power, output)
