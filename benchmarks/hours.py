"""What more speech does: losses in training and validation, and scores, by hours of speech.

    OMP_NUM_THREADS=1 python -m benchmarks.hours CORPUS [--minutes M] [--out FOLDER]

The validation and test speakers stay the same, and the training speakers too: of each, the first
quarter, half or all of the utterances. By the recipe every training takes as many steps, so that
less speech is gone over more often. Scores are of test speakers; nothing is chosen by them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from sdmvae_lite import SAMPLE_RATE, ModelConfig, TrainingConfig, load_corpus, load_frames
from sdmvae_lite.config import RECIPE

from .recipe import keep, measured, resumed, scored_utterances

RESULTS = Path(__file__).parents[1] / "results"
SHARES = (0.25, 0.5, 1.0)
SEEDS = 3
ROWS = [ModelConfig(model, m=m) for m in (32, 64) for model in ("vae", "sdm-vae")]
PROTOCOL = TrainingConfig()


def trainings():
    """Share of the speech, model and training: all by the recipe, then by the paper's protocol."""
    for way in (RECIPE, PROTOCOL):
        for seed in range(SEEDS):
            for share in SHARES:
                for row in ROWS:
                    if way is RECIPE:
                        epochs = round(RECIPE.max_epochs / share)
                        row = replace(row, input="log-power")
                        yield share, row, replace(RECIPE, max_epochs=epochs, seed=seed)
                    else:
                        yield share, row, replace(PROTOCOL, seed=seed)


def named(share, model, training):
    return f"{model.label}, {share:g} of the speech, {training.schedule}, seed {training.seed}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--minutes", type=float, help="of speech in all; everything by default")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus, chosen.minutes)
    parts = {
        share: replace(corpus, train=corpus.train[: round(share * len(corpus.train))])
        for share in SHARES
    }
    validation = load_frames(corpus, "validation")
    utterances = scored_utterances(corpus, "test")
    path = chosen.out / f"{corpus.name}-hours.json"
    found = resumed(path, corpus, "trainings")
    for share, model, training in trainings():
        name = named(share, model, training)
        if name not in found["trainings"]:
            train = load_frames(parts[share], "train")
            one = measured(model, training, train, validation, utterances)
            hours = len(train) * model.stft.hop_length / SAMPLE_RATE / 3600
            found["trainings"][name] = {"hours": round(hours, 3)} | one
            keep(path, found)
            told = f"{one['train loss'][-1]}, {one['validation loss'][-1]}, {one['pesq_raw']}"
            print(name, told, flush=True)


if __name__ == "__main__":
    main()
