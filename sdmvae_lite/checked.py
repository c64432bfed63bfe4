"""Dataclasses that check their values when they are made, and travel to and from JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar, get_type_hints

Config = TypeVar("Config")


class Checked:
    """A configuration checks its types and ranges when it is made; a bool is no number."""

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self)).items():
            value, kinds = getattr(self, name), getattr(hint, "__args__", (hint,))
            numbers = (*kinds, int) if float in kinds else kinds  # an int is a float
            if not (bool in kinds if isinstance(value, bool) else isinstance(value, numbers)):
                wanted = getattr(hint, "__name__", str(hint))
                self._refuse(f"{name!r} must be {wanted}, not {type(value).__name__} {value!r}")
        self._check()

    def _check(self) -> None:
        """Require that every value is in its range."""

    def _require(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            self._refuse(f"{name} must be {wanted}, not {getattr(self, name)!r}")

    def _choose(self, **choices: tuple[str, ...]) -> None:
        for name, known in choices.items():
            self._require(name, getattr(self, name) in known, f"one of {', '.join(known)}")

    def _refuse(self, why: str) -> NoReturn:
        raise ValueError(f"{type(self).__name__}: {why}")


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as plain JSON types.

    >>> from sdmvae_lite.config import STFTConfig
    >>> to_dict(STFTConfig())
    {'window_length': 1024, 'hop_length': 256}
    """
    return dataclasses.asdict(config)


def from_dict(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Return the configuration of type ``kind`` that JSON describes; absent keys take defaults.

    Raises:
        ValueError: naming the key, when it is unknown, of another type or out of range.

    >>> from sdmvae_lite.config import STFTConfig
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
