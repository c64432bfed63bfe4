import numpy as np
import pytest
import torch

from sdmvae_lite.config import ModelConfig, STFTConfig
from sdmvae_lite.corpora import load_corpus
from sdmvae_lite.models import VAE, build_model
from sdmvae_lite.resynthesis import resynthesise
from sdmvae_lite.spectra import normalise


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
    with pytest.raises(ValueError, match="257 bins does not fit a model of 513"):
        resynthesise(model, waveform, config=STFTConfig(512, 128))
