"""Execute, side by side, the chapters whose outputs are not those of today's code.

Run it where the package and requirements.lock are. Outputs are kept by jupyter-cache under BUILD,
and jupyter-book renders from there. jupyter-cache knows a chapter by its code cells alone, so the
record of a chapter also says what else its outputs rest on: the modules that the chapter imports,
directly or through one another, the data beside these, requirements.lock, Python and the settings.
A chapter for which one of them has another content today is executed again.

Modules are compared as syntax trees, since comments change no output; for a chapter that imports
`inspect`, to look at source, as text. Docstrings count in both: `help` prints them.

A chapter is recorded once it has run to its end. Whatever stops this program, what is done stays
done, and the rest is executed next time.
"""

import argparse
import ast
import functools
import hashlib
import math
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from modulefinder import ModuleFinder
from multiprocessing.pool import ThreadPool
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.cache.db import NbCacheRecord, session_context
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from traitlets.config import Config

# A kernel that is not encrypted warns of eavesdroppers, each time.
KERNEL = Config(KernelManager={"transport_encryption": "auto"})
# The folder of records, as code names it.
RESULTS = re.compile(rb"""["'/]results["'/]""")


@functools.cache
def digest(content: bytes, as_code: bool = False) -> str:
    """A digest of bytes; as code, of the syntax tree that they spell."""
    if as_code:
        content = ast.dump(ast.parse(content)).encode()
    return hashlib.sha256(content).hexdigest()[:16]


class Finder(ModuleFinder):
    """Finds also the modules from which a package loads names lazily, as its stub has them."""

    def ensure_fromlist(self, package, names, recursive=0):
        stub = Path(package.__file__).with_suffix(".pyi")
        for node in ast.parse(stub.read_bytes()).body if stub.exists() else ():
            if isinstance(node, ast.ImportFrom) and {each.name for each in node.names} & {*names}:
                self.import_hook(node.module, package, None, node.level)
        super().ensure_fromlist(package, names, recursive)


def files_behind(notebook: nbformat.NotebookNode, root: Path) -> dict[str, str]:
    """The files under ``root`` that a chapter rests on, each with a digest of its content.

    These are its modules, the data in their packages, and the records where code names results/.
    """
    translate = TransformerManager().transform_cell  # what IPython adds to the language
    code = "\n".join(translate(c.source) for c in notebook.cells if c.cell_type == "code").encode()
    finder = Finder(path=[str(root)])
    with TemporaryDirectory() as folder:
        script = Path(folder) / "program.py"
        script.write_bytes(code)
        try:
            finder.run_script(str(script))
        except SyntaxError:  # it will be executed, and fail
            return {}
    del finder.modules["__main__"]
    files = [Path(module.__file__) for module in finder.modules.values() if module.__file__]
    sources = {path: path.read_bytes() for path in files}
    looks_at_source = "__main__" in finder.badmodules.get("inspect", ())
    found = {path: digest(text, not looks_at_source) for path, text in sources.items()}

    packages = {root / path.relative_to(root).parts[0] for path in sources}
    data = {path for package in packages for path in package.rglob("[!.]*")}
    if any(map(RESULTS.search, [code, *sources.values()])):
        data.update(root.glob("results/*.json"))
    for path in data:
        left_over = "__pycache__" in path.parts or path.suffix.startswith(".py")
        if path.is_file() and not left_over:
            found[path] = digest(path.read_bytes())
    return {path.relative_to(root).as_posix(): value for path, value in found.items()}


def surroundings(root: Path) -> dict[str, str]:
    """What every chapter rests on; of a corpus in a folder, the names, sizes and times of files."""
    corpus = os.environ.get("SDMVAE_CORPUS", "")
    folder = Path(corpus.removeprefix("tcd-timit:")).expanduser()
    recordings = sorted(folder.rglob("*.*")) if folder.is_absolute() else []
    stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in recordings if p.is_file()]
    return {
        "Python": platform.python_version(),
        "requirements.lock": digest((root / "requirements.lock").read_bytes()),
        "SDMVAE_PRESET": os.environ.get("SDMVAE_PRESET", ""),
        "SDMVAE_CORPUS": corpus,
        "the files of the corpus": digest(repr(stats).encode()),
    }


def execute(notebook: nbformat.NotebookNode, timeout: int) -> ExecutionResult:
    """Run the cells in an empty folder, from a cold kernel; each may take ``timeout`` seconds."""
    try:
        with TemporaryDirectory() as folder:
            return single_nb_execution(notebook, folder, timeout, False, config=KERNEL)
    except Exception as error:  # not of a cell: the kernel died, or did not start
        return ExecutionResult(notebook, None, math.nan, error)


def keep(
    result: ExecutionResult,
    chapter: Path,
    rests_on: dict[str, str],
    cache: JupyterCacheAbstract,
    build: Path,
) -> None:
    """Record a chapter's outputs, and have its page rendered anew."""
    bundle = CacheBundleIn(result.nb, str(chapter), data={"execution_seconds": result.time})
    record = cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
    # Sphinx goes by the time of the notebook, but reads it anew where the doctree is missing, and
    # writes its page anew where that is older.
    (build / ".doctrees" / f"{chapter.stem}.doctree").unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        os.utime(build / "html" / f"{chapter.stem}.html", (0, 0))
    (build / "outputs").touch()
    # Last, so that a record cut short rests on nothing and is not taken for whole.
    with session_context(cache.db) as session:
        session.get(NbCacheRecord, record.pk).data = record.data | {"rests_on": rests_on}
        session.commit()


def differences(record: NbCacheRecord | None, rests_on: dict[str, str]) -> list[str]:
    """What a chapter's outputs rest on that is another now; a whole record has them all."""
    known = record.data.get("rests_on") if record else None
    if known is None:
        return ["its code"]
    return [name for name in sorted(known | rests_on) if known.get(name) != rests_on.get(name)]


def forget_code_of_no_chapter(folders: set[Path], cache: JupyterCacheAbstract) -> None:
    """Remove the records of code that is in no notebook of the folders any more."""
    notebooks = (nbformat.read(p, as_version=4) for f in folders for p in f.glob("*.ipynb"))
    keys = {cache.create_hashed_notebook(notebook)[1] for notebook in notebooks}
    for record in cache.list_cache_records():
        if record.hashkey not in keys:
            with suppress(KeyError):  # one cut short has no file
                cache.remove_cache(record.pk)


def refresh(
    chapters: Iterable[Path], build: Path, root: Path, timeout: int
) -> tuple[list[str], list[str]]:
    """Execute the chapters that need it; those that took longest last time go first.

    Returns the names of the chapters that ran to their end, and of those that failed.
    """
    notebooks = {path.resolve(): nbformat.read(path, as_version=4) for path in chapters}
    cache = get_cache(build / ".jupyter_cache")
    records = {record.hashkey: record for record in cache.list_cache_records()}
    seconds = {Path(r.uri).stem: r.data["execution_seconds"] for r in records.values()}
    everywhere = surroundings(root)
    rests_on = {path: everywhere | files_behind(nb, root) for path, nb in notebooks.items()}
    changed = {
        path: differences(records.get(cache.create_hashed_notebook(nb)[1]), rests_on[path])
        for path, nb in notebooks.items()
    }
    stale = sorted(filter(changed.get, notebooks), key=lambda p: -seconds.get(p.stem, math.inf))
    for path in stale:
        print(f"to execute: {path.stem}, for {', '.join(changed[path])}", flush=True)

    done, failed = [], []
    # One a core, in threads: the work is done by the kernels, which end when this process does.
    with ThreadPool(os.cpu_count()) as pool:
        jobs = pool.imap_unordered(lambda path: (path, execute(notebooks[path], timeout)), stale)
        for path, result in jobs:
            if result.err:
                print(f"{path.stem} failed\n{result.err}", file=sys.stderr, flush=True)
                failed.append(path.stem)
            else:
                now = everywhere | files_behind(result.nb, root)  # a file may change meanwhile
                keep(result, path, dict(rests_on[path].items() & now.items()), cache, build)
                print(f"{path.stem}: {result.time:.0f} s", flush=True)
                done.append(path.stem)
    if not failed:
        forget_code_of_no_chapter({path.parent for path in notebooks}, cache)
    return done, failed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("build", type=Path, help="the folder of what is built: _build")
    parser.add_argument("chapters", type=Path, nargs="+", help="notebooks: book/*.ipynb")
    arguments = parser.parse_args()
    if missing := [str(path) for path in arguments.chapters if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")

    root = Path.cwd()
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    start = time.monotonic()
    try:
        timeout = config["execute"]["timeout"]
        done, failed = refresh(arguments.chapters, arguments.build, root, timeout)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the chapters that were done are kept") from None
    if failed:
        raise SystemExit(f"failed: {', '.join(sorted(failed))}")
    if done:
        print(f"executed {len(done)} chapters in {time.monotonic() - start:.0f} s")
    stamp = arguments.build / "outputs"
    if not stamp.exists():
        stamp.touch()


if __name__ == "__main__":
    main()
