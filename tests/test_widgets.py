import base64
import html
import io
import json
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile
from PIL import Image

from sdmvae_lite.book import page, widgets
from sdmvae_lite.book.widgets import abx, explore, players, table


def played(markup):
    """The waveforms that a page's players hold."""
    return [
        soundfile.read(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r"data:audio/flac;base64,([^\"]+)", markup.data)
    ]


def test_players_hold_the_waveforms_at_their_levels():
    tone = 0.5 * np.sin(np.arange(1600) / 5)
    loud, quiet = played(players({"loud": tone, "quiet": 0.1 * tone}))
    assert loud[1] == quiet[1] == 16_000
    np.testing.assert_allclose(loud[0], tone, atol=1e-4)
    np.testing.assert_allclose(quiet[0], 0.1 * tone, atol=1e-4)


def test_what_would_clip_is_brought_down_and_the_rest_with_it():
    tone = np.sin(np.arange(1600) / 5)
    loud, other = played(players({"loud": 2 * tone, "other": tone}))
    assert np.abs(loud[0]).max() <= 1
    np.testing.assert_allclose(loud[0], 2 * other[0], atol=1e-4)


def test_labels_are_text_and_samples_are_finite():
    assert "&lt;b&gt;" in players({"<b>": np.zeros(100)}).data
    with pytest.raises(ValueError, match="NaN or infinite samples and cannot be played"):
        players({"broken": np.array([0.0, np.nan])})


@pytest.mark.parametrize(
    ("waveforms", "message"),
    [
        ({}, "there are no waveforms to play"),
        (
            {"fine": np.ones(9), "stereo": np.ones((9, 2))},
            r"'stereo' has shape \(9, 2\).*one channel",
        ),
        ({"nothing": np.ones(0)}, r"'nothing' has shape \(0,\).*one channel"),
    ],
    ids=["no waveforms", "stereo", "no samples"],
)
def test_what_cannot_be_played_is_named(waveforms, message):
    with pytest.raises(ValueError, match=message):
        players(waveforms)


def test_a_table_has_a_row_a_mapping_and_dashes_for_what_is_absent():
    markup = table({"VAE": {"pesq": 3.291}, "<VSC>": {}}, {"pesq": "PESQ | raw | .2f"}).data
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", markup)
    assert cells == ["", "PESQ | raw", "VAE", "3.29", "&lt;VSC&gt;", "–"]


@pytest.mark.parametrize(("lengths", "shared"), [([9, 9, 9], True), ([9], False), ([9, 8], False)])
def test_waveforms_of_one_length_share_a_player(lengths, shared):
    markup = players({f"sound {i}": np.zeros(n) for i, n in enumerate(lengths)}).data
    assert ("<sound-switch" in markup) == shared
    assert markup.count("<audio controls") == len(lengths), "players for pages without scripts"


def test_a_blind_test_takes_two_waveforms_of_one_length():
    markup = abx({"one": np.zeros(16_000), "other": np.ones(16_000)})
    assert '<sound-abx data-seconds="1.000">' in markup.data
    assert [len(samples) for samples, _ in played(markup)] == [16_000, 16_000]
    for wrong in ({}, {"alone": np.zeros(9)}, {"short": np.zeros(8), "long": np.zeros(9)}):
        with pytest.raises(ValueError, match="two waveforms of one length"):
            abx(wrong)


def test_an_executed_page_holds_the_script_once_and_each_output_for_a_reader(monkeypatch):
    monkeypatch.setattr(page, "_brought", set())
    assert [players({"a": np.zeros(9)}).data.count("<script>") for _ in range(3)] == [1, 0, 0]
    monkeypatch.setattr(page, "reader_waits", lambda: True)
    assert [players({"a": np.zeros(9)}).data.count("<script>") for _ in range(3)] == [1, 1, 1]


@pytest.fixture
def displayed(monkeypatch):
    """What has been displayed, as mime bundles or HTML."""
    bundles = []
    monkeypatch.setattr(widgets, "display", lambda bundle, raw=False: bundles.append(bundle))
    return bundles


@pytest.fixture
def reader(monkeypatch):
    """Somebody runs the cells who could be asked for input."""
    monkeypatch.setattr(widgets, "reader_waits", lambda: True)


def draw(ax, gain, shape):
    ax.plot([0, 1], [0, gain])
    ax.set(xlabel="time (s)", ylabel=shape)


CONTROLS = {"gain": [0.5, 1.0, 2.0], "shape": ["line", "ramp"]}
SHOWN = [{"gain": 1.0, "shape": "ramp"}, {"gain": 2.0, "shape": "line"}]


def test_sliders_redraw_the_figure(displayed, reader):
    explore(draw, CONTROLS, SHOWN)
    view = displayed[0]["application/vnd.jupyter.widget-view+json"]
    box = ipywidgets.widgets.widget._instances[view["model_id"]]
    gain, shape, picture = box.children

    assert (gain.value, shape.value) == (1.0, "ramp")
    before = picture.value
    gain.value = 2.0
    assert picture.value != before
    gain.value = 1.0
    assert picture.value == before
    shape.value = "line"
    assert picture.value != before


def pictures(markup, kind):
    """The attributes of the pictures that a page shows, or those that it keeps for its sliders."""
    tags = re.findall(rf"<{kind} [^>]*data-stop[^>]*>", markup.data)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in tags]


def sliders(markup):
    """The values of each slider of a page."""
    (controls,) = re.findall(r'data-controls="([^"]*)"', markup.data)
    return json.loads(html.unescape(controls))


def test_a_page_without_a_kernel_gets_every_setting_it_was_promised(displayed):
    explore(draw, CONTROLS, SHOWN, height=2.0)
    shown, kept = (pictures(displayed[0], kind) for kind in ("img", "i"))
    assert [picture["data-stop"] for picture in shown] == ["1 1", "2 0"]
    stops = [picture["data-stop"] for picture in shown + kept]
    assert sorted(stops) == ["0 0", "0 1", "1 0", "1 1", "2 0", "2 1"]
    assert shown[0]["alt"] == "ramp against time (s): gain = 1, shape = ramp"
    assert sliders(displayed[0]) == {"gain": ["0.5", "1", "2"], "shape": ["line", "ramp"]}
    assert "application/vnd.jupyter.widget" not in displayed[0].data
    assert not plt.get_fignums()  # nothing is left for the notebook to draw a second time


def test_pictures_are_light_and_leave_the_ground_to_the_page(displayed):
    explore(draw, CONTROLS, SHOWN, height=2.0)
    data = pictures(displayed[0], "img")[0]["src"].removeprefix("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.mode == "P"
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0


@pytest.mark.parametrize("limit", ["MOST_STOPS", "MOST_BYTES"])
def test_of_many_or_heavy_stops_some_are_left_out_evenly_but_none_that_is_shown(
    displayed, monkeypatch, limit
):
    png, _ = widgets._png(draw, SHOWN[0], 2.0)
    monkeypatch.setattr(widgets, "_png", lambda draw, setting, height: (png, str(setting)))
    monkeypatch.setattr(widgets, limit, 12 * (len(png) if limit == "MOST_BYTES" else 1))
    explore(draw, {"a": range(100), "b": [0, 1]}, [{"a": 41, "b": 1}])
    assert sliders(displayed[0]) == {"a": ["0", "20", "40", "41", "60", "80"], "b": ["0", "1"]}
    assert displayed[0].data.count("data-stop") == 12


def test_settings_must_be_on_the_sliders():
    with pytest.raises(ValueError, match="gain = 3 is not among its slider's values"):
        explore(draw, CONTROLS, [{"gain": 3, "shape": "ramp"}])
    with pytest.raises(ValueError, match="at least one setting"):
        explore(draw, CONTROLS, [])
