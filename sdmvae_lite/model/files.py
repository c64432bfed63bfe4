"""Models on disk: a folder of ``weights.safetensors`` and ``model.json``, never a pickle."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..config import ModelConfig, from_dict, to_dict
from ..store import digest, write_folder
from .models import CLASSES, VAE, build_model

# The modules whose code decides what a model computes.
MODULES = (
    *("model.dictionaries", "model.divergences", "model.loglinear", "model.models"),
    *("model.sdm_vae", "model.student_t", "model.vae", "model.vsc"),
)


def save_model(model: VAE, folder: str | os.PathLike[str], **notes: Any) -> Path:
    """Write a model's weights and configuration to a new folder, whole or not at all.

    Return the folder's path. ``notes``, anything JSON can hold, are kept beside the configuration.

    Raises:
        FileExistsError: if there is something at ``folder`` already; it is left as it is.
        OSError: naming the folder, if it cannot be written, as on a full disk.
    """
    folder = Path(folder).expanduser()
    description = {"class": class_name(type(model)), "model": to_dict(model.config), "notes": notes}
    text = f"{json.dumps(description, indent=2)}\n".encode()
    weights = save(on_cpu(model.state_dict()))
    write_folder(folder, {"weights.safetensors": weights, "model.json": text})
    return folder


def load_model(folder: str | os.PathLike[str], kind: type[VAE] | None = None) -> VAE:
    """Return the model that `save_model` wrote, on the CPU and ready to resynthesise.

    ``kind`` is the class of a model of one's own, which no file holds; None is the package's.

    Raises:
        FileNotFoundError: if a file is missing, naming it.
        ValueError: if a file is damaged, or of another class or configuration than it says.
    """
    folder = Path(folder).expanduser()
    description, weights = folder / "model.json", folder / "weights.safetensors"
    for path in (description, weights):
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing: a saved model is a folder with two files")
    try:
        values = json.loads(description.read_text(encoding="utf-8"))
        config = from_dict(ModelConfig, values["model"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{description} describes no model: {error}") from error
    expected = class_name(kind or CLASSES[config.model])
    name = values.get("class", expected)  # models of the first version do not say
    if name != expected:
        raise ValueError(
            f"{folder} is a model of the class {name}, not {expected}: "
            f"define the class and call load_model(folder, kind={str(name).rpartition('.')[2]})"
        )
    try:
        state = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} does not hold the weights of {description}: {error}") from None
    return load_state(build_model(config, seed=0, kind=kind), state, weights).eval()


def describe_model(model: VAE) -> dict[str, Any]:
    """Return, as JSON, the class, configuration and weights that decide what a model computes.

    For a class of one's own also its file or notebook cell (a ValueError where there is none), and
    the numbers and strings that it takes from outside, but no function that it calls elsewhere.
    """
    return {
        "class": class_name(type(model)),
        "source": [_source(kind) for kind in type(model).__mro__ if _is_own(kind)],
        **{f"model {name}": value for name, value in to_dict(model.config).items()},
        "weights": digest(save(on_cpu(model.state_dict()))),
    }


def _source(kind: type) -> str:
    """Digest a class by its methods: those of a notebook know their cell, the class does not."""
    methods: list[Any] = [value for value in vars(kind).values() if inspect.isfunction(value)]
    try:
        texts = {"".join(inspect.findsource(thing)[0]) for thing in methods or [kind]}
    except (OSError, TypeError):
        raise ValueError(
            f"the text of the class {kind.__name__} is not found, nor would be a change in it: "
            "define it in a file or a notebook cell, with a method, or use no checkpoint or cache"
        ) from None
    used = dict(vars(kind))
    for method in methods:
        outside = inspect.getclosurevars(method)
        used |= {**outside.globals, **outside.nonlocals}
    plain = {
        name: value
        for name, value in used.items()
        if isinstance(value, int | float | str) and not name.startswith("__")
    }
    return digest(json.dumps([sorted(texts), plain], sort_keys=True).encode())


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] not in ("sdmvae_lite", "torch", "builtins")


def class_name(kind: type[VAE]) -> str:
    """Return what files call a class: one of a reader's own goes by its bare name.

    >>> class_name(VAE)
    'sdmvae_lite.VAE'
    """
    return kind.__name__ if _is_own(kind) else f"sdmvae_lite.{kind.__name__}"


def load_state(model: VAE, state: dict[str, Tensor], path: Path) -> VAE:
    """Return the model with the weights that were read from ``path``.

    Raises:
        ValueError: naming the file and the first weight of another name, shape or type, or NaN.
    """
    expected, found = (
        {name: f"{tuple(value.shape)} {value.dtype}" for name, value in tensors.items()}
        for tensors in (model.state_dict(), state)
    )
    for name in sorted(expected.keys() | found.keys()):
        refused = f"{path} does not hold the weights of {model.config.name}: {name}"
        if expected.get(name) != found.get(name):
            raise ValueError(f"{refused}: expected {expected.get(name)}, found {found.get(name)}")
        if not torch.isfinite(state[name]).all():
            raise ValueError(f"{refused} holds NaN or infinite values")
    model.load_state_dict(state)
    return model


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of tensors on the CPU, apart in memory as a file wants them."""
    return {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
