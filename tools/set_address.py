"""Move the book to another repository: every link, badge and button follows.

The address that is replaced is the one under [project.urls] in pyproject.toml.
"""

import argparse
import re
import subprocess
import tomllib
from pathlib import Path

ADDRESS = re.compile(r"https://github\.com/([\w-]+)/([\w.-]*?\w[\w.-]*?)(?:\.git)?/?", re.ASCII)


def spellings(address: str) -> tuple[str, str]:
    """How a page may write the address: OWNER/NAME, and its own place on GitHub Pages."""
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise SystemExit(f"not an address of the form https://github.com/OWNER/NAME: {address!r}")
    owner, name = match.groups()
    return f"{owner}/{name}", f"{owner.lower()}.github.io/{name}"


def files(root: Path) -> list[Path]:
    """The files of the project, those not yet committed included."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [root / name for name in sorted(set(listing.split("\0"))) if name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="https://github.com/OWNER/NAME")
    address = parser.parse_args().address
    root = Path(__file__).resolve().parent.parent
    urls = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    replacements = list(zip(spellings(urls["Repository"]), spellings(address), strict=True))
    for path in files(root):
        try:
            before = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a font or a picture, or a file that was deleted but not yet committed
        after = before
        for old, new in replacements:
            after = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", new, after)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path.relative_to(root))


if __name__ == "__main__":
    main()
