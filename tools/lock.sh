#!/usr/bin/env bash
# Resolve pyproject.toml into requirements.lock, for every Python from 3.11 on.
# torch is pinned to the release given as the only argument. What its CUDA build needs is left
# out: that build's own metadata brings it in, and beside a CPU build it is gigabytes for nothing.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# //p' "$0" && exit ;; esac
cd "$(dirname "$0")/.."

uv=$(mktemp -d)
trap 'rm -rf "$uv"' EXIT
"${PYTHON:-python3}" -m venv "$uv"
"$uv/bin/pip" install --quiet --disable-pip-version-check uv
echo "torch==$1" | "$uv/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --all-extras --no-annotate --no-header pyproject.toml - --output-file "$uv/lock"
{
    echo "# Made by \`make lock\` from pyproject.toml: every version of the book, Python 3.11 and newer."
    grep -vE '^(nvidia|cuda|triton)' "$uv/lock"
} >requirements.lock
