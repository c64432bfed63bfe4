"""Published numbers are those of the run records."""

import json
import math
import re
import statistics

import pytest
from toc import ROOT

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.table.claims import PAPER, RECIPE, Comparison
from sdmvae_lite.table.records import DECODED, of_recipe, read_record, read_records, row_means
from sdmvae_lite.table.verdicts import effect

RECORDS = {path.stem: path for path in sorted((ROOT / "results").glob("*-seed*.json"))}
ROWS = read_records(ROOT / "results", "speechocean762")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = " ".join(README.split())
SAMPLED = ("vae-32-log-cosine", "sdm-identity-32-log-cosine")  # of the recipe's rows
COLUMNS = ("pesq_raw", "stoi", "estoi", "si_sdr", "hoyer")
QUOTED = {"pesq_raw": ".2f", "estoi": ".3f", "si_sdr": ".1f", "hoyer": ".2f"}


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


README_ROWS = ("vae-32", "sdm-identity-32", "vae-64", "sdm-identity-64")
TABLES = {"protocol": ROWS, "recipe": of_recipe(ROWS, RECIPE)}


@pytest.mark.parametrize("row", README_ROWS)
def test_the_readme_quotes_the_paper_and_its_records(row):
    label = ModelConfig("vae" if "vae" in row else "sdm-vae", m=int(row[-2:])).label
    lines = dict(re.findall(rf"^\| \*?{label}\*? \| \*?([\w ]+)\*? \| (.*) \|$", README, re.M))
    for how, table in TABLES.items():
        means = (row_means(table[row], column).mean() for column in QUOTED)
        quoted = [format(mean, spec) for mean, spec in zip(means, QUOTED.values(), strict=True)]
        assert lines[how] == " | ".join(quoted)
    pesq, stoi, hoyer = PAPER[row].values()
    assert lines["the paper"] == f"{pesq:.2f} | {stoi:.2f} | | {hoyer:.2f}"


def test_the_readme_says_how_many_trainings_and_how_long():
    for how, table in TABLES.items():
        trainings = [run for row in README_ROWS for run in table[row]]
        (number,) = {len(table[row]) for row in README_ROWS}
        assert f"over {number} trainings from" in PROSE or f"over {number} by the" in PROSE, how
        times = [run.seconds_of_training for run in trainings if run.seconds_of_training]
        minutes = format(statistics.median(times) / 60, ".1f")
        assert f"{minutes} minutes in the median" in PROSE or f"recipe {minutes}." in PROSE, how


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("measure", "above", "below"),
    [
        ("pesq_raw", "vae-64", "vae-32"),
        ("pesq_raw", "sdm-identity-64", "vae-64"),
        ("hoyer", "sdm-identity-64", "vae-64"),
    ],
)
def test_the_readme_quotes_intervals_of_its_records(measure, above, below, table):
    found = effect(Comparison(measure, (above,), (below,)), TABLES[table])
    assert format(found, "+.2f") in PROSE
    if above[:3] == "sdm" and measure == "pesq_raw":  # as README says
        assert found.low < 0 < found.high if table == "protocol" else found.low > 0
        assert table == "protocol" or round(found.value / 0.19, 1) == 0.2
