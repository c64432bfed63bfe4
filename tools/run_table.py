"""Make the run records of the paper's Table 1 on a corpus: fourteen rows, some seeds of each.

    python tools/run_table.py CORPUS [--seeds 5] [--preset paper] [--device auto] [--out results]

A run that is stopped goes on where it was when the command is given again; a record that exists is
not made again.
"""

import argparse
from pathlib import Path

from sdmvae_lite.config import PRESETS, get_preset
from sdmvae_lite.corpora import load_corpus
from sdmvae_lite.experiments import run_grid, table_1

RESULTS = Path(__file__).resolve().parent.parent / "results"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--seeds", type=int, default=5, help="of each row (default: 5)")
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    run_grid(table_1(chosen.seeds, preset.training), corpus, chosen.out, chosen.device)


if __name__ == "__main__":
    main()
