"""Small audio files and trees of them, for the tests of the corpora."""

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
        samples = recording(rate=rate, seed=sum(str(path).encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def write_speakers(folder, names, n_utterances=2, suffix=".wav"):
    """A folder for each speaker, with a few recordings in it."""
    for name in names:
        for number in range(n_utterances):
            write(folder / name / f"u{number}{suffix}")
    return folder
