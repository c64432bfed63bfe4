"""The dictionary at the output, and priors from the VAE's to the paper's."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise import LOGLINEAR as CONFIG
from noise import N_BINS, TRAINING, make_frames

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.dictionaries import spectral_dictionary
from sdmvae_lite.model.divergences import ard_kl, complex_gaussian_nll, gaussian_kl
from sdmvae_lite.model.files import load_model, save_model
from sdmvae_lite.model.models import build_model, loss, reparametrise
from sdmvae_lite.training.fit import fit

DEAREST = replace(CONFIG, nonzero=2)
STUDENT = ModelConfig("student-vae", m=4, hidden=16, n_bins=N_BINS)


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(make_frames(40, seed=2))


@pytest.mark.parametrize("config", [CONFIG, DEAREST], ids=["all", "dearest"])
def test_the_closed_form_is_what_monte_carlo_finds(config, frames):
    model, draws = build_model(config, seed=0).requires_grad_(False), 4000
    generator = torch.Generator().manual_seed(0)
    some = frames[:3]
    exact = model.reconstruction(some, model(some)).sum(dim=-1)
    sampled = torch.stack(
        [
            complex_gaussian_nll(some, model(some, generator=generator).log_variance).sum(dim=-1)
            for _ in range(draws)
        ]
    )
    error = sampled.std(dim=0) / math.sqrt(draws)
    assert ((exact - sampled.mean(dim=0)).abs() < 4 * error).all()
    again = model.reconstruction(some, model(some, sample=False)).sum(dim=-1)
    torch.testing.assert_close(again, exact)  # the loss has no noise


def test_a_spectrum_is_a_product_of_equaliser_curves(frames):
    model = build_model(CONFIG, seed=0).requires_grad_(False)
    code = model(frames, sample=False).code
    atoms = model.atoms()
    product = model.bias.exp() * torch.stack(
        [(code[:, j, None] * atoms[:, j]).exp() for j in range(6)]
    ).prod(dim=0)
    torch.testing.assert_close(model.decode(code).exp(), product)


@pytest.mark.parametrize("rms", [0.2, 5.0])
def test_atoms_have_unit_rms_and_a_gradient_across_their_length(rms, frames):
    model = build_model(CONFIG, seed=0)
    with torch.no_grad():
        model.dictionary.mul_(rms)
    torch.testing.assert_close(model.atoms().square().mean(dim=0), torch.ones(6))
    sum(loss(model, frames, model(frames))).backward()
    along = (model.dictionary.grad * model.dictionary).sum(dim=0)
    across = model.dictionary.grad.norm(dim=0) * model.dictionary.norm(dim=0)
    assert (along.abs() < 1e-4 * across).all()


def test_of_the_dct_the_code_is_a_cepstrum():
    """The inverse transform of a log-spectrum whose atoms are cosines of whole periods."""
    log_spectrum = np.random.default_rng(0).standard_normal(N_BINS)
    atoms = spectral_dictionary(replace(CONFIG, m=N_BINS - 1, dictionary="dct")).double().numpy()
    code = np.linalg.lstsq(atoms[:, :12], log_spectrum, rcond=None)[0]
    cepstrum = np.fft.irfft(log_spectrum)  # its window's symmetric, as long as two of the spectrum
    smooth = np.fft.rfft(np.where(np.minimum(np.arange(64), 64 - np.arange(64)) < 12, cepstrum, 0))
    assert np.corrcoef(atoms[:, :12] @ code, smooth.real)[0, 1] > 0.97


def test_the_decoder_starts_from_the_mean_log_spectrum(frames):
    model = build_model(replace(CONFIG, input="log-power"), seed=0)
    model.prepare([frames])
    assert torch.allclose(model.bias, torch.log(frames).mean(dim=0) + np.euler_gamma, atol=1e-4)


def test_only_the_dearest_are_not_zero(frames):
    model = build_model(DEAREST, seed=0).requires_grad_(False)
    mu, logvar = model.encode(frames)
    price = gaussian_kl(mu / model.log_scale.exp(), logvar - 2 * model.log_scale)
    output = model(frames)
    for code, kl, own, given in zip(output.code, output.kl, price, mu, strict=True):
        kept = sorted(range(6), key=lambda j, own=own: -own[j])[:2]
        assert torch.equal(code.nonzero().flatten().sort().values, torch.tensor(sorted(kept)))
        assert torch.equal(code[kept], given[kept])
        # all atoms start as likely to be used as they are used on average: one in three
        support = -2 * math.log(2 / 6) - 4 * math.log(4 / 6)
        assert kl.sum() == pytest.approx(own[kept].sum().item() + support, rel=1e-4)
    sampled = model.decode(reparametrise(mu, logvar))
    assert not torch.allclose(model(frames).log_variance, sampled)


def test_thinning_starts_from_all_and_is_of_training_alone(frames):
    model = build_model(replace(DEAREST, thinning=4), seed=0)
    counts = []
    for epoch in (0, 2, 4, 9):
        model.begin_epoch(epoch)
        counts.append([(model.train(on)(frames).code != 0).sum(dim=-1) for on in (True, False)])
    found = [[set(count.tolist()) for count in each] for each in counts]
    assert found == [[{6}, {2}], [{3}, {2}], [{2}, {2}], [{2}, {2}]]


def test_the_penalty_is_the_excess_of_like_pairs_and_of_training_alone(frames):
    model = build_model(replace(CONFIG, parting=5.0), seed=0)
    assert model.train().penalty() == 0  # random atoms are far from one another
    with torch.no_grad():
        model.dictionary[:, 1] = -0.3 * model.dictionary[:, 0]  # the same but for sign and length
        model.dictionary[:, 2] = model.dictionary[:, 0] + 0.3 * model.dictionary[:, 3]
    d = model.dictionary.detach().numpy().astype(np.float64)
    d /= np.linalg.norm(d, axis=0)
    excess = [max(0.0, abs(d[:, i] @ d[:, j]) - 0.8) for j in range(d.shape[1]) for i in range(j)]
    assert sum(value > 0 for value in excess) == 3
    assert model.penalty().item() == pytest.approx(5 * sum(e**2 for e in excess), rel=1e-5)
    trained, plain = loss(model, frames, model(frames, sample=False))[1], model.eval()
    assert plain.penalty() == 0.0
    assert trained > loss(plain, frames, plain(frames, sample=False))[1]


def test_the_penalty_parts_atoms(frames):
    """Descent on it alone, from two atoms that are nearly one, ends where they are 0.8 alike."""
    model = build_model(replace(CONFIG, parting=5.0), seed=0)
    with torch.no_grad():
        model.dictionary[:, 1] = model.dictionary[:, 0] + 0.1 * model.dictionary[:, 2]
    optimiser = torch.optim.SGD([model.dictionary], lr=1e-6)
    for _ in range(3000):
        optimiser.zero_grad()
        model.penalty().backward()
        optimiser.step()
    atoms = torch.nn.functional.normalize(model.dictionary.detach(), dim=0)
    assert abs(atoms[:, 0] @ atoms[:, 1]).item() == pytest.approx(0.8, abs=0.01)


def test_the_best_price_of_a_support_is_the_entropy_of_use():
    """The gradient is zero where the probabilities are how often each atom is used."""
    model = build_model(DEAREST, seed=0)
    active = torch.rand(400, 6, generator=torch.Generator().manual_seed(0)) < 0.3
    used = active.float().mean(dim=0)
    with torch.no_grad():
        model.usage_logit.copy_(torch.logit(used))
    price = model.support_price(active).sum(dim=-1).mean()
    entropy = torch.distributions.Bernoulli(used).entropy().sum()
    torch.testing.assert_close(price, entropy)
    (gradient,) = torch.autograd.grad(price, model.usage_logit)
    torch.testing.assert_close(gradient, torch.zeros(6), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("prior", "nu"), [("normal", 1e6), ("paper", 1e-6)])
def test_the_student_t_prior_has_the_other_two_at_its_ends(prior, nu, frames):
    ends = (replace(CONFIG, prior=prior), replace(CONFIG, prior="student-t", nu=nu))
    plain, student = (build_model(config, seed=0)(frames) for config in ends)
    torch.testing.assert_close(plain.gamma, student.gamma, rtol=1e-3, atol=1e-6)
    apart = student.kl - plain.kl
    constant = 0 if prior == "normal" else -math.log(nu / 2) - 0.5 * math.log(2 * math.pi * math.e)
    assert torch.allclose(apart, torch.full_like(apart, constant), atol=2e-3)


@pytest.mark.parametrize(("nu", "end"), [(1e6, gaussian_kl), (1e-6, ard_kl)])
def test_the_student_t_vae_has_the_vae_and_the_paper_at_its_ends(nu, end, frames):
    model = build_model(replace(STUDENT, nu=nu), seed=0)
    mu, logvar = model.encode(frames)
    apart = model(frames).kl - end(mu, logvar)
    assert torch.allclose(apart, apart.mean(), atol=2e-3)


def test_degrees_of_freedom_are_learned_or_stay(train, validation):
    for nu in (None, 3.0):
        model = build_model(replace(STUDENT, nu=nu, input="log-power"), seed=0)
        before = model.log_nu.exp().item()
        fit(model, train, validation, TRAINING, "cpu", progress=False)
        assert before == pytest.approx(nu or 1.0)
        assert (model.log_nu.exp().item() == before) == (nu is not None)


@pytest.mark.parametrize("limit", [None, 200.0])
def test_a_frame_far_louder_than_expected_moves_the_dictionary_no_further(limit, monkeypatch):
    train, validation = make_frames(64, 0), make_frames(64, 1)
    train[7] *= 1e6
    norms, step = [], torch.optim.Adam.step

    def watched(adam, *arguments):
        gradients = [p.grad.norm() for group in adam.param_groups for p in group["params"]]
        norms.append(torch.stack(gradients).norm().item())
        return step(adam, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", watched)
    model = build_model(CONFIG, seed=0)
    monkeypatch.setattr(model, "gradient_limit", limit)
    fit(model, train, validation, TRAINING, "cpu", progress=False)
    assert (max(norms) <= 200.1) == (limit is not None)


@pytest.mark.parametrize(
    "config",
    [STUDENT, replace(STUDENT, nu=3.0), CONFIG, replace(CONFIG, prior="student-t", nu=5.0)],
    ids=["student", "student-nu3", "normal", "loglinear-student"],
)
def test_codes_can_be_drawn_from_the_prior(config):
    model = build_model(config, seed=0).requires_grad_(False)
    torch.manual_seed(0)
    codes = model.prior().sample((2000,))
    assert codes.shape == (2000, config.m)
    assert torch.isfinite(model.decode(codes[:100])).all()
    if config.model == "loglinear-vae" and config.nu is None:
        spread = model.decode(codes).var(dim=0).mean().item()
        assert spread == pytest.approx(1, abs=0.3)  # in nepers of power


def test_nothing_is_drawn_from_the_papers_prior():
    with pytest.raises(ValueError, match="the paper's prior is improper"):
        build_model(replace(CONFIG, prior="paper"), seed=0).prior()


def test_learned_dictionaries_are_saved_as_they_are(tmp_path):
    for config in (DEAREST, ModelConfig("sdm-vae", 4, "learned", k=6, hidden=8, n_bins=N_BINS)):
        model = build_model(config, seed=3)
        loaded = load_model(save_model(model, tmp_path / config.name))
        assert loaded.config == config
        assert torch.equal(loaded.atoms(), model.atoms())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dictionary": "identity"}, "dictionary must be one of dct, learned, not 'identity'"),
        ({"prior": "laplace"}, "prior must be one of normal, student-t, paper, not 'laplace'"),
        ({"nu": 0.0}, "nu must be finite and positive, or None to be learned, not 0.0"),
        ({"nonzero": 6}, "nonzero must be between 1 and m - 1 = 5, or None, not 6"),
    ],
)
def test_settings_that_make_no_model_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        replace(CONFIG, **changes)


@pytest.mark.parametrize(
    ("config", "name", "label"),
    [
        (ModelConfig("student-vae", m=64), "student-64", "Student-t VAE, m = 64"),
        (ModelConfig("student-vae", nu=0.5), "student-nu0.5-32", "Student-t VAE, ν = 0.5, m = 32"),
        (
            ModelConfig("sdm-vae", dictionary="learned", k=64),
            "sdm-learned64-32",
            "SDM-VAE, D learned (k = 64), m = 32",
        ),
        (
            ModelConfig("loglinear-vae", m=64, dictionary="dct"),
            "loglinear-dct-64",
            "Log-linear VAE, D = DCT, m = 64",
        ),
        (
            ModelConfig("loglinear-vae", 128, "learned", prior="student-t", nu=1.0, nonzero=16),
            "loglinear-learned-student-nu1-128-dearest16",
            "Log-linear VAE, D learned, Student-t prior, ν = 1, m = 128, the dearest 16",
        ),
    ],
)
def test_rows_are_named_by_what_tells_them_apart(config, name, label):
    assert (config.name, config.label) == (name, label)
