"""Scores on disk, one small file an utterance, so that none is computed twice.

A file's name is a hash of all that determines the scores in it: the model's weights, what was
said by whom, the settings, the code and the packages that compute. So nothing ever has to be
brought up to date, several processes may write at once, and the folder can be thrown away. See
:doc:`11_score_speech`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import save

from ..config import to_dict
from ..model.models import VAE
from ..speech.corpora import Utterance

PACKAGES = ("librosa", "numpy", "pesq", "pystoi", "scipy", "soundfile", "soxr", "torch")

# The code as it was imported: what is edited in a running session does not count yet.
_SOURCES = sorted(Path(__file__).parent.parent.rglob("*.py"))
_CODE = hashlib.sha256(b"".join(path.read_bytes() for path in _SOURCES)).hexdigest()


def score_paths(
    folder: Path,
    model: VAE,
    utterances: Sequence[Utterance],
    seeds: Sequence[int | None],
    metrics: Iterable[str],
) -> list[Path]:
    """Where the scores of each utterance are kept in ``folder``, which is made if it is not there.

    See :doc:`11_score_speech`.

    Args:
        seeds: of the sampled code of each utterance; None where its mean is decoded.
        metrics: the names of all that is computed.

    Raises:
        ValueError: for a model whose class is none of the package's.
        OSError: naming the folder, if it cannot be made, or a file of speech that is gone.
    """
    if type(model).__module__ != VAE.__module__:
        raise ValueError(
            f"scores of a {type(model).__qualname__} cannot be kept: its code is not the "
            "package's, and nothing would tell that it has changed; leave cache out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    shared = {
        "code": _CODE,
        "versions": [version(name) for name in PACKAGES],
        "metrics": list(metrics),
        "model": [type(model).__name__, to_dict(model.config), _digest(save(weights))],
    }
    paths = []
    for utterance, seed in zip(utterances, seeds, strict=True):
        speech = [utterance.speaker, utterance.name, utterance.source.fingerprint()]
        contents = json.dumps({**shared, "utterance": speech, "seed": seed})
        paths.append(folder / f"{_digest(contents.encode())[:32]}.json")
    return paths


def _digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()
