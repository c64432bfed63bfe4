"""Everything that can be set, as frozen dataclasses that travel to and from JSON.

The defaults are the paper's protocol (Section 4.1), so ``STFTConfig()``, ``ModelConfig()`` and
``TrainingConfig()`` read as a description of the paper's standard VAE with m = 32. See
:doc:`15_bring_your_own_speech`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .checked import Checked
from .checked import from_dict as from_dict
from .checked import to_dict as to_dict

SAMPLE_RATE = 16_000  # Hz; every waveform in the package is at this rate

MODELS = ("vae", "vsc", "sdm-vae", "student-vae", "loglinear-vae")
DICTIONARIES = ("identity", "dct", "learned")
PRIORS = ("normal", "student-t", "paper")
INPUTS = ("power", "log-power")
SCHEDULES = ("constant", "cosine")
FAMILIES = {  # by what names of rows begin with
    "vae": "VAE",
    "vsc": "VSC",
    "sdm": "SDM-VAE",
    "student": "Student-t VAE",
    "loglinear": "Log-linear VAE",
}
_NAMED = {  # as a file and as a page says it
    "identity": ("identity", "D = I"),
    "dct": ("dct", "D = DCT"),
    "learned": ("learned", "D learned"),
    "student-t": ("student", "Student-t prior"),
    "paper": ("paper", "the paper's prior"),
}


@dataclass(frozen=True)
class STFTConfig(Checked):
    """Short-time Fourier transform: 64 ms sine window, 75 % overlap, no zero padding.

    See :doc:`02_speech_to_spectra`.
    """

    window_length: int = 1024  # samples
    hop_length: int = 256  # samples

    def _check(self) -> None:
        self._require("window_length", self.window_length >= 2, "at least 2 samples")
        self._require("window_length", self.window_length % 2 == 0, "an even number of samples")
        exact = 0 < self.hop_length <= self.window_length // 2
        half = "between 1 and half a window, or the inverse transform is not exact"
        self._require("hop_length", exact, half)

    @property
    def n_bins(self) -> int:
        """Number of non-negative frequencies, F in the book.

        >>> STFTConfig().n_bins
        513
        """
        return self.window_length // 2 + 1


@dataclass(frozen=True)
class ModelConfig(Checked):
    """One row of Table 1: which model, and its sizes.

    ``k`` and ``constant_atom`` speak to the SDM-VAE alone, ``dictionary`` to it and the log-linear
    VAE; ``alpha`` and ``pseudo_inputs`` to variational sparse coding (VSC) alone; ``prior``,
    ``nonzero``, ``thinning`` and ``parting`` to the log-linear VAE alone, ``nu`` where a prior is a
    Student-t.

    >>> ModelConfig(model="sdm-vae", m=32, dictionary="dct", k=64).code_size
    64
    """

    model: str = "vae"
    m: int = 32  # dimension of the latent code z
    dictionary: str = "identity"
    k: int | None = None  # number of atoms; None is k = m
    constant_atom: bool = True  # keep the DCT's constant atom (the paper's equation drops it)
    alpha: float = 0.5  # prior probability that a VSC coefficient is active
    pseudo_inputs: int = 0  # 0 is VSC's fixed prior
    hidden: int = 128  # width of the one hidden layer of encoder and decoder
    n_bins: int = 513  # of the power spectra that the model sees
    hop_length: int | None = None  # samples between them; None is a quarter of a window
    input: str = "power"  # what the encoder sees: powers (the paper), or their standardised logs
    prior: str = "normal"  # of the log-linear VAE
    nu: float | None = None  # degrees of freedom of a Student-t prior; None learns them
    nonzero: int | None = None  # coefficients that a frame keeps; None keeps all
    thinning: int = 0  # epochs of training in which their number comes down to that
    parting: float = 0.0  # weight of the penalty on learned atoms that are alike

    def _check(self) -> None:
        dictionaries = DICTIONARIES[1:] if self.model == "loglinear-vae" else DICTIONARIES
        self._choose(model=MODELS, dictionary=dictionaries, prior=PRIORS, input=INPUTS)
        for name, least in (("m", 1), ("hidden", 1), ("n_bins", 2)):
            self._require(name, getattr(self, name) >= least, f"at least {least}")
        self._require("k", self.k is None or self.k >= 1, "at least 1, or None for k = m")
        fits = self.dictionary != "identity" or self.k in (None, self.m)
        self._require("k", fits, f"None or m = {self.m} with the identity dictionary")
        self._require("alpha", 0.0 < self.alpha < 1.0, "strictly between 0 and 1")
        self._require("pseudo_inputs", self.pseudo_inputs >= 0, "0 (fixed prior) or more")
        fits = self.nu is None or 0.0 < self.nu < math.inf
        self._require("nu", fits, "finite and positive, or None to be learned")
        fits = self.nonzero is None or 1 <= self.nonzero < self.m
        self._require("nonzero", fits, f"between 1 and m - 1 = {self.m - 1}, or None")
        self._require("thinning", self.thinning >= 0, "0 (as few from the start) or more")
        self._require("parting", 0.0 <= self.parting < math.inf, "0 (no penalty) or more")
        self.stft  # noqa: B018 (it says what is wrong with the hop)

    @property
    def stft(self) -> STFTConfig:
        """The transform whose power spectra the model sees."""
        window = 2 * (self.n_bins - 1)
        quarter = max(1, window // 4)
        return STFTConfig(window, quarter if self.hop_length is None else self.hop_length)

    @property
    def code_size(self) -> int:
        """Number of coefficients the encoder infers: k for the SDM-VAE, m otherwise."""
        return (self.k or self.m) if self.model == "sdm-vae" else self.m

    @property
    def student_t(self) -> bool:
        """Whether the prior is a Student-t."""
        loglinear = self.model == "loglinear-vae" and self.prior == "student-t"
        return loglinear or self.model == "student-vae"

    @property
    def label(self) -> str:
        """The row as a page writes it.

        >>> ModelConfig(model="vsc", m=64, alpha=0.05).label
        'VSC, α = 0.05, m = 64'
        """
        return ", ".join(said for _, said in self._parts())

    @property
    def name(self) -> str:
        """The row as a file is called.

        >>> ModelConfig(model="vsc", m=64, alpha=0.05).name
        'vsc-0.05-64'
        """
        return "-".join(short for short, _ in self._parts())

    def _parts(self) -> Iterator[tuple[str, str]]:
        """What tells this row from others, each as a file and as a page says it."""
        family = self.model.removesuffix("-vae")
        yield family, FAMILIES[family]
        if self.model == "vsc":
            yield f"{self.alpha:g}", f"α = {self.alpha:g}"
            if self.pseudo_inputs:
                yield f"u{self.pseudo_inputs}", f"{self.pseudo_inputs} pseudo-inputs"
        if self.model == "sdm-vae":
            short, said = _NAMED[self.dictionary]
            sized = f"{short}{self.code_size}", f"{said} (k = {self.code_size})"
            yield (short, said) if self.dictionary == "identity" else sized
        if self.model == "loglinear-vae":
            yield _NAMED[self.dictionary]
            if self.prior != "normal":
                yield _NAMED[self.prior]
        if self.student_t and self.nu is not None:
            yield f"nu{self.nu:g}", f"ν = {self.nu:g}"
        yield f"{self.m}", f"m = {self.m}"
        if self.model == "loglinear-vae" and self.nonzero is not None:
            yield f"dearest{self.nonzero}", f"the dearest {self.nonzero}"
            if self.thinning:
                yield f"thinned{self.thinning}", f"thinned over {self.thinning} epochs"
        if self.model == "loglinear-vae" and self.parting:
            yield f"parted{self.parting:g}", f"parted by {self.parting:g}"
        if self.model == "sdm-vae" and not self.constant_atom:
            yield "no-constant", "no constant atom"
        if self.input == "log-power":
            yield "log", "log-power input"
        if self.hidden != 128:
            yield f"h{self.hidden}", f"{self.hidden} hidden units"
        if self.stft != STFTConfig():
            window, hop = self.stft.window_length, self.stft.hop_length
            yield f"stft{window}-{hop}", f"STFT of {window} samples every {hop}"


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """Optimiser and stopping rule (paper, Section 4.1.3).

    ``schedule`` is ``constant``, the paper's: a rate that stays, a stop by ``patience``, the best
    weights; or ``cosine``: a rate that rises for an epoch and falls to zero by ``max_epochs``, the
    last weights.
    """

    learning_rate: float = 1e-4  # of Adam
    batch_size: int = 128  # frames
    max_epochs: int = 500
    patience: int = 20  # epochs without a better validation loss before stopping
    seed: int = 0
    shuffle: bool = True  # False takes the frames in the order of the files
    schedule: str = "constant"

    def _check(self) -> None:
        self._choose(schedule=SCHEDULES)
        fits = math.isfinite(self.learning_rate) and self.learning_rate > 0
        self._require("learning_rate", fits, "finite and positive")
        for name in ("batch_size", "max_epochs", "patience"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        self._require("seed", 0 <= self.seed < 2**32, "between 0 and 2**32 - 1")


# Chosen on validation speakers: see benchmarks/NOTES.md.
RECIPE = TrainingConfig(learning_rate=4e-3, max_epochs=20, schedule="cosine")


@dataclass(frozen=True)
class Preset(Checked):
    """How much speech, how much training, and what the encoder sees: see `get_preset`."""

    name: str
    minutes: float | None  # of speech in the three parts together; None is the whole corpus
    training: TrainingConfig
    input: str = "power"  # of the models


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("smoke", 2.0, replace(RECIPE, max_epochs=3), "log-power"),
        Preset("laptop", 15.0, replace(RECIPE, max_epochs=60), "log-power"),
        Preset("recipe", None, RECIPE, "log-power"),
        Preset("paper", None, TrainingConfig()),
    )
}


def get_preset(name: str | None = None) -> Preset:
    """Return a preset; None is the environment variable ``SDMVAE_PRESET``, else ``laptop``.

    ``smoke`` shows that everything runs (seconds), ``laptop`` is what the rendered book shows
    (minutes on two cores), ``recipe`` trains well on the whole corpus (a minute a run) and
    ``paper`` is the paper's protocol there.

    Raises:
        ValueError: for an unknown name.

    >>> get_preset("paper").training.patience
    20
    """
    name = name or os.environ.get("SDMVAE_PRESET") or "laptop"
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def memory_budget() -> int:
    """Return how many bytes of frames are held in memory; larger stores are streamed.

    ``SDMVAE_MEMORY`` in gigabytes, else 4: nearly nine hours of speech.

    Raises:
        ValueError: if the variable holds no positive number.
    """
    value = os.environ.get("SDMVAE_MEMORY") or "4"
    try:
        budget = float(value)
    except ValueError:
        budget = math.nan
    if not (math.isfinite(budget) and budget > 0):
        raise ValueError(f"SDMVAE_MEMORY must be a number of gigabytes, not {value!r}")
    return int(budget * 1e9)
