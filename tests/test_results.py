"""Published numbers are those of the run records."""

import json
import math
import re

import pytest
from toc import ROOT

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.table.claims import Comparison
from sdmvae_lite.table.records import DECODED, read_record, read_records, row_means
from sdmvae_lite.table.verdicts import effect

RECORDS = {path.stem: path for path in sorted((ROOT / "results").glob("*-seed*.json"))}
ROWS = read_records(ROOT / "results", "speechocean762")
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLED = ("vae-32-log-cosine", "sdm-identity-32-log-cosine")  # of the recipe's rows
COLUMNS = ("pesq_raw", "stoi", "estoi", "si_sdr", "hoyer")


def test_every_record_says_what_it_is_of():
    for stem, path in RECORDS.items():
        record = read_record(path)
        assert stem.startswith(f"{record.corpus['name']}-{record.row}"), stem
        assert stem.endswith(f"-seed{record.training.seed}"), stem
        assert re.fullmatch("[0-9a-f]{64}", record.corpus["fingerprint"]), stem
        assert {"torch", "pesq", "pystoi"} <= record.versions.keys(), stem
        losses = record.history.validation_reconstruction
        assert 1 <= record.best_epoch <= len(losses), stem


def test_every_record_has_every_score_of_every_utterance():
    for stem, path in RECORDS.items():
        record = read_record(path)
        names = set(zip(record.utterances["speaker"], record.utterances["name"], strict=True))
        assert len(names) == len(record.utterances["n_frames"]), stem
        for decoded in DECODED:
            assert not record.unscored[decoded], stem
        sampled = not stem.split("-seed")[0].endswith("log-cosine") or record.row in SAMPLED
        assert bool(record.sample) == sampled, stem
        for scores in (record.posterior_mean, *([record.sample] if sampled else [])):
            assert {*COLUMNS, "pesq_nb", "pesq_wb"} <= scores.keys(), stem
            for measure, values in scores.items():
                assert len(values) == len(names), f"{stem}: {measure}"
                assert all(math.isfinite(value) for value in values), f"{stem}: {measure}"


def test_every_record_is_written_as_it_was_read():
    for stem, path in RECORDS.items():
        written = json.loads(path.read_text(encoding="utf-8"))
        again = read_record(path).to_json()
        assert list(again) == list(written), stem
        for part, default in (("model", ModelConfig()), ("training", TrainingConfig())):
            for name in again[part].keys() - written[part].keys():  # settings that came after it
                assert again[part].pop(name) == getattr(default, name), f"{stem}: {name}"
        assert again == written, stem


@pytest.mark.parametrize(
    ("label", "row"), [("VAE", "vae-32"), ("SDM-VAE, D = I", "sdm-identity-32")]
)
def test_the_readme_quotes_its_records(label, row):
    cells = re.search(rf"^\| {re.escape(label)} \|(.*)\|$", README, re.MULTILINE).group(1)
    quoted = [cell.strip() for cell in cells.split("|")]
    records = ROWS[row]
    assert f"the mean over {len(records)} trainings" in README
    means = [row_means(records, column).mean() for column in COLUMNS]
    formats = (".2f", ".3f", ".3f", ".1f", ".2f")
    assert quoted == [format(mean, spec) for mean, spec in zip(means, formats, strict=True)]


@pytest.mark.parametrize("measure", ["pesq_raw", "hoyer"])
def test_the_readme_quotes_an_interval_of_its_records(measure):
    found = effect(Comparison(measure, ("sdm-identity-32",), ("vae-32",)), ROWS)
    assert format(found, "+.2f") in README
