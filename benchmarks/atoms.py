"""Are atoms found again? Learned dictionaries of log-spectra from several seeds, against chance.

    OMP_NUM_THREADS=1 python -m benchmarks.atoms CORPUS --weights FOLDER

The folder holds models as `benchmarks.after_the_paper --weights` keeps them. Atoms in use on test
speakers are matched one to one, two seeds at a time, principal components being one more seed.
Chance is the other dictionary *rotated*, which leaves the covariance of its spectra, or *smooth*
curves: its atoms with random signs in their cosine transform.
"""

import itertools
import re

import numpy as np
import torch
from scipy.fft import dct, idct
from scipy.linalg import subspace_angles
from scipy.optimize import linear_sum_assignment

from sdmvae_lite import load_frames, load_model
from sdmvae_lite.model.models import INPUT_FLOOR

from .recipe import keep
from .weights import of_weights, opened

NAMES = re.compile(r"(loglinear-learned-.+)-seed(\d+)")
MEASURES = ("matched", "close", "shared", "angle")
DRAWS = 20  # of each kind of chance
IDLE = 0.01  # nats of a coefficient, share of frames of an atom, up to there
FINE = 40  # a cosine of so many half periods, or more, repeats itself within 400 Hz


def cosines(one, other):
    """Magnitudes of the cosines between the columns of two dictionaries."""
    unit = [each / np.linalg.norm(each, axis=0) for each in (one, other)]
    return np.abs(unit[0].T @ unit[1])


def alike(one, other):
    """The MEASURES of two dictionaries.

    Mean |cosine| of columns that are matched one to one for the largest sum, and the share of these
    above 0.8; mean squared cosine of the principal angles between the spans, and their median.
    """
    found = cosines(one, other)
    pairs, angles = found[linear_sum_assignment(found, maximize=True)], subspace_angles(one, other)
    space = np.square(np.cos(angles)).mean(), np.degrees(np.median(angles))
    return np.array([pairs.mean(), (pairs > 0.8).mean(), *space])


def rotated(curves, rng):
    """The curves times a random rotation."""
    return curves @ np.linalg.qr(rng.standard_normal(2 * curves.shape[1:]))[0]


def smooth(curves, rng):
    """Random curves, as smooth as these."""
    signs = rng.choice([-1, 1], size=curves.shape)
    return idct(signs * dct(curves, axis=0, norm="ortho"), axis=0, norm="ortho")


def compared(one, other):
    """How alike two dictionaries are and chance makes them; atoms come times their code's rms."""
    rng, found = np.random.default_rng(0), dict(zip(MEASURES, alike(one, other), strict=True))
    for draw in (rotated, smooth):
        draws = np.transpose([alike(one, draw(other, rng)) for _ in range(DRAWS)])
        for name, values in zip(MEASURES, draws, strict=True):
            found[f"{name}, {draw.__name__}"] = values.mean()
            found[f"{name}, {draw.__name__}, spread"] = values.std(ddof=1)
    return {name: round(float(value), 4) for name, value in found.items()}


@torch.no_grad()
def in_use(model, frames):
    """Share of frames in which each atom is at work, and the rms of its coefficient."""
    output = model(frames, sample=False)
    working = (output.code != 0) & (output.kl > IDLE)
    return working.float().mean(dim=0).numpy(), output.code.square().mean(dim=0).sqrt().numpy()


@torch.no_grad()
def described(model, frames):
    """What a model's atoms are like, and those in use, times the rms of their coefficients."""
    (share, rms), atoms = in_use(model, frames), model.atoms().double().numpy()
    used = share > IDLE
    between = cosines(atoms[:, used], atoms[:, used])[np.triu_indices(used.sum(), 1)]
    power = dct(atoms[:, used], axis=0, norm="ortho") ** 2
    found = {
        "used": int(used.sum()),
        "always on": int((share > 1 - IDLE).sum()),
        "coherence": round(float(between.max()), 4),
        "mean coherence": round(float(between.mean()), 4),
        "twins": int((between > 0.9).sum()),
        "fine": (power[FINE:].sum(axis=0) / power.sum(axis=0)).round(3).tolist(),
    }
    if model.config.prior == "normal" and model.config.nonzero is None:
        axes, rng = atoms * model.log_scale.exp().numpy(), np.random.default_rng(0)
        draws = [lost(rotated(axes, rng)) for _ in range(DRAWS)]
        found |= {"lost": round(lost(axes), 3), "lost, rotated": round(np.mean(draws), 3)}
    return found, (atoms * rms)[:, used]


def lost(axes):
    """Nats a frame that an independent posterior loses: its precision should be I + axes' axes."""
    precision = np.eye(axes.shape[1]) + axes.T @ axes
    return float(np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2


def components(frames):
    """Principal components of log-spectra, each times the deviation that is no noise of a bin."""
    log = (np.log(each.astype(np.float64) + INPUT_FLOOR) for each in np.array_split(frames, 50))
    sums = [(len(each), each.sum(axis=0), each.T @ each) for each in log]
    count, mean, squares = (sum(column) for column in zip(*sums, strict=True))
    values, directions = np.linalg.eigh(squares / count - np.outer(mean, mean) / count**2)
    noise = np.pi**2 / 6  # the variance of an exponential variable's logarithm
    return (directions * np.sqrt(np.maximum(values - noise, 1e-9)))[:, ::-1]


def main(arguments=None):
    chosen = of_weights(__doc__).parse_args(arguments)
    corpus, path, found = opened(chosen, "atoms", "rows")
    names = (NAMES.fullmatch(folder.name) for folder in sorted(chosen.weights.iterdir()))
    train, test = (load_frames(corpus, part, progress=False) for part in ("train", "test"))
    principal, test = components(train), torch.as_tensor(np.asarray(test))
    for row, group in itertools.groupby(filter(None, names), key=lambda name: name[1]):
        seeds = [name[2] for name in group]
        one, curves = found["rows"].setdefault(row, {"seeds": {}, "pairs": {}}), {}
        for seed in seeds:
            model = load_model(chosen.weights / f"{row}-seed{seed}")
            one["seeds"][seed], curves[seed] = described(model, test)
        curves["components"] = principal[:, : model.config.m]
        for pair in itertools.combinations(curves, 2):
            if (name := " and ".join(pair)) not in one["pairs"]:
                one["pairs"][name] = compared(*(curves[each] for each in pair))
        keep(path, found)
        print(f"{row}: seeds {', '.join(seeds)}, pairs {len(one['pairs'])}", flush=True)


if __name__ == "__main__":
    main()
