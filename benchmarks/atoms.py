"""Are atoms found again? Learned dictionaries of log-spectra from several seeds, against chance.

    OMP_NUM_THREADS=1 python -m benchmarks.atoms CORPUS --weights FOLDER

The folder holds models by the names of their runs, as `benchmarks.after_the_paper --weights` keeps
them. Atoms of two seeds, those in use on test speakers, are matched one to one for the largest sum
of |cosine|. What chance alone gives is measured twice: with the other dictionary *rotated*, its
coefficients mixed at random at the size that they have, which leaves the covariance of the spectra
as it is; and with *smooth* curves, the other's atoms with random signs in their cosine transform.
The principal components of the training log-spectra take part as one more seed.
"""

import argparse
import itertools
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from scipy.fft import dct, idct
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment

from sdmvae_lite import load_corpus, load_frames, load_model
from sdmvae_lite.model.models import INPUT_FLOOR
from sdmvae_lite.table.records import results_folder

from .recipe import keep, resumed

NAMES = re.compile(r"(loglinear-learned-.+)-seed(\d+)")
COMPONENTS = "components"
DRAWS = 20  # of each kind of chance
IDLE = 0.01  # nats of a coefficient, and share of frames of an atom, up to there
TWINS = 0.9  # |cosine| from there on


def cosines(one, other):
    """Magnitudes of the cosines between the columns of two dictionaries."""
    unit = [each / np.linalg.norm(each, axis=0) for each in (one, other)]
    return np.abs(unit[0].T @ unit[1])


def matched(one, other):
    """Mean |cosine| of the pairs of a matching whose sum is largest."""
    found = cosines(one, other)
    return found[linear_sum_assignment(found, maximize=True)].mean()


def rotated(curves, rng):
    """The curves times a random rotation."""
    return curves @ np.linalg.qr(rng.standard_normal((curves.shape[1], curves.shape[1])))[0]


def smooth(curves, rng):
    """Random curves, as smooth as these."""
    signs = rng.choice([-1, 1], size=curves.shape)
    return idct(signs * dct(curves, axis=0, norm="ortho"), axis=0, norm="ortho")


def compared(one, other, rng):
    """How alike two dictionaries are, and how alike chance would make them.

    A curve is an atom times the root mean square of its coefficient.
    """
    chance = {
        "rotated": [matched(one, rotated(other, rng)) for _ in range(DRAWS)],
        "smooth": [matched(one, smooth(other, rng)) for _ in range(DRAWS)],
        "smooth, space": [shared(one, smooth(other, rng)) for _ in range(DRAWS)],
    }
    found = {"matched": matched(one, other), "space": shared(one, other)}
    found["median angle"] = np.median(np.degrees(subspace_angles(one, other)))
    for name, draws in chance.items():
        found |= {name: np.mean(draws), f"{name}, spread": np.std(draws, ddof=1)}
    return {name: round(float(value), 4) for name, value in found.items()}


def shared(one, other):
    """Mean squared cosine of the principal angles between two spans: one if one holds the other."""
    return np.square(np.cos(subspace_angles(one, other))).mean()


@torch.no_grad()
def in_use(model, frames):
    """Share of frames in which each atom is at work, and the rms of its coefficient."""
    output = model(frames, sample=False)
    working = (output.code != 0) & (output.kl > IDLE)
    return working.float().mean(dim=0).numpy(), output.code.square().mean(dim=0).sqrt().numpy()


def described(model, frames):
    """Use and coherence of a model's atoms; and the curves of those in use."""
    share, rms = in_use(model, frames)
    used = share > IDLE
    curves = (model.atoms().detach().numpy() * rms)[:, used].astype(np.float64)
    between = cosines(curves, curves)[np.triu_indices(used.sum(), 1)]
    found = {
        "used": int(used.sum()),
        "always on": int((share > 1 - IDLE).sum()),
        "coherence": round(float(between.max()), 4),
        "mean coherence": round(float(between.mean()), 4),
        "twins": int((between > TWINS).sum()),
    }
    return found, curves


def components(frames):
    """Principal components of log-spectra, each times the standard deviation along it."""
    rows, sums = 0, np.zeros(frames.shape[1])
    squares = np.zeros((frames.shape[1],) * 2)
    for start in range(0, len(frames), 8192):
        log = np.log(np.asarray(frames[start : start + 8192], dtype=np.float64) + INPUT_FLOOR)
        rows, sums, squares = rows + len(log), sums + log.sum(axis=0), squares + log.T @ log
    mean = sums / rows
    values, directions = np.linalg.eigh(squares / rows - np.outer(mean, mean))
    noise = np.pi**2 / 6  # the variance of the logarithm of an exponential variable
    return (directions * np.sqrt(np.maximum(values - noise, 1e-9)))[:, ::-1]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the models")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the results")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    corpus = load_corpus(chosen.corpus)
    path = chosen.out / f"{corpus.name}-atoms.json"
    found, rows = resumed(path, corpus, "rows"), defaultdict(list)
    for folder in sorted(chosen.weights.iterdir()):
        if name := NAMES.fullmatch(folder.name):
            rows[name[1]].append(name[2])
    test = torch.as_tensor(np.asarray(load_frames(corpus, "test", progress=False)))
    principal = components(load_frames(corpus, "train", progress=False))
    for row, seeds in rows.items():
        if len(seeds) < 2:
            continue
        one = found["rows"].setdefault(row, {"seeds": {}, "pairs": {}})
        curves = {}
        for seed in seeds:
            model = load_model(chosen.weights / f"{row}-seed{seed}")
            one["seeds"][seed], curves[seed] = described(model, test)
        curves[COMPONENTS] = principal[:, : model.config.m]
        for pair in itertools.combinations(curves, 2):
            if (name := " and ".join(pair)) not in one["pairs"]:
                rng = np.random.default_rng(0)
                one["pairs"][name] = compared(*(curves[each] for each in pair), rng)
        keep(path, found)
        print(f"{row}, {len(seeds)} seeds: {one}", flush=True)


if __name__ == "__main__":
    main()
