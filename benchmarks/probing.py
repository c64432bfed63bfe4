"""What the coefficients of codes tell about phones, held against controls: one file of results.

    OMP_NUM_THREADS=1 python -m benchmarks.probing CORPUS --weights FOLDER

FOLDER holds the models that `after_the_paper --weights` kept; all seeds that are there are probed,
and what was found before is not looked for again. Everything is chosen and fitted on some sentences
of each validation speaker, and measured on test speakers. PCA and NMF are fitted to the training
speakers of CORPUS. For the labels see `phones`, for the measures `selectivity`.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.fft import dct
from sklearn.decomposition import PCA
from sklearn.linear_model import orthogonal_mp_gram

from sdmvae_lite import ModelConfig, build_model, load_corpus, load_frames, load_model
from sdmvae_lite.model.models import INPUT_FLOOR
from sdmvae_lite.speech.spectra import normalise, stft

from .baselines import speech_patterns
from .phones import CLASSES, NO_CLASS, agreement, labelled
from .recipe import first_of_each, keep
from .selectivity import auroc, balanced_accuracy, by_speaker, chosen, probe, shifted, strata
from .weights import of_weights, opened

SENTENCES = 8  # of each speaker
FITTED = 5_000  # training frames, for PCA and NMF
CONTROLS = 3  # seeds of each code that is drawn
SIZE, ATOMS, NONZERO = 64, 128, 16
COUNTS = (1, 2, 5)  # coefficients that a probe sees; and all
MODELS = (
    *("loglinear-learned-128-dearest16", "loglinear-learned-64", "loglinear-dct-64"),
    *("sdm-identity-64", "vae-64", "student-64"),
)
UNTRAINED = ModelConfig(
    "loglinear-vae", m=ATOMS, dictionary="learned", nonzero=NONZERO, input="log-power"
)


class Frames(NamedTuple):
    """Frames with a label."""

    power: np.ndarray  # (n, n_bins)
    classes: np.ndarray  # (n,)
    speakers: np.ndarray  # (n,)


def labelled_frames(utterances, folder):
    """The frames of some utterances that have a label."""
    found, parts = labelled(utterances, folder), []
    for each in utterances:
        if each.id in found:
            power = np.abs(stft(normalise(each.waveform()))) ** 2
            kept = found[each.id] != NO_CLASS
            speaker = np.full(kept.sum(), each.speaker)
            parts.append((power[kept], found[each.id][kept], speaker))
    return Frames(*map(np.concatenate, zip(*parts, strict=True)))


@torch.no_grad()
def posterior_mean(model, power):
    """A model's code, (n, code_size), without what its sparsity sets to zero."""
    return model(torch.from_numpy(power).float(), sample=False).code.double().numpy()


def level(power):
    """The level of frames in dB, (n, 1): a code of one coefficient, which every probe has too."""
    return 10 * np.log10(power.mean(axis=1, keepdims=True) + INPUT_FLOOR)


def log_spectrum(power):
    return np.log(power + INPUT_FLOOR)


def cepstrum(power):
    return dct(log_spectrum(power), norm="ortho", axis=1)[:, :SIZE]


def components(pca, power):
    return pca.transform(log_spectrum(power))


def patterns(train, seed):
    return speech_patterns(torch.from_numpy(train), SIZE, seed=seed)


def activities(found, power, iterations=50):
    """The logarithms of the weights of given patterns, by Itakura-Saito NMF."""
    power = torch.from_numpy(power).float() + INPUT_FLOOR
    weight = (power.mean(dim=1, keepdim=True) / len(found)).repeat(1, len(found))
    for _ in range(iterations):
        total = weight @ found
        ratio = ((power / total.square()) @ found.T) / (total.reciprocal() @ found.T)
        weight = weight * ratio.sqrt()
    return np.log(weight.double().numpy() + INPUT_FLOOR)


def random_atoms(mean, seed, power):
    """The 16 that orthogonal matching pursuit takes of 128 random atoms, for each log-spectrum."""
    atoms = np.random.default_rng(seed).standard_normal((len(mean), ATOMS))
    wanted = (log_spectrum(power) - mean) @ atoms
    return orthogonal_mp_gram(atoms.T @ atoms, wanted.T, n_nonzero_coefs=NONZERO).T


def untrained(train, seed):
    model = build_model(UNTRAINED, seed)
    model.prepare([torch.from_numpy(train)])
    return partial(posterior_mean, model.eval())


def codes(train, weights):
    """Name, seed, and what makes the function from powers (n, n_bins) to a code (n, any)."""
    for name in MODELS:
        for folder in sorted(weights.glob(f"{name}-log-cosine-seed*")):
            seed = int(folder.name.rpartition("seed")[2])
            yield name, seed, lambda at=folder: partial(posterior_mean, load_model(at))
    yield "level", 0, lambda: level
    yield "log-spectrum", 0, lambda: log_spectrum
    yield "cepstrum", 0, lambda: cepstrum
    yield "pca", 0, lambda: partial(components, PCA(SIZE, random_state=0).fit(log_spectrum(train)))
    mean = log_spectrum(train).mean(axis=0)
    for seed in range(CONTROLS):
        yield "random-atoms", seed, lambda at=seed: partial(random_atoms, mean, at)
        yield "untrained", seed, lambda at=seed: untrained(train, at)
        yield "nmf", seed, lambda at=seed: partial(activities, patterns(train, at))


def measured(values, others, fit, test):
    """For each class, what is chosen and fitted on the codes of one part, found on the other.

    Of the coefficient with the highest AUROC among frames of one speaker and about one level: its
    number, and its AUROC for each test speaker. The same among all frames of a speaker. And the
    balanced accuracies of probes, by how many coefficients they see.
    """
    levels, other_levels = level(fit.power), level(test.power)
    both = ((levels, fit), (other_levels, test))
    groups = {
        "auroc": tuple(strata(one[:, 0], part.speakers) for one, part in both),
        "auroc, any level": tuple(strata(one[:, 0], part.speakers, 1) for one, part in both),
    }
    values, levels = (by_speaker(one, fit.speakers) for one in (values, levels))
    others, other_levels = (by_speaker(one, test.speakers) for one in (others, other_levels))
    beside, other_beside = (np.hstack([one, one**2]) for one in (levels, other_levels))
    voices = [test.speakers == speaker for speaker in np.unique(test.speakers)]
    inside, wanted_inside = (
        part.classes[:, None] == np.arange(len(CLASSES)) for part in (fit, test)
    )
    found = {name: {} for name in CLASSES}
    for key, (alike, other_alike) in groups.items():
        distance = auroc(values, inside, alike) - 0.5
        best = np.abs(distance).argmax(axis=1)
        columns = np.sign(distance[np.arange(len(best)), best]) * others[:, best]
        reached = [auroc(columns[at], wanted_inside[at], other_alike[at]) for at in voices]
        for number, one in enumerate(found.values()):
            one[f"{key}, coefficient"] = best[number]
            one[key] = [scores[number, number] for scores in reached]
    for number, one in enumerate(found.values()):
        positive, wanted = inside[:, number], wanted_inside[:, number]
        taken = chosen(values, positive, beside, max(COUNTS))
        picks = {n: taken[:n] for n in COUNTS} | {"all": slice(None)}
        for count, pick in picks.items():
            columns = np.hstack([beside, values[:, pick]])
            said = probe(columns, positive, np.hstack([other_beside, others[:, pick]]))
            one[str(count)] = [balanced_accuracy(said[at], wanted[at]) for at in voices]
        for key, scores in one.items():
            one[key] = np.round(scores, 4).tolist()
    return found


def main():
    parser = of_weights(__doc__)
    parser.add_argument("--sentences", type=int, default=SENTENCES, help="of each speaker")
    given = parser.parse_args()
    corpus, path, found = opened(given, "probing", "codes")
    if "alignment" not in found:
        found["alignment"] = agreement(first_of_each(load_corpus("synthetic").test, 4))
    fit, test = (
        labelled_frames(first_of_each(part, given.sentences), given.corpus)
        for part in (corpus.validation, corpus.test)
    )
    found["speakers"] = np.unique(test.speakers).tolist()
    found["frames"] = {
        name: {each: int((part.classes == number).sum()) for number, each in enumerate(CLASSES)}
        for name, part in (("fit", fit), ("test", test))
    }
    frames = load_frames(corpus, "train", progress=False)
    some = np.random.default_rng(0).permutation(len(frames))[:FITTED]
    for name, seed, make in codes(np.array(frames[np.sort(some)]), given.weights):
        seeds = found["codes"].setdefault(name, {})
        if str(seed) not in seeds:
            code, rng = make(), np.random.default_rng(seed)
            both = code(fit.power), code(test.power)
            null = (
                part._replace(classes=shifted(part.classes, part.speakers, rng))
                for part in (fit, test)
            )
            seeds[str(seed)] = {
                "code": measured(*both, fit, test),
                "shifted labels": measured(*both, *null),
            }
            keep(path, found)
            means = {
                key: np.mean([one[key] for one in seeds[str(seed)]["code"].values()])
                for key in ("auroc", "1", "5", "all")
            }
            print(name, seed, *(f"{key} {mean:.3f}" for key, mean in means.items()), flush=True)


if __name__ == "__main__":
    main()
