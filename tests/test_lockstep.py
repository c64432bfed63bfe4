import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise import make_frames
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from sdmvae_lite import stacks
from sdmvae_lite.batches import hold_frames
from sdmvae_lite.config import ModelConfig, Run, TrainingConfig
from sdmvae_lite.lockstep import fit_many
from sdmvae_lite.models import build_model
from sdmvae_lite.stacks import Stack, Trainee, train_together
from sdmvae_lite.training import fit

SIZES = {"hidden": 16, "n_bins": 33}
ROWS = {
    **{f"vae-{m}": ModelConfig(m=m, **SIZES) for m in (4, 8)},
    **{f"vsc-{m}": ModelConfig("vsc", m=m, alpha=0.2, **SIZES) for m in (4, 8)},
    **{f"sdm-identity-{m}": ModelConfig("sdm-vae", m=m, **SIZES) for m in (4, 8)},
    **{
        f"sdm-dct{k}-{m}": ModelConfig("sdm-vae", m=m, dictionary="dct", k=k, **SIZES)
        for m, k in ((4, 6), (8, 8))
    },
    "vsc-pseudo": ModelConfig("vsc", m=4, pseudo_inputs=3, **SIZES),
}
every_row = pytest.mark.parametrize("config", ROWS.values(), ids=ROWS)
TRAINING = TrainingConfig(learning_rate=3e-3, batch_size=64, max_epochs=4)
CPU = torch.device("cpu")


TRAIN, VALIDATION = make_frames(600, 0), make_frames(128, 1)  # the last batch is a short one


def runs_of(config, seeds=(0,), **changes):
    return [Run(config, replace(TRAINING, seed=seed, **changes)) for seed in seeds]


def fitted(run):
    model = build_model(run.model, run.training.seed)
    return model, fit(model, TRAIN, VALIDATION, run.training, "cpu", progress=False)


def assert_same_training(ours, theirs):
    """Losses to 1e-5 of their size, weights to 1e-3: float32 rounding after up to 110 steps."""
    (model, history), (expected, expected_history) = ours, theirs
    assert history.epochs == expected_history.epochs
    assert history.best_epoch == expected_history.best_epoch
    for name in ("train_loss", "validation_loss", "train_kl", "validation_kl"):
        np.testing.assert_allclose(
            getattr(history, name), getattr(expected_history, name), rtol=1e-5, err_msg=name
        )
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-3)


@every_row
def test_each_run_equals_fit(config):
    runs = runs_of(config, seeds=(0, 1))
    results = fit_many(runs, TRAIN, VALIDATION, "cpu", progress=False)
    for run, ours in zip(runs, results, strict=True):
        assert_same_training(ours, fitted(run))


@every_row
def test_a_stack_equals_its_runs_one_by_one(config):
    """What a GPU does, on a CPU: three runs share each product, and leave at different times."""
    runs = [run for p in (1, 2, 9) for run in runs_of(config, (p,), patience=p, max_epochs=2 + p)]
    trainees = [Trainee(run, TRAIN, VALIDATION, CPU) for run in runs]
    frames = [hold_frames(part, "", 33, CPU) for part in (TRAIN, VALIDATION)]
    with tqdm(disable=True, total=0) as bar:
        steps = sum(1 for _ in train_together(trainees, *frames, bar))
    for run, trainee in zip(runs, trainees, strict=True):
        model = build_model(run.model, 0)
        model.load_state_dict(trainee.best)
        assert_same_training((model, trainee.history), fitted(run))
    assert steps == 10 * max(trainee.history.epochs for trainee in trainees)


def test_each_run_stops_by_its_own_losses():
    config = ROWS["sdm-dct6-4"]
    runs = runs_of(config, range(4), learning_rate=0.1, patience=2, max_epochs=40)
    results = fit_many(runs, TRAIN, VALIDATION, "cpu", n_jobs=2, progress=False)
    assert len({result.history.epochs for result in results}) > 1
    assert all(result.history.epochs < 40 for result in results)
    assert all(result.history.epochs == result.history.best_epoch + 2 for result in results)


def test_the_number_of_jobs_changes_nothing():
    runs = [Run(config, TRAINING) for config in ROWS.values()]
    one, two = (fit_many(runs, TRAIN, VALIDATION, "cpu", n_jobs=n, progress=False) for n in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert first.history == second.history
        assert all(
            torch.equal(value, second.model.state_dict()[name])
            for name, value in first.model.state_dict().items()
        )


def test_torch_is_left_as_it_was():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fit_many(runs_of(ROWS["vae-4"], (0, 1)), TRAIN, VALIDATION, "cpu", progress=False)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def identical(ours, theirs):
    weights = theirs[0].state_dict()
    return ours[1] == theirs[1] and all(
        torch.equal(value, weights[name]) for name, value in ours[0].state_dict().items()
    )


@every_row
def test_runs_in_two_sittings_equal_runs_in_one(config, tmp_path, monkeypatch):
    runs = runs_of(config, (0, 1))
    whole = fit_many(runs, TRAIN, VALIDATION, "cpu", progress=False)
    monkeypatch.setattr(stacks, "CHECKPOINT_SECONDS", 0)

    class Interrupted(Exception):
        pass

    epoch = Stack.epoch

    def interrupted(stack, *frames):
        if stack.trainees[0].history.epochs == 2:
            raise Interrupted
        return epoch(stack, *frames)

    monkeypatch.setattr(Stack, "epoch", interrupted)
    with pytest.raises(Interrupted):
        fit_many(runs, TRAIN, VALIDATION, "cpu", tmp_path, n_jobs=1, progress=False)
    monkeypatch.setattr(Stack, "epoch", epoch)
    assert (tmp_path / f"{runs[0].name}.safetensors").exists()
    resumed = fit_many(runs, TRAIN, VALIDATION, "cpu", tmp_path, progress=False)
    assert all(identical(*pair) for pair in zip(resumed, whole, strict=True))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = fit_many(runs, TRAIN, VALIDATION, "cpu", tmp_path, progress=False)
    assert all(identical(*pair) for pair in zip(again, whole, strict=True))
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


@pytest.mark.parametrize("first", ["fit", "fit_many"])
def test_fit_and_fit_many_take_up_each_others_checkpoints(first, tmp_path, monkeypatch):
    monkeypatch.setattr(stacks, "CHECKPOINT_SECONDS", 0)
    (run,) = runs_of(ROWS["sdm-dct6-4"], learning_rate=1e-3)
    path = tmp_path / f"{run.name}.safetensors"

    def by_fit():
        model = build_model(run.model, run.training.seed)
        return model, fit(model, TRAIN, VALIDATION, run.training, "cpu", path, progress=False)

    def by_fit_many():
        return fit_many([run], TRAIN, VALIDATION, "cpu", tmp_path, progress=False)[0]

    begun, ended = (by_fit, by_fit_many) if first == "fit" else (by_fit_many, by_fit)
    _stop_after_two_epochs(monkeypatch, begun)
    assert path.exists()
    assert_same_training(ended(), fitted(run))


@pytest.mark.parametrize("epochs", [2, 4])
def test_a_checkpoint_of_another_device_is_taken_up(epochs, tmp_path):
    """A GPU's generator has a state of 16 bytes."""
    run, longer = (runs_of(ROWS["vae-4"], max_epochs=n)[0] for n in (2, 4))
    (trained,) = fit_many([run], TRAIN, VALIDATION, "cpu", tmp_path, progress=False)
    path = tmp_path / f"{run.name}.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    metadata["run"] = metadata["run"].replace('"max_epochs": 2', f'"max_epochs": {epochs}')
    of_a_gpu = load_file(path) | {"generator": torch.zeros(16, dtype=torch.uint8)}
    save_file(of_a_gpu, path, metadata=metadata)
    taken_up = run if epochs == 2 else longer
    ((_, history),) = fit_many([taken_up], TRAIN, VALIDATION, "cpu", tmp_path, progress=False)
    assert history.epochs == epochs
    assert history.train_loss[:2] == trained.history.train_loss


def _stop_after_two_epochs(monkeypatch, train):
    class Interrupted(Exception):
        pass

    begin = type(build_model(ModelConfig(**SIZES))).begin_epoch

    def begin_epoch(model, epoch):
        if epoch == 2:
            raise Interrupted
        begin(model, epoch)

    with monkeypatch.context() as patch:
        patch.setattr("sdmvae_lite.models.VAE.begin_epoch", begin_epoch)
        with pytest.raises(Interrupted):
            train()


def _fit_many_for_long(folder):
    stacks.CHECKPOINT_SECONDS = 0
    fit_many(LONG, TRAIN, VALIDATION, "cpu", folder, progress=False)


LONG = runs_of(ROWS["vsc-4"], (0, 1), max_epochs=60, patience=60)


def test_killed_runs_equal_runs_never_killed(tmp_path):
    process = multiprocessing.get_context("spawn").Process(
        target=_fit_many_for_long, args=(tmp_path,)
    )
    process.start()
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("*.safetensors"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    resumed = fit_many(LONG, TRAIN, VALIDATION, "cpu", tmp_path, progress=False)
    whole = fit_many(LONG, TRAIN, VALIDATION, "cpu", progress=False)
    assert all(identical(*pair) for pair in zip(resumed, whole, strict=True))


def test_a_run_that_diverges_is_named_and_ends_the_others():
    runs = runs_of(ROWS["vae-4"], (0,), max_epochs=100_000)
    runs += runs_of(ROWS["vae-4"], (1,), learning_rate=1e6)
    with pytest.raises(FloatingPointError, match="vae-4-seed1: the loss is no longer finite"):
        fit_many(runs, TRAIN, VALIDATION, "cpu", n_jobs=2, progress=False)
    assert not [thread for thread in threading.enumerate() if "Pool" in thread.name]


@pytest.mark.parametrize(
    ("runs", "named"),
    [
        ([], "no runs"),
        (runs_of(ROWS["vae-4"], (0, 0)), "two runs are called vae-4-seed0"),
        ([Run(ModelConfig(n_bins=33)), Run(ModelConfig(n_bins=17, m=4))], "different numbers"),
        ([Run(ModelConfig(n_bins=17))], r"train frames have shape \(600, 33\)"),
    ],
)
def test_runs_that_cannot_be_trained_are_refused(runs, named):
    with pytest.raises(ValueError, match=named):
        fit_many(runs, TRAIN, VALIDATION, "cpu", progress=False)


def test_a_bar_counts_the_epochs_that_are_left(capsys):
    fit_many(runs_of(ROWS["vae-4"], (0, 1)), TRAIN, VALIDATION, "cpu", progress=True)
    assert "8/8" in capsys.readouterr().err


@pytest.mark.cuda
@every_row
def test_a_gpu_trains_each_run_as_fit_does_there(config):
    """With steps captured: ten a batch size, of which the last of each epoch is a short one."""
    runs = runs_of(config, seeds=(0, 1, 2))
    for run, result in zip(
        runs, fit_many(runs, TRAIN, VALIDATION, "cuda", progress=False), strict=True
    ):
        model = build_model(run.model, run.training.seed)
        history = fit(model, TRAIN, VALIDATION, run.training, "cuda", progress=False)
        np.testing.assert_allclose(
            result.history.validation_loss, history.validation_loss, rtol=1e-3
        )
