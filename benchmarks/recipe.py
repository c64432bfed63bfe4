"""What training well takes, searched on validation speakers: one file of results, resumable.

    OMP_NUM_THREADS=1 python -m benchmarks.recipe CORPUS [--out benchmarks/results/recipe.json]

Every candidate differs from the recipe in little, and is scored on validation speakers alone:
nothing is chosen on the test set. Seconds are of this process, without scoring.
"""

import argparse
import json
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from sdmvae_lite import (
    ModelConfig,
    build_model,
    fit,
    load_corpus,
    load_frames,
    resynthesise,
)
from sdmvae_lite.config import RECIPE, to_dict
from sdmvae_lite.scoring.metrics import estoi, pesq_raw, si_sdr
from sdmvae_lite.store import write

OUT = Path(__file__).parent / "results" / "recipe.json"
VAE = ModelConfig(input="log-power")
SDM = ModelConfig("sdm-vae", input="log-power")
VSC = ModelConfig("vsc", input="log-power")
SCORES = {"pesq_raw": pesq_raw, "estoi": estoi, "si_sdr": si_sdr}
PER_SPEAKER = 5  # utterances that are scored


class Averaging(torch.optim.Adam):
    """Adam that, once its rate is zero, leaves the moving average of its weights."""

    decay = 0.999  # a step

    @torch.no_grad()
    def step(self, closure=None):
        (group,) = self.param_groups
        average = self.__dict__.setdefault("average", [p.clone() for p in group["params"]])
        super().step(closure)
        torch._foreach_lerp_(average, group["params"], 1 - self.decay)
        if group["lr"] < 1e-9:
            torch._foreach_copy_(group["params"], average)


# What `fit` does not offer is tried by changing it from outside.
CHANGES = {
    "": nullcontext,
    **{
        f"floor {floor:g}": partial(patch, "sdmvae_lite.model.vae.INPUT_FLOOR", floor)
        for floor in (1e-10, 1e-6, 1e-4)
    },
    **{
        f"weight decay {decay:g}": partial(
            patch, "torch.optim.Adam", partial(torch.optim.AdamW, weight_decay=decay)
        )
        for decay in (1e-3, 1e-2)
    },
    "averaged weights": partial(patch, "torch.optim.Adam", Averaging),
}


def candidates():
    """Model, training and change of each candidate, the most telling first."""
    for seed in range(3):
        for rate in (4e-3, 5e-3):
            for model in (VAE, SDM, replace(VAE, m=64), replace(SDM, m=64)):
                yield model, replace(RECIPE, learning_rate=rate, seed=seed), ""
    for rate in (1e-3, 2e-3, 3e-3, 8e-3):
        yield VAE, replace(RECIPE, learning_rate=rate), ""
    for size, rate in ((64, 2e-3), (64, 4e-3), (96, 4e-3), (192, 5e-3), (256, 6e-3)):
        yield VAE, replace(RECIPE, batch_size=size, learning_rate=rate), ""
    for alpha in (0.05, 0.5, 0.9):
        yield replace(VSC, alpha=alpha), RECIPE, ""
    for epochs in (10, 40, 80):  # at m = 32 these are in `benchmarks.ablation`
        yield replace(VAE, m=64), replace(RECIPE, max_epochs=epochs), ""
    for change in CHANGES:
        yield VAE, RECIPE, change
    for k in (32, 64):
        for m in (32, 64):
            yield replace(SDM, m=m, dictionary="dct", k=k), RECIPE, ""


def named(model, training, change):
    """What a candidate is called in the file of results."""
    said = f"{model.label}, rate {training.learning_rate:g}, batches of {training.batch_size}"
    said += f", {training.max_epochs} epochs, seed {training.seed}"
    return f"{said}, {change}" if change else said


def measured(model, training, train, validation, utterances):
    """Train a candidate and score it."""
    network, began = build_model(model, training.seed), time.process_time()
    history = fit(network, train, validation, training, "cpu", progress=False)
    seconds = time.process_time() - began
    return {
        "model": to_dict(model),
        "training": to_dict(training),
        "seconds": round(seconds, 1),
        "train loss": [round(value, 2) for value in history.train_loss],
        "validation loss": [round(value, 2) for value in history.validation_loss],
        "validation kl": round(history.validation_kl[-1], 2),
        **scores_of(network, utterances),
    }


def scores_of(network, utterances):
    """Mean scores of the resynthesis of utterances."""
    results = [resynthesise(network, utterance.waveform()) for utterance in utterances]
    return {
        name: round(float(np.mean([score(one.reference, one.estimate) for one in results])), 4)
        for name, score in SCORES.items()
    }


def scored_utterances(corpus, part="validation"):
    """The first few utterances of every speaker."""
    return first_of_each(corpus.parts[part], PER_SPEAKER)


def first_of_each(utterances, number):
    """The first so many utterances of every speaker."""
    spoken, first = Counter(), []
    for utterance in utterances:
        spoken[utterance.speaker] += 1
        if spoken[utterance.speaker] <= number:
            first.append(utterance)
    return first


def resumed(path, corpus, key):
    """What a file of results holds so far; another corpus's is not gone on with."""
    speech = {"name": corpus.name, "fingerprint": corpus.fingerprint}
    if not path.exists():
        return {"corpus": speech, key: {}}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["corpus"] != speech:
        raise SystemExit(f"{path} is of other speech: name another place with --out")
    return found


def keep(path, found):
    """Write what was found so far, whole or not at all."""
    write(path, f"{json.dumps(found, indent=1)}\n".encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--out", type=Path, default=OUT, help="file of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus)
    train, validation = (load_frames(corpus, part) for part in ("train", "validation"))
    utterances = scored_utterances(corpus)
    found = resumed(chosen.out, corpus, "candidates")
    for model, training, change in candidates():
        name = named(model, training, change)
        if name not in found["candidates"]:
            with CHANGES[change]():
                one = measured(model, training, train, validation, utterances)
            found["candidates"][name] = one
            keep(chosen.out, found)
            loss = one["validation loss"][-1]
            told = ", ".join(f"{measure} {one[measure]:.3f}" for measure in SCORES)
            print(f"{name}: {one['seconds']} s, loss {loss}, {told}", flush=True)


if __name__ == "__main__":
    main()
