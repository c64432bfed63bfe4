"""What more speech does: losses in training and validation, and scores, by hours of speech.

    OMP_NUM_THREADS=1 python -m benchmarks.hours CORPUS [--minutes M] [--shares 0.25 0.5 1]

The validation and test speakers stay the same, and the training speakers too: of each, the first
utterances, as many as a share says. Every training is by the recipe and takes about as many steps,
so that less speech is gone over more often. Scores are of test speakers; nothing is chosen by them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sdmvae_lite import SAMPLE_RATE, ModelConfig, load_corpus, load_frames
from sdmvae_lite.config import RECIPE

from .recipe import first_of_each, keep, measured, resumed, scored_utterances

RESULTS = Path(__file__).parents[1] / "results"
STEPS = 26_160  # of the recipe on the 45 minutes of sound in speechocean762
VALIDATED = 20  # utterances of each speaker, at most
SEEDS = 3
VAE = ModelConfig(input="log-power")
SDM = replace(VAE, model="sdm-vae")
ROWS = (VAE, SDM, replace(VAE, m=64), replace(SDM, m=64))


def trainings(shares):
    """Share of the speech, model and seed of each."""
    for seed in range(SEEDS):
        for share in shares:
            for row in ROWS:
                yield share, row, seed


def recipe(frames, seed):
    """The recipe, for as many epochs as take about the same number of steps."""
    epochs = max(1, round(STEPS * RECIPE.batch_size / len(frames)))
    return replace(RECIPE, max_epochs=epochs, seed=seed)


def smallest_loss(frames):
    """What a loss of these frames is at least: where every variance is the power itself."""
    return round(float(np.mean([(1 + np.log(np.maximum(s, 1e-10))).sum() for s in frames])), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--minutes", type=float, help="of speech in all; everything by default")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus, chosen.minutes)
    corpus = replace(corpus, validation=first_of_each(corpus.validation, VALIDATED))
    parts = {
        share: replace(corpus, train=corpus.train[: round(share * len(corpus.train))])
        for share in chosen.shares
    }
    validation = load_frames(corpus, "validation")
    least = {"validation": smallest_loss(validation)}
    utterances = scored_utterances(corpus, "test")
    path = chosen.out / f"{corpus.name}-hours.json"
    found = resumed(path, corpus, "trainings")
    for share, model, seed in trainings(chosen.shares):
        name = f"{model.label}, {share:g} of the speech, seed {seed}"
        if name not in found["trainings"]:
            train = load_frames(parts[share], "train")
            hours = len(train) * model.stft.hop_length / SAMPLE_RATE / 3600
            one = measured(model, recipe(train, seed), train, validation, utterances)
            one |= {"hours": round(hours, 3)}
            one |= {"smallest loss": {"train": smallest_loss(train)} | least}
            found["trainings"][name] = one
            keep(path, found)
            told = f"{one['train loss'][-1]}, {one['validation loss'][-1]}, {one['pesq_raw']}"
            print(name, told, flush=True)


if __name__ == "__main__":
    main()
