"""Put the trained models behind the records into the package: seed 0 of every row, half precision.

    python tools/export_weights.py CORPUS

The weights come from the checkpoints that `run_table.py` left in the cache folder.
"""

import argparse

from torch import Generator

from sdmvae_lite.batches import hold_frames
from sdmvae_lite.config import cache_folder
from sdmvae_lite.corpora import load_corpus
from sdmvae_lite.experiments import table_1
from sdmvae_lite.frames import load_frames
from sdmvae_lite.models import build_model
from sdmvae_lite.pretrained import WEIGHTS, save_pretrained
from sdmvae_lite.storage import describe_run, load_checkpoint
from sdmvae_lite.training import History, find_device, finished


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    corpus = load_corpus(parser.parse_args(arguments).corpus)
    device = find_device("cpu")
    train, validation = (load_frames(corpus, part) for part in ("train", "validation"))
    for run in table_1(seeds=1):
        model = build_model(run.model)
        held = [
            hold_frames(frames, part, run.model.n_bins, device)
            for frames, part in ((train, "train"), (validation, "validation"))
        ]
        path = cache_folder() / "checkpoints" / corpus.fingerprint[:24] / f"{run.name}.safetensors"
        state = load_checkpoint(path, model, Generator(), describe_run(model, run.training, *held))
        if not finished(History(**state.history), run.training):
            raise SystemExit(f"{run.name} is still in training: run tools/run_table.py first")
        model.load_state_dict(state.best)
        print(save_pretrained(model, WEIGHTS))


if __name__ == "__main__":
    main()
