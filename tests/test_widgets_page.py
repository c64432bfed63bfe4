"""Players, blind tests and sliders on a rendered page, used as readers would use them."""

import math
import re
import shutil

import nbformat
import numpy as np
import pytest
from built import build
from chromium import HEARD, NEEDS_CHROMIUM, heard
from PIL import Image
from print_book import serve
from toc import ROOT

pytestmark = NEEDS_CHROMIUM

SOUNDS = """
import numpy as np
from sdmvae_lite.book.checks import agree
from sdmvae_lite.book.widgets import abx, explore, players

time = np.arange(320_000) / 16_000
tones = {f"{f} Hz": 0.01 * np.sin(2 * np.pi * f * time) for f in (220, 330, 440)}
players(tones)
"""
SLIDERS = """
def draw(ax, height, ground):
    ax.set_position([0, 0, 1, 1])
    ax.axis("off")
    ax.axhspan(0, height, color=ground)
    ax.set(xlabel="time (s)", ylabel="power", ylim=(0, 3))

explore(
    draw,
    {"height": [1, 2, 3], "ground": ["red", "blue"]},
    [{"height": 2, "ground": "red"}, {"height": 3, "ground": "blue"}],
)
agree("direct and alternating", np.zeros(9), np.zeros(9), within=1e-6)
"""
CONTENTS = "format: jb-book\nroot: index\nchapters:\n  - file: page\n"
CELLS = [
    SOUNDS,
    'players({"alone": tones["220 Hz"]})',
    'abx({"VAE": tones["220 Hz"], "SDM-VAE": tones["440 Hz"]})',
    SLIDERS,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A book of one chapter, executed and rendered by Jupyter Book."""
    source = tmp_path_factory.mktemp("chapter")
    others = shutil.ignore_patterns("*.ipynb", "*.md")
    shutil.copytree(ROOT / "book", source / "book", ignore=others)
    shutil.copy(ROOT / "_config.yml", source)
    (source / "_toc.yml").write_text(CONTENTS, encoding="utf-8")
    (source / "book" / "index.md").write_text("# A book\n", encoding="utf-8")
    cells = [nbformat.v4.new_markdown_cell("# A page")]
    cells += [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source / "book" / "page.ipynb")
    built = build(source, source)
    assert built.returncode == 0, built.stdout + built.stderr
    return source / "_build" / "html"


@pytest.fixture(scope="module")
def address(folder):
    return (folder / "page.html").as_uri()


@pytest.fixture
def open_page(browser, address):
    """Opens the page from the disk, in a window as the test likes it, once its parts are alive."""
    contexts = []

    def open_it(url=address, alive=True, **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.goto(url)
        if alive:
            page.locator(".stop-panel").wait_for()
        return page

    yield open_it
    for context in contexts:
        context.close()


class Mouse:
    """How a reader presses and moves things; below, by other means."""

    window = {"viewport": {"width": 1280, "height": 800}}  # noqa: RUF012

    def press(self, thing):
        thing.click()

    def choose(self, group, label):
        group.locator("label", has_text=label).click()

    def to_the_end(self, slider):
        box = slider.bounding_box()
        slider.click(position={"x": box["width"] - 3, "y": box["height"] / 2})


class Keyboard(Mouse):
    def press(self, thing):
        thing.press("Space")

    def choose(self, group, label):
        group.locator(":checked").press("ArrowRight")  # the next one is `label`

    def to_the_end(self, slider):
        slider.press("End")


class Touch(Mouse):
    window = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}  # noqa: RUF012

    def press(self, thing):
        thing.tap()

    def choose(self, group, label):
        group.locator("label", has_text=label).tap()

    def to_the_end(self, slider):
        box = slider.bounding_box()
        slider.tap(position={"x": box["width"] - 3, "y": box["height"] / 2})


@pytest.fixture(params=[Mouse, Keyboard, Touch])
def hand(request):
    return request.param()


def wait_until_heard(page, place):
    page.wait_for_function(
        f"i => {{ const a = document.querySelectorAll('audio')[i];"
        f"return ({HEARD})(a) && a.currentTime > 0; }}",
        arg=place,
    )


def wait_until_only_one_is_heard(page, place):
    page.wait_for_function(
        f"i => [...document.querySelectorAll('audio')].every((a, j) => ({HEARD})(a) === (i === j))",
        arg=place,
    )


def shown(page, folder):
    """The picture under the sliders, of one colour: which, and how much of it has that."""
    source = page.locator(".stop-moved").get_attribute("src")
    pixels = np.asarray(Image.open(folder / source).convert("RGBA")).reshape(-1, 4)
    filled = pixels[pixels[:, 3] > 0]
    colour = {(255, 0, 0): "red", (0, 0, 255): "blue"}[tuple(filled[0, :3].tolist())]
    return colour, len(filled) / len(pixels)


def test_sliders_move_the_figure(open_page, folder, hand):
    page = open_page(**hand.window)
    height, ground = (page.get_by_role("slider", name=name) for name in ("height", "ground"))
    assert (height.get_attribute("aria-valuetext"), ground.get_attribute("aria-valuetext")) == (
        "2",
        "red",
    )
    hand.to_the_end(height)
    assert height.get_attribute("aria-valuetext") == "3"
    assert page.locator(".stop-panel output").all_inner_texts() == ["3", "red"]
    assert shown(page, folder) == ("red", pytest.approx(1, abs=0.01))
    hand.to_the_end(ground)
    assert shown(page, folder) == ("blue", pytest.approx(1, abs=0.01))
    page.get_by_role("img", name="power against time (s): height = 3, ground = blue").wait_for()
    height.press("ArrowLeft")
    height.press("ArrowLeft")
    assert shown(page, folder) == ("blue", pytest.approx(1 / 3, abs=0.01))
    assert page.locator("figure-stops img:visible").count() == 1


def test_a_player_plays_seeks_switches_and_pauses(open_page, hand):
    page = open_page(**hand.window)
    player = page.locator("sound-switch")
    hand.press(player.get_by_role("button", name="Play"))
    wait_until_heard(page, 0)
    hand.choose(player, "330 Hz")
    wait_until_heard(page, 1)
    assert heard(page) == [1]
    hand.press(player.get_by_role("button", name="Pause"))
    assert heard(page) == []

    position = player.get_by_role("slider", name="Position")
    hand.to_the_end(position)
    position.press("PageDown")  # two seconds back
    assert 17 < float(position.input_value()) < 19
    assert re.fullmatch(r"1[78]\.\d of 20\.0 seconds", position.get_attribute("aria-valuetext"))
    hand.press(player.get_by_role("button", name="Play"))
    player.get_by_role("button", name="Pause").wait_for()
    player.get_by_role("button", name="Play").wait_for()  # at its end it stops by itself


@pytest.fixture(scope="module")
def server(folder):
    """The address of a server that, like Python's own, sends no parts of files."""
    with serve(folder) as running:
        yield f"{running}/page.html"


@pytest.mark.parametrize("place", ["address", "server"])
def test_another_sound_goes_on_at_the_same_instant(open_page, request, place):
    """What was heard before runs on unheard, so that both can be read at the same moment."""
    page = open_page(request.getfixturevalue(place))
    page.locator("sound-switch").get_by_role("button", name="Play").click()
    position = "document.querySelector('sound-switch audio').currentTime"
    page.wait_for_function(f"() => {position} > 0.5")
    apart = page.evaluate(
        f"""async () => {{
            const tracks = [...document.querySelectorAll("sound-switch audio")];
            const radios = document.querySelectorAll("sound-switch input[type=radio]");
            const now = () => tracks.filter({HEARD});
            const apart = [];
            for (const next of [1, 2, 0, 2, 1]) {{
                const [before] = now();
                radios[next].click();
                for (let tries = 0; !now().includes(tracks[next]) && tries < 1000; tries += 1) {{
                    if (now().length !== 1) throw Error(`${{now().length}} sounds are heard`);
                    await new Promise(resolve => setTimeout(resolve, 2));
                }}
                if (now().length !== 1) throw Error(`${{now().length}} sounds are heard`);
                apart.push(tracks[next].currentTime - before.currentTime);
            }}
            return apart;
        }}"""
    )
    assert len(apart) == 5
    assert max(map(abs, apart)) < 0.05, apart
    assert 0.5 < page.evaluate(position) < 20


def test_one_thing_sounds_at_a_time(open_page):
    page = open_page()
    play = page.locator("sound-switch").get_by_role("button", name="Play")
    play.click()
    wait_until_heard(page, 0)
    page.locator("audio").nth(3).evaluate("audio => audio.play()")  # the one that stands alone
    wait_until_only_one_is_heard(page, 3)
    play.click()  # it offers to play again
    wait_until_only_one_is_heard(page, 0)
    page.locator("sound-abx").get_by_role("button", name="Play").click()
    wait_until_only_one_is_heard(page, 4)


def x_is(page):
    """What X is, told by what it plays."""
    a, b, x = page.locator("sound-abx audio").evaluate_all("all => all.map(a => a.src)")
    assert x in (a, b)
    assert a != b
    return "A" if x == a else "B"


def test_a_blind_test_counts_and_names_the_chance_of_guessing(open_page):
    page = open_page()
    test = page.locator("sound-abx")
    drawn, right = [], 0
    for asked in range(1, 31):
        drawn.append(x_is(page))
        hit = asked % 5 > 0
        right += hit
        said = drawn[-1] if hit else {"A": "B", "B": "A"}[drawn[-1]]
        test.get_by_role("button", name=f"X is {said}").click()
        chance = sum(math.comb(asked, k) for k in range(right, asked + 1)) / 2**asked
        text = test.locator(".sound-said").inner_text()
        verdict = f"{'Right' if hit else 'Wrong'}, X was {drawn[-1]}. {right} of {asked} right; "
        assert text.startswith(verdict)
        assert float(text.split()[-1].rstrip(".")) == pytest.approx(chance, rel=0.06)
    assert set(drawn) == {"A", "B"}
    test.get_by_role("button", name="Start again").click()
    test.get_by_role("button", name=f"X is {x_is(page)}").click()
    assert "1 of 1 right; guessing does as well or better with probability 0.50." in (
        test.locator(".sound-said").inner_text()
    )


def stands(page, place):
    """Where a sound of the page stands, in seconds ahead of the clock: the median of readings.

    While a sound begins, Chromium corrects what it says by steps of 32 milliseconds.
    """
    readings = page.evaluate(
        """async place => {
            const audio = document.querySelectorAll("audio")[place];
            const readings = [];
            while (readings.length < 40) {
                await new Promise(resolve => setTimeout(resolve, 10));
                const begun = audio.currentTime > 0.5;
                if (begun) readings.push(audio.currentTime - performance.now() / 1000);
            }
            return readings;
        }""",
        place,
    )
    return np.median(readings)


def test_x_is_heard_at_the_same_instant_and_stops_with_the_answer(open_page, hand):
    page = open_page(**hand.window)
    test = page.locator("sound-abx")
    hand.press(test.get_by_role("button", name="Play"))
    wait_until_heard(page, 4)
    hand.choose(test, "B: SDM-VAE")
    wait_until_heard(page, 5)
    before = stands(page, 5)
    hand.choose(test, "X: one of the two")
    wait_until_heard(page, 6)
    assert abs(stands(page, 6) - before) < 0.03
    hand.press(test.get_by_role("button", name=f"X is {x_is(page)}"))
    assert heard(page) == []
    assert "1 of 1 right" in test.locator(".sound-said").inner_text()


def test_a_check_folds_its_numbers(open_page):
    check = open_page().locator("details.agree")
    numbers = "9 pairs, apart by 0.0e+00 (allowed 1.0e-06)"
    assert numbers not in check.inner_text()
    check.get_by_text("✓ direct and alternating").click()
    assert numbers in check.inner_text()


def test_without_scripts_there_are_plain_players_and_small_multiples(open_page):
    page = open_page(alive=False, java_script_enabled=False)
    assert page.locator("audio[controls]:visible").count() == 6
    captions = page.locator("figure.player figcaption:visible").all_inner_texts()
    assert captions == ["220 Hz", "330 Hz", "440 Hz", "alone", "VAE", "SDM-VAE"]
    assert page.locator("figure-stops img:visible").count() == 2
    assert page.locator("figure-stops i:visible").count() == 0


def test_paper_shows_the_small_multiples_and_the_names_of_sounds(open_page):
    page = open_page()
    page.get_by_role("slider", name="height").press("Home")
    pictures = len(re.findall(rb"/Subtype\s*/Image", page.pdf()))
    assert pictures >= 2
    page.emulate_media(media="print")
    assert page.locator("figure-stops img:visible").count() == 2
    assert page.locator(":is(.sound-panel, .stop-panel, .stop-moved):visible").count() == 0
    assert page.locator("figure.player figcaption:visible").count() == 6


def test_a_page_is_light_and_its_targets_are_large(open_page, folder):
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert text.count('customElements.get("sound-switch")') == 1
    assert "widget-state" not in text
    assert "widget-view" not in text
    page = open_page(**Touch.window)
    sizes = page.eval_on_selector_all(
        ":is(.sound-panel, .stop-panel) :is(button, label, input[type=range])",
        "all => all.map(e => e.getBoundingClientRect()).map(r => Math.min(r.width, r.height))",
    )
    assert len(sizes) == 17
    assert min(sizes) >= 24
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
