"""LibriSpeech, downloaded from a server on this machine: whole, cut, wrong and hostile."""

import hashlib
import io
import re
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath

import pytest
import yaml
from recordings import mode, public_folder, write
from toc import ROOT

from sdmvae_lite.speech.corpora import PARTS, CorpusError, load_corpus
from sdmvae_lite.speech.corpora import librispeech as module
from sdmvae_lite.speech.corpora.librispeech import fetch, unpack

SPEAKERS = ["84", "174", "251", "422"]


class Server(ThreadingHTTPServer):
    """Serves one archive at every path, the first ``n_cut`` times only half of it."""

    def __init__(self, archive):
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive, self.n_cut, self.n_requests = archive, 0, 0
        self.url = f"http://127.0.0.1:{self.server_port}/dev-clean.tar.gz"
        self.sha256 = hashlib.sha256(archive).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.n_requests += 1
        content = self.server.archive
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.server.n_requests <= self.server.n_cut
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """dev-clean in small: the same layout, four speakers of two chapters."""
    root = tmp_path_factory.mktemp("archive")
    for speaker in SPEAKERS:
        for chapter in ("121123", "121550"):
            for number in range(2):
                name = f"{speaker}-{chapter}-{number:04d}.flac"
                write(root / "LibriSpeech" / "dev-clean" / speaker / chapter / name)
    (root / "LibriSpeech" / "SPEAKERS.TXT").write_text("; ID |SEX| ...\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(root / "LibriSpeech", "LibriSpeech")
    return packed.getvalue()


@contextmanager
def serving(archive):
    with Server(archive) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(archive, monkeypatch):
    """A server of that archive in the place of OpenSLR."""
    with serving(archive) as running:
        monkeypatch.setenv("SDMVAE_LIBRISPEECH_URL", running.url)
        monkeypatch.setattr(module, "SHA256", running.sha256)
        yield running


def left_in(folder):
    """What is kept there, beside the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_it_is_downloaded_once_and_split_by_speaker(server, tmp_path):
    corpus = load_corpus("librispeech", cache=tmp_path)
    assert corpus.name == "LibriSpeech"
    assert "CC BY 4.0" in corpus.credit
    assert [len(corpus.speakers(part)) for part in PARTS] == [2, 1, 1]
    assert sum(map(len, corpus.parts.values())) == 16
    assert corpus.train[0].name.startswith("121123/")
    assert load_corpus("librispeech", cache=tmp_path).fingerprint == corpus.fingerprint
    assert server.n_requests == 1
    assert left_in(tmp_path) == ["LibriSpeech-dev-clean"]


def test_the_cache_may_come_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SDMVAE_CORPUS", "librispeech")
    assert load_corpus(minutes=0.1).name == "LibriSpeech"
    assert left_in(tmp_path / "cache") == ["LibriSpeech-dev-clean"]


def test_the_publishing_workflow_keeps_what_the_book_downloads(server, tmp_path, monkeypatch):
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    book = workflow["jobs"]["book"]
    (keep,) = (step for step in book["steps"] if step.get("uses", "").startswith("actions/cache"))
    kept = PurePosixPath(keep["with"]["path"])
    assert str(kept.parent) == book["env"]["SDMVAE_CACHE"]
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path))
    monkeypatch.setenv(
        "SDMVAE_CORPUS", re.fullmatch(r"vars.SDMVAE_CORPUS == '(.*)'", keep["if"])[1]
    )
    for _ in range(2):
        assert load_corpus(minutes=0.1).name == "LibriSpeech"
    assert left_in(tmp_path) == [kept.name]
    assert server.n_requests == 1


def test_the_cache_may_begin_at_home(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    load_corpus("librispeech", minutes=0.1, cache="~/cache")
    assert left_in(tmp_path / "cache") == ["LibriSpeech-dev-clean"]


def test_a_cache_that_has_it_need_not_be_writable(archive):
    with public_folder() as folder, serving(archive) as running:
        there = fetch(folder, running.url, running.sha256)
        with mode(folder, 0o555):
            assert fetch(folder, running.url, running.sha256) == there


def test_who_comes_second_waits_for_the_first(server, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(fetch, tmp_path, server.url, server.sha256) for _ in range(4)]
        assert {each.result() for each in asked} == {tmp_path / "LibriSpeech-dev-clean"}
    assert server.n_requests == 1


def test_a_cache_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match=r"cannot be made .* SDMVAE_CACHE"):
        fetch(tmp_path / "file" / "cache")


def test_a_cut_download_leaves_nothing_and_the_next_call_succeeds(server, tmp_path):
    server.n_cut = 1
    with pytest.raises(CorpusError, match="could not be downloaded from http://127"):
        load_corpus("librispeech", cache=tmp_path)
    assert left_in(tmp_path) == []
    assert len(load_corpus("librispeech", cache=tmp_path).train) == 8


def test_a_half_archive_left_behind_is_not_trusted(server, archive, tmp_path):
    (tmp_path / "dev-clean.tar.gz").write_bytes(archive[: len(archive) // 2])
    assert len(load_corpus("librispeech", cache=tmp_path).train) == 8
    assert server.n_requests == 1


def test_what_was_left_by_a_call_that_was_killed_is_not_trusted(server, tmp_path):
    scratch = tmp_path / "unpacking-abc" / "LibriSpeech" / "dev-clean" / "84"
    scratch.mkdir(parents=True)
    assert len(load_corpus("librispeech", cache=tmp_path).train) == 8


def test_a_wrong_checksum_is_refused(server, tmp_path):
    with pytest.raises(CorpusError, match="does not match the known hash"):
        fetch(tmp_path, server.url, "0" * 64)
    assert left_in(tmp_path) == []


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"from http://127\.0\.0\.1:9/nothing"):
        fetch(tmp_path, "http://127.0.0.1:9/nothing", "0" * 64)


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(write(tmp_path / "a.wav"), "a.wav")
    with (
        serving(path.read_bytes()) as server,
        pytest.raises(CorpusError, match="holds no folder LibriSpeech/dev-clean"),
    ):
        fetch(tmp_path / "cache", server.url, server.sha256)


def member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


HOSTILE = {
    "upwards": member("LibriSpeech/../../escaped"),
    "absolute": member("/tmp/escaped"),
    "backslashes": member("..\\escaped"),
    "drive": member("C:\\escaped"),
    "symlink": member("LibriSpeech/link", tarfile.SYMTYPE, "../.."),
    "absolute symlink": member("LibriSpeech/link", tarfile.SYMTYPE, "/etc"),
    "hard link": member("LibriSpeech/link", tarfile.LNKTYPE, "/etc/passwd"),
    "device": member("LibriSpeech/null", tarfile.CHRTYPE),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_archive_that_would_escape_is_refused_by_name(tmp_path, kind):
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(HOSTILE[kind])
    with pytest.raises(CorpusError, match="which") as error:
        unpack(path, tmp_path / "inside")
    assert repr(HOSTILE[kind].name) in str(error.value)
    assert left_in(tmp_path) in (["hostile.tar.gz"], ["hostile.tar.gz", "inside"])
    assert not list(tmp_path.rglob("escaped"))


def test_nothing_is_unpacked_where_python_has_no_filter(archive, tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")  # Python 3.11.0 to 3.11.3
    path = tmp_path / "speech.tar.gz"
    path.write_bytes(archive)
    with pytest.raises(CorpusError, match=r"speech\.tar\.gz cannot be .* use Python 3\.11\.4"):
        unpack(path, tmp_path / "inside")
    assert left_in(tmp_path) == ["speech.tar.gz"]


def test_a_hostile_archive_leaves_nothing_in_the_cache(tmp_path):
    path = tmp_path / "hostile.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(write(tmp_path / "a.flac"), "LibriSpeech/dev-clean/84/1/a.flac")
        tar.addfile(HOSTILE["upwards"])
    cache = tmp_path / "cache"
    with (
        serving(path.read_bytes()) as server,
        pytest.raises(CorpusError, match="would leave its folder"),
    ):
        fetch(cache, server.url, server.sha256)
    assert left_in(cache) == ["dev-clean.tar.gz"]


def test_a_damaged_archive_is_refused(archive, tmp_path):
    path = tmp_path / "damaged.tar.gz"
    path.write_bytes(archive[: len(archive) // 2])
    with pytest.raises(CorpusError, match=r"damaged\.tar\.gz cannot be unpacked"):
        unpack(path, tmp_path / "inside")
