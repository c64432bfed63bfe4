"""How close a resynthesis is to its reference, and how sparse a code is.

Conventions: waveforms are one-dimensional at 16 kHz, reference first, of equal length; higher is
better for every quality score. A score that cannot be computed raises `Unscorable` with the
reason; nothing here returns NaN. The paper reports `pesq_raw` and `hoyer`; the authors' code
computes `estoi` where the paper says STOI.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import pesq as itu_pesq
from numpy.typing import ArrayLike
from pystoi import stoi as pystoi
from torch import Tensor

from ..config import SAMPLE_RATE
from ..speech.spectra import as_float
from .bursts import MOST_BURSTS, MOST_SECONDS, count_bursts

# Measures that are averaged over frames; all others are averaged over utterances.
PER_FRAME = ("hoyer", "hoyer_unit_rms", "hoyer_kl")
_NO_STOI = 1e-5  # what pystoi gives, with a warning, for too little speech
# P.862.1 and P.862.2 map a raw score to 0.999 + 4 / (1 + exp(-slope * raw + offset)).
_LQO_MAP = {"nb": (1.4945, 4.6607), "wb": (1.3669, 3.8224)}


class Unscorable(ValueError):
    """A metric is not defined for this pair of waveforms, or this code; the message says why."""


def pesq_lqo(reference: ArrayLike, estimate: ArrayLike, band: str = "nb") -> float:
    """Return PESQ as MOS-LQO (ITU-T P.862.1 and P.862.2), 1.02 to 4.55 or 1.04 to 4.64.

    ``band`` is narrow (``nb``) or wide (``wb``). Score one sentence at a time: the standard's code
    goes wrong beyond 50 bursts of speech, see `bursts`. Where an estimate is so bad that it finds
    parts of it outside of the recording, which scores near 1, it reads beside its arrays: the same
    waveforms may score differently each time, by some hundredths. See :doc:`14_score_speech`.

    Raises Unscorable for silence, less than a quarter of a second, more than 90 s or 40 bursts;
    ValueError for another band, or unequal or not finite waveforms.
    """
    if band not in _LQO_MAP:
        raise ValueError(f"unknown PESQ band {band!r}: choose nb or wb")
    reference, estimate = _pair(reference, estimate)
    if len(reference) > MOST_SECONDS * SAMPLE_RATE or count_bursts(reference, band) > MOST_BURSTS:
        most = f"at most {MOST_SECONDS} s or {MOST_BURSTS} bursts of speech"
        raise Unscorable(f"PESQ takes {most}: score it sentence by sentence")
    try:
        return float(itu_pesq.pesq(SAMPLE_RATE, reference, estimate, band))
    except itu_pesq.BufferTooShortError:
        raise Unscorable("PESQ needs at least a quarter of a second") from None
    except itu_pesq.PesqError as error:
        raise Unscorable(f"PESQ gives no score: {error}") from None


def pesq_raw(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the narrow-band score of P.862, in [-0.5, 4.5], before its map to a MOS."""
    return lqo_to_raw(pesq_lqo(reference, estimate, "nb"), "nb")


def lqo_to_raw(lqo: float, band: str = "nb") -> float:
    """Return the raw score of an LQO: the inverse of the map of P.862.1 or P.862.2.

    See :doc:`14_score_speech`.

    >>> round(lqo_to_raw(4.5486), 2)
    4.5
    """
    slope, offset = _LQO_MAP[band]
    return (offset - math.log(4.0 / (lqo - 0.999) - 1.0)) / slope


def stoi(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the short-time objective intelligibility (Taal et al., 2011).

    Raises Unscorable for less than about 0.4 s of active speech. See :doc:`14_score_speech`.
    """
    return _stoi(reference, estimate, extended=False)


def estoi(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return extended STOI (Jensen and Taal, 2016); raises as `stoi` does."""
    return _stoi(reference, estimate, extended=True)


def _stoi(reference: ArrayLike, estimate: ArrayLike, extended: bool) -> float:
    reference, estimate = _pair(reference, estimate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        value = float(pystoi(reference, estimate, SAMPLE_RATE, extended=extended))
    if value == _NO_STOI or math.isnan(value):
        raise Unscorable("STOI needs about 0.4 s of speech that is not silent")
    return value


def si_sdr(reference: ArrayLike, estimate: ArrayLike) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019).

    Infinite for a scaled copy. Raises Unscorable if either waveform is silent, or they are
    orthogonal. See :doc:`14_score_speech`.

    >>> t = np.arange(16000) / 16000
    >>> s, n = np.sin(2 * np.pi * 440 * t), 0.1 * np.cos(2 * np.pi * 440 * t)
    >>> round(si_sdr(s, 3 * (s + n)), 6)
    20.0
    """
    reference, estimate = (each.astype(np.float64) for each in _pair(reference, estimate))
    energy = reference @ reference
    target = (reference @ estimate) / energy * reference if energy > 0 else np.zeros(1)
    if not target.any():
        raise Unscorable("SI-SDR needs two waveforms that are neither silent nor orthogonal")
    distortion = np.sum((estimate - target) ** 2)
    return 10 * math.log10(target @ target / distortion) if distortion > 0 else math.inf


def hoyer(code: Tensor) -> Tensor:
    r"""Return the sparsity of each code vector, over the last axis (Hoyer, 2004; paper, eq. 12).

    .. math:: \frac{\sqrt m - \|z\|_1 / \|z\|_2}{\sqrt m - 1}

    1 for a single non-zero entry, 0 when all have the same magnitude; a zero vector, where it is
    undefined, counts as 0, and one with NaN as NaN. Raises Unscorable for codes of fewer than two
    entries. See :doc:`06_measure_sparsity`.

    >>> import torch
    >>> hoyer(torch.tensor([[0.0, -2.0, 0.0], [1.0, 1.0, -1.0], [0.0, 0.0, 0.0]]))
    tensor([1., 0., 0.])
    """
    m = code.shape[-1]
    if m < 2:
        raise Unscorable(f"Hoyer sparsity needs at least two entries, not {m}")
    code = code.abs().double()
    peak = code.amax(dim=-1, keepdim=True)
    scaled = code / peak.where(peak != 0, 1.0)  # so that no square over- or underflows
    ratio = scaled.sum(dim=-1) / scaled.norm(dim=-1)
    sparsity = (math.sqrt(m) - ratio) / (math.sqrt(m) - 1)
    return sparsity.where(peak.squeeze(-1) != 0, 0.0).clamp(0.0, 1.0).float()


def active_dimensions(kl: Tensor, threshold: float = 0.01) -> int:
    """Return the number of coefficients whose mean KL over frames exceeds ``threshold``, in nats.

    It does not depend on the scale of the coefficients, as `hoyer` of a code does. ``kl`` is
    their divergence from the prior (n_frames, code_size); ValueError if it has no frame, or NaN.
    See :doc:`13_train_sdm_vae`.

    >>> import torch
    >>> active_dimensions(torch.tensor([[2.0, 0.0, 0.01], [0.0, 0.0, 0.0]]))
    1
    """
    if kl.ndim != 2 or len(kl) == 0:
        raise ValueError(f"kl must have shape (n_frames, code_size), not {tuple(kl.shape)}")
    if kl.isnan().any():
        raise ValueError("kl holds NaN")
    return int((kl.double().mean(dim=0) > threshold).sum())


def _pair(reference: ArrayLike, estimate: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return two waveforms as arrays of floats, checked."""
    reference, estimate = as_float(reference), as_float(estimate)
    if reference.ndim != 1 or reference.shape != estimate.shape:
        found = f"reference {reference.shape} and estimate {estimate.shape}"
        raise ValueError(f"{found} must be one-dimensional and of equal length")
    for name, waveform in (("reference", reference), ("estimate", estimate)):
        if not np.isfinite(waveform).all():
            raise ValueError(f"the {name} holds NaN or infinite samples")
        if not waveform.any():
            raise Unscorable(f"the {name} is silent")
    return reference, estimate
