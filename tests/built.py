"""The book, rendered at the smallest preset once for all tests and processes of a run."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from executed import executed, shared_folder
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from print_book import serve
from toc import ROOT, chapters


def build(source, output):
    """Render the book under `source` as `make book` does, but cold and at the smallest preset."""
    chosen = {"SDMVAE_PRESET": "smoke", "SDMVAE_CORPUS": "", "SDMVAE_CACHE": str(output / "cache")}
    return subprocess.run(
        [
            *(str(Path(sys.executable).with_name("jupyter-book")), "build", "book"),
            *("--config", source / "_config.yml", "--toc", source / "_toc.yml"),
            *("--path-output", output),
            *("--warningiserror", "--keep-going"),
        ],
        cwd=source,
        env=os.environ | chosen,
        text=True,
        capture_output=True,
    )


def cache_outputs(chapter, notebook, cache):
    """Keep the outputs of an executed chapter where jupyter-book looks for them."""
    page = nbformat.read(chapter, as_version=4)
    page.metadata["widgets"] = notebook.metadata.get("widgets", {})
    ran = [
        cell
        for cell in notebook.cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    for cell, source in zip(page.cells, ran, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = source.outputs, source.execution_count
    bundle = CacheBundleIn(page, str(chapter), data={"execution_seconds": 0})
    cache.cache_notebook_bundle(bundle, check_validity=False)


def render(shared, output):
    """Render the book into `output` from executed chapters."""
    cache = get_cache(output / "_build" / ".jupyter_cache")
    for chapter in chapters():
        cache_outputs(chapter, executed(chapter, shared)[0], cache)
    built = build(ROOT, output)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "Executing notebook" not in built.stdout + built.stderr
    (output / "whole").touch()


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """The folder of the book, rendered by whichever process comes first."""
    shared = shared_folder(tmp_path_factory)
    output = shared / "book"
    with FileLock(shared / "book.lock"):
        if not (output / "whole").exists():
            render(shared, output)
    return output / "_build" / "html"


@pytest.fixture(scope="session")
def site(book):
    """The address of the rendered book on this machine."""
    with serve(book) as address:
        yield address
