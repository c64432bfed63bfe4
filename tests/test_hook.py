"""`make hooks`, and the hook that it puts in place, in a repository of its own."""

import json
import subprocess
import sys

import pytest
from toc import ROOT

CLEAN = ROOT / "book" / "01_hear_it_first.ipynb"


def git(folder, *arguments, **options):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **options)


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", check=True)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    return tmp_path


def make_hooks(folder):
    command = ["make", "hooks", "--assume-old=.venv/installed"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def commit(folder):
    return git(folder, "commit", "-m", "a notebook")


def test_what_is_staged_decides_and_not_what_lies_there(repository):
    assert make_hooks(repository).returncode == 0
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


def test_a_hook_that_is_there_stays(repository):
    mine = repository / ".git" / "hooks" / "pre-commit"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("#!/bin/sh\n")
    refused = make_hooks(repository)
    assert refused.returncode != 0
    assert "pre-commit exists already" in refused.stderr
    assert mine.read_text() == "#!/bin/sh\n"
    mine.unlink()
    assert make_hooks(repository).returncode == make_hooks(repository).returncode == 0
