"""Checkpoints: one safetensors file with all that `fit` needs to go on as if never stopped."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Generator, Tensor

from ..config import TrainingConfig, memory_budget, to_dict
from ..model.files import MODULES, describe_model, load_state, on_cpu
from ..model.models import VAE
from ..store import digest, method, write
from .batches import Frames, chunks

_TRAINING = "training.batches", "training.checkpoints", "training.fit"


class TrainingState(NamedTuple):
    """What a checkpoint holds beside the model and the generator."""

    best: dict[str, Tensor]  # weights of the best epoch
    moments: dict[int, dict[str, Tensor]]  # Adam's, by the parameter's number in the model
    history: dict[str, list[float]]  # losses so far


def save_checkpoint(
    path: Path, model: VAE, generator: Generator, run: dict[str, Any], state: TrainingState
) -> None:
    """Replace the checkpoint at ``path`` in one step; ``run`` is what `describe_run` says."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, moments in state.moments.items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    tensors["generator"] = generator.get_state()
    held, metadata = on_cpu(tensors), {"run": json.dumps(run), "history": json.dumps(state.history)}
    write(path, save(held, metadata | {"sha256": _checksum(held, metadata)}))


def load_checkpoint(
    path: Path, model: VAE, generator: Generator, run: dict[str, Any]
) -> TrainingState:
    """Bring model and generator to where the checkpoint left them; return the rest.

    Between GPU and CPU the generator stays as it is: the run goes on with other noise.

    Raises:
        ValueError: if the file is damaged, or of another run, naming what differs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
        if metadata.pop("sha256") != _checksum(tensors, metadata):
            raise ValueError("its checksum is of other contents")
        written, history = json.loads(metadata["run"]), json.loads(metadata["history"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is no checkpoint, or a damaged one ({error}): remove it to start again"
        ) from error
    differing = [
        f"{name} was {written.get(name)}, is now {run.get(name)}"
        for name in written | run
        if written.get(name) != run.get(name)
    ]
    if differing:
        raise ValueError(
            f"{path} is of another run ({'; '.join(differing)}): give `fit` all that it had at the "
            "start, the model built anew from its seed, or name another checkpoint, or remove this"
        )
    load_state(model, _under("model.", tensors), path)
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser.", tensors).items():
        index, moment = name.split(".", 1)
        moments.setdefault(int(index), {})[moment] = value
    if len(tensors["generator"]) == len(generator.get_state()):  # else it is of another device
        generator.set_state(tensors["generator"])
    return TrainingState(_under("best.", tensors), moments, history)


def describe_run(
    model: VAE, training: TrainingConfig, train: Frames, validation: Frames
) -> dict[str, Any]:
    """Return, as JSON, all that decides how a run of a model ends, before its first step."""
    streamed = f"streamed within {memory_budget()} bytes"
    return {
        **describe_model(model),
        **{f"training {name}": value for name, value in to_dict(training).items()},
        "train frames": _content(train),
        "validation frames": _content(validation),
        "train frames held": "in memory" if isinstance(train, Tensor) else streamed,
        "method": method(*MODULES, *_TRAINING),
    }


def _content(frames: Frames) -> str:
    checksum = hashlib.sha256()
    for chunk in chunks(frames, torch.device("cpu")):
        checksum.update(chunk.cpu().numpy().tobytes())
    return f"{len(frames)} with digest {checksum.hexdigest()}"


def _checksum(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    return digest(save(tensors) + json.dumps(metadata, sort_keys=True).encode())


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    cut = len(prefix)
    return {name[cut:]: value for name, value in tensors.items() if name.startswith(prefix)}
