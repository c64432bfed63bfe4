"""Grids: one record a run, wherever it is made."""

import os
import signal
import time
from dataclasses import replace
from threading import Thread

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.model.models import VAE, build_model
from sdmvae_lite.scoring.codes import code_statistics
from sdmvae_lite.scoring.evaluation import evaluate, mean_scores
from sdmvae_lite.speech.corpora import load_corpus
from sdmvae_lite.speech.frames import load_frames
from sdmvae_lite.store import cache_folder
from sdmvae_lite.table.grid import run_grid, train_run
from sdmvae_lite.table.records import DECODED, read_record, read_records, row_means, scores_of
from sdmvae_lite.table.runs import Run
from sdmvae_lite.training import checkpoints
from sdmvae_lite.training.fit import fit

# A model of one's own as a cell defines it: other processes cannot import it.
NOTEBOOK = {"__name__": "__main__", "VAE": VAE}
exec(
    """class Halved(VAE):
        def kl(self, mu, logvar):
            return 0.5 * super().kl(mu, logvar)""",
    NOTEBOOK,
)
Halved = NOTEBOOK["Halved"]

TRAINING = TrainingConfig(learning_rate=1e-3, max_epochs=2)
RUNS = [
    Run(ModelConfig(m=4, hidden=8), TRAINING),
    Run(ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, hidden=8), replace(TRAINING, seed=1)),
    Run(ModelConfig(m=4, hidden=8), TRAINING, kind=Halved),
]


@pytest.fixture(scope="module")
def corpus():
    return load_corpus("synthetic", minutes=0.7)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def alone(corpus, tmp_path_factory):
    """The folder of the records of all runs, made by this process."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDMVAE_CACHE", str(folder / "cache"))
        run_grid(RUNS, corpus, folder / "records", "cpu", n_jobs=1, progress=False)
    return folder / "records"


@pytest.fixture
def expected(alone, corpus):
    return run_grid(RUNS, corpus, alone, progress=False)


def assert_same_records(ours, theirs):
    """All but the time and, for models as bad as these, the last digits of PESQ.

    The standard's code reads beyond its buffers there: the same waveforms score differently each
    time, by about 0.01.
    """
    for ours_is, expected in zip(ours, theirs, strict=True):
        record, expected = ours_is.to_json(), expected.to_json()
        assert record.keys() == expected.keys()
        for key in record.keys() - {"seconds of training"}:
            if key not in DECODED:
                assert record[key] == expected[key]
                continue
            assert record[key].keys() == expected[key].keys()
            for measure in record[key].keys() - {"pesq_raw"}:  # a map of pesq_nb, steep down there
                values = record[key][measure]
                within = 0.3 if measure.startswith("pesq") else 0
                assert values == pytest.approx(expected[key][measure], abs=within)


def test_a_record_holds_what_training_and_scoring_give(corpus, alone):
    record = read_record(alone / "synthetic-sdm-dct6-4-h8-seed1.json")
    assert record.run == RUNS[1]
    assert record.seconds_of_training >= 0
    frames = [load_frames(corpus, part, progress=False) for part in ("train", "validation")]
    model = build_model(record.model, record.training.seed)
    history = fit(model, *frames, record.training, "cpu", progress=False)
    assert record.history.validation_kl == pytest.approx(history.validation_kl, abs=1e-3)
    for key, sample in (("posterior mean", False), ("sample", True)):
        expected = mean_scores(evaluate(model, corpus.test, sample, n_jobs=1, progress=False))
        for name in ("stoi", "estoi", "si_sdr", "hoyer"):
            (found,) = row_means([record], name, key)
            assert found == pytest.approx(expected[name], abs=1e-4)
    code = code_statistics(model, corpus.test)
    assert record.code["kl"] == pytest.approx(code.kl.tolist(), abs=1e-4)
    assert scores_of([record], "hoyer_kl")[0] == pytest.approx(code.hoyer_kl, abs=1e-4)


def test_a_grid_is_the_same_over_processes_and_is_not_made_twice(corpus, tmp_path, expected):
    spread = run_grid(RUNS, corpus, str(tmp_path / "two"), "cpu", n_jobs=2, progress=False)
    assert_same_records(spread, expected)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "two").iterdir()}
    assert len(written) == 3
    assert run_grid(RUNS, corpus, tmp_path / "two", "cpu", progress=False) == spread
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "two").iterdir()} == written


def test_a_model_of_ones_own_is_a_row_of_its_own(corpus, alone, expected):
    plain, _, own = expected
    assert (alone / "synthetic-vae-4-h8-halved-seed0.json").exists()
    assert own.kind == "Halved"
    assert own.row == RUNS[2].row == "vae-4-h8-halved"
    assert read_records(alone, "synthetic").keys() == {run.row for run in RUNS}
    frames = [load_frames(corpus, part, progress=False) for part in ("train", "validation")]
    history = fit(build_model(own.model, 0, Halved), *frames, TRAINING, "cpu", progress=False)
    assert own.history.train_kl == pytest.approx(history.train_kl, abs=1e-3)
    assert own.history.train_kl[0] < 0.9 * plain.history.train_kl[0]


def test_a_run_goes_on_from_its_checkpoint_and_from_no_other(corpus, monkeypatch):
    """What took the seconds of the first call is not done again."""
    seconds = train_run(RUNS[0], corpus, "cpu", progress=False).history.seconds
    assert train_run(RUNS[0], corpus, "cpu", progress=False).history.seconds == seconds
    varied = replace(RUNS[0], variant="again")  # another name of the same training
    assert train_run(varied, corpus, "cpu", progress=False).history.seconds == seconds
    other = load_corpus("synthetic", minutes=0.7, seed=1)
    assert train_run(RUNS[0], other, "cpu", progress=False).history.seconds != seconds
    monkeypatch.setattr(checkpoints, "method", lambda *modules: "code that has changed")
    assert train_run(RUNS[0], corpus, "cpu", progress=False).history.seconds != seconds
    first, second = (train_run(RUNS[2], corpus, "cpu", progress=False) for _ in range(2))
    assert first.history.seconds != second.history.seconds
    with pytest.raises(ValueError, match="does not hold the class Halved: give it to the Run"):
        train_run(replace(RUNS[2], kind="Halved"), corpus, "cpu", progress=False)


def test_records_of_something_else_are_refused(corpus, alone, tmp_path):
    longer = Run(RUNS[0].model, replace(TRAINING, max_epochs=3))
    with pytest.raises(ValueError, match=r"vae-4-h8-seed0.json is of another run \(training is"):
        run_grid([longer], corpus, alone, "cpu", progress=False)
    other = load_corpus("synthetic", minutes=0.7, seed=1)
    with pytest.raises(ValueError, match="is of other speech"):
        run_grid(RUNS[:1], other, alone, "cpu", progress=False)
    damaged = tmp_path / "synthetic-vae-4-h8-seed0.json"
    damaged.write_text("{}")
    with pytest.raises(ValueError, match=r"vae-4-h8-seed0.json holds no run record"):
        run_grid(RUNS[:1], corpus, tmp_path, "cpu", progress=False)


def test_runs_whose_files_would_be_called_alike_are_refused(corpus, tmp_path):
    alike = [Run(ModelConfig(), TrainingConfig(learning_rate=rate)) for rate in (1e-3, 1e-4)]
    with pytest.raises(ValueError, match=r"two runs are called vae-32-seed0, .*variant=\"lr-0.001"):
        run_grid(alike, corpus, tmp_path / "records", "cpu")
    with pytest.raises(ValueError, match="there are no runs"):
        run_grid([], corpus, tmp_path / "records", "cpu")
    assert not (tmp_path / "records").exists()


def test_a_grid_over_learning_rates(corpus, tmp_path):
    runs = [
        replace(RUNS[0], training=replace(TRAINING, learning_rate=rate), variant=f"lr-{rate}")
        for rate in (0.001, 0.01)
    ]
    slow, fast = run_grid(runs, corpus, tmp_path, "cpu", n_jobs=1, progress=False)
    assert slow.history != fast.history
    assert read_records(tmp_path, "synthetic") == {
        "vae-4-h8-lr-0.001": [slow],
        "vae-4-h8-lr-0.01": [fast],
    }


def test_a_grid_over_transforms(corpus, expected, tmp_path):
    run = replace(RUNS[0], model=replace(RUNS[0].model, n_bins=257))
    (halved,) = run_grid([run], corpus, tmp_path, "cpu", n_jobs=1, progress=False)
    assert halved.row == "vae-4-h8-stft512-128"
    frames = (record.utterances["n_frames"] for record in (halved, expected[0]))
    assert [round(many / few) for many, few in zip(*frames, strict=True)] == [2, 2]


def test_a_code_of_one_coefficient_has_a_record_without_its_sparsity(corpus, tmp_path):
    run = replace(RUNS[0], model=ModelConfig(m=1, hidden=8))
    (record,) = run_grid([run], corpus, tmp_path, "cpu", n_jobs=1, progress=False)
    assert "NaN" not in (tmp_path / "synthetic-vae-1-h8-seed0.json").read_text()
    assert set(record.posterior_mean["hoyer_kl"]) == {None}
    assert np.isnan(row_means([record], "hoyer_unit_rms"))


@pytest.mark.parametrize("folder", ["file", "file/records", "/proc/records"])
def test_a_folder_that_takes_no_records_is_named_before_any_training(corpus, tmp_path, folder):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=rf"{folder} cannot be written .*: choose another folder"):
        run_grid(RUNS, corpus, tmp_path / folder, "cpu", progress=False)
    assert not cache_folder().exists()
    assert (tmp_path / "file").read_text() == "mine"


def _kill_a_busy_worker(client, folder, killed):
    """Once every worker is at work, and one has trained, end one as the kernel would."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        busy = [address for address, tasks in client.processing().items() if tasks]
        if len(busy) == 2 and list(folder.glob("*.safetensors")):
            pid = client.run(os.getpid, workers=busy[:1])[busy[0]]
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.02)


def _give_up(*_):
    raise TimeoutError("the cluster is not done after five minutes")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Two Dask workers with a cache folder of their own, as on other machines."""
    with monkeypatch.context() as patch:
        patch.setenv("SDMVAE_CACHE", str(tmp_path / "cache of the workers"))
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            patch.undo()
            yield cluster


def test_a_dask_cluster_that_loses_a_worker_makes_the_same_table(
    cluster, corpus, expected, tmp_path
):
    """Frames, training and scoring on two worker processes; one is killed in the middle."""
    killed, untrained = [], build_model(RUNS[0].model, seed=0)
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(150)  # seconds: a cluster that waits for nothing does not hold the tests up
    with Client(cluster) as client, joblib.parallel_config(backend="dask"):
        made = tmp_path / "cache of the workers" / "checkpoints"
        killer = Thread(target=_kill_a_busy_worker, args=(client, made, killed))
        killer.start()
        spread = run_grid(RUNS, corpus, tmp_path / "spread", "cpu", progress=False)
        killer.join()
        scores = evaluate(untrained, corpus.test, progress=False)
    signal.alarm(0)
    assert killed
    assert_same_records(spread, expected)
    here = evaluate(untrained, corpus.test, n_jobs=1, progress=False)
    assert [row.values["estoi"] for row in scores] == pytest.approx(
        [row.values["estoi"] for row in here]
    )
