"""Enhancement as *Play with a code* computes it, against the package, in a real browser."""

import base64

import numpy as np
import pytest
import torch
from chromium import NEEDS_CHROMIUM
from played import package, play_data
from scipy.signal import find_peaks, welch
from toc import BOOK

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.enhancement import sampling
from sdmvae_lite.enhancement.em import enhance, posterior
from sdmvae_lite.enhancement.mixture import first_guess, m_step, wiener_gain
from sdmvae_lite.enhancement.noise import mix
from sdmvae_lite.model.models import build_model
from sdmvae_lite.scoring.metrics import si_sdr
from sdmvae_lite.speech.corpora import load_corpus

pytestmark = NEEDS_CHROMIUM
RATE = 16_000
DOUBLE = torch.float64

READ = """
const matrix = ([rows, cols, values]) => ({rows, cols, data: Float64Array.from(values)});
const plain = ({rows, cols, data}) => [rows, cols, [...data]];
const mixtureOf = ({patterns, activity, gains, floor}) => ({patterns: matrix(patterns),
    activity: matrix(activity), gains: Float64Array.from(gains), floor});
const mixtureSaid = ({patterns, activity, gains, floor}) => ({patterns: plain(patterns),
    activity: plain(activity), gains: [...gains], floor});
const recorded = ({normal, uniform}) => {
    let [i, j] = [0, 0];
    return {normal: () => normal[i++], uniform: () => uniform[j++], used: () => [i, j]};
};
const noises = makeNoises(numerics);
const enhancement = makeEnhancement(numerics);
"""


@pytest.fixture(scope="module")
def page(browser):
    """A page that holds what computes, and nothing else."""
    empty = browser.new_page()
    for name in ("numerics.js", "noise.js", "enhance.js"):
        empty.add_script_tag(path=BOOK / "_extra" / "play" / name)
    empty.add_script_tag(content=READ)
    yield empty
    empty.close()


def sent(array):
    array = np.asarray(array)
    return [*array.shape, array.ravel().tolist()]


def got(said):
    rows, cols, values = said
    return np.reshape(values, (rows, cols))


def sent_mixture(mixture):
    return {
        "patterns": sent(mixture.patterns.T),
        "activity": sent(mixture.activity),
        "gains": mixture.gain[:, 0].tolist(),
        "floor": mixture.floor.item(),
    }


def assert_same_mixture(said, expected):
    np.testing.assert_allclose(got(said["patterns"]), expected.patterns.T, rtol=1e-9)
    np.testing.assert_allclose(got(said["activity"]), expected.activity, rtol=1e-9)
    np.testing.assert_allclose(said["gains"], expected.gain[:, 0], rtol=1e-9)
    assert said["floor"] == pytest.approx(expected.floor.item(), rel=1e-12)


def packed(model):
    return base64.b64encode(play_data.pack(model)).decode()


@pytest.fixture(scope="module")
def problem():
    """A model, powers, a mixture after one M-step, and codes."""
    model = build_model(ModelConfig("vae", m=5, hidden=8, n_bins=33), seed=0)
    rounded = {key: value.half().float() for key, value in model.state_dict().items()}
    model.load_state_dict(rounded)
    model, rng = model.double(), torch.Generator().manual_seed(0)
    power = torch.empty(21, 33, dtype=DOUBLE).exponential_(generator=rng)
    power *= 10 ** torch.randn(21, 1, generator=rng, dtype=DOUBLE)
    code = torch.randn(21, 5, generator=rng, dtype=DOUBLE)
    with torch.no_grad():
        speech = model.decode(code).exp()
    mixture = m_step(power, speech[None], first_guess(power, 3, rng))
    return model, power, mixture, code, speech


def test_the_first_guess_is_the_packages(page, problem):
    power = problem[1]
    jitter = torch.rand(4, 33, generator=torch.Generator().manual_seed(7), dtype=DOUBLE)
    expected = first_guess(power, 4, torch.Generator().manual_seed(7))
    said = page.evaluate(
        """([power, uniform]) => mixtureSaid(
            enhancement.firstGuess(matrix(power), recorded({uniform}), 4))""",
        [sent(power), jitter.ravel().tolist()],
    )
    assert_same_mixture(said, expected)


def test_an_m_step_and_a_gain_are_the_packages(page, problem):
    _, power, mixture, _, speech = problem
    said, gain = page.evaluate(
        """([power, speech, mixture]) => [
            mixtureSaid(enhancement.mStep(matrix(power), matrix(speech), mixtureOf(mixture))),
            plain(enhancement.wienerGain(matrix(speech), mixtureOf(mixture)))]""",
        [sent(power), sent(speech), sent_mixture(mixture)],
    )
    assert_same_mixture(said, m_step(power, speech[None], mixture))
    np.testing.assert_allclose(got(gain), wiener_gain(speech[None], mixture), rtol=1e-9)


def test_the_posterior_and_its_slope_are_the_packages(page, problem):
    model, power, mixture, code, speech = problem
    at = code.clone().requires_grad_()
    value, _ = posterior(model, power, mixture, torch.ones(1, dtype=DOUBLE))(at)
    (slope,) = torch.autograd.grad(value.sum(), at)
    found = page.evaluate(
        """([bytes, power, mixture, code]) => {
            const model = numerics.readModel(numerics.fromBase64(bytes));
            const density = enhancement.posterior(model, matrix(power), mixtureOf(mixture));
            const {value, slope, speech} = density(matrix(code));
            return [[...value], plain(slope), plain(speech)];
        }""",
        [packed(model), sent(power), sent_mixture(mixture), sent(code)],
    )
    np.testing.assert_allclose(found[0], value.detach(), rtol=1e-9)
    np.testing.assert_allclose(got(found[1]), slope, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got(found[2]), speech, rtol=1e-9)


def drawn(monkeypatch, jitter_shape, seed=0):
    """Make the package draw what can be handed to the page too: {normal, uniform}."""
    rng = torch.Generator().manual_seed(seed)
    jitter = torch.rand(*jitter_shape, generator=rng, dtype=DOUBLE)
    lists = {"normal": [], "uniform": jitter.ravel().tolist()}

    def recorder(name, draw):
        def record(like, generator):
            values = draw(like, generator)
            lists[name] += values.ravel().tolist()
            return values

        return record

    for name in lists:
        monkeypatch.setattr(sampling, f"_{name}", recorder(name, getattr(sampling, f"_{name}")))
    return lists


def test_with_the_same_draws_the_whole_is_the_packages(page, voice, monkeypatch):
    """The default plan to its end: 30 iterations and the last E-step, at 0 dB."""
    model = package(play_data.MODELS["VAE"])
    speech = voice[4000:10_000]
    mixture = mix(speech, np.random.default_rng(0).standard_normal(len(speech)), 0.0)
    lists = drawn(monkeypatch, (8, 513))
    expected = enhance(model, mixture, seed=0)
    found, removed, used = page.evaluate(
        """([bytes, waveform, lists]) => {
            const random = recorded(lists);
            const model = numerics.readModel(numerics.fromBase64(bytes));
            const shares = [];
            const {speech, noise} = enhancement.enhance(
                model, Float64Array.from(waveform), random, share => shares.push(share));
            if (shares.length !== 31 || shares.at(-1) !== 1) throw Error(String(shares));
            return [[...speech], [...noise], random.used()];
        }""",
        [packed(model), mixture.tolist(), lists],
    )
    assert used == [len(lists["normal"]), len(lists["uniform"])]
    peak = np.abs(mixture).max()
    assert np.abs(found - expected.speech).max() < 1e-6 * peak
    assert np.abs(removed - expected.noise).max() < 1e-6 * peak
    assert si_sdr(speech, found) > si_sdr(speech, mixture) + 3


def test_a_langevin_walk_reaches_an_exact_posterior(page):
    """A linear observation of a Gaussian code; 2000 chains, the last five steps of 60."""
    measured = np.array([[1.0, 0.5], [0.0, 2.0], [1.0, -1.0]])
    precision = measured.T @ measured / 0.7 + np.diag([0.5, 2.0])
    mean = np.linalg.solve(precision, measured.T @ [1.0, -0.5, 2.0] / 0.7)
    codes, steps = page.evaluate(
        """([precision, mean]) => {
            const density = (code) => {
                const slope = numerics.matrix(code.rows, 2);
                const value = new Float64Array(code.rows);
                for (let row = 0; row < code.rows; row++) {
                    const apart = mean.map((m, i) => code.data[2 * row + i] - m);
                    precision.forEach((line, i) => {
                        const at = -line[0] * apart[0] - line[1] * apart[1];
                        slope.data[2 * row + i] = at;
                        value[row] += 0.5 * at * apart[i];
                    });
                }
                return {code, value, slope, speech: code};
            };
            const code = numerics.matrix(2000, 2);
            const scale = {...code, data: code.data.map((_, i) => [0.8, 0.4][i % 2])};
            const random = noises.makeRandom(3);
            let chains = {...density(code), steps: new Float64Array(2000).fill(0.5)};
            const kept = [];
            for (let i = 0; i < 60; i++) {
                chains = enhancement.langevin(density, chains, scale, random, i < 30);
                if (i >= 55) kept.push(...chains.code.data);
            }
            return [kept, [...chains.steps]];
        }""",
        [precision.tolist(), mean.tolist()],
    )
    codes = np.reshape(codes, (-1, 2))
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(codes.T), np.linalg.inv(precision), atol=0.04)
    assert np.median(steps) > 0.6, "the steps have followed what was accepted"


# Noise


def noise(page, kind, voice, seed=1):
    other = np.arange(1.0, 8.0)
    return np.array(
        page.evaluate(
            """([kind, voice, other, seed]) => [...noises.make(
                kind, Float64Array.from(voice), other, noises.makeRandom(seed))]""",
            [kind, np.asarray(voice).tolist(), other.tolist(), seed],
        )
    )


@pytest.fixture(scope="module")
def voice():
    """A sentence, normalised."""
    waveform = load_corpus("synthetic", minutes=0.1).test[0].waveform().astype(float)
    return waveform / np.abs(waveform).max()


def level(waveform):
    frequency, power = welch(waveform, RATE, nperseg=1024)
    return frequency, 10 * np.log10(power)


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -3.01)])
def test_noise_falls_by_the_octave(page, voice, kind, slope):
    voice = voice[:32_000]
    made = noise(page, kind, voice)
    assert len(made) == len(voice)
    frequency, decibels = level(made)
    inside = (frequency > 60) & (frequency < 7500)
    found = np.polyfit(np.log2(frequency[inside]), decibels[inside], 1)[0]
    assert found == pytest.approx(slope, abs=0.15)
    np.testing.assert_array_equal(made, noise(page, kind, voice))
    assert abs(np.corrcoef(made, noise(page, kind, voice, seed=2))[0, 1]) < 0.1
    standard = (made - made.mean()) / made.std()
    assert np.mean(standard**4) == pytest.approx(3, abs=0.2), "Gaussian"


def test_noise_like_a_voice_has_its_spectrum(page, voice):
    made, original = level(noise(page, "shaped", voice))[1], level(voice)[1]
    apart = (made - made.mean()) - (original - original.mean())
    assert np.abs(apart[3:-3]).mean() < 1.5
    assert original.max() - original.min() > 40


def test_a_hum_has_harmonics_of_mains_above_a_floor(page, voice):
    made = noise(page, "hum", np.zeros(4 * RATE))
    power = np.abs(np.fft.rfft(made * np.hanning(len(made)))) ** 2
    peaks = find_peaks(power, height=power.max() / 1000, distance=100)[0] / 4
    assert len(peaks) == 11
    assert 45 <= peaks[0] <= 65
    np.testing.assert_allclose(peaks, peaks[0] * np.arange(1, 12), atol=2)
    tones = sum(power[int(4 * peak) - 8 : int(4 * peak) + 9].sum() for peak in peaks)
    assert 10 * np.log10(tones / (power.sum() - tones)) == pytest.approx(20, abs=1)


def test_another_voice_goes_round(page):
    np.testing.assert_array_equal(noise(page, "other", np.zeros(9)), [1, 2, 3, 4, 5, 6, 7, 1, 2])


def test_mixing_and_scoring_are_the_packages(page, voice):
    voice = voice[:8000]
    made = np.random.default_rng(1).standard_normal(len(voice))
    for snr in (-5, 0, 7.5):
        mixture, score = page.evaluate(
            """([voice, noise, snr]) => {
                const [one, other] = [voice, noise].map(each => Float64Array.from(each));
                const mixture = noises.mix(one, other, snr);
                return [[...mixture], noises.siSdr(one, mixture)];
            }""",
            [voice.tolist(), made.tolist(), snr],
        )
        np.testing.assert_allclose(mixture, mix(voice, made, snr), rtol=1e-9)
        assert score == pytest.approx(si_sdr(voice, np.array(mixture)), abs=1e-9)
