"""The landing page and README promise the same, play what the models make, quote the records."""

import base64
import importlib.util
import io
import json
import re
import sys

import numpy as np
import pytest
import soundfile
import yaml
from chromium import NEEDS_CHROMIUM
from PIL import Image
from toc import BOOK, ROOT, chapters, source

sys.path.insert(0, str(BOOK / "_ext"))
import landing
import landing_map

from sdmvae_lite.table.claims import CLAIMS, PAPER
from sdmvae_lite.table.records import read_records
from sdmvae_lite.table.verdicts import judge

INDEX, README = (
    path.read_text(encoding="utf-8") for path in (BOOK / "index.md", ROOT / "README.md")
)


@pytest.fixture(scope="module")
def player():
    return landing.player()


def test_the_book_has_one_name_and_one_promise():
    config, citation = (
        yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
        for name in ("_config.yml", "CITATION.cff")
    )
    assert config["title"] == "Sparse Dictionary VAEs"
    assert citation["title"].startswith(config["title"])
    assert INDEX.startswith(f"# {config['title']}\n")
    assert README.startswith(f"# {config['title']}\n")
    promise = re.search(r"^\*\*(.+)\*\*$", README, re.MULTILINE).group(1)
    assert promise in INDEX


@pytest.mark.parametrize("text", [INDEX, README], ids=["landing page", "README"])
def test_the_authors_stand_before_any_finding(text):
    finding = min(text.find(word) for word in ("{landing-table}", "## A result") if word in text)
    assert 0 < text.find("Sadeghi") < text.find("Magron") < finding


def test_the_rows_are_those_of_the_records_and_of_the_paper():
    """The records are read here as JSON, not by the package."""
    shown = landing.table()
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', shown)
    assert len(rows) == 4
    for (label, cells), row in zip(rows, landing.ROWS, strict=True):
        assert label == landing.ROWS[row]
        runs = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in (ROOT / "results").glob(f"speechocean762-{row}-seed*.json")
        ]
        scores = [run["posterior mean"] for run in runs]
        frames = runs[0]["utterances"]["n_frames"]
        means = (
            np.mean([each["pesq_raw"] for each in scores]),
            np.mean([each["estoi"] for each in scores]),
            np.mean([np.average(each["hoyer"], weights=frames) for each in scores]),
        )
        ours = re.findall(r"<td>([\d.]+)", cells)
        papers = re.findall(r"\(([\d.]+)\)", cells)
        assert [float(each) for each in ours] == pytest.approx(means, abs=0.00501)
        assert [float(each) for each in papers] == list(PAPER[row].values())
        assert int(re.search(r"over (\d+) trainings or more", shown)[1]) <= len(runs)


def test_the_verdict_is_that_of_the_records():
    records = read_records(ROOT / "results", "speechocean762")
    assert f"<strong>{judge(CLAIMS[0], records)}</strong>" in landing.table()


def test_the_voices_are_of_one_length_and_one_level(player):
    names = re.findall(r"<figcaption>(.*?)</figcaption>", player)
    assert names == ["original", *(f"through the {name}" for name in landing.CODES)]
    found = re.findall(r"data:audio/flac;base64,([^\"]+)", player)
    files = [soundfile.read(io.BytesIO(base64.b64decode(file))) for file in found]
    assert {rate for _, rate in files} == {16_000}
    original, *through = (sound for sound, _ in files)
    assert max(np.abs(sound).max() for sound, _ in files) == pytest.approx(1, abs=1e-3)
    for name, sound in zip(landing.CODES, through, strict=True):
        result = landing.voices()[name]
        ratio = np.abs(original).max() / np.abs(result.reference).max()
        np.testing.assert_allclose(sound, ratio * result.estimate, atol=1e-4)
    assert len(player) < 500_000


def test_readme_shows_what_its_tool_draws():
    place = ROOT / "tools" / "draw_codes.py"
    specification = importlib.util.spec_from_file_location(place.stem, place)
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    for page, ink in tool.INKS.items():
        assert f"book/_static/codes-{page}.png" in README
        committed = Image.open(BOOK / "_static" / f"codes-{page}.png").convert("RGBA")
        drawn = Image.open(io.BytesIO(tool.draw(ink))).convert("RGBA")
        assert drawn.size == committed.size
        apart = np.asarray(drawn, dtype=int) - np.asarray(committed, dtype=int)
        assert np.abs(apart).mean() < 2, "run tools/draw_codes.py"


def titles():
    """The chapters in order, by file name, with the titles that their pages show."""
    return {path.stem: source(path, "markdown").split("\n")[0][2:] for path in chapters()}


def test_the_map_has_every_chapter_in_order():
    drawn = landing_map.draw(landing_map.read_chapters(ROOT / "_toc.yml", BOOK))
    boxes = re.findall(r'<a href="(\w+)\.html".*?</tspan> (.*?)</text>', drawn)
    assert boxes == list(titles().items())
    numbers = re.findall(r'class="number">(\d+)<', drawn)
    assert numbers == [str(1 + i) for i in range(len(boxes))]


@pytest.fixture
def small_book(tmp_path):
    """A book of four chapters, the last of which needs all others; its contents and its folder."""
    needs = {"1_one": "time", "2_two": "[one](1_one)", "3_three": "[it](1_one) and [x](4_four)"}
    needs["4_four"] = "[one](1_one), [two](2_two) and [three](3_three)"
    for name, asked in needs.items():
        text = f"# Title & {name}\n\n**You need** {asked}.\n\n**It takes** [long](2_two)."
        cell = {"cell_type": "markdown", "source": text.splitlines(keepends=True)}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    numbered = {"numbered": True, "chapters": [{"file": name} for name in needs]}
    contents = {"parts": [{"chapters": [{"file": "play"}]}, numbered]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(contents), encoding="utf-8")
    return tmp_path / "_toc.yml", tmp_path


def test_the_map_joins_a_chapter_to_what_it_needs_itself(small_book):
    read = landing_map.read_chapters(*small_book)
    assert [each.title for each in read] == [f"Title & {each.file}" for each in read]
    assert landing_map.direct(read) == {
        "1_one": set(),
        "2_two": {"1_one"},
        "3_three": {"1_one"},  # what comes later is no need
        "4_four": {"2_two", "3_three"},  # the first is behind both
    }
    drawn = landing_map.draw(read)
    assert drawn.count('<path class="way"') == 4
    assert 'aria-label="4 Title &amp; 4_four, builds on 2 and 3"' in drawn


def test_every_chapter_is_on_a_route_and_routes_go_forward():
    cards = INDEX.split("## Five routes")[1].split("\n## ")[0].split("grid-item-card")[1:]
    routes = [re.findall(r"\[\]\((\w+)\)", card) for card in cards]
    assert len(routes) == 5
    assert all(route == sorted(set(route)) for route in routes)
    assert set().union(*routes) == titles().keys()


def test_readme_lists_the_chapters_and_opens_each_in_colab():
    configured = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    address, branch = (configured["repository"][key] for key in ("url", "branch"))
    colab = f"{configured['launch_buttons']['colab_url']}/github/{address.split('.com/')[1]}"
    expected = [
        f"| {number} | [{title}]({configured['html']['baseurl']}{name}.html) "
        f"| [open]({colab}/blob/{branch}/book/{name}.ipynb) |"
        for number, (name, title) in enumerate(titles().items(), start=1)
    ]
    table = README.split("\n## Chapters\n")[1].split("\n## ")[0]
    assert [line for line in table.splitlines() if re.match(r"\| \d", line)] == expected


driven, needs_chromium = NEEDS_CHROMIUM


@driven
@needs_chromium
def test_a_line_over_the_codes_moves_with_the_player(browser, player, tmp_path):
    seconds = len(landing.voices()["VAE"].reference) / 16_000
    text = f"<!doctype html><meta charset=utf-8>{player}"
    (tmp_path / "index.html").write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto((tmp_path / "index.html").as_uri())
    line, seek = page.locator(".playhead"), page.locator("sound-switch input[type=range]")
    line.wait_for()
    codes = page.locator(".codes").bounding_box()
    assert line.get_attribute("aria-valuenow") == "0"

    page.mouse.click(codes["x"] + codes["width"] / 2, codes["y"] + codes["height"] / 2)
    assert float(seek.input_value()) == pytest.approx(seconds / 2, abs=0.05)
    middle = codes["x"] + codes["width"] / 2
    assert line.bounding_box()["x"] == pytest.approx(middle, abs=3)

    page.get_by_role("button", name="Play").click()
    page.get_by_role("radio", name="through the SDM-VAE").check()
    page.wait_for_function("x => document.querySelector('.playhead').offsetLeft > x", arg=middle)
    page.close()


@driven
@needs_chromium
def test_without_scripts_there_are_three_players(browser, player):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(player)
    assert page.locator("audio[controls]:visible").count() == 3
    assert not page.locator(".playhead").is_visible()
    context.close()
