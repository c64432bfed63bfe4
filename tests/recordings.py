"""Small audio files and trees of them, for the tests of the corpora."""

import os
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile


def recording(seconds=0.5, rate=16_000, channels=1, seed=0):
    """A hum in noise, float32 (n_samples, channels)."""
    generator = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    hum = 0.3 * np.sin(2 * np.pi * 200 * time)[:, None]
    noise = 0.01 * generator.standard_normal((len(time), channels))
    return (hum + noise).astype(np.float32)


def write(path, samples=None, rate=16_000, **options):
    """Write samples, or a recording that depends on the path, and return the path."""
    if samples is None:
        samples = recording(rate=rate, seed=zlib.crc32(bytes(path)))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def write_speakers(folder, names, n_utterances=2, suffix=".wav"):
    """A folder for each speaker, with a few recordings in it."""
    for name in names:
        for number in range(n_utterances):
            write(folder / name / f"u{number}{suffix}")
    return folder


@contextmanager
def public_folder():
    """A folder in which `mode` holds for everybody, as none below pytest's own does for root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextmanager
def mode(path, bits):
    """A path with other permissions, by which root, acting as nobody, is bound as well."""
    before, user = path.stat().st_mode, os.geteuid()
    os.chmod(path, bits)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        os.chmod(path, before)
