"""What a Student-t prior makes of a code, on the test frames: one file of results, resumable.

    OMP_NUM_THREADS=1 python -m benchmarks.student CORPUS --weights FOLDER [--out FOLDER]

The folder holds models as `after_the_paper --weights` keeps them, NAME-seedN each; those that are
in the file are not measured again. Codes are in units of the prior's scale, s = 1; those of the
SDM-VAE, whose prior has no scale, are in the units that its training happened to choose.
"""

import math

import numpy as np
import torch
from torch.distributions import StudentT

from sdmvae_lite import hoyer, load_frames, load_model
from sdmvae_lite.model.divergences import gaussian_kl, optimal_gamma, student_t_kl
from sdmvae_lite.scoring.metrics import active_dimensions

from .recipe import keep
from .weights import of_weights, opened

ROWS = ("student-*-log-cosine-seed*", "vae-*-log-cosine-seed*", "sdm-identity-*-log-cosine-seed*")
NUS = (0.5, *(2.0**power for power in range(17)), math.inf)
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
EVERY = 8  # frames, of which the exact divergences are computed
NODES = 40  # of the quadrature


def exact_kl(mu, logvar, nu):
    """The divergence itself from a Student-t of scale one, by Gauss-Hermite quadrature."""
    if math.isinf(nu):
        return gaussian_kl(mu, logvar)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    prior, sigma = StudentT(torch.tensor(nu, dtype=mu.dtype)), torch.exp(0.5 * logvar)
    total = torch.zeros_like(mu)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        total -= weight * prior.log_prob(mu + node * sigma)
    return total - 0.5 * (logvar + math.log(2 * math.pi * math.e))


def bound(mu, logvar, nu):
    """`student_t_kl`, and its limit."""
    return gaussian_kl(mu, logvar) if math.isinf(nu) else student_t_kl(mu, logvar, nu)


def profile(price, mu, logvar):
    """Nats a frame of these codes at every nu, and where each coefficient has the best for it."""
    means = torch.stack([price(mu, logvar, nu).mean(dim=0) for nu in NUS])  # (len(NUS), m)
    shared = {f"{nu:g}": rounded(nats) for nu, nats in zip(NUS, means.sum(dim=1), strict=True)}
    return shared | {"its own": rounded(means.amin(dim=0).sum())}


def rounded(values):
    return np.round(np.asarray(values, dtype=float), 4).tolist()


@torch.no_grad()
def measured(model, frames):
    """All that the file holds of a model."""
    mu, logvar = (each.double() for each in model.encode(torch.as_tensor(np.asarray(frames))))
    prices, square = model.kl(mu, logvar), optimal_gamma(mu, logvar)
    rms, scale = mu.square().mean(dim=0).sqrt(), square.mean(dim=0).sqrt()
    found = {
        "rate": rounded(prices.sum(dim=1).mean()),
        "active": active_dimensions(prices),
        "hoyer": rounded(hoyer(mu).mean()),
        "hoyer at unit rms": rounded(hoyer(mu / rms).mean()),
        "kl of each": rounded(prices.mean(dim=0)),
        "scale, quantiles": rounded(np.quantile(scale, LEVELS)),
        "largest": rounded(mu.abs().amax(dim=0).quantile(0.5)),
    }
    if model.config.model == "sdm-vae":
        return found
    inside = 2 * logvar.exp().square() + 4 * mu.square() * logvar.exp()  # variance of a² under q
    spread = (square - 1).square()
    few = mu[::EVERY], logvar[::EVERY]
    return found | {
        "nu": float(f"{model.log_nu.exp().item():.4g}") if model.config.student_t else None,
        "spread of each": rounded(spread.mean(dim=0)),
        "spread of each, drawn": rounded((spread + inside).mean(dim=0)),
        "bound at nu": profile(bound, *few),
        "exact at nu": profile(exact_kl, *few),
    }


def main(arguments=None):
    chosen = of_weights(__doc__).parse_args(arguments)
    corpus, path, found = opened(chosen, "student", "models")
    frames = load_frames(corpus, "test", progress=False)
    for folder in sorted(folder for row in ROWS for folder in chosen.weights.glob(row)):
        if folder.name in found["models"] or not (folder / "model.json").is_file():
            continue
        found["models"][folder.name] = one = measured(load_model(folder), frames)
        keep(path, found)
        said = (f"{key} {one.get(key)}" for key in ("nu", "rate", "hoyer"))
        print(folder.name, *said, flush=True)


if __name__ == "__main__":
    main()
