"""HTML that a cell displays, with the scripts and styles that it needs."""

from __future__ import annotations

import base64
import io
from importlib.resources import files

import numpy as np
import soundfile
from IPython import get_ipython
from IPython.display import HTML

from ..config import SAMPLE_RATE

_brought: set[str] = set()  # what an executed page has got


def page(markup: str, *names: str) -> HTML:
    """Return the markup with the files it needs, each once on an executed page.

    Each output for a reader has them anew: only the last one of a cell stays on that page.

    Args:
        names: of styles and scripts beside this module, in order.
    """
    needed = [name for name in names if reader_waits() or name not in _brought]
    _brought.update(needed)
    return HTML(with_files(markup, *needed))


def with_files(markup: str, *names: str) -> str:
    """Return the markup followed by styles and scripts of this folder."""
    for name in names:
        text = files(__package__).joinpath(name).read_text("utf-8")
        tag = "style" if name.endswith(".css") else "script"
        markup += f"\n<{tag}>{text}</{tag}>"
    return markup


def reader_waits() -> bool:
    """Tell whether a reader runs the cell, who could be asked for input, or a program."""
    shell = get_ipython()
    request = shell.get_parent() if hasattr(shell, "get_parent") else {}
    return bool(request.get("content", {}).get("allow_stdin"))


def flac(waveform: np.ndarray) -> str:
    """Return the ``data:`` address of a waveform (n_samples,) as a FLAC file."""
    file = io.BytesIO()
    soundfile.write(file, waveform, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return data_url("audio/flac", file.getvalue())


def data_url(kind: str, content: bytes) -> str:
    """Return the ``data:`` address of a file's content, of a MIME type such as ``image/png``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
