"""What training well takes, searched on validation speakers: one file of results, resumable.

    OMP_NUM_THREADS=1 python -m benchmarks.recipe CORPUS [--out benchmarks/results/recipe.json]

Every candidate differs from the recipe in one thing, and is scored on validation speakers alone:
nothing is chosen on the test set. Seconds are of this process, without scoring.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sdmvae_lite import (
    ModelConfig,
    TrainingConfig,
    build_model,
    fit,
    load_corpus,
    load_frames,
    resynthesise,
)
from sdmvae_lite.config import to_dict
from sdmvae_lite.scoring.metrics import estoi, pesq_raw, si_sdr
from sdmvae_lite.store import write

OUT = Path(__file__).parent / "results" / "recipe.json"
RECIPE = TrainingConfig(learning_rate=5e-3, max_epochs=20, schedule="cosine")
VAE = ModelConfig(input="log-power")
SDM = ModelConfig("sdm-vae", input="log-power")
SCORES = {"pesq_raw": pesq_raw, "estoi": estoi, "si_sdr": si_sdr}
PER_SPEAKER = 5  # utterances that are scored


def candidates():
    """Name, model and training of each candidate, the most telling first."""
    for seed in range(3):
        for name, model in (("vae-32", VAE), ("sdm-32", SDM)):
            yield f"{name}, seed {seed}", model, replace(RECIPE, seed=seed)
    for rate in (1e-3, 2e-3, 3e-3, 8e-3):
        yield f"vae-32, rate {rate:g}", VAE, replace(RECIPE, learning_rate=rate)
    for size in (64, 96, 192, 256):
        yield f"vae-32, batch {size}", VAE, replace(RECIPE, batch_size=size)
    for model in (VAE, SDM):
        yield f"{model.name[:3]}-64", replace(model, m=64), RECIPE
    for k in (32, 64):
        for m in (32, 64):
            yield f"dct{k}-{m}", replace(SDM, m=m, dictionary="dct", k=k), RECIPE
    for alpha in (0.05, 0.5, 0.9):
        yield f"vsc-{alpha}-32", replace(VAE, model="vsc", alpha=alpha), RECIPE
    for epochs in (10, 40, 100):
        for m in (32, 64):
            yield f"vae-{m}, {epochs} epochs", replace(VAE, m=m), replace(RECIPE, max_epochs=epochs)
    constant = replace(RECIPE, learning_rate=1e-4, schedule="constant")
    for epochs in (20, 100):
        yield f"vae-32, rate constant, {epochs}", VAE, replace(constant, max_epochs=epochs)
    yield "vae-32, input power", ModelConfig(), RECIPE
    yield "vae-32, input power, rate 0.001", ModelConfig(), replace(RECIPE, learning_rate=1e-3)


def measured(model, training, train, validation, utterances):
    """Train a candidate and score it."""
    network, began = build_model(model, training.seed), time.process_time()
    history = fit(network, train, validation, training, "cpu", progress=False)
    seconds = time.process_time() - began
    results = [resynthesise(network, utterance.waveform()) for utterance in utterances]
    scores = {
        name: round(float(np.mean([score(one.reference, one.estimate) for one in results])), 4)
        for name, score in SCORES.items()
    }
    return {
        "model": to_dict(model),
        "training": to_dict(training),
        "seconds": round(seconds, 1),
        "train loss": [round(value, 2) for value in history.train_loss],
        "validation loss": [round(value, 2) for value in history.validation_loss],
        "validation kl": round(history.validation_kl[-1], 2),
        **scores,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--out", type=Path, default=OUT, help="file of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus)
    train, validation = (load_frames(corpus, part) for part in ("train", "validation"))
    spoken = dict.fromkeys(corpus.speakers("validation"), 0)
    utterances = []
    for utterance in corpus.validation:
        spoken[utterance.speaker] += 1
        if spoken[utterance.speaker] <= PER_SPEAKER:
            utterances.append(utterance)
    found = {"corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint}, "candidates": {}}
    if chosen.out.exists():
        found = json.loads(chosen.out.read_text(encoding="utf-8"))
    for name, model, training in candidates():
        if name not in found["candidates"]:
            one = measured(model, training, train, validation, utterances)
            found["candidates"][name] = one
            write(chosen.out, f"{json.dumps(found, indent=1)}\n".encode())
            loss = one["validation loss"][-1]
            told = ", ".join(f"{measure} {one[measure]:.3f}" for measure in SCORES)
            print(f"{name}: {one['seconds']} s, loss {loss}, {told}", flush=True)


if __name__ == "__main__":
    main()
