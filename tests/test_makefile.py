"""The commands of the Makefile and the tools, in a folder with a space in its name."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest
from toc import ROOT

CLEAN = ROOT / "book" / "01_hear_it_first.ipynb"


@pytest.fixture(autouse=True)
def no_outer_make(monkeypatch):
    """Under `make test` an inner make would say which folders it enters."""
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path):
    """A folder, with a space in its name, of the Makefile, the tools and an environment."""
    folder = tmp_path / "a folder"
    commands = folder / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in ("python", "jupyter-book"):
        (commands / name).write_text(
            f'#!/bin/sh\nexec "{Path(sys.executable).with_name(name)}" "$@"\n', encoding="utf-8"
        )
        (commands / name).chmod(0o755)
    (folder / ".venv" / "installed").touch()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "tools", folder / "tools")
    return folder


@pytest.fixture
def make(project):
    """Runs `make` there, with the environment taken as it is."""

    def run(*arguments):
        command = ["make", "--assume-old=.venv/installed", *arguments]
        return subprocess.run(command, cwd=project, capture_output=True, text=True)

    return run


def test_make_book_builds_in_a_folder_with_a_space(project, make):
    for name in ("_static", "_extra", "_ext", "_templates"):
        shutil.copytree(ROOT / "book" / name, project / "book" / name)
    for name in ("_config.yml", "book/references.bib"):
        shutil.copy(ROOT / name, project / name)
    contents = "format: jb-book\nroot: index\nchapters:\n  - file: other\n"
    (project / "_toc.yml").write_text(contents, encoding="utf-8")
    (project / "book" / "other.md").write_text("# Another page\n", encoding="utf-8")
    (project / "sdmvae_lite").mkdir()
    cells = [
        nbformat.v4.new_markdown_cell("# A page"),
        nbformat.v4.new_code_cell("'whole' + 'sale'"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, project / "book" / "index.ipynb")

    built = make("book")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "wholesale" in (project / "_build" / "html" / "index.html").read_text(encoding="utf-8")


def git(folder, *arguments, **options):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **options)


@pytest.fixture
def repository(project):
    git(project, "init", check=True)
    return project


def commit(folder):
    return git(folder, "commit", "-m", "a notebook")


def test_what_is_staged_decides_and_not_what_lies_there(repository, make):
    assert make("hooks").returncode == 0
    notebook = repository / "a page.ipynb"
    content = json.loads(CLEAN.read_text(encoding="utf-8"))
    next(c for c in content["cells"] if c["cell_type"] == "code")["execution_count"] = 7
    notebook.write_text(json.dumps(content))
    git(repository, "add", notebook.name, check=True)
    notebook.write_bytes(CLEAN.read_bytes())
    refused = commit(repository)
    assert refused.returncode == 1
    assert "a page.ipynb: not stripped" in refused.stdout + refused.stderr
    git(repository, "add", notebook.name, check=True)
    assert commit(repository).returncode == 0


def test_a_hook_that_is_there_stays(repository, make):
    mine = repository / ".git" / "hooks" / "pre-commit"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("#!/bin/sh\n")
    refused = make("hooks")
    assert refused.returncode != 0
    assert "pre-commit exists already" in refused.stderr
    assert mine.read_text() == "#!/bin/sh\n"
    mine.unlink()
    assert make("hooks").returncode == make("hooks").returncode == 0


def test_hooks_need_a_repository_of_the_project_itself(project, make):
    for around in (None, project.parent):
        if around:
            git(around, "init", check=True)
        refused = make("hooks")
        assert refused.returncode != 0
        assert "is no git repository" in refused.stderr
    assert not (project.parent / ".git" / "hooks" / "pre-commit").exists()
    assert not Path("/pre-commit").exists()


SERVE = ("serve", "--assume-old=book")


def test_serve_says_that_a_port_is_taken(project, make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = make(*SERVE, f"PORT={port}")
    assert refused.returncode != 0
    assert f"port {port} is not free" in refused.stderr
    assert "http://" not in refused.stdout, "that is somebody else's address"


def test_serve_serves_where_it_says(project):
    page = project / "_build" / "html" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("the book")
    command = ["make", "--assume-old=.venv/installed", *SERVE, "PORT=0"]
    server = subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == b"the book"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate()


def test_an_address_is_no_command(project, make):
    refused = make("address", "URL=https://github.com/you/fork; touch made")
    assert refused.returncode != 0
    assert "not an address" in refused.stderr
    assert not (project / "made").exists()


TOOLS = [path for path in (ROOT / "tools").iterdir() if path.is_file() and path.suffix != ".txt"]


@pytest.mark.parametrize("name", sorted(path.name for path in TOOLS))
def test_help_only_prints(project, name):
    def files():
        found = (path for path in project.parent.rglob("*") if "__pycache__" not in path.parts)
        return {path: path.read_bytes() for path in found if path.is_file()}

    before = files()
    tool = project / "tools" / name
    command = [sys.executable, tool] if tool.suffix == ".py" else [tool]
    done = subprocess.run([*command, "--help"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert files() == before
