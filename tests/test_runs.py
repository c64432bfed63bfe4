"""Runs and the one name that a row of the table has."""

import pytest

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1, table_1


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
