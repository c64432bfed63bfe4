import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sdmvae_lite.book.plots import (
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


def test_figures_keep_a_ground_that_dark_mode_leaves_readable():
    with matplotlib.rc_context():
        use_style()
        assert plt.figure().get_facecolor() == (1, 1, 1, 1)
