"""What a model's codes say over a whole set of utterances, in measures that have no scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..model.models import VAE
from ..speech.corpora import Utterance
from .metrics import hoyer
from .resynthesis import as_list, resynthesise


class CodeStatistics(NamedTuple):
    """Statistics of a model's codes over some utterances."""

    rms: Tensor  # (code_size,), root mean square of each coefficient's posterior mean
    kl: Tensor  # (code_size,), mean divergence of each coefficient from its prior, in nats
    # (n_utterances,) each, Hoyer's mean over frames; NaN for codes of one coefficient
    hoyer_unit_rms: np.ndarray  # of the code over rms
    hoyer_kl: np.ndarray  # of the divergences


def code_statistics(model: VAE, utterances: Sequence[Utterance]) -> CodeStatistics:
    """Encode all frames of all utterances, which are normalised and not trimmed.

    Rescaling a coefficient of the code, and the decoder with it, which the SDM-VAE's objective
    leaves free, changes `hoyer` of the code, but none of the results here but ``rms``. Raises
    ValueError if there are no utterances, or one cannot be read. See :doc:`16_rebuild_table_1`.
    """
    outputs = (resynthesise(model, each.waveform()).output for each in as_list(utterances))
    codes, divergences = zip(*((output.code, output.kl) for output in outputs), strict=True)
    rms = torch.cat(codes).double().square().mean(dim=0).sqrt().float()
    scale = rms.where(rms > 0, 1.0)  # a coefficient that is always zero stays zero
    return CodeStatistics(
        rms,
        torch.cat(divergences).double().mean(dim=0).float(),
        np.array([_mean_hoyer(code / scale) for code in codes]),
        np.array([_mean_hoyer(kl) for kl in divergences]),
    )


def _mean_hoyer(code: Tensor) -> float:
    return hoyer(code).mean().item() if code.shape[-1] > 1 else math.nan
