"""What a page embeds goes into files beside it, and comes back as it was."""

import base64
import io
import re
import sys

import numpy as np
import pytest
from PIL import Image
from toc import BOOK

sys.path.insert(0, str(BOOK / "_ext"))
from light_pages import fewer_colours, lazy, move_out

SOUND = bytes(range(256)) * 8


def embedded(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def png(picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize("attribute", ["src", "data-src", "href"])
def test_what_is_embedded_twice_is_one_file(tmp_path, attribute):
    sound = embedded("audio/flac", SOUND)
    page = f'<audio {attribute}="{sound}"></audio><p>{sound}</p>'
    moved = move_out(page * 2, tmp_path / "_media", "_media")
    (file,) = (tmp_path / "_media").iterdir()
    assert file.read_bytes() == SOUND
    assert file.suffix == ".flac"
    assert moved.count(f'{attribute}="_media/{file.name}"') == 2
    assert moved.count(sound) == 2, "what stands in a text is left alone"


def test_what_is_small_stays_in_the_page(tmp_path):
    page = f'<img src="{embedded("image/png", b"tiny")}">'
    assert move_out(page, tmp_path / "_media", "_media") == page
    assert not (tmp_path / "_media").exists()


def test_a_figure_has_fewer_colours_that_are_near():
    slope = np.linspace(0, 255, 400, dtype=np.uint8)
    picture = np.stack([np.broadcast_to(slope, (300, 400))] * 3, axis=-1)
    picture = np.concatenate([picture, picture // 2 + 100])
    before = png(picture)
    with Image.open(io.BytesIO(fewer_colours(before))) as few:
        assert len(few.getcolors()) <= 256
        assert np.abs(np.asarray(few.convert("RGB"), int) - picture).mean() < 1.5


def test_a_picture_of_noise_keeps_its_colours():
    noise = png(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    assert fewer_colours(noise) == noise


def test_a_transparent_picture_stays_transparent():
    clear = np.zeros((200, 200, 4), dtype=np.uint8)
    clear[50:150, 50:150] = np.random.default_rng(0).integers(0, 255, (100, 100, 1)) // 64 * 64
    with Image.open(io.BytesIO(fewer_colours(png(clear)))) as few:
        assert few.convert("RGBA").getpixel((0, 0))[3] == 0


def test_a_picture_is_loaded_late_and_has_its_place_at_once(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(png(np.zeros((30, 50, 3), dtype=np.uint8)))
    tag = lazy('<img alt="A" src="_images/a.png" />', {"a.png": file})
    assert set(re.findall(r'(\w+)="(\w+)"', tag)) >= {
        ("loading", "lazy"),
        ("decoding", "async"),
        ("width", "50"),
        ("height", "30"),
    }
    said = lazy('<img src="_images/a.png" loading="eager" width="7">', {"a.png": file})
    assert 'loading="eager"' in said
    assert "lazy" not in said
    assert said.count("width") == 1
