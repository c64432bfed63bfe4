"""The models behind the book's table, ready to use: one training of each row.

Weights are kept in half precision in ``sdmvae_lite/weights``, with a model card that says what they
were trained on.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from ..config import ModelConfig, from_dict, to_dict
from ..store import write
from .files import class_name, load_state
from .models import CLASSES, VAE, build_model

WEIGHTS = Path(__file__).parent.parent / "weights"


def pretrained_names() -> list[str]:
    """Return the names that `load_pretrained` knows, as rows of Table 1 are called.

    >>> "sdm-dct64-32" in pretrained_names()
    True
    """
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load_pretrained(name: str) -> VAE:
    """Return a trained model, on the CPU and ready to resynthesise.

    It was trained by the paper's protocol on 39 speakers of speechocean762, from seed 0, and
    rounded to half precision. See :doc:`13_rebuild_table_1`.

    Raises:
        ValueError: for a name that is not among `pretrained_names`, or damaged weights.

    >>> load_pretrained("sdm-dct64-32").config.code_size
    64
    """
    if name not in pretrained_names():
        raise ValueError(
            f"no trained model is called {name!r}: choose one of {', '.join(pretrained_names())}"
        )
    path = WEIGHTS / f"{name}.safetensors"
    with safe_open(path, framework="pt") as file:
        config = from_dict(ModelConfig, json.loads(file.metadata()["model"]))
    model = build_model(config, seed=0)
    found = {
        key: value.float() if value.dtype == torch.float16 else value
        for key, value in load_file(path).items()
    }
    try:
        load_state(model, model.state_dict() | found)
    except ValueError as error:
        raise ValueError(f"{path} does not hold the weights of {name}: {error}") from None
    return model.eval()


def save_pretrained(model: VAE, folder: str | os.PathLike[str]) -> Path:
    """Write what `load_pretrained` reads, called as the model's row; return the path.

    A dictionary is left out: it is built anew, exactly.

    Raises:
        ValueError: if the model is of another class, or has another dictionary, than its
            configuration names.
    """
    if type(model) is not CLASSES[model.config.model]:
        raise ValueError(f"{class_name(type(model))} is a class of your own: use save_model")
    built = build_model(model.config, seed=0).state_dict().get("dictionary")
    if built is not None and not torch.equal(built, model.state_dict()["dictionary"].cpu()):
        raise ValueError(
            f"{model.config.name} has a dictionary of its own, which would be lost: use save_model"
        )
    half = {
        key: value.to(torch.float16).contiguous()
        for key, value in model.state_dict().items()
        if key != "dictionary"
    }
    path = Path(folder).expanduser() / f"{model.config.name}.safetensors"
    write(path, save(half, metadata={"model": json.dumps(to_dict(model.config))}))
    return path
