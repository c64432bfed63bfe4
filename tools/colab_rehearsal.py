"""Rehearse in Colab's packages what a reader in Colab does: open one chapter and run it.

An environment is made with the versions that Colab has (tools/colab_packages.txt). Then, for each
chapter: a folder that holds that notebook alone, a fresh environment on top of the first, and a
kernel that believes it is in Colab, so that the notebook's own first cell installs the package,
from a clone of this repository's last commit. Every chapter must run to its end at the `smoke`
preset, and no package that Colab has may have moved: Colab would ask for a restart.

Needs the package index. The environments and executed notebooks stay in _build/colab.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import papermill

import sdmvae_lite

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "_build" / "colab"
BASE = WORK / "environment"
PACKAGES = ROOT / "tools" / "colab_packages.txt"
LISTING = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in reversed(list(m.distributions()))}))"
)


def run(*command: object) -> str:
    """The output of a command; one that fails ends the rehearsal with what it said."""
    words = [str(word) for word in command]
    done = subprocess.run(words, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def torch_pin() -> str:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch==")).split()[0]


def make_base() -> None:
    """The environment that Colab starts with, kept while its packages are the same."""
    wanted = f"{PACKAGES.read_text(encoding='utf-8')}{torch_pin()}\n"
    stamp = BASE / "packages.txt"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print("installing Colab's packages (some minutes) ...", flush=True)
    run(sys.executable, "-m", "venv", "--clear", BASE)
    (WORK / "wanted.txt").write_text(wanted, encoding="utf-8")
    run(BASE / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", WORK / "wanted.txt")
    stamp.write_text(wanted, encoding="utf-8")


def make_clone() -> Path:
    """A repository whose release, to whoever installs it, is this repository's last commit."""
    clone = WORK / "clone.git"
    shutil.rmtree(clone, ignore_errors=True)
    run("git", "clone", "--quiet", "--bare", ROOT, clone)
    run("git", "-C", clone, "tag", "--force", f"v{sdmvae_lite.__version__}", "HEAD")
    return clone


def make_session(folder: Path, clone: Path) -> None:
    """An environment on top of Colab's, and a kernel ``colab`` that runs in it."""
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    below = next(BASE.glob("lib/python*/site-packages"))
    own = next(environment.glob("lib/python*/site-packages"))
    (own / "colab.pth").write_text(f"{below}\n", encoding="utf-8")
    (own / "google" / "colab").mkdir(parents=True)
    (own / "google" / "colab" / "__init__.py").touch()
    pip = environment / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec "{python}" -m pip "$@"\n', encoding="utf-8")
    pip.chmod(0o755)

    kernel = folder / "jupyter" / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    start = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    in_colab = "--IPKernelApp.exec_lines=import google.colab"
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    variables = {
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "SDMVAE_CACHE": str(folder / "cache"),
        "SDMVAE_CORPUS": "",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{clone.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": urls["Repository"],
    }
    specification = {
        "argv": [str(python), *start, in_colab],
        "display_name": "Colab",
        "language": "python",
        "env": variables,
    }
    kernel.write_text(json.dumps(specification), encoding="utf-8")


def rehearse(chapter: Path, clone: Path) -> list[str]:
    """Run one chapter as Colab would; returns what went wrong."""
    folder = WORK / chapter.stem
    shutil.rmtree(folder, ignore_errors=True)
    bare = folder / "content"
    bare.mkdir(parents=True)
    shutil.copy(chapter, bare)
    make_session(folder, clone)
    listing = (folder / "environment" / "bin" / "python", "-c", LISTING)
    before = json.loads(run(*listing))
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
    start = time.monotonic()
    failures = []
    try:
        papermill.execute_notebook(
            bare / chapter.name,
            folder / "executed.ipynb",
            parameters={"preset": "smoke"},
            kernel_name="colab",
            cwd=bare,
            progress_bar=False,
        )
    except papermill.PapermillExecutionError as error:
        failures.append(f"{error.ename}: {error.evalue}")
    after = json.loads(run(*listing))
    moved = {name for name, version in before.items() if after[name] != version}
    failures += [f"{name} moved from {before[name]} to {after[name]}" for name in sorted(moved)]
    added = sorted(f"{name} {after[name]}" for name in after.keys() - before.keys())
    seconds = time.monotonic() - start
    print(f"{chapter.stem}: {seconds:.0f} s; added {', '.join(added)}", flush=True)
    if not any(name.replace("_", "-") == "sdmvae-lite" for name in after):
        failures.append("the first cell did not install the package")
    return failures


def main() -> None:
    chapters = {path.stem: path for path in sorted((ROOT / "book").glob("*.ipynb"))}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chapters", nargs="*", help="as 01_hear_it_first; all, if none is named")
    chosen = parser.parse_args().chapters or list(chapters)
    if unknown := [name for name in chosen if name not in chapters]:
        parser.error(f"no such chapter: {', '.join(unknown)}; there are {', '.join(chapters)}")

    WORK.mkdir(parents=True, exist_ok=True)
    if run("git", "-C", ROOT, "status", "--porcelain"):
        print("what is not committed is not rehearsed: the package comes from the last commit")
    make_base()
    clone = make_clone()
    found = {name: rehearse(chapters[name], clone) for name in chosen}
    failed = {name: failures for name, failures in found.items() if failures}
    for name, failures in failed.items():
        print(f"{name} FAILED", *failures, sep="\n    ")
    if failed:
        raise SystemExit(1)
    print(f"{len(found)} chapters ran; none of Colab's packages moved")


if __name__ == "__main__":
    main()
