"""The numerics of the page *Play with a code* against the package, in a real browser."""

import base64
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from chromium import NEEDS_CHROMIUM
from safetensors.torch import load
from toc import BOOK

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.models import build_model
from sdmvae_lite.model.pretrained import load_pretrained
from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.spectra import normalise, power_and_phase, stft, training_frames

sys.path.append(str(BOOK / "_ext"))
import play_data

pytestmark = NEEDS_CHROMIUM
SCRIPT = BOOK / "_extra" / "play" / "numerics.js"
WITHIN = 1e-4
KEPT = 8

THROUGH = """([model, samples, count]) => {
    const {analyse, decode, encode, keepDearest, readModel, synthesise, fromBase64} = numerics;
    const read = readModel(fromBase64(model));
    const analysis = analyse(Float64Array.from(samples), read.window, read.hop);
    const {code, kl} = encode(read, analysis.power);
    const logVariance = decode(read, code);
    const kept = synthesise(decode(read, keepDearest(code, kl, count)), analysis);
    const found = {estimate: [...synthesise(logVariance, analysis)], kept: [...kept]};
    const {power, cos, sin} = analysis;
    for (const [name, {cols, data}] of Object.entries({power, cos, sin, code, kl, logVariance}))
        found[name] = {cols, data: [...data]};
    return found;
}"""


@pytest.fixture(scope="module")
def page(browser):
    """A page that holds the numerics and nothing else."""
    empty = browser.new_page()
    empty.add_script_tag(path=SCRIPT)
    yield empty
    empty.close()


@pytest.fixture(scope="module")
def speech():
    """A second of speech, normalised."""
    waveform = load_corpus("synthetic", minutes=0.1).test[0].waveform()[4000:20_000]
    return waveform / np.abs(waveform).max()


def through_page(page, model, waveform):
    """What the page makes of a waveform, as arrays."""
    packed = base64.b64encode(play_data.pack(model)).decode()
    found = page.evaluate(THROUGH, [packed, np.asarray(waveform, float).tolist(), KEPT])
    return {
        name: np.reshape(each["data"], (-1, each["cols"])) if isinstance(each, dict) else each
        for name, each in found.items()
    }


def distances(page, model, waveform):
    """The largest distance between page and package, by what is compared."""
    there, here = through_page(page, model, waveform), resynthesise(model, waveform)
    kept = keep_largest(here.output.code, KEPT, here.output.kl)
    largest = np.abs(here.power).max()
    pairs = {
        "power": (there["power"] / largest, here.power / largest),
        "code": (there["code"], here.output.code.numpy()),
        "kl": (there["kl"], here.output.kl.numpy()),
        "log-variance": (there["logVariance"], here.output.log_variance.numpy()),
        "estimate": (there["estimate"], here.estimate),
        "kept": (there["kept"], code_to_waveform(model, kept, here.phase, len(waveform))),
    }
    return {name: np.abs(one - other).max() for name, (one, other) in pairs.items()}


SOUNDS = {
    "clipped": lambda speech: np.clip(20 * speech, -1, 1),
    "with silence": lambda speech: normalise(np.pad(speech[4000:8000], 5000)),
    "one window": lambda speech: normalise(speech[5000:6024]),
    "a click": lambda speech: np.eye(1, 3000, 1500, dtype=np.float32)[0],
}


@pytest.mark.parametrize(
    "name", [*play_data.MODELS.values(), "vae-32", "sdm-dct32-64", "loglinear-dct-64-log"]
)
def test_the_page_computes_what_the_package_computes(page, speech, name):
    model = load_pretrained(name)
    found = distances(page, model, speech)
    assert max(found.values()) < WITHIN, found
    # In double precision, the page's own, also where single precision loses the quiet bins.
    for kind, change in SOUNDS.items():
        found = distances(page, model.double(), change(speech).astype(float))
        assert max(found.values()) < 1e-7, (kind, found)


LEARNED = ModelConfig("loglinear-vae", m=8, dictionary="learned", input="log-power")
LOGLINEAR = [
    LEARNED,
    replace(LEARNED, dictionary="dct", n_bins=257),
    replace(LEARNED, prior="paper"),
    replace(LEARNED, prior="student-t", nu=0.25),
    replace(LEARNED, m=24, nonzero=5),
    replace(LEARNED, m=24, nonzero=12, prior="student-t"),
]


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig("vae", m=8, input="log-power"),
        ModelConfig("vsc", m=8, input="log-power", alpha=0.2),
        ModelConfig("sdm-vae", m=8, dictionary="dct", k=16, input="log-power"),
        ModelConfig("sdm-vae", m=8, n_bins=257, hop_length=100),
        ModelConfig("student-vae", m=8, input="log-power"),
        ModelConfig("student-vae", m=8, nu=40.0),
        *LOGLINEAR,
    ],
    ids=lambda config: config.name,
)
def test_so_does_any_other_model(page, speech, config):
    model = build_model(config, seed=0)
    model.prepare([torch.from_numpy(training_frames(speech, config.stft))])
    rounded = {key: value.half().float() for key, value in model.state_dict().items()}
    model.load_state_dict(rounded | dict(model.named_buffers()))
    found = distances(page, model.double(), speech.astype(float))
    assert max(found.values()) < 1e-7, found


def test_a_model_of_small_numbers_is_not_lost(page, speech):
    """Weights below half precision's normal range, and exact zeros."""
    model = build_model(ModelConfig("sdm-vae", m=4), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e-6)
            parameter.copy_(parameter.half().float())
        assert any(0 < abs(value) < 2**-14 for value in model.encoder_mu.weight.flatten())
    there = through_page(page, model, speech)
    here = resynthesise(model, speech).output
    for name, expected in {"code": here.code, "logVariance": here.log_variance}.items():
        apart = np.abs(there[name] - expected.numpy()).max()
        assert 0 < expected.abs().max() < 1
        assert apart < WITHIN * expected.abs().max(), name


def test_silence_and_one_frame(page):
    model = load_pretrained(play_data.MODELS["SDM-VAE"])
    silent = through_page(page, model, np.zeros(2000))
    power, phase = power_and_phase(stft(np.zeros(2000, np.float32)))
    with torch.no_grad():
        output = model(torch.from_numpy(power), sample=False)
    estimate = code_to_waveform(model, output.code, phase, 2000)
    assert np.all(silent["cos"] == 1)
    assert np.all(silent["sin"] == 0)
    np.testing.assert_allclose(silent["code"], output.code, atol=WITHIN)
    np.testing.assert_allclose(silent["estimate"], estimate, atol=WITHIN)

    one = through_page(page, model, np.ones(100))  # shorter than a hop: padded to one frame
    assert one["power"].shape == (1, 513)
    window = np.sin(np.pi * (np.arange(1024) + 0.5) / 1024)
    frame = np.abs(np.fft.rfft(window * np.pad(np.ones(100), (512, 412)))) ** 2
    np.testing.assert_allclose(one["power"][0], frame, atol=1e-9)
    with torch.no_grad():
        code = model.encode(torch.from_numpy(frame[None].astype(np.float32)))[0]
    np.testing.assert_allclose(one["code"], code, atol=WITHIN)


def test_every_half_precision_number_is_read(page):
    bits = np.arange(2**16, dtype=np.uint16)
    expected = bits.view(np.float16).astype(float)
    finite = np.isfinite(expected)
    found = page.evaluate("all => all.map(numerics.half)", bits[finite].tolist())
    np.testing.assert_array_equal(found, expected[finite])
    assert page.evaluate("[numerics.half(0x7c00), numerics.half(0xfc00)].map(String)") == [
        "Infinity", "-Infinity",
    ]  # fmt: skip
    assert page.evaluate("Number.isNaN(numerics.half(0x7e00))")


def test_a_packed_model_keeps_its_values():
    model = load_pretrained("sdm-dct32-32-log")
    packed = load(play_data.pack(model))
    assert packed["encoder_hidden.weight"].dtype == torch.float16
    for name, value in model.state_dict().items():
        assert torch.equal(packed[name].float(), value), name
