"""Measure everything in one go: a table on the screen, a JSON file and a figure.

python -m benchmarks [--quick] [--device cuda] [--out FOLDER]
"""

import argparse
import json
import os
import platform
from pathlib import Path

import torch

from sdmvae_lite.workers import torch_threads

from . import growth, pipeline, quality, training
from .report import draw, table

FOLDER = Path(__file__).parent / "results"
SIZES = {
    "full": {
        "steps": 300,
        "rounds": 5,
        "minutes": (5, 30, 120, 480),
        "budget": 0.5,
        "speech": 30,
        "quality": (15, (5, 10, 20, 40, 80), 1.8),
    },
    # to see that it works
    "quick": {
        "steps": 5,
        "rounds": 1,
        "minutes": (0.5,),
        "budget": 0.001,
        "speech": 1,
        "quality": (0.5, (1, 2), -0.5),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for the training steps")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the results are written")
    arguments = parser.parse_args()
    size, device = SIZES["quick" if arguments.quick else "full"], arguments.device
    cores = os.cpu_count() or 1
    steps = {
        f"{threads} threads" if threads > 1 else "1 thread": training.measure(
            size["steps"], size["rounds"], threads, cores, device
        )
        for threads in sorted({1, cores} if device == "cpu" else {1})
    }
    results = {
        "machine": machine(device),
        "ms per step and run": steps,
        "matrix products, GFLOP/s": training.matrix_rate(device),
    }
    if device == "cpu":
        results["growth"] = growth.measure(size["minutes"], size["budget"])
        results |= pipeline.measure(size["speech"], size["rounds"], cores)
        with torch_threads(1):
            results["seconds to a quality"] = quality.measure(*size["quality"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{device}.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, arguments.out / f"{device}.png")
    print(table(results))


def machine(device: str) -> str:
    """The processor or GPU by name, and the versions that matter."""
    names = {}
    if Path("/proc/cpuinfo").exists():
        lines = (line.split(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        names = {line[0].strip(): line[-1].strip() for line in lines}
    name = names.get("model name", platform.processor() or platform.machine())
    name = name if device == "cpu" else torch.cuda.get_device_name(device)
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"


if __name__ == "__main__":
    main()
