"""Noise taken out of a voice in *Play with a code*: by mouse, key and finger, and measured."""

import io
import re

import numpy as np
import pytest
import soundfile
from chromium import NEEDS_CHROMIUM
from played import ASKED, STEP, play_data
from test_site import AXE, COLOURS, RULES, findings

from sdmvae_lite.enhancement.em import enhance
from sdmvae_lite.model.pretrained import load_pretrained
from sdmvae_lite.scoring.metrics import si_sdr

pytest_plugins = ["played"]
pytestmark = NEEDS_CHROMIUM
VAE = play_data.MODELS["VAE"]
LONG = 300_000  # milliseconds, where other work goes on beside it
PARTS = ("noisy", "cleaned", "removed", "original")


def told(page):
    return page.locator("#clean-said").text_content()


def wait_until(page, text, timeout=60_000):
    page.wait_for_function(
        "text => document.querySelector('#clean-said').textContent.includes(text)",
        arg=text,
        timeout=timeout,
    )


def sounding(page):
    """The samples that began to sound last."""
    return np.array(page.evaluate("[...heard.filter(({what}) => what === 'start').at(-1).samples]"))


def starts(page):
    return page.evaluate("heard.filter(({what}) => what === 'start').length")


def bring(page, waveform):
    """Give the page a file of the visitor's own, and choose it below."""
    file = io.BytesIO()
    soundfile.write(file, waveform, 16_000, format="WAV", subtype="PCM_16")
    mine = {"name": "mine.wav", "mimeType": "audio/wav", "buffer": file.getvalue()}
    page.set_input_files("#play-file", mine)
    page.wait_for_function("document.querySelector('#clean-sounds').options.length === 4")


@pytest.fixture(scope="module")
def short(sentences):
    """Half a second of a sentence, which takes little time."""
    return sentences[0][16_000:24_000]


def test_a_press_adds_noise_and_takes_it_out(browser, visit, sentences):
    page = visit(browser)
    assert not page.locator("#clean-result").is_visible()
    page.click("#clean-start")
    page.wait_for_function("heard.length > 0")
    assert page.locator("#clean-heard :checked").get_attribute("value") == "noisy"
    assert page.locator("#clean-heard [value='cleaned']").is_disabled()
    assert page.locator("#clean-progress").is_visible()
    assert page.locator("#clean-play").text_content() == "Pause"
    assert page.evaluate("document.querySelectorAll('#play :disabled').length") == 1, "Undo"
    wait_until(page, "SI-SDR", LONG)
    assert not page.locator("#clean-progress").is_visible()
    assert page.locator("#clean-heard :checked").get_attribute("value") == "cleaned"

    parts = {"cleaned": sounding(page)}
    for name in ("noisy", "removed", "original"):
        page.check(f"#clean-heard [value='{name}']")
        parts[name] = sounding(page)
    origins = page.evaluate(
        "heard.filter(({what}) => what === 'start').map(({when, offset}) => when - offset)"
    )
    assert len(origins) == 5
    laps = (np.array(origins) - origins[0]) / (len(parts["noisy"]) / 16_000)
    np.testing.assert_allclose(laps, np.round(laps), atol=1e-6)  # the position is kept

    assert np.abs(parts["cleaned"] + parts["removed"] - parts["noisy"]).max() < 1e-6
    assert np.abs(parts["noisy"]).max() == pytest.approx(0.7, abs=1e-3)
    assert all(np.abs(part).max() < 1 for part in parts.values())
    scale = np.abs(parts["original"]).max()
    assert np.abs(parts["original"] / scale - sentences[0]).max() < STEP
    noise = parts["noisy"] - parts["original"]
    assert np.sum(parts["original"] ** 2) == pytest.approx(np.sum(noise**2), rel=1e-4)  # 0 dB

    before, after = (si_sdr(parts["original"], parts[name]) for name in ("noisy", "cleaned"))
    found = re.findall(r"(\S+) dB", told(page).replace("−", "-"))
    assert [float(each) for each in found] == pytest.approx([before, after], abs=0.051)
    expected = enhance(load_pretrained(VAE), parts["noisy"]).speech
    assert after == pytest.approx(si_sdr(parts["original"], expected), abs=0.5)
    assert after > before + 8

    page.click("#clean-play")
    assert page.locator("#clean-play").text_content() == "Play"
    page.locator("#clean-position").fill("1.5")
    assert "1.5 /" in page.locator("#clean-time").text_content()
    canvas = page.locator("#clean-spectrogram")
    assert canvas.get_attribute("aria-label") == "Spectrogram: original"
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 2, "y": 20})
    length = len(parts["noisy"]) / 16_000
    at = float(page.locator("#clean-position").input_value())
    assert at == pytest.approx(length / 2, abs=0.05)


def test_all_of_it_by_keys_with_a_voice_of_ones_own(browser, visit, short):
    page = visit(browser)
    bring(page, short)
    page.locator("#clean-sounds").focus()
    page.keyboard.press("End")
    assert page.locator("#clean-sounds option:checked").text_content() == "mine.wav"
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.locator("#clean-noise :checked").get_attribute("value") == "hum"
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.locator("#clean-snr-said").text_content() == "by −3 dB"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_until(page, "SI-SDR", LONG)
    first = sounding(page)
    assert len(first) == len(short)
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    assert page.locator("#clean-play").text_content() == "Play"
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.locator("#clean-heard :checked").get_attribute("value") == "removed"
    page.locator("#clean-start").press("Enter")
    page.wait_for_function("document.querySelector('#clean-start').textContent === 'Stop'")
    wait_until(page, "SI-SDR", LONG)
    np.testing.assert_array_equal(sounding(page), first)  # the same every time


@pytest.mark.parametrize("width", [390, 320])
def test_a_thumb_is_enough(browser, visit, short, width):
    phone = {"viewport": {"width": width, "height": 800}, "has_touch": True, "is_mobile": True}
    page = visit(browser, **phone)
    bring(page, short)
    page.select_option("#clean-sounds", label="mine.wav")
    page.locator("#clean-noise [value='white']").tap()
    slider = page.locator("#clean-snr")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert 9 <= int(slider.input_value()) <= 11
    page.locator("#clean-start").tap()
    wait_until(page, "SI-SDR", LONG)
    page.locator("#clean-heard [value='removed']").tap()
    assert page.locator("#clean-heard :checked").get_attribute("value") == "removed"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in page.locator(
        "#clean :is(button, select, label > span, input[type=range])"
    ).all():
        assert min(control.bounding_box()[side] for side in ("width", "height")) >= 24


def test_each_noise_can_be_chosen_and_the_work_be_stopped(browser, visit, sentences):
    page = visit(browser)
    mixtures = []
    for kind in page.locator("#clean-noise input").all():
        kind.check(force=True)
        page.click("#clean-start")
        wait_until(page, "is being taken out")
        mixtures.append(sounding(page))
        page.get_by_role("button", name="Stop", exact=True).click()
        wait_until(page, "Stopped.")
        assert page.locator("#clean-heard [value='cleaned']").is_disabled()
    assert len(mixtures) == 5
    apart = np.corrcoef(mixtures) - np.eye(5)
    assert apart.max() < 0.9
    other = np.resize(sentences[1], len(sentences[0]))
    parts = np.stack([sentences[0], other], axis=1)
    *_, left = np.linalg.lstsq(parts, mixtures[-1], rcond=None)[0:2]
    assert left / np.sum(mixtures[-1] ** 2) < 1e-6, "another voice is the next sentence"


def test_one_sound_at_a_time(browser, visit, short):
    page = visit(browser)
    bring(page, short)
    page.click("#play-button")
    assert page.locator("#play-button").text_content() == "Pause"
    page.select_option("#clean-sounds", label="mine.wav")
    page.click("#clean-start")
    page.wait_for_function("document.querySelector('#clean-play').textContent === 'Pause'")
    assert page.locator("#play-button").text_content() == "Play"
    heads = "[...document.querySelectorAll('#play .playhead')].map(head => head.style.left)"
    before = page.evaluate(heads)
    wait_until(page, "SI-SDR", LONG)
    assert page.evaluate(heads) == before
    page.click("#play-button")
    assert page.locator("#clean-play").text_content() == "Play"


def test_what_cannot_be_done_is_said(browser, visit, served, short):
    page = visit(browser, address=served)
    bring(page, short)
    page.context.set_offline(True)
    page.click("#clean-start")
    wait_until(page, "could not be loaded. Check the connection")
    assert page.locator("#clean-said.play-error").count() == 1
    page.context.set_offline(False)
    broken = "window.Work = Worker; Worker = function () { return new Work('data:,throw 1'); }"
    page.evaluate(f"() => {{ {broken} }}")
    page.click("#clean-start")
    wait_until(page, "The work broke off")
    page.evaluate("() => { window.Worker = Work; }")
    page.select_option("#clean-sounds", label="mine.wav")
    page.click("#clean-start")
    wait_until(page, "SI-SDR", LONG)
    assert not page.locator("#clean-said.play-error").count()
    page.complaints.clear()


def test_nothing_is_sent_while_it_works(browser, visit, served, short):
    page = visit(browser, address=served)
    bring(page, short)
    page.select_option("#clean-sounds", label="mine.wav")
    before = []
    while before != ASKED:
        before = list(ASKED)
        page.wait_for_timeout(1000)
    page.click("#clean-start")
    wait_until(page, "SI-SDR", LONG)
    asked = [str(each) for each in ASKED[len(before) :]]
    assert asked
    assert all(re.search(r"GET \S*/play/(vae|sentence)-\S+\.js", each) for each in asked), asked
    refused = page.evaluate(
        """address => new Promise(done => {
            const work = `fetch("${address}").then(() => postMessage("sent"),
                                                   () => postMessage("refused"))`;
            const worker = new Worker(URL.createObjectURL(new Blob([work])));
            worker.onmessage = ({data}) => done(data);
        })""",
        served,
    )
    assert refused == "refused"
    page.complaints.clear()


def test_it_shuts_nobody_out(browser, visit, short):
    page = visit(browser, reduced_motion="reduce")
    bring(page, short)
    page.select_option("#clean-sounds", label="mine.wav")
    page.click("#clean-start")
    wait_until(page, "SI-SDR", LONG)
    page.click("#clean-play")
    page.add_script_tag(content=AXE)
    assert not findings(page, RULES | {"preload": False})  # the page may fetch nothing
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("for (const each of document.getAnimations()) each.finish()")
    assert not findings(page, COLOURS)
    page.emulate_media(media="print")
    assert not page.locator("#clean").is_visible()
