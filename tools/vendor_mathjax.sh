#!/usr/bin/env bash
# Bring MathJax into the book, so that its pages need no network. Run it only to change the version.
set -euo pipefail
case "${1:-}" in -h | --help) sed -n '2,/^[^#]/s/^# //p' "$0" && exit ;; esac
version=3.2.2
target=$(cd "$(dirname "$0")/.." && pwd)/book/_extra/assets/vendor/mathjax

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "mathjax@$version" >/dev/null
tar -xzf "mathjax-$version.tgz"

fonts=output/chtml/fonts/woff-v2
rm -rf "$target"
mkdir -p "$target/$fonts"
cp package/LICENSE package/es5/tex-chtml-full.js "$target"
cp "package/es5/$fonts"/*.woff "$target/$fonts"
chmod -R u=rwX,go=rX "$target"
