"""Speech to frames, and scores: how many times faster than the speech is spoken."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile

from sdmvae_lite import (
    SAMPLE_RATE,
    ModelConfig,
    build_model,
    evaluate,
    load_corpus,
    load_frames,
)
from sdmvae_lite.scoring import evaluation
from sdmvae_lite.speech.corpora import Corpus
from sdmvae_lite.speech.spectra import normalise, power_and_phase, stft, trim

from .clock import in_rounds, seconds, spread


def measure(minutes: float, rounds: int, cores: int) -> dict:
    """On speech in WAV files, so that reading them counts and synthesising them does not."""
    with tempfile.TemporaryDirectory() as name:
        corpus = write_wavs(load_corpus("synthetic", minutes=minutes), Path(name) / "speech")
        return {
            "frames, times real time": frames(corpus, Path(name), rounds, cores),
            "scoring": scoring(corpus, rounds, cores),
        }


def write_wavs(corpus: Corpus, folder: Path) -> Corpus:
    for part, utterances in corpus.parts.items():
        for utterance in utterances:
            path = folder / part / utterance.speaker / f"{utterance.name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, utterance.waveform(), SAMPLE_RATE)
    return load_corpus(folder)


def frames(corpus: Corpus, folder: Path, rounds: int, cores: int) -> dict:
    """Times real time: utterance by utterance through librosa, and `load_frames`."""
    spoken = 60 * corpus.minutes("train")
    corpus.fingerprint  # noqa: B018  (reads every file once, so that all find them cached)

    def stored(n_jobs: int) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as store:
            return spoken / seconds(
                lambda: load_frames(
                    corpus, "train", folder=Path(store), n_jobs=n_jobs, progress=False
                )
            )

    def by_librosa() -> float:
        return spoken / seconds(
            lambda: [
                power_and_phase(stft(trim(normalise(utterance.waveform()))))[0]
                for utterance in corpus.train
            ]
        )

    candidates = {"librosa, one core": by_librosa, "load_frames, one core": lambda: stored(1)}
    candidates[f"load_frames, {cores} cores"] = lambda: stored(cores)
    return {name: spread(figures) for name, figures in in_rounds(candidates, rounds).items()}


def scoring(corpus: Corpus, rounds: int, cores: int) -> dict:
    """Times real time, and what scoring costs beside the metrics' own time on one core."""
    model, spoken = build_model(ModelConfig(), 0).eval(), 60 * corpus.minutes("test")
    within: list[float] = []

    def scored(n_jobs: int) -> float:
        return seconds(lambda: evaluate(model, corpus.test, n_jobs=n_jobs, progress=False))

    def overhead() -> float:
        within.clear()
        with timed_metrics(within):
            return scored(1) / sum(within) - 1

    candidates = {
        "overhead, one core": overhead,
        "times real time, one core": lambda: spoken / scored(1),
        f"times real time, {cores} cores": lambda: spoken / scored(cores),
    }
    return {name: spread(figures) for name, figures in in_rounds(candidates, rounds).items()}


@contextmanager
def timed_metrics(within: list[float]) -> Iterator[None]:
    """Let every metric note how long it took."""

    def timed(compute):
        def computed(result):
            started = time.perf_counter()
            value = compute(result)
            within.append(time.perf_counter() - started)
            return value

        return computed

    before = dict(evaluation.METRICS)
    evaluation.METRICS.update({name: timed(compute) for name, compute in before.items()})
    try:
        yield
    finally:
        evaluation.METRICS.update(before)
