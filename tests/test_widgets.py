import base64
import io
import re

import numpy as np
import pytest
import soundfile

from sdmvae_lite.widgets import players, table


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


def test_a_table_has_a_row_a_mapping_and_dashes_for_what_is_absent():
    markup = table({"VAE": {"pesq": 3.291}, "<VSC>": {}}, {"pesq": "PESQ | raw | .2f"}).data
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", markup)
    assert cells == ["", "PESQ | raw", "VAE", "3.29", "&lt;VSC&gt;", "–"]
