"""Codes under a playhead, coefficients to drag, a scatter to hear: made, pressed and printed."""

import base64
import io
import json
import re

import numpy as np
import pytest
import torch
from chromium import HEARD, NEEDS_CHROMIUM, heard
from PIL import Image

from sdmvae_lite import hoyer
from sdmvae_lite.book import page as pages
from sdmvae_lite.book.instruments import code_bars, code_picture, code_player, sound_map

driven, needs_chromium = NEEDS_CHROMIUM

SECONDS, FRAMES = 20, 1251
TIME = np.arange(16_000 * SECONDS) / 16_000
TONES = {
    name: 0.01 * np.sin(2 * np.pi * f * TIME)
    for name, f in {"original": 220, "VAE": 330, "SDM-VAE": 440}.items()
}
RANDOM = np.random.default_rng(0)
CODES = {"VAE": RANDOM.standard_normal((FRAMES, 8)), "SDM-VAE": RANDOM.standard_t(1, (FRAMES, 8))}
POINTS = {"VAE": (0.3, 3.05, "#0072b2"), "SDM-VAE": (0.301, 3.051, "#d55e00")}
WINDOWS = {
    "wide": {"viewport": {"width": 1280, "height": 800}},
    "touch": {
        "viewport": {"width": 390, "height": 844},
        "has_touch": True,
        "is_mobile": True,
        "reduced_motion": "reduce",
    },
    "narrow": {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
}


@pytest.fixture
def fresh(monkeypatch):
    """As on a page that has got no script yet."""
    monkeypatch.setattr(pages, "_brought", set())


@pytest.fixture
def open_page(browser, fresh, tmp_path):
    """Opens from the disk a page with one or several of the things."""
    contexts, complaints = [], []

    def open_it(*things, window="wide", **options):
        pages._brought.clear()
        body = "".join(thing().data for thing in things)
        head = "<!doctype html><html lang=en><meta charset=utf-8><title>A page</title>"
        head += '<meta name=viewport content="width=device-width">'
        (tmp_path / "page.html").write_text(f"{head}<main>{body}</main>", encoding="utf-8")
        contexts.append(browser.new_context(**WINDOWS[window] | options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "page.html").as_uri())
        if options.get("java_script_enabled", True):
            page.wait_for_function(
                "() => [...document.querySelectorAll('code-view, code-bars, sound-map')]"
                ".every(each => each.querySelector('[role=slider], button.mark'))"
            )
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not complaints


def player():
    return code_player(TONES, CODES)


def bars():
    return code_bars([2.0, -1.0, 0.5, 0.25, 0, 0, 0, 0])


def scatter():
    return sound_map(TONES, POINTS, "Hoyer", "PESQ")


def press(page, thing, x=0.5, y=0.5):
    """Press a place of a thing, by hand or by mouse, at shares of its width and height."""
    box = thing.bounding_box()
    at = {"x": x * box["width"], "y": y * box["height"]}
    touch = page.evaluate("navigator.maxTouchPoints > 0")
    thing.tap(position=at) if touch else thing.click(position=at)


def test_a_picture_of_a_code_has_its_rows_from_faint_to_bright():
    code = np.zeros((200, 3))
    code[:, 1], code[:100, 0] = -4.0, 1.0
    picture = code_picture(code)
    assert picture.shape == (3, 200, 3)
    dark, half, bright = picture[0, 0], picture[1, 0], picture[2, 0]
    assert (picture[1, 150] == dark).all()
    assert dark.sum() < half.sum() < bright.sum()


def test_a_page_holds_each_code_as_it_is(fresh):
    markup = player().data
    images = [
        dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall("<img[^>]*>", markup)
    ]
    assert [image["data-name"] for image in images] == list(CODES)
    for image, code in zip(images, CODES.values(), strict=True):
        whole = np.frombuffer(base64.b64decode(image["data-code"]), "<i2").reshape(code.shape)
        read = whole * float(image["data-step"])
        assert np.abs(read - code).max() <= np.abs(code).max() / 32767
        rows = [int(row) for row in image["data-rows"].split()]
        sizes = np.abs(code).mean(axis=0)[rows]
        assert (np.diff(sizes) <= 0).all()
        png = base64.b64decode(image["src"].split(",")[1])
        assert Image.open(io.BytesIO(png)).size == code.shape


def test_each_script_comes_once_on_a_page(fresh):
    markup = "".join(make().data for make in (player, bars, scatter, player, bars, scatter))
    for name in ("sound-switch", "code-view", "code-bars", "sound-map"):
        assert markup.count(f'customElements.get("{name}")') == 1
    assert markup.count("<style>") == 2


def test_what_cannot_be_shown_is_named():
    with pytest.raises(ValueError, match="one length"):
        code_player({"a": np.zeros(9), "b": np.zeros(8)}, CODES)
    with pytest.raises(ValueError, match="between -3 and 3"):
        code_bars([0, 4])
    with pytest.raises(ValueError, match="no waveform for VSC"):
        sound_map(TONES, POINTS | {"VSC": (0, 1, "red")}, "Hoyer", "PESQ")


def values(page, place):
    """The values under the bars of one code."""
    texts = page.locator(".code-now .bars").nth(place).locator("b").all_text_contents()
    return np.array([float(text.replace("−", "-")) for text in texts])


def frame(page):
    return int(page.locator(".playhead").get_attribute("aria-valuenow"))


def shows_its_frame(page):
    """Whether the bars are those of the instant where the line stands."""
    for place, code in enumerate(CODES.values()):
        rows = np.argsort(-np.abs(code).mean(axis=0), kind="stable")
        coarse = np.abs(code).max() / 32767
        assert values(page, place) == pytest.approx(code[frame(page), rows], abs=0.005 + coarse)
    return True


@driven
@needs_chromium
@pytest.mark.parametrize("window", ["wide", "touch"])
def test_the_column_of_a_code_follows_hand_keys_and_sound(open_page, window):
    page = open_page(player, window=window)
    line, pictures = page.locator(".playhead"), page.locator(".codes")
    seek = page.get_by_role("slider", name="Position")
    press(page, pictures, x=0.25)
    assert frame(page) == pytest.approx(FRAMES / 4, abs=3)
    assert float(seek.input_value()) == pytest.approx(SECONDS / 4, abs=0.1)
    assert shows_its_frame(page)

    before = frame(page)
    for key in ("ArrowRight", "ArrowRight", "PageUp", "ArrowLeft"):
        line.press(key)
        assert shows_its_frame(page)
    assert frame(page) == before + 11
    assert f"{float(seek.input_value()):.2f} s. VAE: " in line.get_attribute("aria-valuetext")
    line.press("End")
    assert frame(page) == FRAMES - 1
    line.press("Home")
    assert frame(page) == 0

    press(page, page.get_by_role("button", name="Play"))
    page.wait_for_function("() => document.querySelector('.playhead').ariaValueNow > 20")
    press(page, pictures, x=0.5)  # the sound follows
    page.wait_for_function(
        f"() => [...document.querySelectorAll('audio')].some(a => ({HEARD})(a)"
        f" && a.currentTime > {SECONDS / 2})"
    )
    press(page, page.get_by_role("button", name="Pause"))
    assert shows_its_frame(page)


@driven
@needs_chromium
def test_the_line_is_dragged(open_page):
    page = open_page(player)
    box = page.locator(".codes").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 40)
    page.mouse.down()
    for share in (0.3, 0.6, 0.9):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 40)
        assert frame(page) == pytest.approx(share * FRAMES, abs=3)
    page.mouse.up()
    page.mouse.move(box["x"] + 10, box["y"] + 40)
    assert frame(page) == pytest.approx(0.9 * FRAMES, abs=3)


def moved_code(page):
    """The coefficients as the sliders say them."""
    sliders = page.locator("code-bars [role=slider]")
    return np.array(sliders.evaluate_all("all => all.map(each => Number(each.ariaValueNow))"))


def measured(page):
    said = page.locator("code-bars data")
    return dict(said.evaluate_all("all => all.map(e => [e.dataset.measure, e.value])"))


def agrees(page):
    """Whether the page says what the package and NumPy say of the code."""
    code, said = moved_code(page), measured(page)
    assert float(said["hoyer"]) == pytest.approx(hoyer(torch.tensor(code)).item(), abs=1e-6)
    shares = code**2 / np.sum(code**2)
    l1, l2 = np.abs(code).sum(), np.linalg.norm(code)
    assert float(said["ratio"]) == pytest.approx(l1 / l2, abs=1e-9)
    assert float(said["half"]) == pytest.approx((l1 / l2) ** 2, abs=1e-9)
    entropy = -sum(share * np.log(share) for share in shares if share > 0)
    assert float(said["one"]) == pytest.approx(np.exp(entropy), abs=1e-9)
    assert float(said["above"]) == np.sum(np.abs(code) >= 0.1 * np.abs(code).max())
    return True


@driven
@needs_chromium
@pytest.mark.parametrize("window", ["wide", "touch", "narrow"])
def test_measures_follow_the_bars(open_page, window):
    page = open_page(bars, window=window)
    assert moved_code(page) == pytest.approx([2, -1, 0.5, 0.25, 0, 0, 0, 0])
    assert agrees(page)
    third = page.get_by_role("slider", name="Coefficient 3")
    press(page, third, y=0.2)
    assert moved_code(page)[2] == pytest.approx(1.8, abs=0.1)
    assert agrees(page)
    for key, value in {"End": 3, "ArrowDown": 2.9, "PageDown": 2.3, "Home": -3, "0": 0}.items():
        third.press(key)
        assert moved_code(page)[2] == pytest.approx(value, abs=1e-9)
        assert agrees(page)
    assert page.locator("code-bars [aria-live]").inner_text().startswith("Hoyer 0.")


@driven
@needs_chromium
def test_a_bar_is_dragged(open_page):
    page = open_page(bars)
    box = page.get_by_role("slider", name="Coefficient 5").bounding_box()
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share, value in ((0.25, 1.5), (0.0, 3.0), (-1.0, 3.0), (1.0, -3.0)):
        page.mouse.move(middle, box["y"] + share * box["height"])
        assert moved_code(page)[4] == pytest.approx(value, abs=0.11)
        assert agrees(page)
    page.mouse.up()


@driven
@needs_chromium
def test_buttons_make_the_codes_that_their_names_say(open_page):
    page = open_page(bars)
    for name, hoyer_of_it, count in (("One", 1, 1), ("Two equal", None, 2), ("All equal", 0, 8)):
        page.get_by_role("button", name=name).click()
        assert agrees(page)
        assert float(measured(page)["half"]) == pytest.approx(count)
        assert hoyer_of_it is None or float(measured(page)["hoyer"]) == pytest.approx(hoyer_of_it)
    drawn = []
    for _ in range(200):
        page.get_by_role("button", name="Gaussian draw").evaluate("each => each.click()")
        drawn.extend(moved_code(page))
    assert agrees(page)
    assert np.mean(drawn) == pytest.approx(0, abs=0.13)  # five standard errors
    assert np.std(drawn) == pytest.approx(1, abs=0.1)
    code, said = moved_code(page), measured(page)
    heights = page.locator("code-bars .bars i").evaluate_all("all => all.map(e => e.style.cssText)")
    page.get_by_role("button", name="Times ten").click()
    assert moved_code(page) == pytest.approx(10 * code)
    now = measured(page)
    assert [float(now[key]) for key in now] == pytest.approx([float(said[key]) for key in said])
    after = page.locator("code-bars .bars i").evaluate_all("all => all.map(e => e.style.cssText)")
    read = [float(text.split(":")[1].rstrip(";")) for text in (*heights, *after)]
    assert read[:8] == pytest.approx(read[8:])  # the picture stays as well
    page.get_by_role("button", name="One").click()
    for _ in range(8):
        page.locator("code-bars [role=slider]").nth(0).press("0")
    assert measured(page) == {"hoyer": "0", "ratio": "", "half": "", "one": "", "above": "0"}


@driven
@needs_chromium
@pytest.mark.parametrize("window", ["wide", "touch", "narrow"])
def test_marks_of_a_scatter_play_one_at_a_time(open_page, window):
    page = open_page(scatter, window=window)
    marks = page.locator("button.mark")
    assert marks.all_inner_texts() == ["1", "2"]
    first, second = (page.get_by_role("button", name=name) for name in ("1: VAE", "2: SDM-VAE"))
    press(page, first)
    page.wait_for_function(f"() => ({HEARD})(document.querySelectorAll('audio')[1])")
    assert heard(page) == [1]
    assert "1: VAE: Hoyer 0.30, PESQ 3.05" in page.locator(".plot + output").inner_text()
    assert first.get_attribute("aria-pressed") == "true"
    second.press("Enter")
    page.wait_for_function(f"() => ({HEARD})(document.querySelectorAll('audio')[2])")
    assert heard(page) == [2]
    assert [mark.get_attribute("aria-pressed") for mark in marks.all()] == ["false", "true"]
    assert page.get_by_role("radio", name="2: SDM-VAE").is_checked()
    second.press("Enter")
    assert heard(page) == []


@driven
@needs_chromium
@pytest.mark.parametrize("window", WINDOWS)
def test_things_fit_and_are_large_enough_to_press(open_page, window):
    page = open_page(player, bars, scatter, window=window)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    sizes = page.locator(":is(code-bars, sound-map) :is(button, [role=slider])").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))"
    )
    assert min(sizes) >= 24
    values = page.locator("code-bars .bars b").evaluate_all("all => all.map(e => e.clientHeight)")
    assert len(set(values)) == 1, "a value is broken into lines"
    a, b = (mark.bounding_box() for mark in page.locator("button.mark").all())
    assert np.hypot(a["x"] - b["x"], a["y"] - b["y"]) >= 22


@driven
@needs_chromium
def test_without_scripts_and_on_paper_pictures_say_the_same(open_page):
    plain = open_page(player, bars, scatter, java_script_enabled=False)
    for page in (plain, open_page(player, bars, scatter)):
        page.emulate_media(media="print")
        assert page.locator(".codes img:visible").count() == 2
        assert page.locator(".playhead:visible, .code-now:visible").count() == 0
        assert page.locator("figure.player figcaption:visible").count() == 6
        assert page.locator("figcaption:visible").all_inner_texts()[3:] == [
            "original",
            "1: VAE",
            "2: SDM-VAE",
        ]
        assert page.locator("code-bars .bars b:visible").all_inner_texts()[:2] in (
            ["2", "-1"],
            ["2", "−1"],
        )
        assert page.locator(".mark:visible").all_inner_texts() == ["1", "2"]
        assert not page.locator(".sound-panel:visible").count()
    said = hoyer(torch.tensor([2.0, -1, 0.5, 0.25, 0, 0, 0, 0])).item()
    assert f"Hoyer {said:.3f}" in plain.locator("code-bars").inner_text()
    assert json.loads(plain.locator("code-bars").get_attribute("data-values"))[1] == -1
