import multiprocessing
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from recordings import mode, public_folder, recording, write, write_speakers

from sdmvae_lite import store
from sdmvae_lite.config import STFTConfig
from sdmvae_lite.speech.corpora import Corpus, CorpusError, Utterance, load_corpus
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
    (one,), (two,) = files(tmp_path / "one", "*.f32"), files(tmp_path / "two", "*.f32")
    assert one.name == two.name
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
    (data,) = files(tmp_path, "*.f32")
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
    narrow = load(corpus, tmp_path, stft=STFTConfig(512, 128))
    assert narrow.shape[1] == 257
    load(load_corpus("synthetic", minutes=0.7), tmp_path)
    assert len(files(tmp_path, "*.f32")) == 4


def lose(path):
    path.unlink()


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-4])


def lose_a_row(path):
    path.write_bytes(path.read_bytes()[4 * 513 :])


def flip_a_bit(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)


def spoil_the_checksum(path):
    flip_a_bit(path, place=1)


def leave_nothing(path):
    path.write_bytes(b"")


def leave_no_frames(path):
    path.write_bytes(bytes(4))  # the checksum of no bytes


@pytest.mark.parametrize(
    "damage",
    [lose, cut_short, lose_a_row, flip_a_bit, spoil_the_checksum, leave_nothing, leave_no_frames],
)
def test_a_damaged_or_empty_file_is_made_again(damage, corpus, tmp_path):
    expected = load(corpus, tmp_path).copy()
    (path,) = files(tmp_path, "*.f32")
    damage(path)
    np.testing.assert_array_equal(load(corpus, tmp_path), expected)
    np.testing.assert_array_equal(load(corpus, tmp_path), expected)


@pytest.fixture
def code(tmp_path, monkeypatch):
    """A copy of the package's code, of which keys are made; a function that edits it."""
    folder = tmp_path / "code"
    shutil.copytree(Path(store.__file__).parent / "speech", folder / "speech")
    monkeypatch.setattr(store, "_PACKAGE", folder)

    def edit(module, before, after):
        path = folder / f"{module.replace('.', '/')}.py"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
        store.method.cache_clear()

    store.method.cache_clear()
    yield edit
    store.method.cache_clear()


def test_other_words_void_nothing_and_another_method_does(code, corpus, tmp_path):
    def names():
        load(corpus, tmp_path / "frames")
        return {path.name for path in files(tmp_path / "frames", "*.f32")}

    first = names()
    code("speech.spectra", '"""Return', '"""Give back')
    code("speech.corpora.audio", "# samples", "# of them")
    assert names() == first
    code("speech.spectra", "** 2", "** 3")
    assert len(names()) == 2
    code("speech.corpora.audio", "-1.0, 1.0", "-2.0, 2.0")
    assert len(names()) == 3


def test_another_version_of_what_decides_samples_makes_other_frames(corpus, tmp_path, monkeypatch):
    load(corpus, tmp_path)
    monkeypatch.setattr("sdmvae_lite.speech.frames.version", lambda package: f"{package} 99")
    load(corpus, tmp_path)
    assert len(files(tmp_path, "*.f32")) == 2


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
    assert len(files(tmp_path, "*.f32")) == 1
    assert files(tmp_path, "*.part") == []


def test_a_full_disk_says_so_and_leaves_nothing_half_written(corpus, tmp_path):
    """The operating system refuses the write, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
    try:
        with pytest.raises(
            OSError, match=rf"{tmp_path}/frames-.*cannot be written .* a larger disk .*SDMVAE_CACHE"
        ):
            load(corpus, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in files(tmp_path, "*.f32*") if path.suffix != ".lock"] == []
    assert len(load(corpus, tmp_path)) > 0


def test_a_folder_that_cannot_be_one_is_named(corpus, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        load(corpus, tmp_path / "file")


def test_the_cache_is_where_the_environment_says(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "elsewhere"))
    load_frames(corpus, "validation", progress=False)
    assert len(files(tmp_path / "elsewhere" / "frames", "*.f32")) == 1


def test_a_cache_that_has_the_frames_need_not_be_writable(corpus):
    with public_folder() as folder:
        expected = load(corpus, folder).copy()
        with mode(folder, 0o555):
            np.testing.assert_array_equal(load(corpus, folder), expected)
            with pytest.raises(OSError, match=rf"{folder}/frames-.* cannot be written"):
                load_frames(corpus, "test", folder=folder, progress=False)


def test_a_folder_may_be_a_string_and_begin_at_home(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    load(corpus, "~/mine")
    load(corpus, str(tmp_path / "mine"))
    assert len(files(tmp_path / "mine", "*.f32")) == 1


def rewrite(path, rate, seed=1):
    """Other speech of half a second in the place of what is there."""
    write(path, recording(rate=rate, seed=seed), rate)


@pytest.fixture
def telephone(tmp_path):
    """A folder of speech at 8 kHz."""
    for name in "abc":
        write(tmp_path / "speech" / name / "u.wav", rate=8_000)
    return tmp_path / "speech"


@pytest.mark.filterwarnings("ignore:.*are resampled")
def test_a_file_exported_again_at_another_rate_is_read_as_it_is_now(telephone, tmp_path):
    corpus = load_corpus(telephone)
    rewrite(corpus.train[0].source.path, 16_000)
    frames = load(corpus, tmp_path / "frames").copy()
    np.testing.assert_array_equal(load(load_corpus(telephone), tmp_path / "frames"), frames)
    np.testing.assert_array_equal(load(load_corpus(telephone), tmp_path / "other"), frames)
    assert len(frames) <= 1 + 8000 // 256


def test_frames_are_not_kept_under_the_fingerprint_of_other_speech(tmp_path):
    corpus = load_corpus(write_speakers(tmp_path / "speech", "abc"))
    expected = load_frames(corpus, "validation", folder=tmp_path / "a", progress=False).copy()
    load(corpus, tmp_path / "frames")  # by now the corpus has its fingerprint
    (changed, *_) = corpus.validation
    before = changed.source.path.read_bytes()
    rewrite(changed.source.path, 16_000)
    with pytest.raises(CorpusError, match=rf"{changed.source.path} has changed .* load the corpus"):
        load_frames(corpus, "validation", folder=tmp_path / "frames", progress=False)
    assert len(files(tmp_path / "frames", "*.f32")) == 1
    changed.source.path.write_bytes(before)
    frames = load_frames(corpus, "validation", folder=tmp_path / "frames", progress=False)
    np.testing.assert_array_equal(frames, expected)


def test_an_unknown_part_is_named(corpus, tmp_path):
    with pytest.raises(ValueError, match="unknown part 'dev': choose one of train, validation"):
        load_frames(corpus, "dev", folder=tmp_path)
