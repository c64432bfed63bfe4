"""Train models by the paper's protocol on a corpus and write one run record each into results/.

A run that is stopped goes on where it was when the command is given again; a record that exists is
not made again.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

import torch

from sdmvae_lite.config import ModelConfig, TrainingConfig, cache_folder, to_dict
from sdmvae_lite.corpora import Corpus, load_corpus
from sdmvae_lite.evaluation import Scores, evaluate
from sdmvae_lite.frames import load_frames
from sdmvae_lite.models import build_model
from sdmvae_lite.training import fit

RESULTS = Path(__file__).parents[1] / "results"
MODELS = {"vae-32": ModelConfig("vae", m=32), "sdm-identity-32": ModelConfig("sdm-vae", m=32)}
PACKAGES = ("sdmvae_lite", "torch", "numpy", "librosa", "pesq", "pystoi")


def run(config: ModelConfig, training: TrainingConfig, corpus: Corpus, checkpoint: Path) -> dict:
    """Train, score every test utterance both ways, and say all there is to say about it."""
    model = build_model(config, training.seed)
    train, validation = (load_frames(corpus, part) for part in ("train", "validation"))
    started = time.monotonic()
    history = fit(model, train, validation, training, device="cpu", checkpoint=checkpoint)
    seconds = round(time.monotonic() - started)
    return {
        "model": to_dict(config),
        "training": to_dict(training),
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint},
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "seconds of training in the last sitting": seconds,
        "frames": {"train": len(train), "validation": len(validation)},
        "best epoch": history.best_epoch,
        "history": {
            name: [round(x, 3) for x in values] for name, values in asdict(history).items()
        },
        "posterior mean": [as_row(row) for row in evaluate(model, corpus.test)],
        "sample": [as_row(row) for row in evaluate(model, corpus.test, sample=True)],
    }


def as_row(scores: Scores) -> dict:
    rounded = {name: round(value, 4) for name, value in scores.values.items()}
    return asdict(scores) | {"values": rounded, "seconds": round(scores.seconds, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("name", help="what the records are called")
    parser.add_argument("--model", choices=MODELS, action="append", help="default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(arguments.corpus)
    for row in arguments.model or MODELS:
        training = TrainingConfig()
        label = f"{arguments.name}-{row}-seed{training.seed}"
        record = RESULTS / f"{label}.json"
        if record.exists():
            continue
        checkpoint = cache_folder() / "checkpoints" / f"{label}.safetensors"
        contents = run(MODELS[row], training, corpus, checkpoint)
        part = record.with_suffix(".part")
        part.write_text(json.dumps(contents) + "\n")
        os.replace(part, record)


if __name__ == "__main__":
    main()
