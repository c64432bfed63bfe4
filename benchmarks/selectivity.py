"""How well one coefficient, or a few, tell a class of frames from all others.

Loud frames are vowels, so that anything which follows loudness seems to tell them apart. Frames are
therefore compared with frames of the same speaker and about the same level (`strata`), and a
probe has the level beside the coefficients. It sees all in units of each speaker (`by_speaker`).
"""

import warnings

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

STEPS = 5  # of level, for each speaker
STRENGTH = 0.01  # of a probe's fit, against its squared weights: scikit-learn's C


def auroc(values, positive, strata=None):
    """The share of pairs, a positive and another of one stratum, whose positive value is larger.

    Of values (n, k) and classes (n, c), true where a frame is positive, there are (c, k) results; a
    tie is half a pair. NaN where there is no pair.
    """
    strata = np.zeros(len(values)) if strata is None else strata
    won, pairs = 0.0, 0.0
    for stratum in np.unique(strata):
        here = strata == stratum
        inside = positive[here].astype(float)
        n_positive = inside.sum(axis=0)[:, None]
        n_other = len(inside) - n_positive
        ranks = inside.T @ rankdata(values[here], axis=0)
        won = won + np.where(n_other > 0, ranks - n_positive * (n_positive + 1) / 2, 0.0)
        pairs = pairs + n_positive * n_other
    with np.errstate(invalid="ignore"):  # 0 / 0
        return won / pairs


def strata(level, speakers, steps=STEPS):
    """A number for each frame: frames of one number have one speaker, and about one level."""
    found = np.zeros(len(level), dtype=int)
    for number, speaker in enumerate(np.unique(speakers)):
        here = speakers == speaker
        ranks = rankdata(level[here], method="ordinal") - 1
        found[here] = number * steps + ranks * steps // here.sum()
    return found


def shifted(classes, speakers, rng):
    """The classes of each speaker's frames, moved along in a circle by a quarter or more of it.

    How many frames there are of each class, and how long each lasts, stays as it is.
    """
    moved = classes.copy()
    for speaker in np.unique(speakers):
        (here,) = np.nonzero(speakers == speaker)
        quarter = len(here) // 4
        moved[here] = np.roll(classes[here], rng.integers(quarter, len(here) - quarter + 1))
    return moved


def by_speaker(values, speakers):
    """Each column (n, k) less its mean over the frames of a speaker, over its standard deviation.

    A column that does not change becomes zero.
    """
    found = np.empty_like(values, dtype=float)
    for speaker in np.unique(speakers):
        here = speakers == speaker
        spread = values[here].std(axis=0)
        found[here] = (values[here] - values[here].mean(axis=0)) / np.where(spread > 0, spread, 1)
    return found


def chosen(values, positive, beside, count):
    """The coefficients (count,) that a least-squares fit to a class takes one after another.

    Each time the one that helps most, given those before it and the columns ``beside`` (n, any).
    Positive frames and others have the same weight in all.
    """
    weight = np.sqrt(np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum()))[:, None]
    basis, _ = np.linalg.qr(weight * np.column_stack([np.ones(len(values)), beside]))
    target = weight[:, 0] * np.where(positive, 1.0, -1.0)
    left = weight * (values - values.mean(axis=0))
    first = np.linalg.norm(left, axis=0)
    left, target = left - basis @ (basis.T @ left), target - basis @ (basis.T @ target)
    taken = []
    for _ in range(min(count, values.shape[1])):
        size = np.linalg.norm(left, axis=0)
        usable = size > 1e-6 * np.maximum(first, 1e-12)
        gain = np.where(usable, np.abs(target @ left) / np.where(usable, size, 1.0), -1.0)
        gain[taken] = -2.0
        taken.append(int(gain.argmax()))
        if usable[taken[-1]]:
            direction = left[:, taken[-1]] / size[taken[-1]]
            target = target - direction * (direction @ target)
            left = left - np.outer(direction, direction @ left)
    return taken


def probe(values, positive, others):
    """Fit a logistic regression to frames (n, any); what it says of others (n_others, any)."""
    judge = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of hundreds of columns it may not be quite done
        return judge.fit(values, positive).predict(others)


def balanced_accuracy(said, positive):
    """The mean of the shares of positive frames and of others that are called what they are."""
    return (np.mean(said[positive]) + np.mean(~said[~positive])) / 2
