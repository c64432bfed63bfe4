import ast
import io
import itertools
import re
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from toc import cells, chapters

from sdmvae_lite.book.plots import (
    COLOURS,
    plot_code,
    plot_history,
    plot_sorted_magnitudes,
    plot_spectrogram,
    plot_waveform,
    use_style,
)
from sdmvae_lite.training.fit import History

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def history():
    losses = [3.0, 1.0, 2.0]
    return History(losses, [0.5] * 3, losses, [0.5] * 3)


PLOTS = {
    "waveform": lambda ax: plot_waveform(np.sin(np.arange(1600)), ax),
    "spectrogram": lambda ax: plot_spectrogram(np.ones((63, 513)), ax),
    "code": lambda ax: plot_code(np.eye(32), ax),
    "sorted": lambda ax: plot_sorted_magnitudes(np.eye(32), ax),
    "history": lambda ax: plot_history(history(), ax),
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_every_figure_is_drawn_where_it_is_asked_for_and_has_labels(plot):
    _, ax = plt.subplots()
    assert plot(ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_a_spectrogram_has_seconds_and_kilohertz():
    ax = plot_spectrogram(np.ones((125, 513)))
    assert ax.images[0].get_extent() == [0, 2.0, 0, 8.0]


def test_a_spectrogram_is_relative_to_its_peak_unless_another_is_given():
    power = np.array([[1.0, 10.0], [100.0, 1e-20]])
    decibels = [[-20, 0], [-10, -140]]  # (n_bins, n_frames), and the floor of 1e-12
    np.testing.assert_allclose(plot_spectrogram(power).images[0].get_array(), decibels)
    _, ax = plt.subplots()
    louder = plot_spectrogram(100 * power[:, :1], ax, peak_db=20).images[0]
    np.testing.assert_allclose(louder.get_array(), [[0, 20]])
    assert louder.get_clim() == (-70, 0)


def test_a_code_is_shown_relative_to_its_largest_magnitude():
    shown = plot_code(np.array([[3.0, -12.0], [0.0, 6.0]])).images[0]
    np.testing.assert_allclose(shown.get_array(), [[0.25, 0], [1, 0.5]])
    assert shown.get_clim() == (0, 1)


def test_the_best_epoch_is_marked():
    ax = plot_history(history())
    assert ax.lines[2].get_xydata().tolist() == [[2, 1.5]]


def test_a_one_hot_code_falls_to_zero_at_once():
    ax = plot_sorted_magnitudes(np.eye(32))
    assert ax.lines[0].get_ydata()[:2].tolist() == [1, 0]


WHITE, BLACK = (1, 1, 1), (0, 0, 0)  # the grounds of a figure, see _static/figures.css
SETTINGS = "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "text.color"


def linear(colour):
    """The linear red, green and blue of a colour, by sRGB's definition."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The contrast of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    lights = [linear(each) @ [0.2126, 0.7152, 0.0722] + 0.05 for each in (one, other)]
    return max(lights) / min(lights)


# Machado, Oliveira and Fernandes (2009): what is seen of linear red, green and blue.
EYES = {
    "trichromat": np.eye(3),
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def seen(colour, eye):
    """A colour as an eye sees it, in CIE L*a*b*, where a distance of 2 is just noticed."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = to_xyz @ np.clip(EYES[eye] @ linear(colour), 0, 1) / np.sum(to_xyz, axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_contrast_is_that_of_known_pairs():
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)  # just short of AA


@pytest.fixture
def style():
    with matplotlib.rc_context():
        use_style()
        yield plt.rcParams


def test_figures_are_transparent(style):
    buffer = io.BytesIO()
    _, ax = plt.subplots()
    plot_sorted_magnitudes(np.eye(32), ax)
    plt.savefig(buffer)
    buffer.seek(0)
    pixels = plt.imread(buffer)
    assert pixels.shape[2] == 4
    assert np.mean(pixels[..., 3] == 0) > 0.5  # around the axes and within


@pytest.mark.parametrize("setting", SETTINGS)
def test_text_and_axes_stand_out_alike_from_both_grounds(style, setting):
    on_white, on_black = (contrast(style[setting], ground) for ground in (WHITE, BLACK))
    assert min(on_white, on_black) >= 4.5
    assert on_white == pytest.approx(on_black, rel=0.02)


def test_lines_stand_out_from_both_grounds(style):
    lines = {*COLOURS.values(), *style["axes.prop_cycle"].by_key()["color"]}
    assert not [each for each in lines if min(contrast(each, g) for g in (WHITE, BLACK)) < 3]


@pytest.mark.parametrize("eye", EYES)
def test_models_are_told_apart_by_every_eye(eye):
    colours = [seen(colour, eye) for colour in COLOURS.values()]
    apart = [np.linalg.norm(one - other) for one, other in itertools.combinations(colours, 2)]
    assert min(apart) > 20


def test_colab_keeps_a_white_ground(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    with matplotlib.rc_context():
        use_style()
        assert plt.figure().get_facecolor() == (1, 1, 1, 1)


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_no_chapter_draws_what_a_dark_page_hides(path):
    trees = (ast.parse(re.sub(r"^\s*!.*", "", c.source, flags=re.M)) for c in cells(path, "code"))
    drawn = {
        node.value.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg in ("color", "edgecolor", "c")
        and isinstance(node.value, ast.Constant)
    }
    assert not [colour for colour in drawn if contrast(colour, BLACK) < 3]
