"""What is made once is kept on disk, and found again by a key of everything that decides it.

A key is a hash of all that a result depends on: content, settings, and the code that makes it. So
nothing has to be brought up to date, several processes may make the same thing at once, and any
folder of the cache can be thrown away.
"""

from __future__ import annotations

import ast
import errno
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pooch
from filelock import FileLock

T = TypeVar("T")

_PACKAGE = Path(__file__).parent
_LEFT_OVER = 3600  # seconds since a part was last written to: whoever wrote it was stopped


def cache_folder() -> Path:
    """Return where downloads and results are kept: ``SDMVAE_CACHE``, else the system's cache.

    Raise OSError if there is no home folder to keep them in.
    """
    folder = Path(os.environ.get("SDMVAE_CACHE") or pooch.os_cache("sdmvae_lite"))
    try:
        return folder.expanduser()
    except RuntimeError:
        raise OSError("no home folder is known: name a folder in SDMVAE_CACHE") from None


def digest(content: bytes) -> str:
    """Return the SHA-256 of ``content``, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def key(kind: str, **decides: Any) -> str:
    """Return a name for a result of some kind that depends on ``decides``, all of it JSON.

    >>> key("frames", hop=256) == key("frames", hop=128)
    False
    """
    return f"{kind}-{digest(json.dumps(decides, sort_keys=True).encode())[:32]}"


@functools.cache
def method(*modules: str) -> str:
    """Return a digest of the code of some modules of the package, docstrings and comments aside.

    A key that holds it is void once the code that makes the result has changed.

    >>> method("speech.spectra") == method("model.models")
    False
    """
    paths = [_PACKAGE / f"{module.replace('.', '/')}.py" for module in modules]
    return digest("\n".join(ast.dump(_code(path.read_text("utf-8"))) for path in paths).encode())


def _code(text: str) -> ast.Module:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        match getattr(node, "body", None):
            case [ast.Expr(ast.Constant(str())), *_] as body:  # a docstring
                del body[0]
    return tree


def load_or_make(
    path: Path, load: Callable[[Path], T | None], make: Callable[[], bytes | Iterable[bytes]]
) -> T:
    """Return what ``load`` finds at ``path``; if that is None, write what ``make`` gives first.

    Several processes may ask at once: one makes it, the others wait. What is there already needs
    no right to write. Raise OSError, naming the path, if it cannot be written, as on a full disk.
    """
    found = load(path)
    if found is None:
        with _naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path.with_name(f"{path.name}.lock")).acquire()
        with lock:
            found = load(path)
            if found is None:
                write(path, make())
                found = load(path)
    if found is None:
        raise OSError(f"{path} cannot be read back: is its disk failing?")
    return found


def write(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file whole or not at all; until then, what was there stays.

    Several processes may write the same file: the last one wins. Raise OSError, naming the path
    and what to do about it.
    """
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(path)
        file = part.open("wb")
    try:
        for block in [content] if isinstance(content, bytes) else content:
            with _naming(path):  # and no error of what makes the blocks
                file.write(block)
                file.flush()
        with _naming(path):
            file.close()
            os.replace(part, path)
    finally:
        with suppress(OSError):  # what did not fit into the disk fails once more
            file.close()
        part.unlink(missing_ok=True)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files whole or not at all.

    Raises:
        FileExistsError: if there is something at ``folder`` already; it is left as it is.
        OSError: naming the folder, as `write` does.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already: choose another name, or remove it first")
    part = folder.with_name(f"{folder.name}.{uuid4().hex}.part")
    try:
        with _naming(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _remove_left_over(folder)
            part.mkdir()
            for name, content in files.items():
                (part / name).write_bytes(content)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def keep(path: Path, value: Any) -> None:
    """Write a value that JSON can hold, with its checksum; raises as `write` does."""
    text = json.dumps(value)
    write(path, json.dumps({"sha256": digest(text.encode()), "value": value}).encode())


def kept(path: Path) -> Any | None:
    """Return what `keep` wrote; None where there is nothing, or a damaged file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sound = found["sha256"] == digest(json.dumps(found["value"]).encode())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found["value"] if sound else None


def _remove_left_over(path: Path) -> None:
    """Remove the parts of ``path`` whose writers were killed."""
    for part in path.parent.glob(f"{path.name}.*.part"):
        try:
            if time.time() - part.stat().st_mtime > _LEFT_OVER:
                shutil.rmtree(part) if part.is_dir() else part.unlink()
        except FileNotFoundError:  # another process was faster
            pass


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an error of the disk say which file could not be written, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            advice = "free some room there, or choose a larger disk (the cache's is SDMVAE_CACHE)"
        else:
            advice = "choose a folder that can be written (the cache's is SDMVAE_CACHE)"
        reason = error.strerror or error
        raise OSError(error.errno, f"{path} cannot be written ({reason}): {advice}") from None
