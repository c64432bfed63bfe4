"""The package's imports go one way: each module knows only those before it."""

import ast

import pytest
from toc import ROOT

PACKAGE = ROOT / "sdmvae_lite"

# What each module may import from the package. Only chapters import checks, plots and widgets.
ALLOWED = {
    "config": set(),
    "corpora": {"config"},
    "spectra": {"config", "corpora"},
    "frames": {"config", "corpora", "spectra"},
    "dictionaries": {"config"},
    "divergences": set(),
    "models": {"config", "dictionaries", "divergences"},
    "storage": {"config", "models"},
    "batches": {"config"},
    "training": {"config", "models", "storage", "batches"},
    "gradients": {"divergences", "models"},
    "stacks": {"config", "models", "storage", "batches", "training", "gradients"},
    "workers": set(),
    "lockstep": {"config", "models", "batches", "training", "stacks", "workers"},
    "resynthesis": {"config", "spectra", "models"},
    "metrics": {"config"},
    "checks": set(),
    "statistics": set(),
    "score_cache": {"config", "corpora", "models", "storage"},
    "evaluation": {
        *("config", "corpora", "spectra", "models", "workers", "resynthesis", "metrics"),
        "score_cache",
    },
    "codes": {"config", "corpora", "models", "resynthesis", "metrics"},
    "records": {"config", "corpora", "storage", "metrics"},
    "claims": {"records", "statistics"},
    "pretrained": {"config", "models", "storage"},
    "experiments": {
        *("config", "corpora", "frames", "training", "workers", "lockstep", "evaluation"),
        *("codes", "records"),
    },
}
ALLOWED |= {"plots": set(ALLOWED), "widgets": set(ALLOWED)}


def sources(module):
    """The files of a module, or of a package inside the package."""
    folder = PACKAGE / module
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{module}.py"]


def imported(path):
    """The modules of the package that a file imports, by their first name."""
    depth = len(path.relative_to(PACKAGE).parts)  # dots that lead up to the package itself
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            absolute = (node.module or "").split(".")[0] == PACKAGE.name
            if node.level == depth:
                prefix = f"{PACKAGE.name}.{node.module or ''}".rstrip(".")
            elif node.level == 0 and absolute:
                prefix = node.module
            else:
                continue
            names = [f"{prefix}.{alias.name}" for alias in node.names]
        for name in names:
            root, _, rest = name.partition(".")
            if root == PACKAGE.name and rest:
                yield rest.split(".")[0]


def modules():
    """What stands in the package, single files and folders alike."""
    files = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    return sorted(files + [path.parent.name for path in PACKAGE.glob("*/__init__.py")])


def test_every_module_has_its_place():
    assert set(modules()) <= set(ALLOWED)


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module):
    found = {name for path in sources(module) for name in imported(path)} - {module}
    forbidden = (found & set(ALLOWED)) - ALLOWED[module]
    assert not forbidden, f"{module} may not import {sorted(forbidden)}"


def test_importing_the_package_draws_nothing():
    assert not set(imported(PACKAGE / "__init__.py")) & {"plots", "widgets"}
