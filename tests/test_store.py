"""Keys, whole files, and results that are made once."""

import errno
import os
import subprocess
import sys
import time
from threading import Barrier, Thread

import pytest

from sdmvae_lite import store
from sdmvae_lite.store import cache_folder, keep, kept, key, load_or_make, method, write

FULL = "/dev/full"  # every write ends in "no space left on device"


def test_a_key_depends_on_all_that_decides_and_not_on_its_order():
    assert key("frames", a=1, b=[2, "x"]) == key("frames", b=[2, "x"], a=1)
    others = [key("scores", a=1, b=[2, "x"]), key("frames", a=1, b=[2, "y"]), key("frames", a=1)]
    assert len({key("frames", a=1, b=[2, "x"]), *others}) == 4


def test_a_docstring_or_a_comment_voids_nothing_and_a_method_does():
    def code(text):
        return store.ast.dump(store._code(text))

    plain = code('def f(x):\n    """One."""\n    return x + 1\n')
    assert code('"""Module."""\ndef f(x):\n    """Two."""\n    return x + 1  # why\n') == plain
    assert code("def f(x):\n    return x + 2\n") != plain


def test_the_method_of_a_module_is_that_of_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_PACKAGE", tmp_path)
    (tmp_path / "room").mkdir()
    file = tmp_path / "room" / "module.py"
    found = []
    for text in ("x = 1\n", '"""Say it."""\n\nx = 1\n', "x = 2\n"):
        file.write_text(text, encoding="utf-8")
        method.cache_clear()
        found.append(method("room.module"))
    method.cache_clear()
    assert found[0] == found[1] != found[2]


def test_writing_leaves_what_was_there_until_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "file"
    write(path, b"old")

    def blocks():
        yield b"half"
        assert path.read_bytes() == b"old"
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        write(path, blocks())
    assert path.read_bytes() == b"old"
    write(path, [b"new ", b"one"])
    assert path.read_bytes() == b"new one"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("size", [100, 100_000])  # less and more than a file's buffer
def test_a_full_disk_is_named(tmp_path, monkeypatch, size):
    path = tmp_path / "file"
    original = type(path).open
    monkeypatch.setattr(type(path), "open", lambda part, mode="r": original(type(path)(FULL), mode))
    with pytest.raises(OSError, match=f"{path} cannot be written .*free some room") as caught:
        write(path, b"x" * size)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file/below cannot be written"):
        write(tmp_path / "file" / "below", b"x")


def test_the_umask_is_respected(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_what_a_killed_writer_left_is_removed_and_a_living_ones_is_not(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from sdmvae_lite.store import write
def blocks():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
write(Path(sys.argv[1]), blocks())
"""
    path = tmp_path / "file"
    subprocess.run([sys.executable, "-c", program, path], check=False)
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"
    write(path, b"whole")
    assert left.exists()  # it may still be written to
    long_ago = time.time() - 2 * store._LEFT_OVER
    os.utime(left, (long_ago, long_ago))
    write(path, b"whole")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_kept_value_comes_back_and_a_damaged_one_does_not(tmp_path):
    path = tmp_path / "value.json"
    assert kept(path) is None
    keep(path, {"a": [1.5, None]})
    assert kept(path) == {"a": [1.5, None]}
    whole = path.read_bytes()
    for damaged in (whole[:-3], whole.replace(b"1.5", b"1.6"), b"{}", b"[]", b"\xff"):
        path.write_bytes(damaged)
        assert kept(path) is None


def test_many_ask_and_one_makes(tmp_path):
    path, made, found, together = tmp_path / "file", [], [], Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.05)
        return b"content"

    def load(path):
        return path.read_bytes() if path.exists() else None

    def ask():
        together.wait()
        found.append(load_or_make(path, load, make))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"content"] * 4
    assert made == [1]


def test_what_is_there_needs_no_right_to_write(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"there")

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(store, "FileLock", refuse)
    assert load_or_make(path, lambda path: path.read_bytes(), refuse) == b"there"
    with pytest.raises(OSError, match=r"cannot be written .Read-only"):
        load_or_make(tmp_path / "other", lambda path: None, refuse)


def test_what_cannot_be_read_back_is_no_result(tmp_path):
    with pytest.raises(OSError, match="cannot be read back"):
        load_or_make(tmp_path / "file", lambda path: None, lambda: b"x")


def test_the_cache_of_a_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SDMVAE_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("SDMVAE_CACHE")
    assert tmp_path in cache_folder().parents


def test_without_a_home_the_variable_is_asked_for(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("SDMVAE_CACHE", "~nobody-at-all/cache")
    with pytest.raises(OSError, match="name a folder in SDMVAE_CACHE"):
        cache_folder()
