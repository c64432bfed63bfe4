"""Put the trained models behind the records into the package: seed 0 of each row, half precision.

    python tools/export_weights.py CORPUS

All rows of Table 1, and by the recipe a few that come after the paper. The weights come from the
checkpoints that `sdmvae table` left in the cache folder; a row that is not trained yet is trained
now.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from sdmvae_lite.config import PRESETS, get_preset
from sdmvae_lite.model.pretrained import WEIGHTS, save_pretrained
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.table.grid import train_run
from sdmvae_lite.table.runs import ROWS_AFTER_THE_PAPER, ROWS_OF_TABLE_1, table_1

AFTER_THE_PAPER = (
    *("student-32", "loglinear-dct-64"),
    *("loglinear-learned-64", "loglinear-learned-128-dearest16"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder of the weights")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes)
    rows = [*ROWS_OF_TABLE_1]
    if preset.input == "log-power":  # the paper's protocol is for its own rows
        rows += (row for row in ROWS_AFTER_THE_PAPER if row.name in AFTER_THE_PAPER)
    seen = [replace(row, input=preset.input) for row in rows]
    for run in table_1(1, preset.training, seen):
        print(save_pretrained(train_run(run, corpus).model, chosen.out))


if __name__ == "__main__":
    main()
