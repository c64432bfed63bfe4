"""Runs and the one name that a row of the table has."""

from dataclasses import replace

import pytest

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.model.models import VAE
from sdmvae_lite.table.runs import ROWS_AFTER_THE_PAPER, ROWS_OF_TABLE_1, Run, check_runs, table_1


def test_table_1_has_fourteen_different_rows():
    assert len(set(ROWS_OF_TABLE_1)) == 14
    runs = table_1()
    assert len({run.name for run in runs}) == 70
    assert {run.training for run in runs} == {TrainingConfig(seed=seed) for seed in range(5)}


@pytest.mark.parametrize(
    ("config", "name", "label"),
    [
        (ModelConfig(), "vae-32", "VAE, m = 32"),
        (
            ModelConfig("vsc", alpha=0.05, pseudo_inputs=20),
            "vsc-0.05-u20-32",
            "VSC, α = 0.05, 20 pseudo-inputs, m = 32",
        ),
        (ModelConfig("sdm-vae", m=64), "sdm-identity-64", "SDM-VAE, D = I, m = 64"),
        (
            ModelConfig("sdm-vae", dictionary="dct", k=64, constant_atom=False),
            "sdm-dct64-32-no-constant",
            "SDM-VAE, D = DCT (k = 64), m = 32, no constant atom",
        ),
        (ModelConfig(hidden=64), "vae-32-h64", "VAE, m = 32, 64 hidden units"),
        (
            ModelConfig(hop_length=128),
            "vae-32-stft1024-128",
            "VAE, m = 32, STFT of 1024 samples every 128",
        ),
        (
            ModelConfig(n_bins=257),
            "vae-32-stft512-128",
            "VAE, m = 32, STFT of 512 samples every 128",
        ),
        (ModelConfig(n_bins=513, hop_length=256), "vae-32", "VAE, m = 32"),
    ],
)
def test_a_row_is_named_and_labelled_by_all_that_is_not_the_papers(config, name, label):
    assert (config.name, config.label) == (name, label)


def test_rows_after_the_paper_have_names_of_their_own():
    names = [row.name for row in ROWS_AFTER_THE_PAPER]
    assert names[0] == "student-32"
    assert len({*names, *(row.name for row in ROWS_OF_TABLE_1)}) == len(names) + 14


@pytest.mark.parametrize("variant", ["a/b", "..\\b", "lr 0.001", "ä", "a:b", "a\n", None, 0.001])
def test_a_variant_is_part_of_a_file_name(variant):
    with pytest.raises(ValueError, match="is part of a file's name: use letters, digits and"):
        Run(ModelConfig(), variant=variant)


def test_a_row_has_one_name_with_all_that_tells_it_from_others():
    class Laplace(VAE):
        pass

    training = TrainingConfig(learning_rate=1e-3, shuffle=False, seed=7)
    run = Run(ModelConfig(hidden=64), training, "lr-0.001", Laplace)
    assert run.row == "vae-32-h64-laplace-unshuffled-lr-0.001"
    assert run.name == f"{run.row}-seed7"
    assert Run(ModelConfig()).name == "vae-32-seed0"


def test_runs_of_one_name_are_refused_and_a_variant_tells_them_apart():
    rates = (1e-3, 1e-4)
    alike = [Run(ModelConfig(), TrainingConfig(learning_rate=rate)) for rate in rates]
    with pytest.raises(ValueError, match=r'two runs are called vae-32-seed0, .*variant="lr-0.001"'):
        check_runs([*table_1(seeds=1)[1:], *alike])
    check_runs([replace(run, variant=f"lr-{run.training.learning_rate}") for run in alike])
