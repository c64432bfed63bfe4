"""Training that stops and goes on, with the same and nothing else."""

import multiprocessing
import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from noise import MODELS, TRAINING, make_frames, stop_before, weights

from sdmvae_lite.config import TrainingConfig
from sdmvae_lite.model.dictionaries import dct_dictionary
from sdmvae_lite.model.models import build_model
from sdmvae_lite.training import checkpoints
from sdmvae_lite.training.fit import fit

every_model = pytest.mark.parametrize("config", MODELS.values(), ids=MODELS)
ONCE = TrainingConfig(batch_size=64, max_epochs=1)


@every_model
def test_a_run_in_two_sittings_equals_one_in_one(config, train, validation, tmp_path, monkeypatch):
    whole = build_model(config, seed=0)
    expected = fit(whole, train, validation, TRAINING, device="cpu", progress=False)

    class Interrupted(Exception):
        pass

    def stop_in_epoch_3(epoch):
        if epoch == 3:
            raise Interrupted

    first = build_model(config, seed=0)
    begin_epoch = first.begin_epoch
    monkeypatch.setattr(first, "begin_epoch", lambda e: (stop_in_epoch_3(e), begin_epoch(e)))
    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(Interrupted):
        fit(first, train, validation, TRAINING, "cpu", checkpoint, progress=False)

    second = build_model(config, seed=0)
    history = fit(second, train, validation, TRAINING, "cpu", checkpoint, progress=False)
    assert history == expected
    assert torch.equal(weights(second), weights(whole))


def _fit_slowly(checkpoint):
    torch.set_num_threads(1)
    model = build_model(MODELS["sdm-dct"], seed=0)
    begin_epoch = model.begin_epoch
    model.begin_epoch = lambda epoch: (time.sleep(0.2), begin_epoch(epoch))
    frames = make_frames(640, 0), make_frames(128, 1)
    fit(model, *frames, TRAINING, "cpu", checkpoint, progress=False)


def test_a_killed_run_equals_one_never_killed(train, validation, tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    process = multiprocessing.get_context("spawn").Process(target=_fit_slowly, args=(checkpoint,))
    process.start()
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL

    resumed, whole = (build_model(MODELS["sdm-dct"], seed=0) for _ in range(2))
    history = fit(resumed, train, validation, TRAINING, "cpu", checkpoint, progress=False)
    assert history == fit(whole, train, validation, TRAINING, "cpu", progress=False)
    assert torch.equal(weights(resumed), weights(whole))


def test_a_finished_run_is_not_run_again(train, validation, tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    model, again = (build_model(MODELS["vae"], seed=0) for _ in range(2))
    first = fit(model, train, validation, TRAINING, "cpu", checkpoint, progress=False)
    written = checkpoint.stat().st_mtime_ns
    assert fit(again, train, validation, TRAINING, "cpu", checkpoint, progress=False) == first
    assert torch.equal(weights(model), weights(again))
    assert checkpoint.stat().st_mtime_ns == written


@pytest.fixture
def checkpoint(train, validation, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(build_model(MODELS["sdm-dct"], 0), train, validation, ONCE, "cpu", path, False)
    return path


@pytest.mark.parametrize(
    ("config", "seed", "training", "named"),
    [
        (MODELS["sdm-dct"], 1, ONCE, r"\(weights was [0-9a-f]{64}, is now [0-9a-f]{64}\)"),
        (
            MODELS["vsc"],
            0,
            ONCE,
            r"\(class was sdmvae_lite.SDMVAE, is now sdmvae_lite.VSC; .*model",
        ),
        (replace(MODELS["sdm-dct"], hidden=8), 0, ONCE, "; model hidden was 16, is now 8|weights"),
        (MODELS["sdm-dct"], 0, replace(ONCE, batch_size=32), r"\(training batch_size was 64, is"),
        (MODELS["sdm-dct"], 0, replace(ONCE, seed=3), r"\(training seed was 0, is now 3\)"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    config, seed, training, named, train, validation, checkpoint
):
    with pytest.raises(ValueError, match=rf"run.safetensors is of another run .*{named}"):
        fit(build_model(config, seed), train, validation, training, "cpu", checkpoint, False)


def test_a_checkpoint_of_other_frames_is_refused(train, validation, checkpoint):
    """Also where there are as many of them."""
    for part, frames in (
        ("train", (train[1:], validation)),
        ("train", (100 * train, validation)),
        ("validation", (train, 2 * validation)),
    ):
        count = len(train if part == "train" else validation)
        number = len(frames[0] if part == "train" else frames[1])
        named = rf"\({part} frames was {count} with .*, is now {number} with digest \w*\)"
        with pytest.raises(ValueError, match=f"another run {named}"):
            fit(build_model(MODELS["sdm-dct"], 0), *frames, ONCE, "cpu", checkpoint, False)


def test_a_checkpoint_of_another_dictionary_is_refused(train, validation, checkpoint):
    dictionary = dct_dictionary(4, 6)
    mine = dictionary[:, torch.randperm(6, generator=torch.Generator().manual_seed(0))]
    model = build_model(MODELS["sdm-dct"], 0)
    model.dictionary.copy_(mine)
    with pytest.raises(ValueError, match=r"another run \(weights was"):
        fit(model, train, validation, ONCE, "cpu", checkpoint, False)
    assert torch.equal(model.dictionary, mine)


def test_a_checkpoint_of_other_code_is_refused(train, validation, checkpoint, monkeypatch):
    monkeypatch.setattr(checkpoints, "method", lambda *modules: "of tomorrow")
    with pytest.raises(ValueError, match=r"another run \(method was .*, is now of tomorrow\)"):
        fit(build_model(MODELS["sdm-dct"], 0), train, validation, ONCE, "cpu", checkpoint, False)


def test_a_flipped_bit_of_a_checkpoint_is_found(train, validation, checkpoint):
    whole = checkpoint.read_bytes()
    rng = np.random.default_rng(0)
    for place in (*rng.integers(0, len(whole), 60), *rng.integers(8, 2500, 60)):  # and the header
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        checkpoint.write_bytes(damaged)
        model = build_model(MODELS["sdm-dct"], 0)
        with pytest.raises(ValueError, match=r"run.safetensors is no checkpoint, or a damaged one"):
            fit(model, train, validation, ONCE, "cpu", checkpoint, False)
    checkpoint.write_bytes(whole)
    fit(build_model(MODELS["sdm-dct"], 0), train, validation, ONCE, "cpu", checkpoint, False)


def test_a_checkpoint_is_a_file_by_whatever_kind_of_path(train, validation, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fit(build_model(MODELS["vae"], 0), train, validation, ONCE, "cpu", "~/run", False)
    assert (tmp_path / "run").is_file()
    with pytest.raises(ValueError, match=f"the checkpoint {tmp_path} is a folder: name a file"):
        fit(build_model(MODELS["vae"], 0), train, validation, ONCE, "cpu", str(tmp_path), False)


def test_a_checkpoint_that_cannot_be_written_is_named(train, validation, checkpoint):
    model, below = build_model(MODELS["vae"], 0), checkpoint / "below"
    with pytest.raises(OSError, match=f"{below} cannot be written"):
        fit(model, train, validation, ONCE, "cpu", below, False)
    assert torch.equal(weights(model), weights(build_model(MODELS["vae"], 0)))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@every_model
def test_an_interrupted_model_is_what_it_was_and_can_be_given_again(
    config, error, train, validation, tmp_path, monkeypatch
):
    whole, model = (build_model(config, seed=0) for _ in range(2))
    expected = fit(whole, train, validation, TRAINING, "cpu", progress=False)
    before = weights(model)
    with monkeypatch.context() as patch:
        stop_before(patch, model, 3, error)
        with pytest.raises(error):
            fit(model, train, validation, TRAINING, "cpu", tmp_path / "run", False)
    assert torch.equal(weights(model), before)
    assert fit(model, train, validation, TRAINING, "cpu", tmp_path / "run", False) == expected
    assert torch.equal(weights(model), weights(whole))


def test_what_is_no_checkpoint_is_refused(train, validation, checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ValueError, match="is no checkpoint, or a damaged one"):
        fit(build_model(MODELS["sdm-dct"], 0), train, validation, ONCE, "cpu", checkpoint, False)
