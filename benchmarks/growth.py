"""What grows with the corpus: seconds per epoch and memory, from memory and streamed.

Every measurement is a process of its own, so that the peak of its resident memory is its own:

    SDMVAE_MEMORY=GIGABYTES python -m benchmarks.growth MINUTES

trains one epoch on so many minutes of synthetic speech within that memory budget and prints a JSON
object.
"""

import json
import os
import resource
import subprocess
import sys
import time

from sdmvae_lite import ModelConfig, TrainingConfig, build_model, fit, load_corpus, load_frames

LARGE = 1000.0  # gigabytes: everything is held in memory


def measure(minutes: tuple[float, ...], budget: float) -> list[dict]:
    """An epoch of each size from memory, and of the largest streamed within ``budget`` GB.

    The synthetic corpus ends at eight hours, of which 5.6 are for training.
    """
    rows = [epoch_in_a_process(size, LARGE) for size in minutes]
    return [*rows, epoch_in_a_process(minutes[-1], budget)]


def epoch_in_a_process(minutes: float, budget: float) -> dict:
    environment = os.environ | {"SDMVAE_MEMORY": str(budget), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.growth", str(minutes)]
    printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(printed) | {"budget in GB": budget}


def epoch(minutes: float) -> dict:
    interpreter = resident()
    corpus = load_corpus("synthetic", minutes=minutes * 56 / 39)  # so much in the training part
    train = load_frames(corpus, "train", progress=False)
    model, once = build_model(ModelConfig(), 0), TrainingConfig(max_epochs=1)
    started = time.perf_counter()
    fit(model, train, train[:4096], once, "cpu", progress=False)
    return {
        "frames": len(train),
        "minutes": len(train) / 62.5 / 60,
        "GB of frames": train.nbytes / 1e9,
        "seconds": time.perf_counter() - started,
        "GB above the interpreter": resident() - interpreter,
    }


def resident() -> float:
    """Peak of resident memory so far, in gigabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    print(json.dumps(epoch(float(sys.argv[1]))))
