"""Enhancement measured: mixtures in a balanced draw, every system on each, results as they come.

    OMP_NUM_THREADS=1 python -m benchmarks.enhancement CORPUS --noises FOLDER --sentences 4

Each sentence is mixed at every SNR with a noise each. Of eight noises at four SNRs, every speaker
meets every noise once in two sentences, twice in four, and once at every SNR in eight. An SNR of
inf is clean input. A line of the results is a system on a mixture; what is there is not made again,
and all of it is written beside them as one record. Choose nothing by test speakers: for that there
are --part validation and the noises that are made here, the default. Seconds are of this process's
CPU time, on one thread. The system noisereduce needs `pip install sdmvae-lite[bench]`.
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
from sdmvae_lite.enhancement.em import METHODS, PRIORS, enhance
from sdmvae_lite.enhancement.noise import KINDS, make_noise, mix
from sdmvae_lite.scoring.metrics import Unscorable, estoi, pesq_lqo, pesq_raw, si_sdr
from sdmvae_lite.scoring.statistics import factors_error
from sdmvae_lite.speech.corpora.audio import SUFFIXES
from sdmvae_lite.speech.spectra import istft, normalise, stft
from sdmvae_lite.store import write

from . import baselines

OUT = Path(__file__).parent / "results" / "enhancement.jsonl"
SNRS = (-5.0, 0.0, 5.0, 10.0)
OFFSETS = (0, 4, 2, 6, 1, 5, 3, 7)  # of noises, by sentence: two make a round of eight
MEASURES = ("si_sdr", "si_sir", "si_sar", "pesq_raw", "pesq_wb", "estoi", "rtf")
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
    found = si_parts(speech, noise, estimate) if noise.any() else {}
    measures = {"pesq_raw": pesq_raw, "pesq_wb": partial(pesq_lqo, band="wb")}
    for name, measure in (measures | {"estoi": estoi, "si_sdr": si_sdr}).items():
        try:
            found[name] = float(measure(speech, estimate))
        except Unscorable:
            found[name] = np.nan
    return {name: round(value, 3) if np.isfinite(value) else None for name, value in found.items()}


def mixtures(utterances, sentences, noises, snrs, voices, half=False):
    """Key, clean speech, noise and mixture of each draw, made when they are asked for.

    They are drawn of the first so many sentences of every speaker, the first of all speakers first;
    of four SNRs a half has the outer two of one speaker, the inner two of the next.
    """
    said = defaultdict(list)
    for each in utterances:
        said[each.speaker].append(each)
    longest = max(map(len, said.values()))
    for number in range(min(sentences or longest, longest)):
        for speaker, theirs in enumerate(said.values()):
            for level, snr in enumerate(snrs if number < len(theirs) else ()):
                if half and (level in (0, 3)) != (speaker % 2 == 0):
                    continue
                speech = normalise(theirs[number].waveform()).astype(np.float64)
                turn = speaker + OFFSETS[number % len(OFFSETS)] + level
                kind = noises[turn % len(noises)]
                rng = np.random.default_rng([speaker, number, level])
                noise = make_noise(kind, len(speech) / SAMPLE_RATE, rng, voices)
                mixture = mix(speech, noise, snr)
                name, snr = ("none", "clean") if np.isinf(snr) else (Path(kind).stem, snr)
                key = {"utterance": theirs[number].id, "noise": name, "snr": snr}
                yield key, speech, mixture - speech, mixture


def systems(models, methods, priors, patterns):
    """By name, what takes clean speech, noise and their mixture to an estimate of the speech."""
    yield "mixture", lambda speech, noise, mixture: mixture
    yield "log-MMSE", lambda s, b, x: by_gain(x, baselines.log_mmse(power(x)))
    yield "noisereduce", lambda s, b, x: baselines.spectral_gate(x)
    yield "NMF", lambda s, b, x: by_gain(x, baselines.supervised_nmf(power(x), patterns()))
    known = {"known powers": baselines.known_powers, "known speech": baselines.known_speech}
    for name, gain in known.items():
        yield name, lambda s, b, x, gain=gain: by_gain(x, gain(power(s), power(b)))
    for path in models:
        model = load_model(path) if Path(path).is_dir() else load_pretrained(path)
        name, gain = Path(path).name, partial(baselines.known_noise, model)
        yield f"{name} known noise", lambda s, b, x, g=gain: by_gain(x, g(power(s), power(b)))
        for method in methods:
            for prior in priors:
                one = partial(enhance, model, method=method, prior=prior)
                label = f"{name} {method}" + f" {prior}" * (prior != PRIORS[0])
                yield label, lambda s, b, x, one=one: one(x).speech


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


def record(rows):
    """The same by mixture and system: lists as long as there are mixtures, None where none is."""
    places = {}
    for row in rows:
        places.setdefault((row["utterance"], row["noise"], row["snr"]), len(places))
    names = dict.fromkeys(row["system"] for row in rows)
    held = {name: {each: [None] * len(places) for each in MEASURES} for name in names}
    for row in rows:
        place = places[row["utterance"], row["noise"], row["snr"]]
        for measure in MEASURES:
            held[row["system"]][measure][place] = row.get(measure)
    utterances, noises, snrs = (list(each) for each in zip(*places, strict=True))
    of_mixtures = {"utterance": utterances, "noise": noises, "snr": snrs}
    return {"mixtures": of_mixtures, "systems": held}


def gained(held, above, below, measure):
    """How far systems (trainings of one) are above others, by the mixtures that all have.

    A `Measured` whose error covers other speakers, other noises and, where there are several,
    other trainings: each of them by the variance of its means, what they have together counted more
    than once, so that intervals are a little too wide rather than too narrow (Owen, 2007).
    """
    sides = [
        np.array([held["systems"][name][measure] for name in names], dtype=np.float64)
        for names in (above, below)
    ]
    common = np.isfinite(np.concatenate(sides)).all(axis=0)
    one, other = (side[:, common] for side in sides)
    gain = one.mean(axis=0) - other.mean(axis=0)
    speakers = np.array([each.split("/")[0] for each in held["mixtures"]["utterance"]])[common]
    factors = [speakers, np.array(held["mixtures"]["noise"])[common]]
    means = [np.array([gain[each == one].mean() for one in np.unique(each)]) for each in factors]
    means += [side.mean(axis=1) for side in (one, other) if len(side) > 1]
    return factors_error(float(gain.mean()), means)


def table(rows, by="snr"):
    """Means by system and SNR, or noise, as text, and by how much they are above the mixtures'."""
    lines = [f"{'system':<38}{by:>8}{'n':>5}" + "".join(f"{name:>10}" for name in MEASURES)]
    groups = defaultdict(list)
    for row in rows:
        groups[row["system"], row[by]].append(row)
    for (system, one), group in groups.items():
        held = ([r[n] for r in group if r.get(n) is not None] for n in MEASURES)
        cells = "".join(f"{np.mean(each or [np.nan]):10.3f}" for each in held)
        lines.append(f"{system:<38}{one:>8}{len(group):5}{cells}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--part", default="test", choices=["validation", "test"])
    parser.add_argument("--sentences", type=int, help="of each speaker; all by default")
    parser.add_argument("--half", action="store_true", help="two SNRs of each sentence, in turn")
    parser.add_argument("--noises", type=Path, help="a folder of sounds; made here by default")
    parser.add_argument("--snrs", type=float, nargs="+", default=SNRS)
    parser.add_argument("--models", nargs="*", default=["vae-32-log", "sdm-identity-32-log"])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--priors", nargs="+", default=[PRIORS[0]], choices=list(PRIORS))
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

    ready = dict(systems(chosen.models, chosen.methods, chosen.priors, patterns))
    wanted = [name for name in ready if not chosen.only or name.startswith(tuple(chosen.only))]
    if "NMF" in wanted:
        patterns()
    rows = read(chosen.out)
    done = {(row["system"], row["utterance"], row["noise"], row["snr"]) for row in rows}
    write(chosen.out, "".join(f"{json.dumps(row)}\n" for row in rows).encode())
    utterances = corpus.parts[chosen.part]
    draw = (utterances, chosen.sentences, noises, chosen.snrs, corpus.train, chosen.half)
    with chosen.out.open("a", encoding="utf-8") as out:
        for key, *waveforms in mixtures(*draw):
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
    rows = read(chosen.out)
    held = record(rows)
    write(chosen.out.with_suffix(".json"), json.dumps(held, separators=(",", ":")).encode())
    print(table(rows), table(rows, "noise"), sep="\n\n")
    for name in held["systems"]:
        if name != "mixture" and "mixture" in held["systems"]:
            gain = gained(held, [name], ["mixture"], "si_sdr").interval()
            print(f"{name}: SI-SDR {gain:+.2f} dB above the mixture")


if __name__ == "__main__":
    main()
