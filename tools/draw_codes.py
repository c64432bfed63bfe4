"""Draw README's picture, one sentence and its codes by two models, for light and dark pages.

    python tools/draw_codes.py

The sentence and the models are those of the landing page; run it once the weights have changed.
"""

import argparse
import io
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from sdmvae_lite.book.instruments import code_picture
from sdmvae_lite.book.plots import DYNAMIC_RANGE_DB, use_style
from sdmvae_lite.config import SAMPLE_RATE

ROOT = Path(__file__).resolve().parent.parent
INKS = {"light": "#1f2328", "dark": "#f0f6fc"}  # of text, on GitHub's pages


def draw(ink: str) -> bytes:
    """Return the picture as a PNG file, transparent, with text in the colour ``ink``."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    from landing import voices

    use_style()
    plt.rcParams.update(dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color"), ink))
    figure, (above, *below) = plt.subplots(3, figsize=(7, 4.6), sharex=True, dpi=100)
    made = voices()
    first = next(iter(made.values()))
    seconds = len(first.reference) / SAMPLE_RATE
    decibels = 10 * np.log10(first.power / first.power.max() + 1e-12).T
    pictures = {"one sentence, 0 to 8 kHz": decibels}
    pictures |= {
        f"its code by the {name}": code_picture(each.output.code.numpy())[::-1]
        for name, each in made.items()
    }
    for ax, (title, picture) in zip((above, *below), pictures.items(), strict=True):
        look = {"cmap": "magma", "vmin": -DYNAMIC_RANGE_DB, "vmax": 0, "interpolation": "nearest"}
        extent = (0, seconds, 0, 1)
        ax.imshow(picture, origin="lower", aspect="auto", extent=extent, **look)
        ax.set_title(title, loc="left")
        ax.set_yticks([])
    below[-1].set_xlabel("time (s)")
    drawn, few = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", transparent=True)
    plt.close(figure)
    palette = Image.open(drawn).quantize(256, method=Image.Quantize.FASTOCTREE)
    palette.save(few, format="PNG", optimize=True)
    return few.getvalue()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = ROOT / "book" / "_static"
    parser.add_argument("--out", type=Path, default=folder, help="folder of the pictures")
    folder = parser.parse_args(arguments).out
    for page, ink in INKS.items():
        (folder / f"codes-{page}.png").write_bytes(draw(ink))


if __name__ == "__main__":
    main()
