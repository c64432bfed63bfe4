import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdmvae_lite.config import ModelConfig
from sdmvae_lite.model.files import load_model, save_model
from sdmvae_lite.model.models import build_model

CONFIGS = {
    "vae": ModelConfig(m=4, hidden=8, n_bins=33),
    "sdm-dct": ModelConfig("sdm-vae", m=4, dictionary="dct", k=6, hidden=8, n_bins=33),
    "vsc-pseudo": ModelConfig("vsc", m=4, pseudo_inputs=3, hidden=8, n_bins=33),
}


@pytest.fixture
def saved(tmp_path):
    return save_model(build_model(CONFIGS["sdm-dct"], seed=0), tmp_path / "model")


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_model_comes_back_as_it_was(config, tmp_path):
    model = build_model(config, seed=0)
    folder = save_model(model, tmp_path / "deep" / "model", corpus="synthetic", seed=0)
    loaded = load_model(folder)
    assert loaded.config == config
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])
    assert sorted(os.listdir(folder)) == ["model.json", "weights.safetensors"]
    assert os.listdir(folder.parent) == ["model"]
    notes = json.loads((folder / "model.json").read_text())["notes"]
    assert notes == {"corpus": "synthetic", "seed": 0}


def test_an_existing_folder_is_never_overwritten(saved):
    before = (saved / "weights.safetensors").read_bytes()
    with pytest.raises(FileExistsError, match=r"model exists already: choose another name"):
        save_model(build_model(CONFIGS["vae"], seed=1), saved)
    assert (saved / "weights.safetensors").read_bytes() == before


def test_nothing_is_left_when_saving_fails(tmp_path):
    with pytest.raises(TypeError):
        save_model(build_model(CONFIGS["vae"], seed=0), tmp_path / "model", notes=object())
    assert os.listdir(tmp_path) == []


def test_the_umask_says_who_may_read(tmp_path):
    before = os.umask(0o027)
    try:
        folder = save_model(build_model(CONFIGS["vae"], seed=0), tmp_path / "model")
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o750
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o640] * 2


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=f"{tmp_path}/model cannot be written .*free some room"):
        save_model(build_model(CONFIGS["vae"], seed=0), tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from sdmvae_lite import ModelConfig, build_model, save_model
Path.rename = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
save_model(build_model(ModelConfig(m=4, hidden=8, n_bins=33)), sys.argv[1])
"""
    command = [sys.executable, "-c", program, tmp_path / "model"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    long_ago = time.time() - 7200
    os.utime(left, (long_ago, long_ago))
    save_model(build_model(CONFIGS["vae"], seed=0), str(tmp_path / "model"))
    assert os.listdir(tmp_path) == ["model"]


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save_model(build_model(CONFIGS["vae"], seed=0), "~/model") == tmp_path / "model"
    assert load_model("~/model").config == CONFIGS["vae"]


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match=name + " is missing"):
        load_model(saved)


def test_weights_of_another_configuration_are_refused(saved, tmp_path):
    other = save_model(build_model(CONFIGS["vae"], seed=0), tmp_path / "other")
    os.replace(other / "weights.safetensors", saved / "weights.safetensors")
    with pytest.raises(
        ValueError,
        match=r"weights.safetensors does not hold the weights of .*: decoder_hidden|dict",
    ):
        load_model(saved)


def test_damaged_weights_are_named(saved):
    path = saved / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"weights.safetensors does not hold the weights"):
        load_model(saved)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda x: x.fill_(torch.nan), "encoder_mu.bias holds NaN or infinite values"),
        (lambda x: x.fill_(-torch.inf), "encoder_mu.bias holds NaN or infinite values"),
        (torch.Tensor.int, r"encoder_mu.bias: expected \(6,\) torch.float32, found .*int32"),
        (torch.Tensor.half, r"encoder_mu.bias: expected \(6,\) torch.float32, found .*float16"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(saved, spoil, named):
    path = saved / "weights.safetensors"
    state = load_file(path)
    state["encoder_mu.bias"] = spoil(state["encoder_mu.bias"])
    save_file(state, path)
    with pytest.raises(ValueError, match=rf"weights.safetensors does not hold .*: {named}"):
        load_model(saved)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"model": {"latent": 3}}', '{"model": {"m": "4"}}', '{"model": 3}'],
)
def test_a_description_that_is_none_is_named(saved, text):
    (saved / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model.json describes no model"):
        load_model(saved)
