"""Two voices at once, taken apart with one decoder for both or a decoder for each speaker.

    OMP_NUM_THREADS=1 python -m benchmarks.two_speakers CORPUS --weights FOLDER

Every two speakers of a part are mixed once, at 0 dB, in the first sentence of both or the second.
All other sentences adapt a copy of the model to a speaker. In how many steps, and at which rate, is
chosen with one training on every other pair of validation speakers, by SI-SDR. What is there is not
measured again.
"""

import csv
from collections import defaultdict
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import torch

from sdmvae_lite import load_model
from sdmvae_lite.enhancement.em import decoded
from sdmvae_lite.enhancement.noise import mix
from sdmvae_lite.enhancement.sampling import langevin
from sdmvae_lite.model.divergences import complex_gaussian_nll
from sdmvae_lite.model.models import loss
from sdmvae_lite.scoring.metrics import si_sdr
from sdmvae_lite.speech.spectra import istft, normalise, stft

from .recipe import keep
from .weights import of_weights, opened

MODELS = "vae-32-log-cosine-seed*"
HELD_OUT = 2  # sentences of each speaker, which are mixed
BATCH = 128
TRIED = ((300, 1e-3), (1000, 1e-3), (3000, 1e-3), (1000, 3e-3))
ROUNDS, STEPS, KEPT = 20, 10, 40  # after every round of Langevin steps an exchange is proposed
HEARD = 1e-4  # of the loudest frame: those that are more than 40 dB below it are not counted
MEASURES = ("si_sdr", "assigned", "wrong")


def said(utterances):
    """Waveforms of each speaker."""
    found = defaultdict(list)
    for each in utterances:
        found[each.speaker].append(normalise(each.waveform()).astype(np.float64))
    return found


def pairs(spoken):
    """Every two speakers, and a sentence of each: as long as the shorter, equally loud, peak 1."""
    for number, two in enumerate(combinations(spoken, 2)):
        first, second = (spoken[speaker][number % HELD_OUT] for speaker in two)
        length = min(len(first), len(second))
        both = mix(first[:length], second[:length], 0.0)
        voices = np.stack([first[:length], both - first[:length]])
        yield two, voices / np.abs(both).max()


def power(waveform):
    return torch.from_numpy(np.abs(stft(waveform)) ** 2).float()


def adapted(path, waveforms, steps, rate):
    """A copy of a model after so many steps of Adam, at a rate that falls to zero by a cosine."""
    model, draws = load_model(path), torch.Generator().manual_seed(0)
    frames = torch.cat([power(each) for each in waveforms])
    adam = torch.optim.Adam(model.parameters(), rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for _ in range(steps):
        batch = frames[torch.randint(len(frames), (BATCH,), generator=draws)]
        adam.zero_grad()
        sum(loss(model, batch, model(batch, generator=draws))).backward()
        adam.step()
        falling.step()
    return model.requires_grad_(False)


def separated(models, mixture, exchange=False, seed=0):
    """Gains (n_frames, 2, n_bins) of two voices, their codes drawn given the mixture's powers.

    The two codes of a frame are beside each other. To exchange them is its own way back, so that
    it is accepted with the ratio of densities, as a step of a random walk is.
    """
    size, draws = models[0].config.code_size, torch.Generator().manual_seed(seed)

    def density(codes):
        voices = [decoded(m, z) for m, z in zip(models, codes.split(size, dim=1), strict=True)]
        likelihood = complex_gaussian_nll(mixture, sum(voices).log()).sum(dim=1)
        return -likelihood - 0.5 * codes.square().sum(dim=1), torch.stack(voices, dim=1)

    scale = torch.cat([model(mixture, sample=False).variance.sqrt() for model in models], dim=1)
    codes, step = torch.randn(scale.shape, generator=draws), 0.5
    for _ in range(ROUNDS):
        walk = langevin(density, codes, scale, STEPS - 1, 1, draws, step)
        codes, step = walk.codes[-1], walk.step
        if exchange:
            other = codes.roll(size, dims=1)
            ratio = density(other)[0] - density(codes)[0]
            accept = torch.rand(len(codes), generator=draws).log() < ratio
            codes = torch.where(accept[:, None], other, codes)
    return shares(langevin(density, codes, scale, 0, KEPT, draws, step).kept).mean(dim=0)


def shares(variances):
    """Wiener gains of two voices by their variances, (..., 2, n_bins)."""
    return variances / variances.sum(dim=-2, keepdim=True)


def judged(voices, gains, ordered=True):
    """How far two voices are apart, for gains (n_frames, 2, n_bins).

    ``si_sdr`` is above the mixture's, in dB, the mean of both voices; ``assigned`` the same once
    the frames are exchanged that are nearer to the voices then; ``wrong`` the share of those.
    Outputs that are in no order are exchanged in all frames if that is better by SI-SDR.
    """
    mixture = voices.sum(axis=0)
    spectrum = stft(mixture)
    made, true = gains.numpy() * spectrum[:, None], np.stack([stft(v) for v in voices], axis=1)
    found, turned = (_nearness(voices, each, mixture) for each in (made, made[:, ::-1]))
    if not ordered and turned > found:
        made, found = made[:, ::-1], turned
    errors = [
        np.square(np.abs(each) - np.abs(true)).sum(axis=(1, 2)) for each in (made, made[:, ::-1])
    ]
    wrong, loud = errors[1] < errors[0], np.square(np.abs(spectrum)).sum(axis=1)
    best = np.where(wrong[:, None, None], made[:, ::-1], made)
    share = wrong[loud > HEARD * loud.max()].mean()
    values = (found, _nearness(voices, best, mixture), share)
    return {name: round(float(value), 4) for name, value in zip(MEASURES, values, strict=True)}


def _nearness(voices, spectra, mixture):
    made = [istft(spectra[:, number], len(mixture)) for number in (0, 1)]
    return np.mean([si_sdr(v, m) - si_sdr(v, mixture) for v, m in zip(voices, made, strict=True)])


def own(model, voices):
    """Gains of the variances that a model gives the clean voices."""
    codes = [model(power(each), sample=False).code for each in voices]
    return shares(torch.stack([decoded(model, code) for code in codes], dim=1))


SYSTEMS = {  # of a model, copies adapted to two speakers, and their voices
    "one": lambda model, two, voices: separated([model, model], power(sum(voices))),
    "each": lambda model, two, voices: separated(two, power(sum(voices))),
    "exchange": lambda model, two, voices: separated(two, power(sum(voices)), exchange=True),
    "own": lambda model, two, voices: own(model, voices),
}


def measured(path, spoken, steps, rate, systems=tuple(SYSTEMS), every=1):
    """Of each system the measures of every mixture, or of every so many, as lists."""
    model, copies = load_model(path).requires_grad_(False), {}
    for speaker, waveforms in spoken.items():
        copies[speaker] = adapted(path, waveforms[HELD_OUT:], steps, rate)
    found = {system: defaultdict(list) for system in systems}
    for speakers, voices in islice(pairs(spoken), None, None, every):
        for system in systems:
            gains = SYSTEMS[system](model, [copies[each] for each in speakers], voices)
            for name, value in judged(voices, gains, ordered=system != "one").items():
                found[system][name].append(value)
    return found


def genders(corpus):
    """Of each speaker, from the ``utterances.csv`` of a folder, where there is one."""
    path = Path(corpus, "utterances.csv")
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["speaker"]: row["gender"] for row in csv.DictReader(file)}


def main():
    chosen = of_weights(__doc__).parse_args()
    corpus, path, found = opened(chosen, "two-speakers", "trainings")
    trained = sorted(chosen.weights.glob(MODELS))
    spoken, tried = said(corpus.validation), found.setdefault("tried", {})
    for steps, rate in TRIED:
        if (name := f"{steps} steps at {rate:g}") not in tried:
            scores = measured(trained[0], spoken, steps, rate, ["exchange"], every=2)["exchange"]
            one = {measure: round(float(np.mean(scores[measure])), 4) for measure in MEASURES}
            tried[name] = {"steps": steps, "rate": rate} | one
            keep(path, found)
            print(name, one, flush=True)
    best = max(tried.values(), key=lambda each: each["si_sdr"])
    spoken, of_speaker = said(corpus.test), genders(chosen.corpus)
    found["genders"] = {speaker: of_speaker.get(speaker) for speaker in spoken}
    found["pairs"] = list(combinations(spoken, 2))
    for each in trained:
        if each.name not in found["trainings"]:
            one = measured(each, spoken, best["steps"], best["rate"])
            found["trainings"][each.name] = one
            keep(path, found)
            print(each.name, {name: np.mean(one[name]["si_sdr"]).round(2) for name in one})


if __name__ == "__main__":
    main()
