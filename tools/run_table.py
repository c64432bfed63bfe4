"""Make the run records of the paper's Table 1 on a corpus: fourteen rows, some seeds of each.

    python tools/run_table.py CORPUS [--seeds 5] [--preset paper] [--device auto] [--out results]

A run that is stopped goes on where it was when the command is given again; a record that exists is
not made again.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path

from joblib import parallel_config

from sdmvae_lite.config import PRESETS, ModelConfig, get_preset
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.table.grid import run_grid
from sdmvae_lite.table.records import RESULTS
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1, table_1

PSEUDO_INPUTS = 20
# Rows beside the fourteen: the dictionary as the paper's equation has it, VSC as published later.
MORE_ROWS = (
    *(ModelConfig("sdm-vae", dictionary="dct", k=k, constant_atom=False) for k in (32, 64)),
    *(ModelConfig("vsc", alpha=alpha, pseudo_inputs=PSEUDO_INPUTS) for alpha in (0.05, 0.5, 0.9)),
)


def main(arguments: list[str] | None = None) -> None:
    rows = {row.name: row for row in (*ROWS_OF_TABLE_1, *MORE_ROWS)}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", help="a name or a folder, as `load_corpus` takes it")
    parser.add_argument("--split", help="of TCD-TIMIT: authors (default) or ntcd")
    parser.add_argument("--rows", nargs="+", choices=rows, metavar="ROW", help=", ".join(rows))
    parser.add_argument("--seeds", type=int, default=5, help="of each row (default: 5)")
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="default: paper")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler, tcp://host:8786")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the records")
    chosen = parser.parse_args(arguments)
    preset = get_preset(chosen.preset)
    corpus = load_corpus(chosen.corpus, minutes=preset.minutes, split=chosen.split)
    models = [rows[name] for name in chosen.rows] if chosen.rows else ROWS_OF_TABLE_1
    runs = table_1(chosen.seeds, preset.training, models)
    with ExitStack() as stack:
        if chosen.dask:
            from distributed import Client

            stack.enter_context(Client(chosen.dask))
            stack.enter_context(parallel_config(backend="dask"))
        run_grid(runs, corpus, chosen.out, chosen.device)


if __name__ == "__main__":
    main()
