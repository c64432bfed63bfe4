"""Published numbers are those of the run records."""

import json
import math
import re

import pytest
from toc import ROOT

from sdmvae_lite.table.claims import Comparison, effect
from sdmvae_lite.table.records import DECODED, read_records, row_means, run_of

RECORDS = {path.stem: path for path in sorted((ROOT / "results").glob("*-seed*.json"))}
ROWS = read_records(ROOT / "results", "speechocean762")
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLUMNS = ("pesq_raw", "stoi", "estoi", "si_sdr", "hoyer")

each_record = pytest.mark.parametrize("path", RECORDS.values(), ids=RECORDS)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@each_record
def test_a_record_says_what_it_is_of(path):
    record = read(path)
    assert path.stem.startswith(f"{record['corpus']['name']}-{run_of(record).row}")
    assert path.stem.endswith(f"-seed{record['training']['seed']}")
    assert re.fullmatch("[0-9a-f]{64}", record["corpus"]["fingerprint"])
    assert {"torch", "pesq", "pystoi"} <= record["versions"].keys()
    losses = record["history"]["validation_reconstruction"]
    assert 1 <= record["best epoch"] <= len(losses)


@each_record
def test_a_record_has_every_score_of_every_utterance(path):
    record = read(path)
    said = record["utterances"]
    names = set(zip(said["speaker"], said["name"], strict=True))
    assert len(names) == len(said["n_frames"])
    for decoded in DECODED:
        assert not record["unscored"][decoded]
        assert {*COLUMNS, "pesq_nb", "pesq_wb"} <= record[decoded].keys()
        for values in record[decoded].values():
            assert len(values) == len(names)
            assert all(math.isfinite(value) for value in values)


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
