"""Leave in the notebooks only what was written: no outputs, counts or traces of a machine.

python tools/strip_notebooks.py book            rewrite the notebooks that need it
python tools/strip_notebooks.py --check book    list them and exit 1, changing nothing
"""

import argparse
import sys
from pathlib import Path

import nbformat

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"tags", "mystnb"}


def stripped(text: str) -> str:
    """The notebook in `text`, without outputs, execution counts or machine metadata."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        kept = {key: value for key, value in cell.metadata.items() if key in CELL_METADATA}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
    return nbformat.writes(notebook) + "\n"


def notebooks(paths: list[Path]) -> list[Path]:
    """The notebooks among `paths`, folders searched to the bottom."""
    found = []
    for path in paths:
        found += path.rglob("*.ipynb") if path.is_dir() else [path]
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if needed")
    parser.add_argument("paths", nargs="+", type=Path, help="notebooks, or folders of them")
    arguments = parser.parse_args()

    unstripped, damaged = [], False
    for path in notebooks(arguments.paths):
        try:
            text = path.read_text(encoding="utf-8")
            clean = stripped(text)
        except Exception as error:  # nbformat raises whatever comes
            reason = str(error).partition("\n")[0]
            print(f"{path}: not a notebook ({reason})", file=sys.stderr)
            damaged = True
            continue
        if clean != text:
            unstripped.append(path)
            if not arguments.check:
                path.write_text(clean, encoding="utf-8")
    for path in unstripped:
        print(f"{path}: {'not stripped' if arguments.check else 'stripped'}")
    return int(damaged or (arguments.check and bool(unstripped)))


if __name__ == "__main__":
    raise SystemExit(main())
