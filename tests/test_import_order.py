"""The package's imports go one way: each room knows only those before it."""

import ast
import subprocess
import sys

import pytest
from toc import ROOT

PACKAGE = ROOT / "sdmvae_lite"

# What each room may import from the package beside itself. Only chapters import `book`.
FOUNDATIONS = {"config", "workers", "store"}
ALLOWED = {
    "checked": set(),
    "config": {"checked"},
    "workers": set(),
    "store": set(),
    "speech": FOUNDATIONS,
    "model": FOUNDATIONS,
    "training": FOUNDATIONS | {"speech", "model"},
    "scoring": FOUNDATIONS | {"speech", "model"},
    "enhancement": FOUNDATIONS | {"speech", "model"},
    "table": FOUNDATIONS | {"speech", "model", "training", "scoring"},
    "book": FOUNDATIONS | {"speech", "model", "training", "scoring", "table"},
    "cli": FOUNDATIONS | {"speech", "model", "training", "scoring", "enhancement", "table"},
    "__init__": set(),
    "__main__": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    """The first name below the package."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def dotted(path):
    """The name of a module inside the package, in parts."""
    return list(path.relative_to(PACKAGE).with_suffix("").parts)


def imported(path):
    """The modules of the package that a file imports, in parts, without the package's name."""
    here = dotted(path)[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == PACKAGE.name:
                    yield alias.name.split(".")[1:]
        elif isinstance(node, ast.ImportFrom):
            name = node.module.split(".") if node.module else []
            if node.level:
                base = here[: len(here) - node.level + 1] + name
            elif name[0] == PACKAGE.name:
                base = name[1:]
            else:
                continue
            for alias in node.names:
                whole = PACKAGE.joinpath(*base, alias.name)
                is_module = whole.is_dir() or whole.with_suffix(".py").exists()
                yield [*base, alias.name] if is_module else base


def test_every_room_has_its_place():
    assert {room(path) for path in FILES} == set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: ".".join(dotted(path)))
def test_imports_go_one_way(path):
    rooms = {name[0] for name in imported(path) if name}
    forbidden = rooms - ALLOWED[room(path)] - {room(path)}
    assert not forbidden, f"{path} may not import {sorted(forbidden)}"


def test_no_module_imports_itself_in_a_circle():
    graph = {tuple(dotted(path)): {tuple(name) for name in imported(path)} for path in FILES}
    going, done = [], set()

    def visit(name):
        assert name not in going, f"a circle: {going} {name}"
        if name in done or name not in graph:
            return
        going.append(name)
        for other in graph[name]:
            visit(other)
        done.add(going.pop())

    for name in graph:
        visit(name)


def test_importing_the_package_loads_nothing():
    heavy = "torch", "numpy", "librosa", "matplotlib", "scipy", "IPython"
    program = f"import sys, sdmvae_lite; print([n for n in {heavy!r} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.strip() == "[]", found.stderr


def test_every_name_of_the_package_is_there():
    import sdmvae_lite

    assert 20 <= len(sdmvae_lite.__all__) <= 28
    for name in sdmvae_lite.__all__:
        assert getattr(sdmvae_lite, name) is not None
