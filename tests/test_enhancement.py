import time
from itertools import pairwise

import numpy as np
import pytest
import torch

from sdmvae_lite import ModelConfig, build_model, load_corpus, load_pretrained
from sdmvae_lite.enhancement.em import (
    METHODS,
    OVERLAP,
    PART,
    decoded,
    em,
    enhance,
    enhance_all,
    posterior,
)
from sdmvae_lite.enhancement.mixture import (
    Mixture,
    first_guess,
    m_step,
    objective,
    speech_power,
    wiener_gain,
)
from sdmvae_lite.enhancement.noise import make_noise, mix
from sdmvae_lite.enhancement.sampling import langevin, metropolis
from sdmvae_lite.scoring.metrics import si_sdr
from sdmvae_lite.speech.spectra import stft

SMALL = ModelConfig(m=4, hidden=8, n_bins=33)
KINDS = (
    SMALL,
    ModelConfig("vsc", m=4, hidden=8, n_bins=33),
    ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, hidden=8, n_bins=33),
    ModelConfig("student-vae", m=4, hidden=8, n_bins=33),
    ModelConfig("loglinear-vae", m=4, dictionary="dct", nonzero=2, n_bins=33),
)


@pytest.fixture
def noisy():
    """A hum that comes and goes in noise, a quarter of a second."""
    rng, t = np.random.default_rng(0), np.arange(4000) / 16_000
    hum = np.sin(2 * np.pi * 440 * t) * (t > 0.1)
    return 0.3 * hum + 0.05 * rng.standard_normal(len(t))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# Samplers: a linear observation y = A z + e of a Gaussian code has a Gaussian posterior.

LINEAR = torch.tensor([[1.0, 0.5], [0.0, 2.0], [1.0, -1.0]], dtype=torch.float64)
OBSERVED = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
GAMMA, VARIANCE = torch.tensor([2.0, 0.5], dtype=torch.float64), 0.7


def toy(code):
    misfit = (OBSERVED - code @ LINEAR.T).square().sum(dim=1) / VARIANCE
    return -0.5 * misfit - 0.5 * (code.square() / GAMMA).sum(dim=1), code @ LINEAR.T


@pytest.mark.parametrize("sampler", [metropolis, langevin])
def test_samples_have_the_mean_and_covariance_of_the_exact_posterior(sampler):
    precision = LINEAR.T @ LINEAR / VARIANCE + torch.diag(1 / GAMMA)
    covariance = torch.linalg.inv(precision)
    mean = covariance @ LINEAR.T @ OBSERVED / VARIANCE
    start = torch.zeros(4000, 2, dtype=torch.float64)
    scale = torch.tensor([0.8, 0.4], dtype=torch.float64)
    found = sampler(toy, start, scale, 30, 35, generator())
    codes = found.codes[-5:].reshape(-1, 2)
    torch.testing.assert_close(codes.mean(dim=0), mean, rtol=0, atol=0.04)
    torch.testing.assert_close(torch.cov(codes.T), covariance, rtol=0, atol=0.04)
    assert 0.3 < found.accepted.mean() < 0.9
    torch.testing.assert_close(found.kept, found.codes @ LINEAR.T)


def test_a_langevin_walk_finds_its_step_and_a_coefficient_without_scale_stays():
    start = torch.full((2000, 2), 0.25, dtype=torch.float64)
    scale = torch.tensor([0.5, 0.0], dtype=torch.float64)
    found = langevin(toy, start, scale, 100, 5, generator(), step=1e-3)
    assert (found.step > 0.1).all()
    again = langevin(toy, found.codes[-1], scale, 0, 20, generator(), found.step)
    assert again.accepted.mean() == pytest.approx(0.57, abs=0.1)
    assert (found.codes[..., 1] == 0.25).all()
    precision = LINEAR[:, 0].square().sum() / VARIANCE + 1 / GAMMA[0]
    mean = LINEAR[:, 0] @ (OBSERVED - 0.25 * LINEAR[:, 1]) / VARIANCE / precision
    assert found.codes[..., 0].mean() == pytest.approx(mean.item(), abs=0.03)
    assert found.codes[..., 0].var() == pytest.approx(1 / precision.item(), abs=0.03)


@pytest.mark.parametrize("sampler", [metropolis, langevin])
def test_codes_of_a_mixture_have_the_posterior_of_a_sum_over_a_grid(sampler):
    model = build_model(ModelConfig(m=1, hidden=8, n_bins=5), seed=0).double()
    power = torch.tensor([[4.0, 0.2, 1.0, 0.1, 0.5]], dtype=torch.float64)
    mixture = Mixture(
        torch.full((1, 5), 0.2, dtype=torch.float64),
        torch.tensor([[0.4]], dtype=torch.float64),
        torch.tensor([[1.7]], dtype=torch.float64),
        torch.tensor(0.0, dtype=torch.float64),
    )
    grid = torch.linspace(-8, 8, 2001, dtype=torch.float64).unsqueeze(1)
    with torch.no_grad():
        speech = 1.7 * model.decode(grid).exp()
        total = speech + 0.08
        terms = torch.distributions.Exponential(1 / total).log_prob(power)
        weights = torch.softmax(terms.sum(dim=1) - grid[:, 0].square() / (2 * 0.6), dim=0)
        gain = weights @ (speech / total)
        chains = mixture._replace(
            activity=mixture.activity.repeat(3000, 1), gain=mixture.gain.repeat(3000, 1)
        )
        density = posterior(model, power.repeat(3000, 1), chains, torch.tensor([[0.6]]))
        start = torch.zeros(3000, 1, dtype=torch.float64)
        found = sampler(density, start, torch.tensor([[1.0]]), 30, 40, generator())
    codes, kept = found.codes[-4:], found.kept[-4:]  # long after a step was last changed
    mean = weights @ grid[:, 0]
    assert codes.mean() == pytest.approx(mean.item(), abs=0.03)
    variance = weights @ (grid[:, 0] - mean).square()
    assert codes.var() == pytest.approx(variance.item(), abs=0.04)
    torch.testing.assert_close(wiener_gain(kept, chains).mean(dim=0), gain, rtol=0, atol=0.005)


# The M-step


def problem(seed, n_frames=12, n_bins=9, rank=3, samples=4):
    rng = generator(seed)
    power = torch.empty(n_frames, n_bins, dtype=torch.float64).exponential_(generator=rng)
    power *= 10 ** torch.randn(n_frames, 1, generator=rng, dtype=torch.float64)
    speech = torch.randn(samples, n_frames, n_bins, generator=rng, dtype=torch.float64).exp()
    return power, speech, first_guess(power, rank, rng)


@pytest.mark.parametrize("seed", range(8))
def test_an_m_step_never_raises_the_objective(seed):
    power, speech, mixture = problem(seed)
    values = [objective(power, speech, mixture)]
    for _ in range(60):
        mixture = m_step(power, speech, mixture)
        values.append(objective(power, speech, mixture))
    falls = -torch.stack(values).diff()
    assert (falls >= -1e-12).all()
    assert falls[0] > 1e-3
    torch.testing.assert_close(mixture.patterns.sum(dim=1), torch.ones(3, dtype=torch.float64))


def test_the_objective_is_that_of_its_definition():
    power, speech, mixture = problem(0)
    total = mixture.gain * speech + mixture.activity @ mixture.patterns + mixture.floor
    expected = sum((v.log() + power / v).sum() for v in total) / total.numel()
    torch.testing.assert_close(objective(power, speech, mixture), expected)


def test_an_m_step_ends_where_the_gradient_vanishes():
    power, speech, mixture = problem(1, n_frames=6, n_bins=30, rank=1)
    for _ in range(3000):
        mixture = m_step(power, speech, mixture)
    leaves = [each.clone().requires_grad_() for each in mixture[:3]]
    value = objective(power, speech, Mixture(*leaves, mixture.floor))
    for leaf, slope in zip(leaves, torch.autograd.grad(value, leaves), strict=True):
        at_zero = leaf < 1e-9
        assert (slope[at_zero] > -1e-6).all()
        assert slope[~at_zero].abs().max() < 1e-4


def test_the_expected_power_of_speech_is_that_of_its_gaussian_posterior():
    power, speech, mixture = problem(2)
    scaled, noise = mixture.gain * speech[0], mixture.noise
    mean = power * (scaled / (scaled + noise)).square()  # |E[s|x]|², and the variance
    expected = (mean + scaled * noise / (scaled + noise)) / mixture.gain
    torch.testing.assert_close(speech_power(power, speech[0], mixture), expected)


# Enhancement


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.label)
def test_every_model_and_method_takes_a_waveform_apart(noisy, config, method):
    model = build_model(config, seed=0)
    speech, noise = enhance(model, noisy, method, iterations=2)
    assert np.isfinite(speech).all()
    assert speech.any()
    np.testing.assert_allclose(speech + noise, noisy, rtol=0, atol=1e-6)
    again = enhance(model, noisy, method, iterations=2)
    np.testing.assert_array_equal(again.speech, speech)
    if method != "encoder":
        other = enhance(model, noisy, method, iterations=2, seed=1)
        assert np.abs(other.speech - speech).max() > 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_a_rescaled_sdm_vae_gives_the_same_speech(noisy, method):
    config = ModelConfig("sdm-vae", m=4, hidden=8, n_bins=33)
    model, rescaled = (build_model(config, seed=0).double() for _ in range(2))
    scale = torch.tensor([0.01, 0.5, 4.0, 300.0], dtype=torch.float64)
    with torch.no_grad():
        rescaled.encoder_mu.weight *= scale[:, None]
        rescaled.encoder_mu.bias *= scale
        rescaled.encoder_logvar.bias += 2 * scale.log()
        rescaled.decoder_hidden.weight /= scale
    for prior in ("utterance", "estimate", "codes"):
        one, other = (
            enhance(m, noisy, method, prior=prior, iterations=3) for m in (model, rescaled)
        )
        np.testing.assert_allclose(other.speech, one.speech, rtol=0, atol=1e-9)


def test_gamma_may_be_given(noisy):
    model = build_model(SMALL, seed=0)
    named, given, wide = (
        enhance(model, noisy, prior=prior, iterations=2).speech
        for prior in ("utterance", torch.ones(4), torch.full((4,), 50.0))
    )
    np.testing.assert_array_equal(given, named)
    assert np.abs(wide - named).max() > 1e-6


def test_an_iteration_is_the_e_step_and_the_m_step_of_the_one_before(noisy):
    model = build_model(SMALL, seed=0)
    power = torch.from_numpy(np.abs(stft(noisy, SMALL.stft)) ** 2).float()
    found = list(em(model, power, "mcem", iterations=3, generator=generator()))
    assert len(found) == 4
    for before, after in pairwise(found[:3]):
        expected = m_step(power, after.speech, before.mixture)
        torch.testing.assert_close(after.mixture, expected)
        with torch.no_grad():
            torch.testing.assert_close(after.speech[-1], decoded(model, after.codes[-1]))
        assert after.objective == pytest.approx(
            objective(power, after.speech, after.mixture).item()
        )
    torch.testing.assert_close(found[3].mixture, found[2].mixture)
    assert [len(each.codes) for each in found] == [10, 10, 10, 25]


@pytest.mark.parametrize("method", METHODS)
def test_silence_stays_silence(method):
    model = build_model(SMALL, seed=0)
    for part in enhance(model, np.zeros(640, np.float32), method, iterations=2):
        np.testing.assert_array_equal(part, np.zeros(640))
    half = np.concatenate([np.zeros(3000), np.random.default_rng(0).standard_normal(3000)])
    speech, noise = enhance(model, half, method, iterations=2)
    assert np.isfinite(speech).all()
    assert np.abs(speech[:2900]).max() < 1e-9
    np.testing.assert_allclose(speech + noise, half, rtol=0, atol=1e-6)


def test_the_shortest_waveform_a_click_and_clipped_integers(noisy):
    model = build_model(SMALL, seed=0)
    click = np.zeros(64)
    click[32] = 1.0
    clipped = np.clip(1e6 * noisy, -32768, 32767).astype(np.int16)
    for waveform in (click, noisy[:64], clipped):
        speech, noise = enhance(model, waveform, iterations=2)
        assert np.isfinite(speech).all()
        np.testing.assert_allclose(speech + noise, waveform, rtol=1e-6, atol=1e-6)


def test_the_level_of_the_recording_does_not_matter(noisy):
    model = build_model(SMALL, seed=0)
    loud, quiet = (enhance(model, level * noisy, iterations=3).speech for level in (1.0, 2**-10))
    np.testing.assert_array_equal(loud, 2**10 * quiet)


def test_a_long_waveform_is_taken_in_parts_that_are_cross_faded(monkeypatch):
    monkeypatch.setattr("sdmvae_lite.enhancement.em.PART", 2000)
    monkeypatch.setattr("sdmvae_lite.enhancement.em.OVERLAP", 400)
    assert OVERLAP < PART / 2
    waveform, model = np.random.default_rng(0).standard_normal(5001), build_model(SMALL, seed=0)
    heard = []

    def halve(model, power, *_):
        heard.append(len(power))
        yield type("Iteration", (), {"gain": torch.full_like(power, 0.5), "objective": 0.0})

    with monkeypatch.context() as patched:
        patched.setattr("sdmvae_lite.enhancement.em.em", halve)
        speech, noise = enhance(model, waveform)
    assert heard == [1 + 1801 // 16] * 3 or len(set(heard)) == 1
    np.testing.assert_allclose(speech, waveform / 2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(noise, waveform / 2, rtol=0, atol=1e-12)
    speech, noise = enhance(model, waveform, iterations=1)
    np.testing.assert_allclose(speech + noise, waveform, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_many_waveforms_are_enhanced_as_each_alone(noisy, n_jobs):
    model = build_model(SMALL, seed=0)
    waveforms = [noisy, noisy[1000:], 0.1 * noisy[::-1]]
    found = enhance_all(model, waveforms, n_jobs=n_jobs, iterations=3, seed=4)
    assert len(found) == 3
    for waveform, each in zip(waveforms, found, strict=True):
        alone = enhance(model, waveform, iterations=3, seed=4)
        np.testing.assert_allclose(each.speech, alone.speech, atol=1e-6)
        np.testing.assert_allclose(each.speech + each.noise, waveform, atol=1e-7)
    assert enhance_all(model, []) == []
    with pytest.raises(ValueError, match=r"^waveform 1: .*NaN"):
        enhance_all(model, [noisy, np.full(4000, np.nan)], n_jobs=n_jobs)


def test_what_cannot_be_enhanced_is_refused(noisy):
    model = build_model(SMALL, seed=0)
    with pytest.raises(ValueError, match="less than a window"):
        enhance(model, noisy[:60])
    with pytest.raises(ValueError, match="one dimension"):
        enhance(model, noisy.reshape(2, -1))
    with pytest.raises(ValueError, match="NaN"):
        enhance(model, np.append(noisy, np.nan))
    with pytest.raises(ValueError, match="unknown method 'best': choose one of fast"):
        enhance(model, noisy, "best")
    with pytest.raises(ValueError, match="unknown prior 'none': choose one of utterance"):
        enhance(model, noisy, prior="none")
    with pytest.raises(ValueError, match="0 iterations of rank 8"):
        enhance(model, noisy, iterations=0)
    with pytest.raises(ValueError, match="of rank 0"):
        enhance(model, noisy, rank=0)


@pytest.mark.parametrize("name", ["vae-32-log", "sdm-identity-32-log"])
def test_speech_never_heard_in_training_is_cleaned_faster_than_it_was_spoken(name):
    speech = load_corpus("synthetic", minutes=0.7).test[0].waveform().astype(np.float64)[:32_000]
    noise = make_noise("pink", len(speech) / 16_000, np.random.default_rng(0))
    mixture, model, threads = (
        mix(speech, noise, 0.0),
        load_pretrained(name),
        torch.get_num_threads(),
    )
    torch.set_num_threads(1)
    started = time.process_time()
    found = enhance(model, mixture)
    seconds = time.process_time() - started
    torch.set_num_threads(threads)
    assert si_sdr(speech, found.speech) > si_sdr(speech, mixture) + 4
    assert seconds < len(speech) / 16_000
