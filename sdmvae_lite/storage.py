"""Models and checkpoints on disk: safetensors and JSON, never pickle, never half-written.

A saved model is a folder of two files, ``weights.safetensors`` and ``model.json``. A checkpoint is
one safetensors file that holds all that `training.fit` needs to go on as if it had never stopped.
See :doc:`12_bring_your_own_speech`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from .config import ModelConfig, TrainingConfig, from_dict, memory_budget, to_dict
from .models import VAE, build_model


class TrainingState(NamedTuple):
    """What a checkpoint holds beside the model and the generator.

    See :doc:`12_bring_your_own_speech`.
    """

    best: dict[str, Tensor]  # weights of the best epoch
    moments: dict[int, dict[str, Tensor]]  # Adam's, by the parameter's number in the model
    history: dict[str, list[float]]  # losses so far


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write beside ``path``, whose place it takes once it is whole.

    If writing fails, what was there stays. Several processes may do so at once: the last one wins.
    See :doc:`12_bring_your_own_speech`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_model(model: VAE, folder: str | Path, **notes: Any) -> Path:
    """Write a model's weights and configuration to a new folder.

    Args:
        notes: anything JSON can hold, kept beside the configuration for whoever opens the file.

    Raises:
        FileExistsError: if there is something at ``folder`` already; it is left as it is.
    """
    folder = Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: choose another name, or remove it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        save_file(_on_cpu(model.state_dict()), part / "weights.safetensors")
        description = {"model": to_dict(model.config), "notes": notes}
        (part / "model.json").write_text(json.dumps(description, indent=2) + "\n")
        part.chmod(0o755)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def load_model(folder: str | Path) -> VAE:
    """The model that `save_model` wrote, on the CPU and ready to resynthesise.

    Raises:
        FileNotFoundError: if a file is missing, naming it.
        ValueError: if a file is damaged, or the weights are of another configuration.
    """
    description, weights = Path(folder) / "model.json", Path(folder) / "weights.safetensors"
    for path in (description, weights):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: a saved model is a folder with two files")
    try:
        model = build_model(from_dict(ModelConfig, json.loads(description.read_text())["model"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{description} describes no model: {error}") from error
    try:
        _load_state(model, load_file(weights))
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{weights} does not hold the weights of {description}: {error}") from None
    return model.eval()


def save_checkpoint(
    path: Path, model: VAE, generator: Generator, run: dict[str, Any], state: TrainingState
) -> None:
    """Replace the checkpoint at ``path`` in one step.

    Args:
        run: what identifies the run (see `describe_run`); loading insists on the same.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, moments in state.moments.items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    tensors["generator"] = generator.get_state()
    metadata = {"run": json.dumps(run), "history": json.dumps(state.history)}
    with replacing(path) as part:
        save_file(_on_cpu(tensors), part, metadata=metadata)


def load_checkpoint(
    path: Path, model: VAE, generator: Generator, run: dict[str, Any]
) -> TrainingState:
    """Bring model and generator to where the checkpoint left them.

    A checkpoint from a GPU can be taken up on a CPU, and the other way round: the run goes on with
    other noise, from a generator that stays as it is.

    Returns:
        what the loop needs beside them.

    Raises:
        ValueError: if the file is damaged, or of another run, naming what differs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        tensors = load_file(path)
        written, history = json.loads(metadata["run"]), json.loads(metadata["history"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no checkpoint, or a damaged one: {error}") from error
    for key, value in run.items():
        if written.get(key) != value:
            raise ValueError(
                f"{path} is of another run ({key} was {written.get(key)}, is now {value}): "
                "name another checkpoint, or remove it to start again"
            )
    _load_state(model, _under("model", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimiser", tensors).items():
        index, moment = name.split(".", 1)
        moments.setdefault(int(index), {})[moment] = value
    if len(tensors["generator"]) == len(generator.get_state()):  # else it is of another device
        generator.set_state(tensors["generator"])
    return TrainingState(_under("best", tensors), moments, history)


def describe_run(
    model: VAE, config: TrainingConfig, train: Tensor | np.memmap, validation: Tensor | np.memmap
) -> dict[str, Any]:
    """What makes two runs the same: configuration, and how many frames of each part.

    Where frames are streamed, their order hangs on the memory budget too.
    """
    run = {
        "model": to_dict(model.config),
        "training": to_dict(config),
        "train frames": len(train),
        "validation frames": len(validation),
    }
    return run if isinstance(train, Tensor) else run | {"memory budget": memory_budget()}


def _load_state(model: VAE, state: dict[str, Tensor]) -> None:
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(f"{name}: expected {expected.get(name)}, found {found.get(name)}")
    model.load_state_dict(state)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): value
        for name, value in tensors.items()
        if name.startswith(f"{prefix}.")
    }


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
