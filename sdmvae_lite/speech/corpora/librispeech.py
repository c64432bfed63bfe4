"""LibriSpeech dev-clean (Panayotov et al., ICASSP 2015; OpenSLR resource 12, CC BY 4.0).

Read audiobooks, 5.4 hours by 40 speakers, whom the seed splits 28, 6 and 6.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

from filelock import FileLock

from ...store import cache_folder
from .corpus import Corpus, CorpusError
from .folders import folder_corpus

URL = "https://www.openslr.org/resources/12/dev-clean.tar.gz"  # 337 MB
SHA256 = "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"
_CREDIT = "LibriSpeech dev-clean (Panayotov et al., 2015; openslr.org/12), CC BY 4.0"
_INSIDE = PurePosixPath("LibriSpeech", "dev-clean")  # where the archive keeps its speakers


def librispeech_corpus(
    minutes: float | None, seed: int, on_error: str, cache: Path | None
) -> Corpus:
    """Return LibriSpeech dev-clean, downloaded on first use to ``cache`` (about 360 MB)."""
    corpus = folder_corpus(fetch(cache or cache_folder()), minutes, seed, on_error)
    return replace(corpus, name="LibriSpeech", credit=_CREDIT)


def fetch(cache: Path, url: str | None = None, sha256: str | None = None) -> Path:
    """Return the folder of dev-clean's speakers in ``cache``, downloaded now if it is not there.

    Archive and folder take their names only once whole, so a call cut short leaves nothing that
    the next would trust. Of several processes, one downloads. ``url`` is ``SDMVAE_LIBRISPEECH_URL``
    or OpenSLR: the checksum decides. Raises `CorpusError` if it cannot be downloaded, kept or used.
    """
    folder = cache / "LibriSpeech-dev-clean"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(
            f"{cache} cannot be made ({error}): name another in SDMVAE_CACHE"
        ) from None
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            url = url or os.environ.get("SDMVAE_LIBRISPEECH_URL") or URL
            archive = _download(cache, url, sha256 or SHA256)
            with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as scratch:
                unpack(archive, Path(scratch))
                speakers = Path(scratch, _INSIDE)
                if not speakers.is_dir():
                    raise CorpusError(f"{archive} holds no folder {_INSIDE}")
                speakers.replace(folder)
            archive.unlink()
    return folder


def _download(cache: Path, url: str, sha256: str) -> Path:
    import pooch  # here, so that a reader who never downloads does not wait for it

    try:  # pooch writes to a temporary file, and renames it once its checksum is right
        return Path(pooch.retrieve(url, sha256, "dev-clean.tar.gz", cache, progressbar=True))
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors
        raise CorpusError(
            f"LibriSpeech could not be downloaded from {url} ({error}); nothing of it was kept: "
            "call again, or name a mirror in SDMVAE_LIBRISPEECH_URL"
        ) from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the files and folders of a tar archive into ``folder``, and nowhere else.

    Raises `CorpusError`, naming the first member that is a link or a device or leaves ``folder``;
    for an archive that is damaged; before Python 3.11.4, which has no filter.
    """
    if not hasattr(tarfile, "data_filter"):
        raise CorpusError(f"{archive} cannot be unpacked safely: use Python 3.11.4 or newer")
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = PurePosixPath(member.name.replace("\\", "/"))
                leaves = path.is_absolute() or ".." in path.parts or ":" in member.name
                if leaves or not (member.isfile() or member.isdir()):
                    what = "which is a link or a device, or would leave its folder"
                    raise CorpusError(f"{archive} holds {member.name!r}, {what}")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CorpusError(f"{archive} cannot be unpacked: {error}") from error
