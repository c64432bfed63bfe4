"""Everything that can be set, as frozen dataclasses that travel to and from JSON.

The defaults are the paper's protocol (Section 4.1), so ``STFTConfig()``, ``ModelConfig()`` and
``TrainingConfig()`` read as a description of the paper's standard VAE with m = 32. See
:doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

SAMPLE_RATE = 16_000  # Hz; every waveform in the package is at this rate

MODELS = ("vae", "vsc", "sdm-vae")
DICTIONARIES = ("identity", "dct")
FAMILIES = {"vae": "VAE", "vsc": "VSC", "sdm": "SDM-VAE"}  # by what names of rows begin with

Config = TypeVar("Config")


def _check_types(config: Any) -> None:
    """Check that every field is of its declared type; a bool is no number, an int is a float."""
    for name, hint in get_type_hints(type(config)).items():
        value, kinds = getattr(config, name), getattr(hint, "__args__", (hint,))
        if isinstance(value, bool):
            fits = bool in kinds
        else:
            fits = isinstance(value, (*kinds, int) if float in kinds else kinds)
        if not fits:
            wanted = getattr(hint, "__name__", str(hint))
            raise ValueError(
                f"{type(config).__name__}: {name!r} must be {wanted}, "
                f"not {type(value).__name__} {value!r}"
            )


def _require(condition: bool, config: Any, name: str, wanted: str) -> None:
    if not condition:
        value = getattr(config, name)
        raise ValueError(f"{type(config).__name__}: {name} must be {wanted}, not {value!r}")


@dataclass(frozen=True)
class STFTConfig:
    """Short-time Fourier transform: 64 ms sine window, 75 % overlap, no zero padding.

    See :doc:`02_speech_to_spectra`.
    """

    window_length: int = 1024  # samples
    hop_length: int = 256  # samples

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self.window_length >= 2, self, "window_length", "at least 2 samples")
        _require(self.window_length % 2 == 0, self, "window_length", "an even number of samples")
        _require(
            0 < self.hop_length <= self.window_length // 2,
            self,
            "hop_length",
            "between 1 and half a window, or the inverse transform is not exact",
        )

    @property
    def n_bins(self) -> int:
        """Number of non-negative frequencies, F in the book.

        >>> STFTConfig().n_bins
        513
        """
        return self.window_length // 2 + 1


@dataclass(frozen=True)
class ModelConfig:
    """One row of Table 1: which model, and its sizes.

    ``dictionary``, ``k`` and ``constant_atom`` speak to the SDM-VAE alone; ``alpha`` and
    ``pseudo_inputs`` to variational sparse coding (VSC) alone.

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

    def __post_init__(self) -> None:
        _check_types(self)
        _require(self.model in MODELS, self, "model", f"one of {', '.join(MODELS)}")
        _require(
            self.dictionary in DICTIONARIES, self, "dictionary", f"one of {', '.join(DICTIONARIES)}"
        )
        for name, least in (("m", 1), ("hidden", 1), ("n_bins", 2)):
            _require(getattr(self, name) >= least, self, name, f"at least {least}")
        _require(self.k is None or self.k >= 1, self, "k", "at least 1, or None for k = m")
        _require(
            self.dictionary != "identity" or self.k in (None, self.m),
            self,
            "k",
            f"None or m = {self.m} with the identity dictionary",
        )
        _require(0.0 < self.alpha < 1.0, self, "alpha", "strictly between 0 and 1")
        _require(self.pseudo_inputs >= 0, self, "pseudo_inputs", "0 (fixed prior) or more")
        self.stft  # noqa: B018 (it says what is wrong with the hop)

    @property
    def stft(self) -> STFTConfig:
        """The transform whose power spectra the model sees."""
        window = 2 * (self.n_bins - 1)
        return STFTConfig(
            window, max(1, window // 4) if self.hop_length is None else self.hop_length
        )

    @property
    def code_size(self) -> int:
        """Number of coefficients the encoder infers: k for the SDM-VAE, m otherwise."""
        return (self.k or self.m) if self.model == "sdm-vae" else self.m

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
            dct = f"dct{self.code_size}", f"D = DCT (k = {self.code_size})"
            yield ("identity", "D = I") if self.dictionary == "identity" else dct
        yield f"{self.m}", f"m = {self.m}"
        if self.model == "sdm-vae" and not self.constant_atom:
            yield "no-constant", "no constant atom"
        if self.hidden != 128:
            yield f"h{self.hidden}", f"{self.hidden} hidden units"
        if self.stft != STFTConfig():
            window, hop = self.stft.window_length, self.stft.hop_length
            yield f"stft{window}-{hop}", f"STFT of {window} samples every {hop}"


@dataclass(frozen=True)
class TrainingConfig:
    """Optimiser and stopping rule (paper, Section 4.1.3)."""

    learning_rate: float = 1e-4  # of Adam
    batch_size: int = 128  # frames
    max_epochs: int = 500
    patience: int = 20  # epochs without a better validation loss before stopping
    seed: int = 0
    shuffle: bool = True  # False takes the frames in the order of the files

    def __post_init__(self) -> None:
        _check_types(self)
        _require(
            math.isfinite(self.learning_rate) and self.learning_rate > 0,
            self,
            "learning_rate",
            "finite and positive",
        )
        for name in ("batch_size", "max_epochs", "patience"):
            _require(getattr(self, name) >= 1, self, name, "at least 1")
        _require(0 <= self.seed < 2**32, self, "seed", "between 0 and 2**32 - 1")


@dataclass(frozen=True)
class Preset:
    """How much speech and how much training: see `get_preset`."""

    name: str
    minutes: float | None  # of speech in the three parts together; None is the whole corpus
    training: TrainingConfig

    def __post_init__(self) -> None:
        _check_types(self)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset("smoke", 2.0, TrainingConfig(learning_rate=1e-3, max_epochs=3)),
        Preset("laptop", 15.0, TrainingConfig(learning_rate=1e-3, max_epochs=60)),
        Preset("paper", None, TrainingConfig()),
    )
}


def get_preset(name: str | None = None) -> Preset:
    """The preset called ``name``.

    ``smoke`` shows that everything runs (seconds), ``laptop`` is what the rendered book shows
    (minutes on two cores, at ten times the paper's learning rate) and ``paper`` is the paper's
    protocol on the whole corpus. None is the environment variable ``SDMVAE_PRESET``, else
    ``laptop``.

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
    """Bytes of frames that are held in memory; larger stores are streamed while training.

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


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain JSON types.

    >>> to_dict(STFTConfig())
    {'window_length': 1024, 'hop_length': 256}
    """
    return dataclasses.asdict(config)


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Return the configuration of type ``kind`` that JSON describes; absent keys take defaults.

    Raises:
        ValueError: naming the key, when it is unknown, of another type or out of range.

    >>> from_dict(STFTConfig, {"hop_length": 128}).hop_length
    128
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"{kind.__name__}: expected a JSON object, not {type(values).__name__}")
    hints = get_type_hints(kind)
    fields = dict(values)
    for key, value in values.items():
        if key not in hints:
            raise ValueError(f"{kind.__name__}: unknown key {key!r}; known are {', '.join(hints)}")
        if dataclasses.is_dataclass(hints[key]) and isinstance(value, Mapping):
            fields[key] = from_dict(hints[key], value)
    return kind(**fields)
