"""What is measured of Student-t codes, against draws and against the model's own bound."""

import json
import sys

import pytest
import torch
from recordings import write_speakers
from toc import ROOT
from torch.distributions import Normal, StudentT

from sdmvae_lite import ModelConfig, build_model, save_model
from sdmvae_lite.config import get_preset

sys.path.insert(0, str(ROOT))
from benchmarks import student


@pytest.mark.parametrize(("mu", "sigma", "nu"), [(0.0, 1.0, 1.0), (3.0, 0.3, 2.0), (0.5, 0.7, 30)])
def test_the_exact_divergence_is_the_mean_of_draws_and_below_the_bound(mu, sigma, nu):
    mean = torch.tensor(mu, dtype=torch.float64)
    logvar = 2 * torch.log(torch.full_like(mean, sigma))
    exact = student.exact_kl(mean, logvar, float(nu))
    q, prior = Normal(mean, sigma), StudentT(torch.tensor(nu, dtype=torch.float64))
    torch.manual_seed(0)
    draws = q.sample((400_000,))
    ratios = q.log_prob(draws) - prior.log_prob(draws)
    error = ratios.std() / len(ratios) ** 0.5
    assert abs(exact - ratios.mean()) < 4.5 * error + 1e-3
    assert exact < student.bound(mean, logvar, float(nu))


def test_the_best_nu_of_light_tails_is_infinite_and_of_heavy_tails_is_theirs():
    torch.manual_seed(0)
    logvar = torch.full((20_000, 3), -6.0, dtype=torch.float64)
    heavy = StudentT(torch.tensor(4.0, dtype=torch.float64)).sample(logvar.shape)
    light = 12**0.5 * (torch.rand_like(logvar) - 0.5)  # uniform, of variance one
    for mu, best in ((heavy, "4"), (light, "inf")):
        for price in (student.bound, student.exact_kl):
            found = student.profile(price, mu, logvar)
            own = found.pop("its own")
            assert found[best] == min(found.values())
            assert own <= found[best] + 1e-3


def test_models_are_measured_once_and_later_ones_are_added(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))
    speech = write_speakers(tmp_path / "mine", ["anna", "ben", "cem", "dora"])
    weights = tmp_path / "weights"
    input = get_preset("smoke").input
    settings = (
        ModelConfig("student-vae", m=4, input=input),
        ModelConfig("sdm-vae", m=4, input=input),
        ModelConfig("vae", m=4, input=input),
    )
    for config in settings[:2]:
        save_model(build_model(config, 0), weights / f"{config.name}-cosine-seed0")
    monkeypatch.setattr(student, "EVERY", 1)
    command = [str(speech), "--weights", str(weights), "--out", str(tmp_path)]
    student.main(command)
    found = json.loads((tmp_path / "mine-student.json").read_text())["models"]
    assert set(found) == {f"{config.name}-cosine-seed0" for config in settings[:2]}
    assert found["student-4-log-cosine-seed0"]["nu"] == 1.0
    assert "nu" not in found["sdm-identity-4-log-cosine-seed0"]

    save_model(build_model(settings[2], 0), weights / "vae-4-log-cosine-seed0")
    capsys.readouterr()
    student.main(command)
    assert capsys.readouterr().out.startswith("vae-4-log-cosine-seed0 nu None")
    again = json.loads((tmp_path / "mine-student.json").read_text())["models"]
    vae = again.pop("vae-4-log-cosine-seed0")
    assert again == found
    assert vae["rate"] == pytest.approx(sum(vae["kl of each"]), abs=1e-3)
    for kind in ("bound", "exact"):
        assert vae[f"{kind} at nu"]["inf"] == pytest.approx(vae["rate"], abs=1e-3)
    assert all(vae["exact at nu"][nu] <= vae["bound at nu"][nu] + 1e-3 for nu in vae["bound at nu"])
