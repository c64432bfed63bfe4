"""Seconds to a given quality, what a user waits for: by the paper's protocol and by the recipe."""

from dataclasses import replace

from sdmvae_lite import ModelConfig, load_corpus, load_frames
from sdmvae_lite.config import RECIPE

from .ablation import CONSTANT, measured
from .recipe import scored_utterances

RECIPES_MODEL = ModelConfig(input="log-power")


def measure(minutes: float, lengths: tuple[int, ...], wanted: float) -> dict:
    """Train the VAE for so many epochs on synthetic speech; PESQ is of validation speakers."""
    corpus = load_corpus("synthetic", minutes=minutes)
    speech = [load_frames(corpus, part, progress=False) for part in ("train", "validation")]
    utterances = scored_utterances(corpus)
    constant = replace(CONSTANT, max_epochs=lengths[-1])
    ways = {
        "the paper's protocol": [(ModelConfig(), constant, lengths)],
        "the recipe": [
            (RECIPES_MODEL, replace(RECIPE, max_epochs=epochs), (epochs,)) for epochs in lengths
        ],
    }
    found = {
        way: [
            {name: point[name] for name in ("epochs", "seconds", "pesq_raw")}
            for training in trainings
            for point in measured(*training, *speech, utterances)
        ]
        for way, trainings in ways.items()
    }
    return {
        "PESQ": wanted,
        "seconds": {
            way: next((one["seconds"] for one in points if one["pesq_raw"] >= wanted), None)
            for way, points in found.items()
        },
        "points": found,
    }
