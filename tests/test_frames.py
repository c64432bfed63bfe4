import json
import multiprocessing
import os
import resource
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from recordings import write_speakers

from sdmvae_lite.config import STFTConfig
from sdmvae_lite.speech.corpora import Corpus, Utterance, load_corpus
from sdmvae_lite.speech.frames import load_frames
from sdmvae_lite.speech.spectra import training_frames


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("synthetic", minutes=0.5)


def files(folder, name):
    return sorted(Path(folder).rglob(name))


def load(corpus, folder, **options):
    return load_frames(corpus, "train", folder=folder, progress=False, **options)


def test_frames_are_those_of_the_utterances_in_order(corpus, tmp_path):
    frames = load(corpus, tmp_path)
    expected = np.concatenate([training_frames(u.waveform()) for u in corpus.train])
    np.testing.assert_array_equal(frames, expected)
    assert frames.dtype == np.float32


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_several_workers_write_what_one_writes(backend, corpus, tmp_path):
    load(corpus, tmp_path / "one", n_jobs=1)
    with parallel_config(backend=backend):
        load(corpus, tmp_path / "two", n_jobs=2)
    for name in ("frames.f32", "index.json"):
        (one,), (two,) = files(tmp_path / "one", name), files(tmp_path / "two", name)
        assert one.read_bytes() == two.read_bytes()


class OwnBackend(ThreadingBackend):
    """It returns lists alone, as Ray's does, and remembers that it was asked."""

    supports_return_generator = False
    asked = False

    def configure(self, *args, **options):
        self.asked = True
        return super().configure(*args, **options)


def test_the_work_goes_to_an_enclosing_backend(corpus, tmp_path):
    backend = OwnBackend()
    with parallel_config(backend=backend):
        frames = load(corpus, tmp_path, n_jobs=2)
    assert backend.asked
    np.testing.assert_array_equal(frames, load(corpus, tmp_path / "alone"))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_file_that_a_worker_cannot_read_is_named(backend, tmp_path):
    corpus = load_corpus(write_speakers(tmp_path / "speech", "abcd"))
    damaged = corpus.train[-1]
    damaged.source.path.write_bytes(b"not audio")
    with (
        parallel_config(backend=backend),
        pytest.raises(ValueError, match=rf"{damaged.id}: {damaged.source.path} is damaged"),
    ):
        load(corpus, tmp_path / "frames", n_jobs=2)
    assert files(tmp_path / "frames", "*.part") == []


class SaysAMinute:
    """Two seconds that claim to be sixty; each reading notes how many others await writing."""

    seconds = 60
    n_bytes = 4 * 513 * (1 + 32_000 // 256)

    def __init__(self, number, folder, waiting):
        self.number, self.folder, self.waiting = number, folder, waiting

    def sound(self):
        return np.random.default_rng(self.number).uniform(-1, 1, 32_000).astype(np.float32)

    def read(self):
        (data,) = files(self.folder, "*.part")
        self.waiting.append(len(self.waiting) - data.stat().st_size // self.n_bytes)
        return self.sound()

    def fingerprint(self):
        return str(self.number)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_five_minutes_at_most_wait_to_be_written(n_jobs, tmp_path):
    waiting = []
    sources = [SaysAMinute(number, tmp_path, waiting) for number in range(17)]
    train = tuple(Utterance("a", str(source.number), source) for source in sources)
    frames = load(Corpus("minutes", train, (), ()), tmp_path, n_jobs=n_jobs)
    assert len(waiting) == 17
    assert max(waiting) < 5
    expected = np.concatenate([training_frames(source.sound()) for source in sources])
    np.testing.assert_array_equal(frames, expected)


def test_frames_are_computed_once_and_mapped_from_then_on(corpus, tmp_path):
    load(corpus, tmp_path)
    (data,) = files(tmp_path, "frames.f32")
    written = data.stat().st_mtime_ns
    again = load(corpus, tmp_path)
    assert data.stat().st_mtime_ns == written
    assert isinstance(again, np.memmap)


def test_writing_to_the_frames_leaves_the_file_alone(corpus, tmp_path):
    frames = load(corpus, tmp_path)
    before = frames.copy()
    frames[:] = 0
    np.testing.assert_array_equal(load(corpus, tmp_path), before)


def test_other_settings_parts_and_corpora_are_other_stores(corpus, tmp_path):
    load(corpus, tmp_path)
    load_frames(corpus, "test", folder=tmp_path, progress=False)
    narrow = load(corpus, tmp_path, config=STFTConfig(512, 128))
    assert narrow.shape[1] == 257
    load(load_corpus("synthetic", minutes=0.7), tmp_path)
    assert len(files(tmp_path, "frames.f32")) == 4


def cut_short(store):
    data = store / "frames.f32"
    data.write_bytes(data.read_bytes()[:-4])


def flip_a_bit(store):
    data = bytearray((store / "frames.f32").read_bytes())
    data[len(data) // 2] ^= 1
    (store / "frames.f32").write_bytes(data)


def lose_the_index(store):
    (store / "index.json").unlink()


def spoil_the_index(store):
    (store / "index.json").write_text("{")


def take_another_index(store):
    index = json.loads((store / "index.json").read_text())
    (store / "index.json").write_text(json.dumps(index | {"n_frames": index["n_frames"] - 1}))


@pytest.mark.parametrize(
    "damage", [cut_short, flip_a_bit, lose_the_index, spoil_the_index, take_another_index]
)
def test_a_damaged_store_is_rebuilt(damage, corpus, tmp_path):
    expected = load(corpus, tmp_path).copy()
    (data,) = files(tmp_path, "frames.f32")
    damage(data.parent)
    np.testing.assert_array_equal(load(corpus, tmp_path), expected)
    np.testing.assert_array_equal(load(corpus, tmp_path), expected)


def _load_and_report(folder, barrier, queue):
    corpus = load_corpus("synthetic", minutes=0.5)
    barrier.wait(timeout=120)
    frames = load(corpus, folder)
    queue.put((frames.shape, float(frames.sum()), os.listdir(folder)))


def test_two_processes_may_build_the_same_store_at_once(corpus, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=_load_and_report, args=(tmp_path, barrier, queue)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert results[0][:2] == results[1][:2]
    np.testing.assert_array_equal(results[0][0], load(corpus, tmp_path).shape)
    assert len(files(tmp_path, "frames.f32")) == 1
    assert files(tmp_path, "*.part") == []


def test_a_full_disk_says_so_and_leaves_nothing_half_written(corpus, tmp_path):
    """The operating system refuses the write, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(OSError, match=rf"stored in {tmp_path}.*SDMVAE_CACHE to a larger disk"):
            load(corpus, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path, "*.f32*") + files(tmp_path, "*.json*") == []
    assert len(load(corpus, tmp_path)) > 0


def test_a_folder_that_cannot_be_one_is_named(corpus, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        load(corpus, tmp_path / "file")


def test_the_cache_is_where_the_environment_says(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "elsewhere"))
    load_frames(corpus, "validation", progress=False)
    assert len(files(tmp_path / "elsewhere" / "frames", "frames.f32")) == 1


def test_an_unknown_part_is_named(corpus, tmp_path):
    with pytest.raises(ValueError, match="unknown part 'dev': choose one of train, validation"):
        load_frames(corpus, "dev", folder=tmp_path)
