import math
from dataclasses import replace

import pytest
import torch

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.dictionaries import dct_dictionary
from sdmvae_lite.model.divergences import ard_kl, gaussian_kl, optimal_gamma
from sdmvae_lite.model.models import (
    SDMVAE,
    VAE,
    VSC,
    build_model,
    loss,
    relaxed_gate,
    reparametrise,
)

LOGLINEAR = ModelConfig("loglinear-vae", m=8, dictionary="learned", hidden=16, n_bins=33)
CONFIGS = {
    "vae": ModelConfig(m=8, hidden=16, n_bins=33),
    "sdm-identity": ModelConfig("sdm-vae", m=8, hidden=16, n_bins=33),
    "sdm-dct": ModelConfig("sdm-vae", m=8, dictionary="dct", k=12, hidden=16, n_bins=33),
    "sdm-learned": ModelConfig("sdm-vae", m=8, dictionary="learned", k=12, hidden=16, n_bins=33),
    "vsc": ModelConfig("vsc", m=8, hidden=16, n_bins=33),
    "vsc-pseudo": ModelConfig("vsc", m=8, pseudo_inputs=5, hidden=16, n_bins=33),
    "student": ModelConfig("student-vae", m=8, hidden=16, n_bins=33),
    "student-nu1": ModelConfig("student-vae", m=8, nu=1.0, hidden=16, n_bins=33),
    "loglinear": LOGLINEAR,
    "loglinear-dct": replace(LOGLINEAR, dictionary="dct"),
    "loglinear-student": replace(LOGLINEAR, prior="student-t"),
    "loglinear-paper": replace(LOGLINEAR, prior="paper"),
    "loglinear-dearest": replace(LOGLINEAR, nonzero=3),
}
every_model = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@pytest.fixture
def frames():
    return torch.rand(20, 33, generator=torch.Generator().manual_seed(1)) * 10


@every_model
def test_every_model_returns_the_same_kind_of_output(config, frames):
    output = build_model(config, seed=0)(frames)
    assert output.log_variance.shape == frames.shape
    for value in (output.code, output.kl, output.gamma):
        assert value.shape == (20, config.code_size)
        assert torch.isfinite(value).all()
    assert (output.kl >= -1e-6).all()
    assert (output.gamma > 0).all()


@every_model
def test_every_parameter_learns(config, frames):
    model = build_model(config, seed=0)
    model.begin_epoch(1)  # with pseudo-inputs, epoch 0 hides the slab from the decoder
    reconstruction, kl = loss(model, frames, model(frames))
    (reconstruction + kl).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@every_model
def test_the_seed_decides_the_initialisation_and_leaves_the_global_state_alone(config):
    before = torch.random.get_rng_state()
    first, second, other = (build_model(config, seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    same = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(first.encoder_mu.weight, other.encoder_mu.weight)


@every_model
def test_noise_comes_from_the_generator(config, frames):
    model = build_model(config, seed=0)
    model.begin_epoch(1)
    draws = [
        model(frames, generator=torch.Generator().manual_seed(seed)).log_variance
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(
        model(frames, sample=False).log_variance, model(frames, sample=False).log_variance
    )


def test_the_paper_sizes():
    model = build_model(ModelConfig())
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters() if p.ndim == 2}
    assert shapes == {
        "encoder_hidden.weight": (128, 513),
        "encoder_mu.weight": (32, 128),
        "encoder_logvar.weight": (32, 128),
        "decoder_hidden.weight": (128, 32),
        "decoder_log_variance.weight": (513, 128),
    }


def test_the_vae_is_its_equations(frames):
    model = VAE(CONFIGS["vae"])
    mu, logvar = model.encode(frames)
    output = model(frames, sample=False)
    torch.testing.assert_close(output.kl, gaussian_kl(mu, logvar))
    torch.testing.assert_close(output.log_variance, model.decode(mu))
    assert torch.equal(output.gamma, torch.ones_like(mu))


def test_the_sdm_vae_is_its_equations(frames):
    model = SDMVAE(CONFIGS["sdm-dct"])
    mu, logvar = model.encode(frames)
    output = model(frames, sample=False)
    torch.testing.assert_close(output.kl, ard_kl(mu, logvar))
    torch.testing.assert_close(output.gamma, optimal_gamma(mu, logvar))
    z = torch.stack([model.dictionary @ a for a in mu])  # eq. 4, frame by frame
    torch.testing.assert_close(output.log_variance, model.decode(z))


def test_a_learned_dictionary_is_used_with_unit_norms(frames):
    """However long its columns have grown; so nothing is learned along them."""
    model = SDMVAE(CONFIGS["sdm-learned"])
    with torch.no_grad():
        model.dictionary.mul_(torch.linspace(0.5, 4, 12))
    code = model(frames, sample=False).code
    atoms = model.dictionary / model.dictionary.norm(dim=0)
    torch.testing.assert_close(model.synthesis(code), torch.einsum("mk,bk->bm", atoms, code))
    sum(loss(model, frames, model(frames))).backward()
    along = (model.dictionary.grad * atoms).sum(dim=0)
    assert (along.abs() < 1e-4 * model.dictionary.grad.norm(dim=0)).all()


def test_the_decoder_absorbs_the_dictionary(frames):
    """D = DCT and D = I are one class of models where D is square and invertible."""
    config = CONFIGS["sdm-identity"]
    with_dct = SDMVAE(config, dct_dictionary(8, 8))
    with_identity = SDMVAE(config)
    state = with_dct.state_dict()
    state["dictionary"] = torch.eye(8)
    state["decoder_hidden.weight"] = state["decoder_hidden.weight"] @ with_dct.dictionary
    with_identity.load_state_dict(state)
    torch.testing.assert_close(
        with_identity(frames, sample=False).log_variance,
        with_dct(frames, sample=False).log_variance,
    )


def test_the_dictionary_is_saved_but_not_learned():
    model = SDMVAE(CONFIGS["sdm-dct"])
    assert "dictionary" in model.state_dict()
    assert "dictionary" not in dict(model.named_parameters())


def test_a_model_has_a_dictionary_of_its_own():
    """Loading other weights into it leaves the caller's matrix alone, and the other way round."""
    mine = dct_dictionary(8, 8)
    model = SDMVAE(CONFIGS["sdm-identity"], mine)
    model.load_state_dict(SDMVAE(CONFIGS["sdm-identity"]).state_dict())
    assert torch.equal(mine, dct_dictionary(8, 8))
    mine.zero_()
    assert torch.equal(model.dictionary, torch.eye(8))


@pytest.mark.parametrize(
    ("dictionary", "named"),
    [(torch.eye(4), r"shape \(4, 4\), the model needs \(8, 8\)"), (2 * torch.eye(8), "norm 2")],
)
def test_a_dictionary_that_does_not_fit_is_refused(dictionary, named):
    with pytest.raises(ValueError, match=named):
        SDMVAE(CONFIGS["sdm-identity"], dictionary)


class Own(SDMVAE):
    """A model of a reader's."""


@pytest.mark.parametrize("model", [VAE, SDMVAE, VSC, Own])
@every_model
def test_a_configuration_of_another_model_is_refused(config, model):
    if config.model == model.takes:
        assert model(config).config == config
    else:
        with pytest.raises(ValueError, match=rf"{model.__name__} takes .* not of a {config.model}"):
            model(config)


def test_reparametrised_samples_have_the_posterior_moments():
    mu, logvar = torch.tensor([1.5, -2.0]), torch.tensor([0.3, -1.0])
    draws = reparametrise(mu.expand(200_000, 2), logvar.expand(200_000, 2))
    torch.testing.assert_close(draws.mean(0), mu, atol=0.02, rtol=0)
    torch.testing.assert_close(draws.var(0), logvar.exp(), atol=0.02, rtol=0.02)


def test_a_steep_gate_opens_as_often_as_it_should():
    active = torch.tensor([0.02, 0.5, 0.97]).expand(200_000, 3)
    gates = relaxed_gate(active, torch.tensor(200.0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(gates.mean(0), active[0], atol=0.01, rtol=0)
    assert ((gates < 0.01) | (gates > 0.99)).double().mean() > 0.93


def test_the_gate_hardens_and_the_slab_is_eased_in():
    model = VSC(CONFIGS["vsc-pseudo"])
    seen = []
    for epoch in (0, 10, 50, 100, 400):
        model.begin_epoch(epoch)
        seen.append((model.slope.item(), model.warmup.item()))
    assert seen == [(50, 0), (65, 0.5), (125, 1), (200, 1), (200, 1)]
    fixed = VSC(CONFIGS["vsc"])
    fixed.begin_epoch(0)
    assert fixed.warmup.item() == 1


def test_vsc_decodes_its_posterior_mean(frames):
    model = VSC(CONFIGS["vsc"])
    mu, _, gate_logit = model.encode(frames)
    output = model(frames, sample=False)
    torch.testing.assert_close(output.code, torch.sigmoid(gate_logit) * mu)
    torch.testing.assert_close(output.log_variance, model.decode(output.code))


def test_vsc_with_alpha_near_one_and_open_gates_is_a_vae(frames):
    model = VSC(ModelConfig("vsc", m=8, alpha=1 - 1e-6, hidden=16, n_bins=33))
    with torch.no_grad():
        model.encoder_gate.weight.zero_()
        model.encoder_gate.bias.fill_(math.log(1e6))
    mu, logvar, _ = model.encode(frames)
    torch.testing.assert_close(model(frames).kl, gaussian_kl(mu, logvar), atol=1e-4, rtol=1e-4)


def test_pseudo_inputs_are_weighted_by_the_classifier(frames):
    model = VSC(CONFIGS["vsc-pseudo"])
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 50.0, 0.0, 0.0, 0.0]))
        chosen = model.log_pseudo_inputs[1].exp().expand(20, -1)
        output = model(chosen)
    # frames that are the chosen pseudo-input have their own posterior as prior
    torch.testing.assert_close(output.kl, torch.zeros_like(output.kl), atol=1e-5, rtol=0)


def test_the_pseudo_inputs_pay_for_leaving_alpha():
    model = VSC(CONFIGS["vsc-pseudo"])
    with torch.no_grad():
        model.encoder_gate.weight.zero_()
        model.encoder_gate.bias.fill_(0.0)  # half of the gates open, and alpha is a half
    assert model.penalty().item() == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        model.encoder_gate.bias.fill_(math.log(0.9 / 0.1))
    expected = 8 * (0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5))
    assert model.penalty().item() == pytest.approx(expected, rel=1e-4)


def test_loss_is_the_sum_over_bins_averaged_over_frames(frames):
    model = VAE(CONFIGS["vae"])
    output = model(frames, sample=False)
    reconstruction, kl = loss(model, frames, output)
    by_hand = sum(
        (s / torch.exp(v) + v).sum() for s, v in zip(frames, output.log_variance, strict=True)
    )
    torch.testing.assert_close(reconstruction, by_hand / 20)
    torch.testing.assert_close(kl, output.kl.sum() / 20)
