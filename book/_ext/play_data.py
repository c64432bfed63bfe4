"""What the page *Play with a code* plays with: models, sentences and a picture for paper.

Each model and each sentence is a classic script that hands its bytes, in base64, to the page once
it is loaded: unlike ``fetch`` that works from ``file://`` too.
"""

import base64
import io
import json
from importlib.resources import files
from pathlib import Path

import matplotlib
import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure
from safetensors.torch import save

import spoken
from light_pages import fewer_colours
from sdmvae_lite.book.instruments import STYLE
from sdmvae_lite.book.plots import plot_code, plot_spectrogram
from sdmvae_lite.config import SAMPLE_RATE, to_dict
from sdmvae_lite.model.models import VAE
from sdmvae_lite.model.pretrained import load_pretrained
from sdmvae_lite.scoring.resynthesis import resynthesise
from sdmvae_lite.speech.corpora import Utterance

MODELS = {
    "VAE": "vae-32-log",
    "VSC": "vsc-0.05-32-log",
    "SDM-VAE": "sdm-identity-32-log",
    "Student-t": "student-32-log",
    "Dictionary": "loglinear-learned-64-log",
    "Dearest 16": "loglinear-learned-128-dearest16-log",
}
FIRST = "SDM-VAE"  # whose code the page shows before a model is chosen


def pack(model: VAE) -> bytes:
    """Return a model as a safetensors file: in half precision what half precision can hold."""
    packed = {}
    for key, value in model.state_dict().items():
        full = value.detach().float().contiguous()
        half = full.half()
        packed[key] = half if torch.equal(half.float(), full) else full
    return save(packed, metadata={"model": json.dumps(to_dict(model.config))})


def flac(waveform: np.ndarray) -> bytes:
    """Return a waveform (n_samples,) at 16 kHz as a FLAC file, its largest sample near 1."""
    file = io.BytesIO()
    level = 0.99 * waveform / np.abs(waveform).max()
    soundfile.write(file, level, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def write_script(folder: Path, name: str, content: bytes) -> None:
    """Write the script that hands ``content`` to the page under ``name``."""
    text = f"playData({json.dumps(name)}, {json.dumps(base64.b64encode(content).decode())});\n"
    (folder / f"{name}.js").write_text(text, encoding="utf-8")


def draw(path: Path, utterance: Utterance, models: dict[str, VAE]) -> None:
    """Draw an utterance as it is and through each model, beside its code."""
    results = {name: resynthesise(model, utterance.waveform()) for name, model in models.items()}
    figure = Figure((8, 12), dpi=90, layout="constrained")
    left, right = figure.subplots(len(results) + 1, 2, sharex=True).T
    first = next(iter(results.values()))
    peak_db = 10 * np.log10(first.power.max())
    spectra = {"original": first.power}
    spectra |= {name: np.exp(each.output.log_variance.numpy()) for name, each in results.items()}
    for ax, (name, power) in zip(left, spectra.items(), strict=True):
        plot_spectrogram(power, ax, peak_db=peak_db)
        ax.set_title(name)
    right[0].axis("off")
    for ax, (name, each) in zip(right[1:], results.items(), strict=True):
        plot_code(each.output.code.numpy(), ax)
        ax.set_title(f"code of {name}")
    file = io.BytesIO()
    figure.savefig(file)
    path.write_bytes(fewer_colours(file.getvalue()))


def write_data(folder: Path) -> None:
    """Write models, sentences, their list, the picture and the style into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    style = files("sdmvae_lite.book").joinpath(STYLE).read_bytes()  # of the playhead
    (folder / STYLE).write_bytes(style)
    models = {label: load_pretrained(name) for label, name in MODELS.items()}
    labels = spoken.sentences()
    sentences = {f"sentence-{i}": each for i, each in enumerate(labels.values(), 1)}
    for label, name in MODELS.items():
        write_script(folder, name, pack(models[label]))
    for name, sentence in sentences.items():
        write_script(folder, name, flac(sentence.waveform()))
    listed = {
        "first": MODELS[FIRST],
        "models": [{"name": name, "label": label} for label, name in MODELS.items()],
        "sentences": [
            {"name": name, "label": label} for name, label in zip(sentences, labels, strict=True)
        ],
    }
    (folder / "list.js").write_text(f"const playList = {json.dumps(listed)};\n", encoding="utf-8")
    with matplotlib.rc_context({"font.size": 8}):
        draw(folder / "still.png", sentences["sentence-1"], models)
