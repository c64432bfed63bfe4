"""What the benchmarks of kept models share: their arguments, and one file of results, resumable."""

import argparse
from pathlib import Path

import torch

from sdmvae_lite import load_corpus
from sdmvae_lite.table.records import results_folder

from .recipe import resumed


def of_weights(description):
    """The arguments of a benchmark of the models that `after_the_paper --weights` kept."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--minutes", type=float, help="of speech; all of it by default")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the models")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the results")
    return parser


def opened(chosen, kind, key):
    """The corpus, the file of results of a kind, and what it holds; on one thread from here on."""
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus, minutes=chosen.minutes)
    path = chosen.out / f"{corpus.name}-{kind}.json"
    return corpus, path, resumed(path, corpus, key)
