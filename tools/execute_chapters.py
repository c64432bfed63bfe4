"""Execute, side by side, the chapters whose outputs are not those of today's code.

    python tools/execute_chapters.py BUILD CHAPTER ...

To be called where the package and requirements.lock are. Outputs are kept by jupyter-cache under
BUILD, and jupyter-book renders from there. jupyter-cache knows a chapter by its code cells alone,
so the record of a chapter also says what else its outputs rest on: the modules that the chapter
imports, directly or through one another, the data that these may read, requirements.lock, Python
and the settings. A chapter for which one of them has another content today is executed again.

Modules are compared as syntax trees, since comments change no output; for a chapter that looks at
source with `inspect`, as text. Docstrings count in both: `help` prints them.

A chapter is recorded once it has run to its end. Whatever stops this program, what is done stays
done, and the rest is executed next time.
"""

import ast
import functools
import hashlib
import math
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator
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


@functools.cache
def digest(content: bytes, as_code: bool = False) -> str:
    """A digest of bytes; as code, of the syntax tree that they spell."""
    if as_code:
        content = ast.dump(ast.parse(content)).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def program(notebook: nbformat.NotebookNode) -> bytes:
    """The code cells as one Python program; what IPython adds to the language is translated."""
    translate = TransformerManager().transform_cell
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    return "\n".join(map(translate, cells)).encode()


def imports(code: bytes, root: Path) -> tuple[list[Path], bool]:
    """The files under ``root`` that code imports in the end, and whether `inspect` is imported."""
    finder = ModuleFinder(path=[str(root)])
    with TemporaryDirectory() as folder:
        script = Path(folder) / "program.py"
        script.write_bytes(code)
        finder.run_script(str(script))
    del finder.modules["__main__"]
    files = (module.__file__ for module in finder.modules.values())
    return [Path(file) for file in files if file], "inspect" in finder.badmodules


@functools.cache
def names(code: bytes, folder: str) -> bool:
    """Whether a string in the code has the folder's name as a part of a path."""
    values = (node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant))
    return any(folder in value.split("/") for value in values if isinstance(value, str))


def data(files: Iterable[Path], codes: Iterable[bytes], root: Path) -> Iterator[Path]:
    """What code may read: all that lies beside its modules; results/, where a string names it."""
    for package in {root / file.relative_to(root).parts[0] for file in files}:
        for path in package.rglob("[!.]*"):
            left_over = "__pycache__" in path.parts or path.suffix.startswith(".py")
            if path.is_file() and not left_over:
                yield path
    if any(names(code, "results") for code in codes):
        yield from root.glob("results/*.json")


def files_behind(notebook: nbformat.NotebookNode, root: Path) -> dict[str, str]:
    """The files under ``root`` that a chapter rests on, each with a digest of its content."""
    code = program(notebook)
    try:
        modules, looks_at_source = imports(code, root)
    except SyntaxError:  # it will be executed, and fail
        return {}
    contents = {path: path.read_bytes() for path in modules}
    found = {path: digest(text, not looks_at_source) for path, text in contents.items()}
    for path in data(modules, [code, *contents.values()], root):
        found[path] = digest(path.read_bytes())
    return {path.relative_to(root).as_posix(): value for path, value in found.items()}


def listing(corpus: str) -> str:
    """A digest of the names, sizes and times of a corpus in a folder; gigabytes are not read."""
    folder = Path(corpus.removeprefix("tcd-timit:")).expanduser()
    files = sorted(p for p in folder.rglob("*.*") if p.is_file()) if folder.is_absolute() else []
    stats = ((path, path.stat()) for path in files)
    return digest("\n".join(f"{path} {s.st_size} {s.st_mtime_ns}" for path, s in stats).encode())


def surroundings(root: Path) -> dict[str, str]:
    """What every chapter rests on."""
    corpus = os.environ.get("SDMVAE_CORPUS", "")
    return {
        "Python": platform.python_version(),
        "requirements.lock": digest((root / "requirements.lock").read_bytes()),
        "SDMVAE_PRESET": os.environ.get("SDMVAE_PRESET", ""),
        "SDMVAE_CORPUS": corpus,
        "the files of the corpus": listing(corpus),
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


def side_by_side(
    notebooks: dict[Path, nbformat.NotebookNode], timeout: int
) -> Iterator[tuple[Path, ExecutionResult]]:
    """Execute notebooks in their order, one a core; yields each as it is done.

    In threads: the work is done by the kernels, and these end when this process does.
    """
    with ThreadPool(os.cpu_count()) as pool:
        yield from pool.imap_unordered(
            lambda item: (item[0], execute(item[1], timeout)), notebooks.items()
        )


def forget_all_but(keys: set[str], cache: JupyterCacheAbstract) -> None:
    """Remove the records of code that is in no chapter any more."""
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
    cache = get_cache(build / ".jupyter_cache")
    notebooks = {path.resolve(): nbformat.read(path, as_version=4) for path in chapters}
    keys = {path: cache.create_hashed_notebook(nb)[1] for path, nb in notebooks.items()}
    records = {record.hashkey: record for record in cache.list_cache_records()}
    seconds = {Path(r.uri).stem: r.data["execution_seconds"] for r in records.values()}
    everywhere = surroundings(root)
    rests_on = {path: everywhere | files_behind(nb, root) for path, nb in notebooks.items()}
    changed = {path: differences(records.get(keys[path]), rests_on[path]) for path in notebooks}
    stale = sorted(filter(changed.get, notebooks), key=lambda p: -seconds.get(p.stem, math.inf))
    for path in stale:
        print(f"to execute: {path.stem}, for {', '.join(changed[path])}", flush=True)

    done, failed = [], []
    for path, result in side_by_side({path: notebooks[path] for path in stale}, timeout):
        if result.err:
            print(f"{path.stem} failed\n{result.err}", file=sys.stderr, flush=True)
            failed.append(path.stem)
        else:
            now = everywhere | files_behind(result.nb, root)  # a file may change while it runs
            keep(result, path, dict(rests_on[path].items() & now.items()), cache, build)
            print(f"{path.stem}: {result.time:.0f} s", flush=True)
            done.append(path.stem)
    if not failed:
        forget_all_but(set(keys.values()), cache)
    return done, failed


def main(build: str, chapters: list[str]) -> None:
    root = Path.cwd()
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    start = time.monotonic()
    try:
        timeout = config["execute"]["timeout"]
        done, failed = refresh(map(Path, chapters), Path(build), root, timeout)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the chapters that were done are kept") from None
    if failed:
        raise SystemExit(f"failed: {', '.join(sorted(failed))}")
    if done:
        print(f"executed {len(done)} chapters in {time.monotonic() - start:.0f} s")
    stamp = Path(build) / "outputs"
    if not stamp.exists():
        stamp.touch()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
