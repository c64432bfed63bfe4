"""Train and score two rows of the table the way the paper's released code does, one step at a time.

    python tools/run_variants.py CORPUS

Each variant changes one thing: frames in the order of the files, nothing trimmed, edges padded
twice, weights of the last epoch instead of the best. Records land in `results` beside those of
`run_table.py`; what was made before is not made again.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import delayed
from safetensors.torch import load_file
from sdmvae_lite.lockstep import TrainedRun, fit_many
from tqdm import tqdm

from sdmvae_lite.config import PRESETS, ModelConfig, STFTConfig, get_preset
from sdmvae_lite.speech.corpora import Corpus, Utterance, load_corpus
from sdmvae_lite.speech.spectra import normalise, stft, trim
from sdmvae_lite.table.grid import checkpoint_folder, make_record, train_runs
from sdmvae_lite.table.records import RESULTS, Record, check_record, write_record
from sdmvae_lite.table.runs import Run, table_1
from sdmvae_lite.workers import as_done, torch_threads

ROWS = (ModelConfig("vae"), ModelConfig("sdm-vae"))
PAD = STFTConfig().window_length // 2


def untrimmed(waveform: np.ndarray) -> np.ndarray:
    return normalise(waveform)


def padded_twice(waveform: np.ndarray) -> np.ndarray:
    """Mirrored edges, to which the STFT adds its zeros."""
    return np.pad(trim(normalise(waveform)), PAD, mode="reflect")


PREPARED = {"untrimmed": untrimmed, "padded-twice": padded_twice}
VARIANTS = ("unshuffled", "last-epoch", *PREPARED)


def frames_of(utterances: list[Utterance], prepare: Callable) -> np.ndarray:
    spectra = (stft(prepare(utterance.waveform())) for utterance in utterances)
    return np.concatenate([np.abs(one).astype(np.float32) ** 2 for one in spectra])


def trained(variant: str, run: Run, corpus: Corpus) -> TrainedRun:
    """The run, trained as the variant says."""
    folder = checkpoint_folder(corpus)
    if variant in PREPARED:
        parts = (corpus.train, corpus.validation)
        frames = (frames_of(utterances, PREPARED[variant]) for utterances in parts)
        (result,) = fit_many([run], *frames, "cpu", folder / variant, progress=False)
        return result
    (result,) = train_runs([run], corpus, "cpu", progress=False)
    if variant == "last-epoch":
        kept = load_file(folder / f"{run.name}.safetensors")
        parts = ((name.partition("."), value) for name, value in kept.items())
        result.model.load_state_dict({name: v for (kind, _, name), v in parts if kind == "model"})
    return result


def recorded(path: Path, variant: str, run: Run, corpus: Corpus) -> tuple[Path, Record]:
    with torch_threads(1):
        notes = {} if variant == "unshuffled" else {"variant": variant}  # that one is in the run
        return path, make_record(run, trained(variant, run, corpus), corpus, n_jobs=1, **notes)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--seeds", type=int, default=2, help="of each variant (default: 2)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    jobs = []
    for run in table_1(chosen.seeds, preset.training, ROWS):
        for variant in chosen.variants:
            shuffle = variant != "unshuffled"
            varied = replace(run, training=replace(run.training, shuffle=shuffle))
            row = run.model.name
            path = chosen.out / f"{corpus.name}-{row}-{variant}-seed{run.training.seed}.json"
            if path.exists():
                check_record(path, varied, corpus)
            else:
                jobs.append(delayed(recorded)(path, variant, varied, corpus))
    for path, record in tqdm(as_done(jobs, -1), total=len(jobs), unit="run"):
        write_record(path, record)


if __name__ == "__main__":
    main()
