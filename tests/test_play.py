"""The page *Play with a code* as a visitor uses it: heard, touched, typed, sent and printed."""

import base64
import io

import numpy as np
import pytest
import soundfile
import torch
from chromium import CHROMIUM, NEEDS_CHROMIUM, QUIET
from played import (
    ASKED,
    STEP,
    download,
    package,
    play_data,
    said,
    unclipped,
    wait_for_address,
    wait_until,
)
from toc import BOOK

from sdmvae_lite.scoring.resynthesis import code_to_waveform, keep_largest, resynthesise

pytest_plugins = ["played"]
pytestmark = NEEDS_CHROMIUM
VAE, SDM = play_data.MODELS["VAE"], play_data.MODELS["SDM-VAE"]
FADE = 0.012  # seconds


def wait_for_edits(page, expected):
    """Wait until the address holds these edits of the SDM-VAE's code, as a regular expression."""
    page.wait_for_function(
        """([name, expected]) => new RegExp(`^${expected}$`).test(
            new URLSearchParams(location.hash.slice(1)).get(name) ?? "")""",
        arg=[SDM, expected],
    )


def starts(page):
    """What has begun to sound so far: when, at which offset, and the samples' level and length."""
    return page.evaluate(
        """heard.filter(each => each.what === "start").map(({when, offset, samples}) =>
            ({when, offset, length: samples.length, peak: Math.max(...samples.map(Math.abs))}))"""
    )


def test_each_voice_sounds_as_the_package_computes_it(browser, visit, sentences):
    page = visit(browser)
    assert np.abs(download(page) - sentences[0]).max() < STEP
    for label, name in play_data.MODELS.items():
        page.check(f"#play-voices [value='{name}']")
        model = package(name)
        kept, size = model.config.nonzero, model.config.code_size
        wait_until(page, f"{label}, from {f'{kept} of' if kept else 'all'} {size} numbers")
        expected = unclipped(resynthesise(model, sentences[0]).estimate)
        found = download(page)
        assert len(found) == len(expected)
        assert np.abs(found - expected).max() < STEP, name
        assert np.sqrt(np.mean(found**2)) > 0.02


def test_voices_change_at_the_same_instant_without_a_gap(browser, visit):
    page = visit(browser)
    page.click("#play-button")
    page.wait_for_timeout(300)
    for name in (VAE, SDM):
        page.check(f"#play-voices [value='{name}']")
        wait_until(page, "from all 32")
    assert page.locator("#play-button").text_content() == "Pause"
    begun = starts(page)
    stops = page.evaluate("heard.filter(each => each.what === 'stop').map(each => each.when)")
    assert len(begun) == 3
    origins = [each["when"] - each["offset"] for each in begun]
    length = begun[0]["length"] / 16_000
    for origin in origins[1:]:
        apart = (origin - origins[0]) / length
        assert abs(apart - round(apart)) < 1e-6
    for each, stop in zip(begun[1:], stops, strict=True):
        assert stop == pytest.approx(each["when"] + FADE)
    assert len({each["length"] for each in begun}) == 1
    assert all(0.3 < each["peak"] <= 1 for each in begun)

    heads = "[...document.querySelectorAll('#play .playhead')].map(head => head.style.left)"
    before = page.evaluate(heads)
    page.wait_for_function(f"before => ({heads})[0] !== before", arg=before[0])
    assert len(set(page.evaluate(heads))) == 1, "one playhead over all pictures"
    page.click("#play-button")
    assert page.locator("#play-button").text_content() == "Play"
    page.wait_for_timeout(100)
    rested = page.evaluate(heads)
    page.wait_for_timeout(200)
    assert page.evaluate(heads) == rested


def test_a_link_of_a_chapter_leads_to_the_recorder(browser, visit):
    page = visit(browser, "play-record")
    chapter = (BOOK / "15_bring_your_own_speech.ipynb").read_text(encoding="utf-8")
    assert "play.html#play-record" in chapter
    recorder = page.get_by_role("button", name="Record your voice")
    assert recorder.evaluate("each => each === document.activeElement")
    box = recorder.bounding_box()
    assert 0 <= box["y"] <= 900 - box["height"]


def test_edits_sound_as_the_package_computes_them(browser, visit, sentences):
    page = visit(browser, f"voice={SDM}&keep=8&{SDM}=4_4_0_99999_0*10_14_50_120_2")
    model = package(SDM)
    result = resynthesise(model, sentences[0])
    code = keep_largest(result.output.code, 8, result.output.kl)
    code[:, 4] = 0
    code[50:121, 10:15] *= 2
    expected = code_to_waveform(model, code, result.phase, len(result.reference))
    assert said(page) == "SDM-VAE, from 8 of 32 numbers an instant, 1 of 32 rows muted."
    edited = download(page)
    assert np.abs(edited - unclipped(expected)).max() < STEP
    assert page.locator("#play-change").is_visible()
    wait_for_address(page, r"[=*]10_14_50_120_2")
    other = visit(browser, page.url.split("#")[1])
    np.testing.assert_array_equal(download(other), edited)

    page.select_option("#play-swap", "sentence-2")
    wait_until(page, "with the code of another sound")
    page.click("#play-reset")
    wait_until(page, "from all 32")
    page.click("#play-undo")
    wait_until(page, "with the code of another sound")
    page.click("#play-undo")
    wait_until(page, "SDM-VAE, from 8 of 32")
    np.testing.assert_array_equal(download(page), edited)


def test_swapped_codes_give_each_sentence_the_words_of_the_other(browser, visit, sentences):
    model = package(SDM)
    first, second = (resynthesise(model, sentences[i]) for i in (0, 1))
    for i, own, other in ((1, first, second), (2, second, first)):
        page = visit(browser, f"voice={SDM}&swap=sentence-1+sentence-2&sound=sentence-{i}")
        rows = torch.arange(len(own.phase)) * len(other.phase) // len(own.phase)
        code = other.output.code[rows]
        expected = code_to_waveform(model, code, own.phase, len(own.reference))
        assert np.abs(download(page) - unclipped(expected)).max() < STEP


def middle(page, row, part=0.5):
    """Where a row of the code stands in the window, counted from 1."""
    page.locator("#play-code canvas").scroll_into_view_if_needed()
    box = page.locator("#play-code canvas").bounding_box()
    return box["x"] + part * box["width"], box["y"] + box["height"] * (1 - (row - 0.5) / 32)


def test_a_mouse_mutes_isolates_doubles_and_restores(browser, visit):
    page = visit(browser, f"voice={SDM}&model={SDM}")
    page.mouse.click(*middle(page, 5))
    wait_until(page, "1 of 32 rows muted")
    wait_for_edits(page, "4_4_0_99999_0")
    assert len(starts(page)) == 1, "a touch is heard at once"
    page.mouse.click(*middle(page, 5))
    wait_until(page, "from all 32")
    wait_for_edits(page, "")

    page.check("#play-tools [value='solo']")
    page.mouse.click(*middle(page, 31))
    wait_until(page, "31 of 32 rows muted")
    page.mouse.click(*middle(page, 31))
    wait_until(page, "from all 32")

    page.check("#play-tools [value='double']")
    page.mouse.move(*middle(page, 3, 0.25))
    page.mouse.down()
    page.mouse.move(*middle(page, 6, 0.75), steps=4)
    page.mouse.up()
    wait_until(page, "with parts of its code changed")
    wait_for_edits(page, r"2_5_5\d_17\d_2")
    page.check("#play-tools [value='restore']")
    page.mouse.move(*middle(page, 2, 0.2))
    page.mouse.down()
    page.mouse.move(*middle(page, 7, 0.8), steps=4)
    page.mouse.up()
    wait_until(page, "from all 32")
    page.locator("#play-code").focus()
    for _ in range(3):
        page.keyboard.press("Control+z")
    wait_until(page, "31 of 32 rows muted")


def test_a_thumb_taps_drags_and_scrolls(browser, visit):
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = visit(browser, f"voice={SDM}", **phone)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.touchscreen.tap(*middle(page, 9))
    wait_until(page, "1 of 32 rows muted")
    wait_for_edits(page, "8_8_0_99999_0")
    finger = page.context.new_cdp_session(page)

    def swipe(*places):
        for kind, place in zip(
            ("touchStart", *["touchMove"] * (len(places) - 1)), places, strict=True
        ):
            point = [{"x": place[0], "y": place[1]}]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": point})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe(*(middle(page, 20 + i // 4, 0.2 + 0.03 * i) for i in range(16)))
    drawn = r"8_8_0_99999_0\*19_22_4\d_1[45]\d_0"
    wait_for_edits(page, drawn)

    before = page.evaluate("scrollY")
    x, y = middle(page, 16)
    swipe(*((x, y - 20 * i) for i in range(16)))
    page.wait_for_function("before => scrollY > before", arg=before)
    page.wait_for_timeout(500)
    wait_for_edits(page, drawn)


def test_everything_can_be_done_from_the_keyboard(browser, visit):
    page = visit(browser)
    page.locator("#play-button").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("heard.length > 0")
    page.keyboard.press("Tab")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wait_until(page, "SDM-VAE, from all 32")
    page.locator("#play-code").focus()
    for key in ("ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    wait_until(page, "1 of 32 rows muted")
    wait_for_edits(page, "2_2_0_99999_0")
    for key in ("ArrowRight", "Shift+ArrowRight", "Shift+ArrowUp", " "):
        page.keyboard.press(key)
    wait_for_edits(page, r"2_2_0_99999_0\*2_3_1_2_0")

    for name, value in {
        "first": "7",
        "last": "8",
        "from": "1",
        "to": "2",
        "level-number": "2.5",
    }.items():
        page.locator(f"#play-{name}").fill(value)
        page.keyboard.press("Tab")
    wait_for_edits(page, r".*\*6_7_63_124_2\.5")
    page.locator("#play-keep").focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    wait_until(page, "from 3 of 32 numbers")
    page.keyboard.press("Control+z")
    wait_until(page, "from 2 of 32 numbers")
    page.locator("#play-swap").focus()
    page.keyboard.press("ArrowDown")
    wait_until(page, "with the code of another sound")
    focused = "[document.activeElement].map(at => at.id || at.name || at.textContent)[0]"
    stops = []
    page.locator("#play-button").focus()
    while page.evaluate("document.activeElement.closest('#play') !== null"):
        stops.append(page.evaluate(focused))
        page.keyboard.press("Tab")
    assert len(stops) == len(set(stops)), stops
    assert {"play-button", "play-position", "play-record", "play-file", "play-code"} <= set(stops)


def test_every_button_can_be_pressed_and_complains_of_nothing(browser, visit):
    page = visit(browser)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    buttons = page.locator("#play button")
    names = buttons.all_text_contents()
    for name in names:
        if name in ("Undo", "Record your voice"):
            continue
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_timeout(300)
        assert not page.locator(".play-error").count(), said(page)
    wait_until(page, "with the code of another sound")
    page.click("#play-link")
    wait_until(page, "Link copied")
    assert "swap=sentence-1+sentence-2" in page.evaluate("navigator.clipboard.readText()")
    while page.locator("#play-undo").is_enabled():
        page.click("#play-undo")
    wait_until(page, "The original")


def wav(waveform, rate=16_000):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, format="WAV", subtype="PCM_16")
    return {"name": "mine.wav", "mimeType": "audio/wav", "buffer": file.getvalue()}


def test_a_file_is_heard_at_its_length(browser, visit):
    page = visit(browser)
    seconds = np.arange(44_100) / 44_100
    stereo = 0.2 * np.sin(2 * np.pi * np.outer(seconds, [440, 660]))
    page.set_input_files("#play-file", wav(stereo, 44_100))
    page.wait_for_function("document.querySelector('#play-sounds').value.startsWith('yours')")
    page.wait_for_timeout(500)
    found = download(page)
    assert len(found) == pytest.approx(16_000, abs=2)
    assert np.abs(found).max() == pytest.approx(1, abs=1e-3)
    spectrum = np.abs(np.fft.rfft(found))
    assert set(spectrum.argsort()[-2:]) == {440, 660}
    page.check(f"#play-voices [value='{SDM}']")
    wait_until(page, "SDM-VAE, from all 32")
    page.select_option("#play-swap", "sentence-3")
    wait_until(page, "with the code of another sound")

    long = wav(np.random.default_rng(0).uniform(-0.5, 0.5, 16_000 * 12))
    page.evaluate(
        """([name, bytes]) => {
            const data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name));
            document.querySelector("#play").dispatchEvent(
                new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        ["long.wav", base64.b64encode(long["buffer"]).decode()],
    )
    page.wait_for_function(
        "document.querySelector('#play-sounds').selectedOptions[0].text === 'long.wav'"
    )
    page.wait_for_function("document.querySelector('#play-time').textContent.includes('10.0')")


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ({"name": "a.wav", "mimeType": "audio/wav", "buffer": b"no sound"}, "Choose a WAV"),
        (wav(np.zeros(16_000)), "Record again"),
        (wav(np.ones(800)), "Choose a longer one"),
    ],
    ids=["broken", "silent", "short"],
)
def test_a_file_that_cannot_be_used_is_said(browser, visit, file, advice):
    page = visit(browser)
    page.set_input_files("#play-file", file)
    wait_until(page, advice)
    assert page.locator("#play-sounds").input_value() == "sentence-1"
    page.click("#play-button")
    page.wait_for_function("heard.length === 1")


def test_without_a_connection_it_says_so_and_goes_on(browser, visit, served):
    page = visit(browser, address=served)
    page.context.set_offline(True)
    page.check(f"#play-voices [value='{SDM}']")
    wait_until(page, "from all 32")
    page.click(f"#play-voices [value='{VAE}']")
    wait_until(page, "could not be loaded. Check the connection")
    assert page.is_checked(f"#play-voices [value='{SDM}']")
    page.context.set_offline(False)
    page.check(f"#play-voices [value='{VAE}']")
    wait_until(page, "VAE, from all 32")
    assert any("ERR_INTERNET_DISCONNECTED" in each for each in page.complaints)
    page.complaints.clear()


def test_nothing_can_be_sent_from_the_page(browser, visit, served):
    page = visit(browser, address=served)
    before = []
    while before != ASKED:  # a browser asks for the page's icon when it comes to it
        before = list(ASKED)
        page.wait_for_timeout(1000)
    assert before
    refused = page.evaluate(
        """async () => {
            const said = [];
            document.addEventListener(
                "securitypolicyviolation", e => said.push(e.effectiveDirective));
            const post = {method: "POST", body: "voice"};
            await fetch("play.html", post).catch(() => said.push("fetch"));
            const old = new XMLHttpRequest();
            old.onerror = () => said.push("xhr");
            old.open("POST", "play.html");
            try { old.send("voice"); } catch {}
            navigator.sendBeacon("play.html", "voice");
            try { new WebSocket("ws://127.0.0.1:9"); } catch {}
            await new Promise(done => setTimeout(done, 300));
            return said;
        }"""
    )
    assert {"fetch", "xhr", "connect-src"} <= set(refused)
    assert before == ASKED
    page.complaints.clear()


def test_without_javascript_and_on_paper_a_picture_says_the_same(browser, visit):
    page = visit(browser, java_script_enabled=False)
    assert page.locator("#play-still img").is_visible()
    assert not page.locator("#play").is_visible()
    page = visit(browser)
    still = page.locator("#play-still img")
    assert not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible()
    assert still.evaluate("picture => picture.naturalWidth") == 720
    assert not page.locator("#play").is_visible()


@pytest.fixture(scope="module")
def microphone(tmp_path_factory, sentences):
    """Start a Chromium whose microphone plays a sentence, is refused, or is not there."""
    path = tmp_path_factory.mktemp("microphone") / "voice.wav"
    lead = np.pad(sentences[1], (8_000, 0))
    soundfile.write(
        path, np.interp(np.arange(3 * len(lead)) / 3, np.arange(len(lead)), lead), 48_000
    )
    return {
        "voice": [
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-audio-capture={path}",
        ],
        "refused": ["--use-fake-device-for-media-stream"],
        "none": ["--use-fake-ui-for-media-stream"],
    }


def with_microphone(browser, flags):
    return browser.browser_type.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])


def test_a_recorded_voice_is_the_voice(browser, visit, microphone, sentences):
    other = with_microphone(browser, microphone["voice"])
    page = visit(other)
    page.click("#play-record")
    wait_until(page, "Recording.")
    page.wait_for_timeout(4500)
    page.get_by_role("button", name="Stop recording").click()
    page.wait_for_function("document.querySelector('#play-sounds').value.startsWith('yours')")
    assert page.locator("#play-sounds option:checked").text_content() == "Your recording"
    page.wait_for_timeout(1000)
    found, sentence = download(page), sentences[1]
    assert 3 * 16_000 < len(found) <= 10 * 16_000
    size = len(found) + len(sentence)
    product = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(sentence, size)), size)
    likeness = np.abs(product).max() / np.linalg.norm(found) / np.linalg.norm(sentence)
    assert likeness > 0.7, likeness
    page.check(f"#play-voices [value='{SDM}']")
    wait_until(page, "SDM-VAE, from all 32")
    assert page.locator("#play-record").text_content() == "Record your voice"
    other.close()


@pytest.mark.parametrize(("kind", "advice"), [("refused", "Allow it"), ("none", "Connect one")])
def test_without_a_microphone_it_says_what_to_do(browser, visit, microphone, kind, advice):
    other = with_microphone(browser, microphone[kind])
    page = visit(other)
    page.click("#play-record")
    wait_until(page, advice)
    assert "choose a file" in said(page)
    page.click("#play-button")
    page.wait_for_function("heard.length === 1")
    other.close()
