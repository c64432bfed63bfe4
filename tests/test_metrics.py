import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sdmvae_lite.model.divergences import ard_kl, gaussian_kl
from sdmvae_lite.scoring.bursts import count_bursts
from sdmvae_lite.scoring.metrics import (
    Unscorable,
    active_dimensions,
    estoi,
    hoyer,
    lqo_to_raw,
    pesq_lqo,
    pesq_raw,
    si_sdr,
    stoi,
)
from sdmvae_lite.speech.corpora import load_corpus

QUALITY = {
    "pesq_nb": lambda r, e: pesq_lqo(r, e, "nb"),
    "pesq_wb": lambda r, e: pesq_lqo(r, e, "wb"),
    "pesq_raw": pesq_raw,
    "stoi": stoi,
    "estoi": estoi,
    "si_sdr": si_sdr,
}
every_metric = pytest.mark.parametrize("metric", QUALITY.values(), ids=QUALITY)


@pytest.fixture(scope="module")
def speech():
    return load_corpus("synthetic", minutes=1).test[0].waveform()


def noisy(speech, snr_db, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(speech)).astype(np.float32)
    scale = np.linalg.norm(speech) / np.linalg.norm(noise) * 10 ** (-snr_db / 20)
    return speech + scale * noise


@every_metric
def test_more_noise_scores_lower(metric, speech):
    scores = [metric(speech, noisy(speech, snr)) for snr in (30, 15, 0)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[2]


def test_a_perfect_copy_scores_the_best_there_is(speech):
    assert pesq_raw(speech, speech) == pytest.approx(4.5, abs=0.01)
    assert pesq_lqo(speech, speech, "nb") == pytest.approx(4.549, abs=0.001)
    assert pesq_lqo(speech, speech, "wb") == pytest.approx(4.644, abs=0.001)
    assert stoi(speech, speech) == pytest.approx(1, abs=1e-6)
    assert estoi(speech, speech) == pytest.approx(1, abs=1e-6)
    assert si_sdr(speech, speech) == math.inf


def test_the_scores_of_a_known_degradation_cannot_drift(speech):
    estimate = noisy(speech, 10)
    assert si_sdr(speech, estimate) == pytest.approx(10, abs=0.1)
    assert pesq_raw(speech, estimate) == pytest.approx(lqo_to_raw(pesq_lqo(speech, estimate)))
    assert estoi(speech, estimate) < stoi(speech, estimate) < 1
    assert pesq_lqo(speech, estimate, "wb") != pesq_lqo(speech, estimate, "nb")


@given(st.floats(-0.5, 4.5), st.sampled_from([("nb", 1.4945, 4.6607), ("wb", 1.3669, 3.8224)]))
def test_the_map_of_p862_is_inverted(raw, parameters):
    band, slope, offset = parameters
    lqo = 0.999 + 4 / (1 + math.exp(-slope * raw + offset))
    assert lqo_to_raw(lqo, band) == pytest.approx(raw, abs=1e-9)


@given(st.floats(0.1, 10), st.floats(-40, 60))
def test_si_sdr_is_the_ratio_it_was_built_with_at_any_scale(scale, ratio):
    t = np.arange(1600) / 1600
    target, distortion = np.sin(2 * np.pi * 10 * t), np.cos(2 * np.pi * 10 * t)
    estimate = scale * (target + 10 ** (-ratio / 20) * distortion)
    assert si_sdr(target, estimate) == pytest.approx(ratio, abs=1e-6)


@every_metric
@pytest.mark.parametrize("silent", ["reference", "estimate"])
def test_silence_cannot_be_scored(metric, silent, speech):
    pair = {"reference": speech, "estimate": speech} | {silent: np.zeros_like(speech)}
    with pytest.raises(Unscorable, match=f"the {silent} is silent"):
        metric(pair["reference"], pair["estimate"])


def test_reasons_are_given_where_a_metric_gives_up(speech):
    with pytest.raises(Unscorable, match="quarter of a second"):
        pesq_lqo(speech[8000:11_000], speech[8000:11_000])
    with pytest.raises(Unscorable, match="STOI needs about"):
        stoi(speech[8000:12_000], speech[8000:12_000])
    with pytest.raises(Unscorable, match="orthogonal"):
        si_sdr(np.array([1.0, 0.0]), np.array([0.0, 1.0]))


@every_metric
def test_what_is_no_pair_of_waveforms_is_refused(metric, speech):
    broken = speech.copy()
    broken[100] = np.nan
    with pytest.raises(ValueError, match="the estimate holds NaN or infinite samples"):
        metric(speech, broken)
    with pytest.raises(ValueError, match="of equal length"):
        metric(speech, speech[:-1])
    with pytest.raises(ValueError, match="one-dimensional"):
        metric(speech[None], speech[None])


@every_metric
def test_tensors_lists_and_integers_are_waveforms_too(metric, speech):
    speech = np.round(32_000 * speech[8000:24_000])
    estimate = np.round(noisy(speech, 10))
    expected = metric(speech.astype(np.float32), estimate.astype(np.float32))
    for kind in (torch.from_numpy, np.ndarray.tolist, lambda x: x.astype(np.int16)):
        assert metric(kind(speech), kind(estimate)) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ValueError, match="signed integers, not uint8: read the file as float32"):
        metric(speech.astype(np.uint8), estimate)


def test_the_band_is_named(speech):
    with pytest.raises(ValueError, match="unknown PESQ band 'fb': choose nb or wb"):
        pesq_lqo(speech, speech, "fb")


def bursts(number, on=0.75, off=0.6):
    """So many bursts of noise, with digital silence between them."""
    noise = np.random.default_rng(0).standard_normal((number, int((on + off) * 16_000)))
    noise[:, int(on * 16_000) :] = 0
    return noise.ravel().astype(np.float32)


@pytest.mark.parametrize("band", ["nb", "wb"])
@pytest.mark.parametrize("hum", [0, 10])
def test_recordings_beyond_what_the_code_of_pesq_has_room_for_are_no_score(band, hum):
    """It writes over its own results from 51 bursts on: here 3.1 for 2.6, and then it crashes."""
    for number in (51, 52, 60):
        many = bursts(number)
        many += hum * np.sin(2 * np.pi * 50 * np.arange(len(many)) / 16_000).astype(np.float32)
        with pytest.raises(Unscorable, match="40 bursts of speech: score it sentence by sentence"):
            pesq_lqo(many, many, band)


def test_passages_too_bad_for_the_code_of_pesq_are_no_score():
    drone = np.sin(np.arange(91 * 16_000) / 4).astype(np.float32)  # one burst, and a thousand tears
    with pytest.raises(Unscorable, match="at most 90 s"):
        pesq_lqo(drone, drone)


@pytest.mark.parametrize("band", ["nb", "wb"])
def test_bursts_are_counted_as_the_standard_counts_them(band):
    for number in (21, 40, 55):
        for speech in (bursts(number), noisy(bursts(number), 30)):
            assert count_bursts(speech, band) == pytest.approx(number, abs=2)
    assert count_bursts(bursts(14), band) == 0  # 19 s: there is no room for too many


def test_half_a_minute_of_sentences_has_a_score():
    speech = bursts(22)
    assert 2 < pesq_lqo(speech, noisy(speech, 20)) < 4


codes = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=64)


@given(codes, st.floats(0.01, 100))
def test_hoyer_lies_between_its_bounds_and_ignores_a_common_scale_signs_and_order(code, scale):
    code = torch.tensor(code, dtype=torch.float64)
    assert 0 <= hoyer(code) <= 1
    for changed in (scale * code, code.abs(), code.sort().values):
        torch.testing.assert_close(hoyer(changed), hoyer(code), atol=1e-5, rtol=0)


@given(st.integers(2, 64), st.integers(1, 64))
def test_hoyer_of_equal_entries_depends_on_their_number_alone(m, active):
    active = min(active, m)
    code = torch.zeros(m)
    code[:active] = -3.0
    expected = (math.sqrt(m) - math.sqrt(active)) / (math.sqrt(m) - 1)
    assert hoyer(code).item() == pytest.approx(expected, abs=1e-6)


def test_hoyer_is_equation_12():
    code = torch.randn(50, 32, generator=torch.Generator().manual_seed(0)).double()
    l1, l2 = code.abs().sum(-1), code.square().sum(-1).sqrt()
    expected = (32**0.5 - l1 / l2) / (32**0.5 - 1)
    torch.testing.assert_close(hoyer(code).double(), expected, atol=1e-6, rtol=0)


def test_the_floor_of_dense_gaussian_codes():
    generator = torch.Generator().manual_seed(0)
    for m, floor in ((32, 0.238), (64, 0.228)):
        mean = hoyer(torch.randn(50_000, m, generator=generator)).mean()
        assert mean.item() == pytest.approx(floor, abs=0.001)


def test_hoyer_at_the_edges():
    assert hoyer(torch.zeros(3, 8)).tolist() == [0, 0, 0]
    assert hoyer(torch.tensor([[1.0, torch.nan], [1.0, torch.inf]])).isnan().all()
    assert hoyer(torch.tensor([1e-30, 0.0, 0.0])).item() == 1
    assert hoyer(torch.tensor([3e38, 0.0, 0.0])).item() == 1
    with pytest.raises(ValueError, match="at least two entries, not 1"):
        hoyer(torch.ones(5, 1))


def test_active_dimensions_counts_coefficients_whose_mean_price_exceeds_the_threshold():
    kl = torch.zeros(100, 8)
    kl[:, :3] = 1.0
    kl[0, 3] = 1.1  # rarely, but 0.011 nats on average
    kl[0, 4] = 0.9  # 0.009
    assert active_dimensions(kl) == 4
    assert active_dimensions(kl, threshold=0.5) == 3
    assert active_dimensions(kl, threshold=1.0) == 0  # exceeds, not reaches


def test_active_dimensions_ignores_the_scale_of_the_coefficients():
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(500, 16, generator=generator) * torch.logspace(-3, 0, 16)
    logvar = torch.full_like(mu, -2.0)
    scale = torch.logspace(-2, 2, 16)
    active = active_dimensions(ard_kl(mu, logvar))
    assert 0 < active < 16
    assert active_dimensions(ard_kl(scale * mu, logvar + 2 * scale.log())) == active


def test_a_collapsed_code_has_no_active_dimensions():
    mu, logvar = torch.zeros(10, 4), torch.zeros(10, 4)
    assert active_dimensions(gaussian_kl(mu, logvar)) == 0


def test_active_dimensions_needs_frames_and_numbers():
    for shape in ((0, 4), (4,), (2, 3, 4)):
        with pytest.raises(ValueError, match="must have shape"):
            active_dimensions(torch.ones(shape))
    with pytest.raises(ValueError, match="kl holds NaN"):
        active_dimensions(torch.full((2, 2), math.nan))
