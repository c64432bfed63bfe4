"""Train and score two rows of the table the way the paper's released code does, one step at a time.

    python tools/run_variants.py CORPUS

Each variant changes one thing: frames in the order of the files, nothing trimmed, edges padded
twice, weights of the last epoch instead of the best. Records land in `results` beside those of
`sdmvae table`; what was made before is not made again.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.torch import load_file

from sdmvae_lite.config import PRESETS, ModelConfig, STFTConfig, get_preset
from sdmvae_lite.speech.corpora import Corpus, Utterance, load_corpus
from sdmvae_lite.speech.frames import load_frames
from sdmvae_lite.speech.spectra import normalise, stft, trim
from sdmvae_lite.table.grid import TrainedRun, checkpoint_path, run_grid, train_on
from sdmvae_lite.table.records import results_folder
from sdmvae_lite.table.runs import Run, table_1

ROWS = (ModelConfig("vae"), ModelConfig("sdm-vae"))
PAD = STFTConfig().window_length // 2


def untrimmed(waveform: np.ndarray) -> np.ndarray:
    return normalise(waveform)


def padded_twice(waveform: np.ndarray) -> np.ndarray:
    """Mirrored edges, to which the STFT adds its zeros."""
    return np.pad(trim(normalise(waveform)), PAD, mode="reflect")


PREPARED = {"untrimmed": untrimmed, "padded-twice": padded_twice}
VARIANTS = ("unshuffled", "last-epoch", *PREPARED)


def frames_of(utterances: Iterable[Utterance], prepare: Callable) -> np.ndarray:
    spectra = (stft(prepare(utterance.waveform())) for utterance in utterances)
    return np.concatenate([np.abs(one).astype(np.float32) ** 2 for one in spectra])


def varied(run: Run, variant: str) -> Run:
    if variant == "unshuffled":
        return replace(run, training=replace(run.training, shuffle=False))
    return replace(run, variant=variant)


def trained(run: Run, corpus: Corpus, device: str = "cpu", progress: bool = False) -> TrainedRun:
    """The run, trained as its variant says."""
    parts = ("train", "validation")
    if run.variant in PREPARED:
        frames = [frames_of(corpus.parts[part], PREPARED[run.variant]) for part in parts]
    else:
        frames = [load_frames(corpus, part, progress=progress) for part in parts]
    result = train_on(run, *frames, device, progress)
    if run.variant == "last-epoch":
        kept = load_file(checkpoint_path(run, *frames))
        last = {name.removeprefix("model."): value for name, value in kept.items()}
        result.model.load_state_dict({name: last[name] for name in result.model.state_dict()})
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--seeds", type=int, default=2, help="of each variant (default: 2)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the records")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    rows = [replace(row, input=preset.input) for row in ROWS]
    runs = table_1(chosen.seeds, preset.training, rows)
    varieties = [varied(run, variant) for run in runs for variant in chosen.variants]
    run_grid(varieties, corpus, chosen.out, "cpu", train=trained)


if __name__ == "__main__":
    main()
