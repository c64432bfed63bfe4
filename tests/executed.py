"""Chapters executed at the smallest preset, each once for all tests and processes of a run."""

import io
import logging
import os
import tempfile
from pathlib import Path

import nbformat
import papermill
import pytest
from filelock import FileLock

CLOSED_DOOR = "http://127.0.0.1:9"  # nothing listens there


def run(path, folder):
    """The chapter, executed from a cold kernel in an empty folder, and what papermill logged."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("papermill").addHandler(handler)
    try:
        notebook = papermill.execute_notebook(
            path,
            None,
            parameters={"preset": "smoke"},
            kernel_name="python3",
            cwd=folder,
            progress_bar=False,
            # Seconds a cell. Rarely the client sleeps through a reply, and reads it only then.
            execution_timeout=180,
        )
    finally:
        logging.getLogger("papermill").removeHandler(handler)
    return nbformat.from_dict(notebook), said.getvalue()


def run_without_network(path, folder):
    """The same, where no network and no setting of the reader's can help."""
    with pytest.MonkeyPatch.context() as patch:
        for scheme in ("http", "https"):
            patch.setenv(f"{scheme}_proxy", CLOSED_DOOR)
        patch.setenv("no_proxy", "")
        patch.delenv("SDMVAE_CORPUS", raising=False)
        patch.setenv("SDMVAE_CACHE", tempfile.mkdtemp(prefix="cache-", dir=folder))
        return run(path, tempfile.mkdtemp(prefix=f"{path.stem}-", dir=folder))


def shared_folder(tmp_path_factory):
    """A folder of this run, the same in each of its processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "executed"
    folder.mkdir(exist_ok=True)
    return folder


def executed(path: Path, shared: Path):
    """What `run_without_network` gives for a chapter, by whichever process comes first."""
    whole, said = shared / path.name, shared / f"{path.stem}.log"
    with FileLock(shared / f"{path.stem}.lock"):
        if not whole.exists():
            notebook, log = run_without_network(path, shared)
            said.write_text(log, encoding="utf-8")
            nbformat.write(notebook, whole)
    return nbformat.read(whole, as_version=4), said.read_text(encoding="utf-8")
