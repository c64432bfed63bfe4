"""The atoms of *Play with a code*: chosen, moved, doubled and removed, by key, finger and mouse."""

import re

import numpy as np
import pytest
from chromium import NEEDS_CHROMIUM
from played import (
    STEP,
    download,
    package,
    play_data,
    said,
    unclipped,
    wait_for_address,
    wait_until,
)
from test_site import AXE, COLOURS, RULES, findings

from sdmvae_lite.scoring.resynthesis import code_to_waveform, resynthesise

pytest_plugins = ["played"]
pytestmark = NEEDS_CHROMIUM
NAME = play_data.MODELS["Dictionary"]
CHOSEN = f"voice={NAME}"
UNTOUCHED = "Dictionary, from all 64 numbers"
INSTANT = 100  # at 1.6 s of 16,000 Hz, in hops of 256
PHONES = [{"width": 390, "height": 844}, {"width": 320, "height": 640}]


@pytest.fixture(scope="module")
def first(sentences):
    """The dictionary model, and what it makes of the first sentence."""
    model = package(NAME)
    return model, resynthesise(model, sentences[0])


def heard(first, atom, shift=0.0, level=1.0):
    """The first sentence with an atom, counted from 1, changed all along."""
    model, result = first
    code = result.output.code.clone()
    code[:, atom - 1] = level * (code[:, atom - 1] + shift)
    return unclipped(code_to_waveform(model, code, result.phase, len(result.reference)))


def highest(first):
    """What a bar of full height stands for: 99 in 100 coefficients are below."""
    return np.quantile(first[1].output.code.abs().numpy(), 0.99, method="nearest")


def curve(page):
    """The curve that is drawn: frequencies in kHz, and decibels."""
    drawn = page.locator("#play-curve path").last.get_attribute("d")
    points = np.array([point.split(" ") for point in drawn[1:].split("L")], dtype=float)
    return points[:, 0] * 8 / 512, -points[:, 1]


def bar(page, atom, part=0.5):
    """Where the bar of an atom stands in the window."""
    page.locator("#play-bars").scroll_into_view_if_needed()
    box = page.locator("#play-bars").bounding_box()
    return box["x"] + box["width"] * (atom - 0.5) / 64, box["y"] + part * box["height"]


def height(page, atom):
    """What the bar of an atom stands for, relative to the highest."""
    bars = page.locator("#play-bars i")
    return float(bars.nth(atom - 1).evaluate("bar => bar.style.getPropertyValue('--z')"))


def test_only_a_model_with_atoms_shows_some(browser, visit):
    page = visit(browser)
    assert not page.locator("#play-atoms").is_visible()
    page.check(f"#play-voices [value='{NAME}']")
    wait_until(page, UNTOUCHED)
    assert page.locator("#play-atoms").is_visible()
    assert page.locator("#play-bars i").count() == 64
    page.check(f"#play-voices [value='{play_data.MODELS['Dearest 16']}']")
    wait_until(page, "Dearest 16, from 16 of 128 numbers")
    assert page.locator("#play-bars i").count() == 128
    zeros = page.locator("#play-bars i").evaluate_all(
        "bars => bars.filter(bar => Number(bar.style.getPropertyValue('--z')) === 0).length"
    )
    assert zeros == 112
    page.check(f"#play-voices [value='{play_data.MODELS['Student-t']}']")
    wait_until(page, "Student-t, from all 32 numbers")
    assert not page.locator("#play-atoms").is_visible()


def test_a_chosen_atom_draws_its_curve(browser, visit, first):
    page = visit(browser, CHOSEN)
    page.locator("#play-atom").focus()
    for atom in (2, 3):
        page.keyboard.press("ArrowRight")
        expected = 10 / np.log(10) * first[0].atoms().detach().numpy()[:, atom - 1]
        frequency, decibels = curve(page)
        np.testing.assert_allclose(decibels, expected, atol=0.006)
        np.testing.assert_allclose(frequency, np.linspace(0, 8, 513), atol=1e-9)
    assert page.locator("#play-atom-said").text_content() == "3 of 64"
    assert page.locator("#play-first").input_value() == "3"
    described = page.locator("#play-curve-said").text_content().replace("−", "-")
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d", described)]
    low, high = expected.argmin(), expected.argmax()
    ends = [expected[low], frequency[low], expected[high], frequency[high]]
    assert numbers == pytest.approx(ends, abs=0.051)
    axes = page.locator("#play-curve .axis").all_text_contents()
    assert axes == ["Frequency in kHz", "dB per unit"]


def test_keys_move_double_and_remove_an_atom(browser, visit, first):
    page = visit(browser, CHOSEN)
    untouched = download(page)
    page.locator("#play-atom").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.locator("#play-shift").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_until(page, "Dictionary, 1 of 64 atoms moved")
    wait_for_address(page, rf"add\.{NAME}=5_5_0_99999_0\.5")
    assert page.locator("#play-button").text_content() == "Pause", "a movement is heard at once"
    page.click("#play-button")
    page.locator("#play-position").fill("1.6")
    moved = (first[1].output.code[INSTANT, 5].item() + 0.5) / highest(first)
    assert height(page, 6) == pytest.approx(min(1, moved), abs=1e-4)
    assert np.abs(download(page) - heard(first, 6, 0.5)).max() < STEP
    assert page.locator("#play-change").is_visible()
    assert not page.locator("#play-heard :checked").count()

    page.locator("#play-heard [value='1']").focus()
    page.keyboard.press("ArrowRight")
    wait_until(page, "with parts of its code changed")
    assert np.abs(download(page) - heard(first, 6, 0.5, 2)).max() < STEP
    page.locator("#play-heard :checked").press("ArrowRight")
    wait_until(page, "1 of 64 rows muted")
    removed = download(page)
    assert np.abs(removed - heard(first, 6, level=0)).max() < STEP
    wait_for_address(page, rf"[&#]{NAME}=5_5_0_99999_0")
    other = visit(browser, page.url.split("#")[1])
    np.testing.assert_array_equal(download(other), removed)

    page.locator("#play-heard :checked").press("ArrowRight")  # from the last to the first
    wait_until(page, UNTOUCHED)
    np.testing.assert_array_equal(download(page), untouched)
    page.locator("#play-heard :checked").press("Control+z")
    wait_until(page, "1 of 64 rows muted")
    page.click("#play-reset")
    wait_until(page, UNTOUCHED)
    np.testing.assert_array_equal(download(page), untouched)


@pytest.mark.parametrize("viewport", PHONES, ids=lambda size: f"{size['width']} px")
def test_a_thumb_chooses_moves_and_removes_an_atom(browser, visit, first, viewport):
    page = visit(browser, CHOSEN, viewport=viewport, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.touchscreen.tap(*bar(page, 20))
    page.wait_for_function("document.querySelector('#play-atom').value === '20'")
    finger = page.context.new_cdp_session(page)

    def swipe(*places):
        kinds = ["touchStart", *["touchMove"] * (len(places) - 1)]
        for kind, (x, y) in zip(kinds, places, strict=True):
            event = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            finger.send("Input.dispatchTouchEvent", event)
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    swipe(*(bar(page, atom) for atom in range(20, 51, 3)))
    page.wait_for_function("document.querySelector('#play-atom').value === '50'")
    assert UNTOUCHED in said(page)

    page.locator("#play-shift").scroll_into_view_if_needed()
    slider = page.locator("#play-shift").bounding_box()
    page.touchscreen.tap(slider["x"] + 0.75 * slider["width"], slider["y"] + slider["height"] / 2)
    wait_until(page, "1 of 64 atoms moved")
    shift = float(page.locator("#play-shift").input_value())
    assert 0.7 < shift < 1.3
    assert np.abs(download(page) - heard(first, 50, shift)).max() < STEP
    for level, text in ((2, "with parts of its code changed"), (0, "1 of 64 rows muted")):
        page.locator(f"#play-heard [value='{level}']").tap()
        wait_until(page, text)
    page.locator("#play-heard [value='1']").tap()
    wait_until(page, UNTOUCHED)
    controls = "#play-atom, #play-shift, #play-heard label, #play-voices label"
    for control in page.locator(controls).all():
        assert min(control.bounding_box()[side] for side in ("width", "height")) >= 24


def test_a_mouse_drags_a_bar(browser, visit, first):
    page = visit(browser, CHOSEN)
    page.mouse.click(*bar(page, 30))
    assert page.locator("#play-atom").input_value() == "30"
    assert UNTOUCHED in said(page)
    page.mouse.move(*bar(page, 12))
    page.mouse.down()
    page.mouse.move(*bar(page, 12, 0.4), steps=4)
    page.mouse.up()
    wait_until(page, "1 of 64 atoms moved")
    wait_for_address(page, rf"add\.{NAME}=11_11_0_99999_\d")
    shift = float(page.locator("#play-shift").input_value())
    assert shift == pytest.approx(0.2 * highest(first), abs=0.1)
    assert np.abs(download(page) - heard(first, 12, shift)).max() < STEP
    page.locator("#play-code").focus()
    page.keyboard.press("Control+z")
    wait_until(page, UNTOUCHED)


def test_an_address_cannot_move_further_than_the_page(browser, visit):
    beyond = f"{CHOSEN}&add.{NAME}=4_4_0_99999_2.5*5_5_0_9_-2*x*6_6_0_9_1_1"
    page = visit(browser, beyond)
    assert said(page) == "Dictionary, 1 of 64 atoms moved."
    wait_for_address(page, rf"add\.{NAME}=5_5_0_9_-2$")


def test_bars_follow_the_sound(browser, visit, first):
    page = visit(browser, CHOSEN)
    page.locator("#play-position").fill("1.6")
    expected = (first[1].output.code[INSTANT] / highest(first)).clamp(-1, 1)
    found = [height(page, atom) for atom in range(1, 65)]
    assert found == pytest.approx(expected.tolist(), abs=1e-4)


def test_atoms_shut_nobody_out(browser, visit):
    page = visit(browser, f"{CHOSEN}&{NAME}=4_4_0_99999_0", reduced_motion="reduce")
    page.add_script_tag(content=AXE)
    assert page.locator("#play-atoms").is_visible()
    assert not findings(page, RULES | {"preload": False})  # the page may fetch nothing
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("for (const each of document.getAnimations()) each.finish()")
    assert not findings(page, COLOURS)
