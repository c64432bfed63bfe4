import pytest
import torch

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.gradients import Noise, negative_elbo, sdm_vae_code
from sdmvae_lite.models import build_model, loss

SIZES = {"hidden": 10, "n_bins": 17}
MODELS = {
    "vae": ModelConfig(m=4, **SIZES),
    "sdm-identity": ModelConfig("sdm-vae", m=4, **SIZES),
    "sdm-dct": ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, **SIZES),
    "vsc": ModelConfig("vsc", m=4, alpha=0.3, **SIZES),
}
BATCH = 8


@pytest.fixture(scope="module")
def frames():
    generator = torch.Generator().manual_seed(3)
    power = torch.empty(2, BATCH, 17, dtype=torch.float64).exponential_(generator=generator)
    return power * torch.logspace(-3, 3, 17, dtype=torch.float64)


def models(config):
    """Two runs of different seeds, in float64, with biases and codes of some size."""
    both = [build_model(config, seed).double() for seed in (0, 1)]
    for seed, model in enumerate(both):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for value in model.parameters():
                value += 0.3 * torch.randn(value.shape, generator=generator)
        model.begin_epoch(10)
    return both


def replayed(monkeypatch, noise, run):
    """Let the model's forward pass draw the given noise."""
    monkeypatch.setattr(torch, "randn", lambda *_, **__: noise.normal[run])
    monkeypatch.setattr(torch, "rand", lambda *_, **__: noise.uniform[run])


@pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
def test_losses_and_gradients_equal_autograd(config, frames, monkeypatch):
    both = models(config)
    shape = (2, BATCH, config.code_size)
    generator = torch.Generator().manual_seed(2)
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = Noise(normal, uniform)
    weights = {
        name: torch.stack([dict(model.named_parameters())[name].detach() for model in both])
        for name, _ in both[0].named_parameters()
    }
    gradients = {name: torch.full_like(value, torch.nan) for name, value in weights.items()}
    losses = negative_elbo(both[0], weights, gradients, frames, noise)
    for run, model in enumerate(both):
        replayed(monkeypatch, noise, run)
        expected = loss(model, frames[run], model(frames[run]))
        sum(expected).backward()
        torch.testing.assert_close(losses[run], torch.stack(expected), rtol=1e-12, atol=0)
        for name, value in model.named_parameters():
            error = (gradients[name][run] - value.grad).abs().max()
            assert error <= 1e-12 * value.grad.abs().max(), name


def test_a_silent_coefficient_has_no_gradient_towards_the_prior():
    """μ = 0 is where the SDM-VAE's KL is zero and flat."""
    mu, logvar = torch.zeros(1, 2, 3), torch.randn(1, 2, 3)
    model = build_model(ModelConfig("sdm-vae", m=3, **SIZES), seed=0)
    code = sdm_vae_code(model, mu, logvar, Noise(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)))
    d_mu, d_logvar = code.backward(torch.zeros(1, 2, 3))
    assert code.kl.abs().max() < 1e-7
    assert not d_mu.any()
    assert not d_logvar.any()
