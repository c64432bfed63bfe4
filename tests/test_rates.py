"""The prices of codes, and the file that they land in."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from toc import ROOT
from torch.distributions import Bernoulli, Normal, kl_divergence

from sdmvae_lite import ModelConfig, build_model, save_model
from sdmvae_lite.model.divergences import ard_kl

sys.path.insert(0, str(ROOT))
from benchmarks import rates

LOGLINEAR = ModelConfig("loglinear-vae", m=12, dictionary="learned", input="log-power", n_bins=33)
CONFIGS = {
    "vae": ModelConfig("vae", m=12, input="log-power", n_bins=33),
    "vsc": ModelConfig("vsc", m=12, input="log-power", n_bins=33),
    "sdm": ModelConfig("sdm-vae", m=12, input="log-power", n_bins=33),
    "dearest": replace(LOGLINEAR, nonzero=3),
}
PARTS = ("coefficients", "support")


@pytest.fixture
def frames(train):
    return torch.from_numpy(train)


@pytest.fixture
def models(frames):
    found = {name: build_model(config, seed=0) for name, config in CONFIGS.items()}
    for model in found.values():
        model.prepare([frames])
    found["vsc"].slope.fill_(rates.HARD)
    return {name: model.eval() for name, model in found.items()}


@pytest.mark.parametrize("name", CONFIGS)
def test_bill_is_the_divergence_from_the_best_fixed_prior(models, name, frames):
    """Against PyTorch's divergences; any other prior of the kind costs more."""
    model = models[name]
    with torch.no_grad():
        share, mu, logvar = (each.double() for each in rates.posterior(model, frames))
    fit = rates.fitted(model, frames)
    found = rates.rates(model, fit, frames)

    def bill(used, variance):
        slab = kl_divergence(Normal(mu, logvar.exp().sqrt()), Normal(0.0, variance.sqrt()))
        support = kl_divergence(Bernoulli(share), Bernoulli(used.expand_as(share)))
        return [(share * slab).sum(1).mean().item(), support.sum(1).mean().item()]

    used, variance, _ = fit
    by_torch = bill(used, variance)
    assert [found["bill, coefficients"], found["bill, support"]] == pytest.approx(
        by_torch, abs=1e-3
    )
    for factor in (0.8, 1.25):
        assert bill(used, factor * variance)[0] > by_torch[0]
    if share.min() < 1:
        assert bill((used * 1.2).clamp(max=0.99), variance)[1] > by_torch[1]


def test_own_prices_are_those_of_training(models, frames):
    for model in models.values():
        found = rates.rates(model, rates.fitted(model, frames), frames)
        with torch.no_grad():
            whole = model(frames).kl.sum(dim=1).mean().item()
        parts = found["own, coefficients"] + found["own, support"]
        assert parts == pytest.approx(whole, abs=2e-4)


def test_a_gaussian_code_is_billed_by_the_logarithm_of_its_mean_square(models, frames):
    model = models["sdm"]
    with torch.no_grad():
        mu, logvar = model.encode(frames)
    square = (mu.square() + logvar.exp()).mean(dim=0)
    expected = 0.5 * (square.log() - logvar.mean(dim=0)).sum().item()
    found = rates.rates(model, rates.fitted(model, frames), frames)
    assert found["bill, coefficients"] == pytest.approx(expected, abs=2e-4)
    assert found["bill, support"] == pytest.approx(0.0, abs=0.02)
    assert found["bill, coefficients"] > ard_kl(mu, logvar).sum(dim=1).mean()


def test_counts_and_the_entropy_of_the_support(models, frames):
    found = rates.rates(models["dearest"], rates.fitted(models["dearest"], frames), frames)
    assert found["non-zero"] == 3
    p = np.array(found["usage"])
    entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p)).sum()
    assert found["bill, support"] == pytest.approx(entropy, abs=0.05)  # p is not zero if unused
    dense = rates.rates(models["vae"], rates.fitted(models["vae"], frames), frames)
    assert dense["non-zero"] == 12
    assert "usage" not in dense


def test_distortion_is_itakura_saito_of_what_a_sample_decodes_to(models, frames):
    """By many samples, of the model whose expectation has a closed form."""
    model = models["dearest"]
    power = frames[:64]
    found = rates.rates(model, rates.fitted(model, frames), power)
    ratios = []
    with torch.no_grad():
        for _ in range(400):
            ratio = power.double().clamp(min=rates.FLOOR) / model(power).log_variance.double().exp()
            ratios.append((ratio - ratio.log() - 1).sum(dim=1).mean().item())
    error = np.std(ratios) / 20
    assert found["distortion"] == pytest.approx(np.mean(ratios), abs=5 * error + 0.1)


def test_what_is_there_is_not_measured_again(tmp_path, capsys):
    weights = tmp_path / "weights"
    for seed in (1, 0):
        model = build_model(ModelConfig("vae", m=64, input="log-power"), seed)
        save_model(model, weights / f"vae-64-log-cosine-seed{seed}")
    command = ["synthetic", "--minutes", "0.5", "--weights", str(weights), "--out", str(tmp_path)]
    rates.main(command)
    lines = capsys.readouterr().out.splitlines()
    done = [re.search(r"(seed\d: \w+)", line)[0] for line in lines]
    assert done == ["seed0: distortion", "seed1: distortion", "seed0: kept", "seed1: kept"]
    held = json.loads((tmp_path / "synthetic-rates.json").read_text())
    one = held["models"]["vae-64-log-cosine-seed0"]
    assert {"model", "distortion", "pesq of samples", "kept"} <= one.keys()
    assert list(one["kept"]["zero"]) == ["4", "8", "16", "32"]
    rates.main(command)
    assert capsys.readouterr().out == ""
