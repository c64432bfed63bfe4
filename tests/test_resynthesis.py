from dataclasses import replace

import numpy as np
import pytest
import torch

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.models import VAE, build_model
from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.spectra import istft, normalise, power_and_phase, stft

KINDS = (
    ModelConfig(),
    ModelConfig("vsc"),
    ModelConfig("sdm-vae"),
    ModelConfig("sdm-vae", dictionary="dct", k=48),
)


@pytest.fixture(scope="module")
def waveform():
    return load_corpus("synthetic", minutes=1).test[0].waveform()


class Copy(VAE):
    """A model without a bottleneck, which decodes exactly what it was shown."""

    def forward(self, frames, sample=True, generator=None):
        return super().forward(frames)._replace(log_variance=torch.log(frames))


def test_a_model_that_copies_gives_the_utterance_back(waveform):
    result = resynthesise(Copy(), waveform)
    np.testing.assert_array_equal(result.reference, normalise(waveform))
    np.testing.assert_allclose(result.estimate, result.reference, atol=1e-5)


@pytest.mark.parametrize("extra", [0, 1, 255, 256])
def test_the_length_is_kept(waveform, extra):
    shorter = waveform[: 8192 + extra]
    result = resynthesise(build_model(ModelConfig(), seed=0), shorter)
    assert len(result.estimate) == len(result.reference) == len(shorter)
    assert result.power.shape == (1 + len(shorter) // 256, 513)
    assert result.output.code.shape == (len(result.power), 32)


def test_the_posterior_mean_is_decoded_unless_a_sample_is_asked_for(waveform):
    model = build_model(ModelConfig("sdm-vae"), seed=0)
    mean = resynthesise(model, waveform)
    frames = torch.from_numpy(mean.power)
    torch.testing.assert_close(mean.output.log_variance, model.decode(model.encode(frames)[0]))
    first, again, other = (
        resynthesise(model, waveform, sample=True, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.estimate, again.estimate)
    assert np.abs(first.estimate - other.estimate).max() > 1e-3
    assert np.abs(first.estimate - mean.estimate).max() > 1e-3


def test_the_level_of_the_recording_does_not_matter(waveform):
    model = build_model(ModelConfig(), seed=0)
    loud, quiet = (resynthesise(model, level * waveform).estimate for level in (1.0, 0.25))
    np.testing.assert_allclose(loud, quiet, atol=1e-5)


def test_what_cannot_be_resynthesised_is_refused(waveform):
    model = build_model(ModelConfig(), seed=0)
    with pytest.raises(ValueError, match="silent"):
        resynthesise(model, np.zeros(4000, np.float32))
    with pytest.raises(ValueError, match="less than a window"):
        resynthesise(model, waveform[4000:4500])


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.label)
def test_the_code_of_a_resynthesis_gives_its_estimate_again(waveform, config):
    model = build_model(config, seed=0)
    result = resynthesise(model, waveform)
    again = code_to_waveform(model, result.output.code, result.phase, len(waveform))
    np.testing.assert_allclose(again, result.estimate, atol=1e-6)


def test_a_changed_code_is_decoded_and_given_the_phase_by_hand(waveform):
    model = build_model(ModelConfig("sdm-vae", dictionary="dct", k=48), seed=0)
    result = resynthesise(model, waveform)
    _, phase = power_and_phase(stft(normalise(waveform)))
    np.testing.assert_array_equal(result.phase, phase)
    changed = -2 * result.output.code
    with torch.no_grad():
        power = model.decode(changed @ model.dictionary.T).exp().double().numpy()
    by_hand = istft(np.sqrt(power) * phase, len(waveform))
    estimate = code_to_waveform(model, changed, result.phase, len(waveform))
    np.testing.assert_allclose(estimate, by_hand, atol=1e-5)
    assert np.abs(estimate - result.estimate).max() > 1e-3


@pytest.mark.parametrize("config", [ModelConfig(n_bins=257), ModelConfig(hop_length=128)])
def test_a_model_resynthesises_at_its_own_stft(waveform, config):
    model = build_model(config, seed=0)
    result = resynthesise(model, waveform)
    spectra = stft(result.reference, config.stft)
    np.testing.assert_allclose(result.power, np.abs(spectra) ** 2, rtol=1e-4, atol=1e-6)
    assert len(result.power) == 1 + len(waveform) // 128
    again = code_to_waveform(model, result.output.code, result.phase, len(waveform))
    np.testing.assert_allclose(again, result.estimate, atol=1e-6)
    assert len(again) == len(waveform)
    copied = resynthesise(Copy(config), waveform)
    np.testing.assert_allclose(copied.estimate, copied.reference, atol=1e-5)


def test_lists_tensors_and_integers_are_waveforms_too(waveform):
    model = build_model(ModelConfig(), seed=0)
    rounded = np.round(32_000 * waveform[:8000]).astype(np.float32)
    expected = resynthesise(model, rounded).estimate
    for kind in (torch.from_numpy, np.ndarray.tolist, lambda x: x.astype(np.int16)):
        np.testing.assert_allclose(resynthesise(model, kind(rounded)).estimate, expected, atol=1e-5)


def test_a_code_that_does_not_fit_is_refused(waveform):
    model = build_model(ModelConfig("sdm-vae", dictionary="dct", k=48), seed=0)
    result = resynthesise(model, waveform)
    code, phase, length = result.output.code, result.phase, len(waveform)
    frames = len(phase)
    with pytest.raises(ValueError, match=rf"code of shape \({frames}, 48\), not \({frames}, 32\)"):
        code_to_waveform(model, code[:, :32], phase, length)
    with pytest.raises(ValueError, match=rf"phase of shape .*, not \({frames - 1}, 513\)"):
        code_to_waveform(model, code, phase[1:], length)
    with pytest.raises(ValueError, match=f"{length + 256} samples need a code"):
        code_to_waveform(model, code, phase, length + 256)
    other = build_model(replace(model.config, hop_length=128), seed=0)
    with pytest.raises(ValueError, match=rf"need a code of shape .*, not \({frames}, 48\)"):
        code_to_waveform(other, code, phase, length)


def test_the_largest_coefficients_of_every_frame_are_kept():
    code = torch.randn(50, 32, generator=torch.Generator().manual_seed(0))
    for count in (1, 5, 31):
        kept = keep_largest(code, count).numpy()
        for frame, row in zip(code.numpy(), kept, strict=True):
            largest = np.argsort(-np.abs(frame))[:count]
            expected = np.zeros_like(frame)
            expected[largest] = frame[largest]
            np.testing.assert_array_equal(row, expected)


def test_all_or_none_may_be_kept():
    code = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    for count in (8, 9, 1000):
        torch.testing.assert_close(keep_largest(code, count), code, rtol=0, atol=0)
    assert not keep_largest(code, 0).any()


def test_of_coefficients_equally_large_the_first_are_kept():
    code = torch.tensor([[1.0, -1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 3.0], [-1.0, -1.0, -1.0, -1.0]])
    expected = [[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 3.0], [-1.0, -1.0, 0.0, 0.0]]
    torch.testing.assert_close(keep_largest(code, 2), torch.tensor(expected), rtol=0, atol=0)


def test_what_to_keep_may_go_by_another_size():
    code, price = torch.tensor([[5.0, -1.0, 3.0]]), torch.tensor([[0.1, 2.0, 0.3]])
    assert keep_largest(code, 2, price).tolist() == [[0.0, -1.0, 3.0]]


def test_what_cannot_be_kept_is_refused():
    code = torch.ones(2, 3)
    with pytest.raises(ValueError, match="cannot be -1"):
        keep_largest(code, -1)
    with pytest.raises(ValueError, match=r"sizes \(2, 2\) do not fit a code of \(2, 3\)"):
        keep_largest(code, 1, torch.ones(2, 2))


def test_a_model_in_double_precision_agrees():
    waveform = np.random.default_rng(0).standard_normal(8000)
    model = build_model(ModelConfig("sdm-vae", m=4, hidden=8), seed=0)
    single = resynthesise(model, waveform)
    double = resynthesise(model.double(), waveform)
    assert double.output.code.dtype == torch.float64
    np.testing.assert_allclose(double.estimate, single.estimate, atol=1e-5)
    again = code_to_waveform(model, double.output.code, double.phase, len(waveform))
    np.testing.assert_allclose(again, double.estimate, atol=1e-12)
