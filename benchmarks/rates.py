"""Rate and distortion of trained models, on the test frames: one file of results, resumable.

    OMP_NUM_THREADS=1 python -m benchmarks.rates CORPUS --weights FOLDER [--out FOLDER]

The folder holds models as `after_the_paper --weights` keeps them, NAME-seedN each; what is in the
file is not measured again. Rates are in nats a frame. Every posterior is a spike and slab: a
coefficient is not zero with a probability, which is one in a dense code, zero or one where a frame
keeps its dearest. It has two prices: the model's own KL, and a bill at the spike and slab whose
probability and variance, of each coefficient, fit the training frames best. Each is split into what
the coefficients cost and what it costs to say which of them are not zero, the support.
"""

from collections import Counter

import numpy as np
import torch

from sdmvae_lite import hoyer, load_frames, load_model
from sdmvae_lite.config import to_dict
from sdmvae_lite.model.divergences import ard_kl, gaussian_kl, optimal_gamma
from sdmvae_lite.model.loglinear import dearest
from sdmvae_lite.scoring.metrics import Unscorable, pesq_raw
from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise

from .recipe import keep
from .weights import of_weights, opened

CHUNK = 4096  # frames
FLOOR = 1e-10  # of a power whose logarithm is taken
SIGNAL = 0.01  # nats, above which a coefficient of a dense code counts as not zero
HARD = 1e6  # slope of VSC's gate, so that what is sampled is zero or not
THINNED = 4  # training frames, of which every so many-th is billed at
SAMPLED = 9  # test utterances, of which every so many-th is heard from a sample of its code
KEPT = 3  # the same, with few coefficients kept
COUNTS = (4, 8, 16, 32)  # coefficients that dense codes keep
CUT_DOWN = ("loglinear-learned-64-", "vae-64-", "sdm-identity-64-")


def posterior(model, frames):
    """Probability of not being zero, mean and log-variance of each coefficient, (batch, m) each."""
    mu, logvar, *gate = model.encode(frames)
    if gate:
        return torch.sigmoid(gate[0]), mu, logvar
    if model.config.nonzero is None:
        return torch.ones_like(mu), mu, logvar
    return dearest(model.kl(mu, logvar), model.config.nonzero).to(mu), mu, logvar


@torch.no_grad()
def fitted(model, frames):
    """What a bill is made at: probability and variance of each coefficient, and its mean, (m,)."""
    count = square = total = 0
    for chunk in frames.split(CHUNK):
        share, mu, logvar = (each.double() for each in posterior(model, chunk))
        count = count + share.sum(dim=0)
        square = square + (share * optimal_gamma(mu, logvar)).sum(dim=0)
        total = total + (share * mu).sum(dim=0)
    used = (count + 0.5) / (len(frames) + 1)  # one that never was may be yet
    return used, torch.where(count > 0, square / count, 1.0), total / len(frames)


def bernoulli(share, used):
    """The divergence of each probability from another, at 0 and 1 too."""
    return torch.xlogy(share, share / used) + torch.xlogy(1 - share, (1 - share) / (1 - used))


def of_frames(model, fit, chunk, output, mean):
    """Both prices of each frame; what is lost, in nats of a sample and in decibels of the mean."""
    share, mu, logvar = posterior(model, chunk)
    used, variance, _ = fit
    own = (share * model.kl(mu, logvar)).sum(dim=1)
    log = torch.log(chunk.clamp(min=FLOOR))
    slab = gaussian_kl(mu / variance.sqrt(), logvar - variance.log())
    decibels = 10 / np.log(10) * (log - mean.log_variance)
    return {
        "own, coefficients": own,
        "own, support": output.kl.sum(dim=1) - own,
        "bill, coefficients": (share * slab).sum(dim=1),
        "bill, support": bernoulli(share.double(), used).sum(dim=1),
        "active": (share * (ard_kl(mu, logvar) > SIGNAL)).sum(dim=1),
        "distortion": (model.reconstruction(chunk, output) - log - 1).sum(dim=1),
        "log-spectral distance": decibels.square().mean(dim=1).sqrt(),
    }


@torch.no_grad()
def rates(model, fit, test, seed=0):
    """Means over all frames of what `of_frames` says, and counts."""
    generator = torch.Generator().manual_seed(seed)
    sums, codes = Counter(), []
    for chunk in test.split(CHUNK):
        output, mean = model(chunk, generator=generator), model(chunk, sample=False)
        codes.append(mean.code)
        found = of_frames(model, fit, chunk, output, mean)
        sums.update({name: values.double().sum().item() for name, values in found.items()})
    code = torch.cat(codes)
    rms = code.double().square().mean(dim=0).sqrt().float()
    means = {name: round(value / len(test), 4) for name, value in sums.items()}
    means["non-zero"] = round((code != 0).sum(dim=1).double().mean().item(), 4)
    means["hoyer at unit rms"] = round(hoyer(code / rms.where(rms > 0, 1.0)).mean().item(), 4)
    if fit[0].min() < 0.999:
        means["usage"] = [round(value, 6) for value in fit[0].tolist()]
    return means


def mean_pesq(pairs):
    """Mean raw PESQ of pairs of waveforms; those without a score are left out."""
    scores = []
    for reference, estimate in pairs:
        try:
            scores.append(pesq_raw(reference, estimate))
        except Unscorable:
            continue
    return round(float(np.mean(scores)), 4) if scores else None


def of_samples(model, utterances, seed=0):
    """Mean PESQ where not the mean of the code is decoded but a sample of it."""
    generator = torch.Generator().manual_seed(seed)
    results = (resynthesise(model, each.waveform(), True, generator) for each in utterances)
    return mean_pesq((one.reference, one.estimate) for one in results)


def cut_down(model, rest, utterances):
    """Mean PESQ with the dearest few of a dense code, the others being zero, or their mean."""
    results = [resynthesise(model, each.waveform()) for each in utterances]

    def kept(one, count, rest):
        code = keep_largest(one.output.code - rest, count, one.output.kl) + rest
        return one.reference, code_to_waveform(model, code, one.phase, len(one.reference))

    return {
        name: {str(n): mean_pesq(kept(one, n, other) for one in results) for n in COUNTS}
        for name, other in (("zero", 0 * rest), ("mean", rest))
    }


def missing(weights, models):
    """Name, model and what is missing of it, all rows of a seed before the next."""
    folders = [one for one in weights.glob("*-seed*") if (one / "model.json").is_file()]
    cut = [one for one in folders if one.name.startswith(CUT_DOWN)]
    for key, those in (("distortion", folders), ("kept", cut)):
        for folder in sorted(those, key=lambda one: (one.name[-1], one.name)):
            if key not in models.get(folder.name, {}):
                model = load_model(folder)
                if model.config.model == "vsc":
                    model.slope.fill_(HARD)
                yield folder.name, model, key


def main(arguments=None):
    chosen = of_weights(__doc__).parse_args(arguments)
    corpus, path, found = opened(chosen, "rates", "models")
    parts = (load_frames(corpus, part, progress=False) for part in ("train", "test"))
    train, test = (torch.from_numpy(frames) for frames in parts)
    for name, model, key in missing(chosen.weights, found["models"]):
        fit = fitted(model, train[::THINNED])
        one = found["models"].setdefault(name, {"model": to_dict(model.config)})
        if key == "distortion":
            one.update(rates(model, fit, test))
            one["pesq of samples"] = of_samples(model, corpus.test[::SAMPLED])
        else:
            one[key] = cut_down(model, fit[2].float(), corpus.test[::KEPT])
        keep(path, found)
        print(f"{name}: {key} {one[key]}", flush=True)


if __name__ == "__main__":
    main()
