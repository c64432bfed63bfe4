"""What each of two changes buys, by the second: the encoder's input, and the course of the rate.

    OMP_NUM_THREADS=1 python -m benchmarks.ablation CORPUS [--out FOLDER]

A constant rate shows every length in one training: of each, the best weights so far. A cosine ends
with its length, so that every length is a training of its own. Scores are of validation speakers.
"""

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sdmvae_lite import ModelConfig, TrainingConfig, build_model, fit, load_corpus, load_frames
from sdmvae_lite.config import INPUTS, RECIPE, SCHEDULES

from .recipe import keep, resumed, scored_utterances, scores_of

RESULTS = Path(__file__).parents[1] / "results"
LENGTHS = (2, 5, 10, 20, 40, 80)  # epochs
CONSTANT = TrainingConfig(max_epochs=LENGTHS[-1], patience=LENGTHS[-1])
SEEDS = 3
SATURATED, IDLE = 0.99, 0.01  # a tanh from there on; nats of a dimension up to there


def trainings():
    """Model and training of each, and the lengths that it shows."""
    ways = tuple(itertools.product(reversed(INPUTS), reversed(SCHEDULES)))
    for seed, (input, schedule) in itertools.product(range(SEEDS), ways):
        model = ModelConfig(input=input)
        if schedule == "constant":
            yield model, replace(CONSTANT, seed=seed), LENGTHS
        else:
            for length in LENGTHS:
                yield model, replace(RECIPE, max_epochs=length, seed=seed), (length,)


def trained(model, training, train, validation):
    """Train; return the network, the weights and seconds after each epoch, and the losses."""
    network = build_model(model, training.seed)
    weights, seconds = [], []

    def remember(epoch):
        weights.append({name: value.clone() for name, value in network.state_dict().items()})
        seconds.append(time.process_time())

    network.begin_epoch = remember  # a VAE has nothing else to do there
    history = fit(network, train, validation, training, "cpu", progress=False)
    remember(history.epochs)
    return network, weights, [at - seconds[0] for at in seconds], history


@torch.no_grad()
def inside(network, frames):
    """How much of a network is at work: share of saturated hidden units, and idle dimensions."""
    hidden = torch.tanh(network.encoder_hidden(network.features(frames)))
    kl = network.kl(*network.encode(frames)).mean(dim=0)
    return {
        "saturated": round(float((hidden.abs() > SATURATED).float().mean()), 4),
        "idle": int((kl < IDLE).sum()),
    }


def measured(model, training, lengths, train, validation, utterances):
    """Train once, and score each length that this training shows."""
    network, weights, seconds, history = trained(model, training, train, validation)
    frames = torch.as_tensor(np.asarray(validation))
    for length in lengths:
        losses = history.validation_loss[:length]
        kept = 1 + int(np.argmin(losses)) if training.schedule == "constant" else length
        network.load_state_dict(weights[kept])
        yield {
            "input": model.input,
            "schedule": training.schedule,
            "seed": training.seed,
            "epochs": length,
            "kept epoch": kept,
            "seconds": round(seconds[length], 1),
            "train loss": round(history.train_loss[kept - 1], 2),
            "validation loss": round(losses[kept - 1], 2),
            **inside(network, frames),
            **scores_of(network, utterances),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus)
    train, validation = (load_frames(corpus, part) for part in ("train", "validation"))
    utterances = scored_utterances(corpus)
    path = chosen.out / f"{corpus.name}-ablation.json"
    found = resumed(path, corpus, "points")
    for model, training, lengths in trainings():
        name = f"{model.label}, {training.schedule}, seed {training.seed}"
        missing = [n for n in lengths if f"{name}, {n} epochs" not in found["points"]]
        if missing:
            for point in measured(model, training, missing, train, validation, utterances):
                found["points"][f"{name}, {point['epochs']} epochs"] = point
                print(name, point, flush=True)
            keep(path, found)


if __name__ == "__main__":
    main()
