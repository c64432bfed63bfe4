"""Execute chapters side by side, one a core, into the cache that jupyter-book then renders from.

    python tools/execute_chapters.py CACHE CHAPTER ...

A chapter whose code is in the cache already is left alone. One that fails is left to jupyter-book,
which executes it again and says what is wrong.
"""

import logging
import sys
import time
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parent.parent


def main(cache_folder: str, chapters: list[str]) -> None:
    cache = get_cache(cache_folder)
    for path in chapters:
        cache.add_nb_to_project(Path(path).resolve())
    start = time.monotonic()
    executor = load_executor("temp-parallel", cache, logger=logging.getLogger("chapters"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    result = executor.run_and_cache(timeout=config["execute"]["timeout"])
    for path in (*result.excepted, *result.errored):
        print(f"{Path(path).name} failed", file=sys.stderr)
    print(f"executed {len(result.succeeded)} chapters in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
