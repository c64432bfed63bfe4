import numpy as np
import pytest
import torch

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.models import build_model
from sdmvae_lite.scoring.codes import code_statistics
from sdmvae_lite.scoring.metrics import hoyer
from sdmvae_lite.scoring.resynthesis import resynthesise
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.spectra import normalise, power_and_phase, stft

MODEL = ModelConfig("sdm-vae", m=6, hidden=8)


@pytest.fixture(scope="module")
def utterances():
    return load_corpus("synthetic", minutes=0.5).test


def rescaled(model, factors):
    """The same function of speech and the same objective, with coefficients in other units."""
    with torch.no_grad():
        model.encoder_mu.weight.mul_(factors[:, None])
        model.encoder_mu.bias.mul_(factors)
        model.encoder_logvar.bias.add_(2 * factors.log())
        model.decoder_hidden.weight.div_(factors)
    return model


def encoded(model, utterance):
    power, _ = power_and_phase(stft(normalise(utterance.waveform())))
    with torch.no_grad():
        return model(torch.tensor(power, dtype=torch.float32), sample=False)


def test_statistics_are_those_of_all_frames(utterances):
    model = build_model(MODEL, seed=0)
    found = code_statistics(model, utterances)
    outputs = [encoded(model, utterance) for utterance in utterances]
    codes = torch.cat([output.code for output in outputs]).numpy()
    torch.testing.assert_close(found.rms.numpy(), np.sqrt((codes**2).mean(axis=0)))
    kl = torch.cat([output.kl for output in outputs]).mean(dim=0)
    torch.testing.assert_close(found.kl, kl)
    first = hoyer(outputs[0].code / found.rms).mean().item()
    assert found.hoyer_unit_rms[0] == pytest.approx(first, abs=1e-6)
    assert found.hoyer_kl[0] == pytest.approx(hoyer(outputs[0].kl).mean().item(), abs=1e-6)


def test_a_model_of_double_precision_has_the_same_statistics(utterances):
    model = build_model(MODEL, seed=0)
    single = code_statistics(model, utterances)
    double = code_statistics(model.double(), utterances)
    for one, other in zip(single, double, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_units_change_hoyer_and_not_its_companions(utterances):
    factors = torch.tensor([1e-2, 1.0, 30.0, 0.2, 5.0, 1e3])
    before = build_model(MODEL, seed=0)
    after = rescaled(build_model(MODEL, seed=0), factors)
    waveform = utterances[0].waveform()
    one, other = (resynthesise(model, waveform) for model in (before, after))
    np.testing.assert_allclose(one.estimate, other.estimate, atol=1e-5)
    assert abs(hoyer(one.output.code).mean() - hoyer(other.output.code).mean()) > 0.2
    one, other = (code_statistics(model, utterances) for model in (before, after))
    torch.testing.assert_close(other.rms, factors * one.rms)
    torch.testing.assert_close(other.kl, one.kl, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(other.hoyer_unit_rms, one.hoyer_unit_rms, atol=1e-5)
    np.testing.assert_allclose(other.hoyer_kl, one.hoyer_kl, atol=1e-5)


def test_a_coefficient_that_is_always_zero_stays_zero(utterances):
    model = build_model(MODEL, seed=0)
    with torch.no_grad():
        model.encoder_mu.weight[2] = 0
        model.encoder_mu.bias[2] = 0
    found = code_statistics(model, utterances)
    assert found.rms[2] == 0
    assert np.isfinite(found.hoyer_unit_rms).all()


def test_a_code_of_one_coefficient_has_statistics_but_no_hoyer(utterances):
    found = code_statistics(build_model(ModelConfig(m=1, hidden=8), seed=0), utterances)
    assert found.rms.shape == found.kl.shape == (1,)
    assert np.isnan([found.hoyer_unit_rms, found.hoyer_kl]).all()


def test_no_utterances_are_no_statistics():
    with pytest.raises(ValueError, match="there are no utterances"):
        code_statistics(build_model(MODEL, seed=0), [])
