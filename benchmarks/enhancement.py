"""Enhancement measured: mixtures in a balanced draw, every system on each, results as they come.

    OMP_NUM_THREADS=1 python -m benchmarks.enhancement CORPUS --noises FOLDER

Each utterance of a part is mixed at every SNR, with noises that go round so that speakers, noises
and SNRs meet equally often. A line of the results is a system on a mixture; what is there is not
made again. Choose nothing by test speakers: for that there are --part validation and the noises
that are made here, the default. Seconds are of this process's CPU time, on one thread.
"""

import argparse
import json
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from sdmvae_lite import SAMPLE_RATE, load_corpus, load_frames, load_model, load_pretrained
from sdmvae_lite.enhancement.em import METHODS, enhance
from sdmvae_lite.enhancement.noise import KINDS, make_noise, mix
from sdmvae_lite.scoring.metrics import Unscorable, estoi, pesq_lqo, pesq_raw, si_sdr
from sdmvae_lite.speech.corpora.audio import SUFFIXES
from sdmvae_lite.speech.spectra import istft, normalise, stft
from sdmvae_lite.store import write

from . import baselines

OUT = Path(__file__).parent / "results" / "enhancement.jsonl"
SNRS = (-5.0, 0.0, 5.0, 10.0)
NMF_FRAMES = 20_000  # of training speech, for supervised NMF


def si_parts(speech, noise, estimate):
    """SI-SIR and SI-SAR in dB: interference and artefacts of SI-SDR (Le Roux et al., 2019)."""
    basis = np.stack([speech, noise], axis=1)
    heard = basis @ np.linalg.lstsq(basis, estimate, rcond=None)[0]
    target = (speech @ estimate) / (speech @ speech) * speech
    powers = [np.sum(each**2) for each in (target, heard - target, estimate - heard)]
    sir, sar = (10 * np.log10(powers[0] / max(each, 1e-12)) for each in powers[1:])
    return {"si_sir": sir, "si_sar": sar}


def scores(speech, noise, estimate):
    found = si_parts(speech, noise, estimate)
    measures = {"pesq_raw": pesq_raw, "pesq_wb": partial(pesq_lqo, band="wb")}
    for name, measure in (measures | {"estoi": estoi, "si_sdr": si_sdr}).items():
        try:
            found[name] = measure(speech, estimate)
        except Unscorable:
            found[name] = None
    return {name: value and round(float(value), 4) for name, value in found.items()}


def mixtures(utterances, noises, snrs, voices):
    """Key, clean speech, noise and mixture of each draw, made when they are asked for."""
    speakers = list(dict.fromkeys(each.speaker for each in utterances))
    spoken = defaultdict(int)
    for number, utterance in enumerate(utterances):
        turn = speakers.index(utterance.speaker) + spoken[utterance.speaker]
        spoken[utterance.speaker] += 1
        speech = normalise(utterance.waveform()).astype(np.float64)
        for level, snr in enumerate(snrs):
            kind, rng = noises[(turn + level) % len(noises)], np.random.default_rng([number, level])
            key = {"utterance": utterance.id, "noise": Path(kind).stem, "snr": snr}
            noise = make_noise(kind, len(speech) / SAMPLE_RATE, rng, voices)
            mixture = mix(speech, noise, snr)
            yield key, speech, mixture - speech, mixture


def systems(models, methods, seeds, patterns):
    """By name, what takes clean speech, noise and their mixture to an estimate of the speech."""
    yield "mixture", lambda speech, noise, mixture: mixture
    yield "log-MMSE", lambda s, b, x: by_gain(x, baselines.log_mmse(power(x)))
    yield "NMF", lambda s, b, x: by_gain(x, baselines.supervised_nmf(power(x), patterns()))
    known = {"known powers": baselines.known_powers, "known speech": baselines.known_speech}
    for name, gain in known.items():
        yield name, lambda s, b, x, gain=gain: by_gain(x, gain(power(s), power(b)))
    for name in models:
        model = load_model(name) if Path(name).is_dir() else load_pretrained(name)
        gain = partial(baselines.known_noise, model)
        yield f"{name} known noise", lambda s, b, x, g=gain: by_gain(x, g(power(s), power(b)))
        for method in methods:
            for seed in range(seeds):
                one = partial(enhance, model, method=method, seed=seed)
                yield f"{name} {method} {seed}", lambda s, b, x, one=one: one(x).speech


def power(waveform):
    return np.abs(stft(waveform)) ** 2


def by_gain(mixture, gain):
    return istft(gain * stft(mixture), len(mixture))


def read(path):
    """The results so far; a last line that was cut off is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def table(rows):
    """Means by system and SNR, as text."""
    names = ("si_sdr", "si_sir", "si_sar", "pesq_raw", "pesq_wb", "estoi", "rtf")
    lines = [f"{'system':<34}{'SNR':>6}{'n':>5}" + "".join(f"{name:>10}" for name in names)]
    groups = defaultdict(list)
    for row in rows:
        groups[row["system"], row["snr"]].append(row)
    for (system, snr), group in groups.items():
        means = (np.mean([r[n] for r in group if r[n] is not None] or [np.nan]) for n in names)
        cells = "".join(f"{mean:10.3f}" for mean in means)
        lines.append(f"{system:<34}{snr:6g}{len(group):5}{cells}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--utterances", type=int, help="the first so many; all by default")
    parser.add_argument("--noises", type=Path, help="a folder of sounds; made here by default")
    parser.add_argument("--snrs", type=float, nargs="+", default=SNRS)
    parser.add_argument("--models", nargs="+", default=["vae-32-log", "sdm-identity-32-log"])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, default=1, help="of the samples")
    parser.add_argument("--only", nargs="+", help="the systems whose names begin so")
    parser.add_argument("--out", type=Path, default=OUT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus)
    files = sorted(chosen.noises.iterdir()) if chosen.noises else []
    noises = [str(file) for file in files if file.suffix.lower() in SUFFIXES] or list(KINDS)
    learned = []

    def patterns():
        if not learned:
            frames = load_frames(corpus, "train", progress=False)
            rows = np.random.default_rng(0).permutation(len(frames))[:NMF_FRAMES]
            learned.append(baselines.speech_patterns(torch.as_tensor(frames[np.sort(rows)])))
        return learned[0]

    ready = dict(systems(chosen.models, chosen.methods, chosen.seeds, patterns))
    wanted = [name for name in ready if not chosen.only or name.startswith(tuple(chosen.only))]
    if "NMF" in wanted:
        patterns()
    rows = read(chosen.out)
    done = {(row["system"], row["utterance"], row["noise"], row["snr"]) for row in rows}
    write(chosen.out, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    utterances = corpus.parts[chosen.part][: chosen.utterances]
    with chosen.out.open("a", encoding="utf-8") as out:
        for key, *waveforms in mixtures(utterances, noises, chosen.snrs, corpus.train):
            for system in wanted:
                if (system, *key.values()) in done:
                    continue
                started = time.process_time()
                estimate = ready[system](*waveforms)
                seconds = time.process_time() - started
                found = scores(*waveforms[:2], estimate)
                rtf = round(seconds / (len(estimate) / SAMPLE_RATE), 4)
                row = {"system": system} | key | found | {"rtf": rtf}
                print(json.dumps(row), file=out, flush=True)
    print(table(read(chosen.out)))


if __name__ == "__main__":
    main()
