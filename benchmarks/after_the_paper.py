"""Trains and scores the models after the paper, and those that they are held against.

    OMP_NUM_THREADS=1 python -m benchmarks.after_the_paper CORPUS --seeds 5

All by the recipe, scored on the test speakers, one record a run, as `sdmvae table` makes them. All
rows of a seed come before the next seed; what was made before is not made again. With --weights the
models are kept too, for what is measured of them afterwards (`rates`, `atoms`).
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from sdmvae_lite import ModelConfig, get_preset, load_corpus, run_grid, save_model, train_run
from sdmvae_lite.config import PRESETS
from sdmvae_lite.table.records import results_folder, row_means
from sdmvae_lite.table.runs import ROWS_AFTER_THE_PAPER, Run

BESIDE = tuple(ModelConfig(kind, m=m) for m in (32, 64, 128) for kind in ("vae", "sdm-vae"))
ROWS = {row.name: row for row in (*BESIDE, *ROWS_AFTER_THE_PAPER)}


def train(run, corpus, device="auto", progress=True, weights=None):
    """As `train_run`; the model is kept in the folder ``weights``, if there is one, by its name."""
    trained = train_run(run, corpus, device, progress)
    if weights and not (weights / run.name).exists():
        save_model(trained.model, weights / run.name)
    return trained


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each row (default: 5)")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=[*ROWS], metavar="ROW")
    parser.add_argument("--preset", choices=PRESETS, default="recipe", help="default: recipe")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (default: 1)")
    parser.add_argument("--out", type=Path, default=results_folder(), help="folder of the records")
    parser.add_argument("--weights", type=Path, help="folder of the models; not kept by default")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    rows = [replace(ROWS[name], input=preset.input) for name in chosen.rows]
    keep = partial(train, weights=chosen.weights)
    for seed in range(chosen.seeds):
        runs = [Run(row, replace(preset.training, seed=seed)) for row in rows]
        records = run_grid(runs, corpus, chosen.out, "cpu", chosen.jobs, train=keep, samples=False)
        for record in records:
            measures = ("pesq_raw", "estoi", "si_sdr", "hoyer")
            means = (f"{name} {row_means([record], name).item():.3f}" for name in measures)
            nats = record.history.validation_kl[record.best_epoch - 1]
            print(f"{record.run.name}: {nats:.1f} nats a frame, {', '.join(means)}", flush=True)


if __name__ == "__main__":
    main()
