"""The models behind the book's tables, one training of each row, ready to use.

``sdmvae_lite/weights`` keeps them in half precision, beside a card that says how they were made.
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
from .files import load_state, on_cpu
from .models import CLASSES, VAE, build_model

WEIGHTS = Path(__file__).parent.parent / "weights"


def pretrained_names() -> list[str]:
    """Return the names that `load_pretrained` takes: rows of Table 1, and with ``-log`` again.

    Four rows after the paper, by the recipe alone, have ``-log`` names only.
    """
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def load_pretrained(name: str) -> VAE:
    """Return a trained model, on the CPU and ready to resynthesise.

    It was trained on 39 speakers of speechocean762 from seed 0, by the paper's protocol or, where
    the name ends in ``-log``, by the recipe, and rounded to half precision.
    See :doc:`16_rebuild_table_1`.

    >>> load_pretrained("sdm-dct64-32").config.code_size
    64
    """
    names = pretrained_names()
    if name not in names:
        raise ValueError(f"no trained model is called {name!r}: choose one of {', '.join(names)}")
    path = WEIGHTS / f"{name}.safetensors"
    with safe_open(path, framework="pt") as file:
        config = from_dict(ModelConfig, json.loads(file.metadata()["model"]))
    model, found = build_model(config, seed=0), load_file(path)
    full = {key: value.float() for key, value in found.items() if value.dtype == torch.float16}
    return load_state(model, model.state_dict() | found | full, path).eval()


def save_pretrained(model: VAE, folder: str | os.PathLike[str]) -> Path:
    """Write what `load_pretrained` reads, called as the model's row; return the path.

    A dictionary that is not learned is left out, to be built anew: one of your own, or a class of
    your own, is a ValueError.
    """
    if type(model) is not CLASSES[model.config.model]:
        raise ValueError(f"{type(model).__name__} is a class of your own: use save_model")
    state, name = on_cpu(model.state_dict()), model.config.name
    if "dictionary" in dict(model.named_buffers()):
        built = build_model(model.config, seed=0).state_dict()["dictionary"]
        if not torch.equal(state.pop("dictionary"), built):
            why = "has a dictionary of its own, which would be lost: use save_model"
            raise ValueError(f"{name} {why}")
    path = Path(folder).expanduser() / f"{name}.safetensors"
    half = {key: value.half() for key, value in state.items()}
    write(path, save(half, metadata={"model": json.dumps(to_dict(model.config))}))
    return path
