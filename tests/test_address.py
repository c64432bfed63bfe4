"""One command moves the book to another repository, and nothing of the old address stays."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from toc import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from set_address import files, spellings

NEW = "https://github.com/someone-else/their.fork"


def address(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["urls"]["Repository"]


def holding(root, text):
    """The files under `root` that hold `text`."""
    return {path.relative_to(root) for path in files(root) if text.encode() in path.read_bytes()}


@pytest.fixture
def tree(tmp_path):
    """A copy of the project, as a repository of its own."""
    for path in files(ROOT):
        if path.is_file():
            target = tmp_path / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def set_address(tree, *arguments):
    tool = tree / "tools" / "set_address.py"
    return subprocess.run([sys.executable, tool, *arguments], text=True, capture_output=True)


def test_the_address_changes_everywhere(tree):
    repository, site = spellings(address(tree))
    named, published = holding(tree, repository), holding(tree, site)
    assert {"README.md", "CITATION.cff", "_config.yml"} <= set(map(str, named))

    done = set_address(tree, NEW)
    assert done.returncode == 0, done.stderr

    assert address(tree) == NEW
    assert holding(tree, repository) == holding(tree, site) == set()
    new_repository, new_site = spellings(NEW)
    assert holding(tree, new_repository) == named | {Path("tests/test_address.py")}
    assert holding(tree, new_site) == published


WRONG = ["someone/fork", "https://github.com/someone", "", "https://github.com/../.."]
WRONG += ["https://github.com/someone/..", "https://github.com/some.one/fork"]


@pytest.mark.parametrize("wrong", WRONG)
def test_only_an_address_is_taken(tmp_path, wrong):
    for name in ("pyproject.toml", "tools/set_address.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    refused = set_address(tmp_path, wrong)
    assert refused.returncode != 0
    assert repr(wrong) in refused.stderr
    assert address(tmp_path) == address(ROOT)
