import base64
import io
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import soundfile

from sdmvae_lite.book import widgets
from sdmvae_lite.book.widgets import explore, players, table


def played(markup):
    """The waveforms that a page's players hold."""
    return [
        soundfile.read(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r"data:audio/wav;base64,([^\"]+)", markup.data)
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


@pytest.fixture
def displayed(monkeypatch):
    """What has been displayed, as mime bundles."""
    bundles = []
    monkeypatch.setattr(widgets, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def draw(ax, gain, shape):
    ax.plot([0, 1], [0, gain])
    ax.set(xlabel="time (s)", ylabel=shape)


CONTROLS = {"gain": [0.5, 1.0, 2.0], "shape": ["line", "ramp"]}
SHOWN = [{"gain": 1.0, "shape": "ramp"}, {"gain": 2.0, "shape": "line"}]


def height(png):
    return plt.imread(io.BytesIO(png)).shape[0]


def test_sliders_redraw_the_figure(displayed):
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


def test_a_page_without_a_kernel_gets_every_setting_it_was_promised(displayed):
    explore(draw, CONTROLS, SHOWN, height=2.0)
    explore(draw, CONTROLS, SHOWN[:1], height=2.0)
    both, first = (base64.b64decode(bundle["image/png"]) for bundle in displayed)
    assert height(both) == 2 * height(first)
    assert not plt.get_fignums()  # nothing is left for the notebook to draw a second time


def test_settings_must_be_on_the_sliders():
    with pytest.raises(ValueError, match="gain = 3 is not among its slider's values"):
        explore(draw, CONTROLS, [{"gain": 3, "shape": "ramp"}])
    with pytest.raises(ValueError, match="at least one setting"):
        explore(draw, CONTROLS, [])
