"""pyproject.toml, requirements.lock and environment.yml agree."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from toc import ROOT, chapters, source

import sdmvae_lite

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LOCK if line and not line.startswith("#")]
PYTHONS = ("3.11", "3.12", "3.13")

DEPENDENCIES = [Requirement(line) for line in PYPROJECT["project"]["dependencies"]]
EXTRAS = [
    Requirement(line)
    for extra in PYPROJECT["project"]["optional-dependencies"].values()
    for line in extra
]
# Where the module is not named as the distribution is.
DISTRIBUTION = {
    "espeakng_loader": "espeakng-loader",
    "IPython": "ipywidgets",
    "PIL": "matplotlib",
    "sklearn": "scikit-learn",
}


def pinned(name, python):
    """The versions of a distribution that the lock installs on one Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    return [
        pin
        for pin in PINS
        if canonicalize_name(pin.name) == canonicalize_name(name)
        and (pin.marker is None or pin.marker.evaluate(environment))
    ]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", DEPENDENCIES + EXTRAS, ids=lambda each: each.name)
def test_every_dependency_is_locked_within_its_range(requirement, python):
    (pin,) = pinned(requirement.name, python)
    (exact,) = pin.specifier
    assert exact.operator == "=="
    assert requirement.specifier.contains(exact.version)


def test_what_builds_the_package_is_locked():
    (backend,) = map(Requirement, PYPROJECT["build-system"]["requires"])
    assert backend in EXTRAS


def colab():
    """The versions that Colab has, of the packages that the book shares with it."""
    lines = (ROOT / "tools" / "colab_packages.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {pin.name: next(iter(pin.specifier)).version for pin in pins}


def test_colab_has_what_it_shares_with_the_book_in_range():
    """`make colab-rehearsal` shows the same, at length."""
    shared = [each for each in DEPENDENCIES if each.name in colab()]
    assert {each.name for each in shared} >= {"numpy", "librosa", "ipywidgets", "matplotlib"}
    assert not [each for each in shared if colab()[each.name] not in each.specifier]


@pytest.mark.parametrize("name", ["numpy", "torch", "librosa", "ipywidgets"])
def test_hosted_notebooks_keep_their_own(name):
    """An upper bound would make a hosted notebook replace it, and ask for a restart."""
    (requirement,) = (each for each in DEPENDENCIES if each.name == name)
    assert {bound.operator for bound in requirement.specifier} == {">="}


def test_lock_leaves_the_cuda_build_to_torch():
    heavy = [pin.name for pin in PINS if re.match("nvidia|cuda|triton", pin.name)]
    assert not heavy


def test_lock_names_versions_only():
    assert not [pin for pin in PINS if pin.url]
    assert not [line for line in LOCK if "--" in line or "://" in line]


def test_environment_takes_its_pins_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    (python,) = (name.split("=")[1] for name in conda if name.startswith("python="))
    assert python in PYTHONS


def test_a_wheel_holds_the_whole_package_and_its_command(tmp_path):
    for name in ("sdmvae_lite", "results"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        shipped = {name for name in opened.namelist() if not name.split("/")[0].endswith("info")}
        (scripts,) = (name for name in opened.namelist() if name.endswith("entry_points.txt"))
        assert b"sdmvae = sdmvae_lite.cli:main" in opened.read(scripts)
    package = {path for path in (tmp_path / "sdmvae_lite").rglob("*") if path.is_file()}
    records = {f"sdmvae_lite/results/{path.name}" for path in (tmp_path / "results").iterdir()}
    assert shipped == records | {path.relative_to(tmp_path).as_posix() for path in package}


def sources():
    """The code of the package and of the chapters, but for the cells that only Colab runs."""
    for path in (ROOT / "sdmvae_lite").rglob("*.py"):
        yield path.read_text(encoding="utf-8")
    for path in chapters():
        yield source(path, "code", leave_out="remove-cell")


def test_every_import_is_a_declared_dependency():
    imported = set()
    for text in sources():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add(node.module.split(".")[0])
    others = imported - set(sys.stdlib_module_names) - {"sdmvae_lite"}
    declared = {requirement.name for requirement in DEPENDENCIES}
    declared |= {"distributed"}  # the extra `dask`, imported where a cluster is named
    assert {DISTRIBUTION.get(name, name) for name in others} <= declared


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == sdmvae_lite.__version__
    assert f"## [{sdmvae_lite.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    colab = (ROOT / "tools" / "colab_cell.txt").read_text(encoding="utf-8")
    assert f"@v{sdmvae_lite.__version__} " in colab
