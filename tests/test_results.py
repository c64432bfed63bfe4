"""Published numbers are those of the run records."""

import json
import math
import re
import statistics
import sys
from itertools import compress

import pytest
from toc import ROOT

from sdmvae_lite.config import ModelConfig, TrainingConfig
from sdmvae_lite.table.claims import PAPER, RECIPE, Comparison
from sdmvae_lite.table.records import DECODED, of_recipe, read_record, read_records, row_means
from sdmvae_lite.table.verdicts import effect

sys.path.insert(0, str(ROOT))
from benchmarks.enhancement import gained

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
    protocol, recipe = ([len(table[row]) for row in README_ROWS] for table in TABLES.values())
    assert protocol[::2] == protocol[1::2]
    assert "by the protocol {} at m = 32 and {} at m = 64".format(*protocol[::2]) in PROSE
    (number,) = set(recipe)
    assert f"{number} by the recipe" in PROSE
    for how, table in TABLES.items():
        trainings = [run for row in README_ROWS for run in table[row]]
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


def results(name):
    return json.loads((ROOT / "results" / f"speechocean762-{name}.json").read_text("utf-8"))


def test_the_readme_quotes_the_learned_degrees_of_freedom():
    models = results("student")["models"]
    found = [m["nu"] for name, m in models.items() if re.match(r"student-(32|64|128)-log", name)]
    assert f"ν ended above {math.floor(min(found))} in each of {len(found)} trainings" in PROSE


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("loglinear-learned-128-dearest16", "{:.2f} in the mean, and by chance {:.2f}."),
        ("loglinear-learned-64", "the two are {:.2f} and {:.2f}."),
    ],
)
def test_the_readme_quotes_how_far_atoms_are_found_again(row, said):
    pairs = results("atoms")["rows"][f"{row}-log-cosine"]["pairs"]
    kept = [pair for name, pair in pairs.items() if "components" not in name]
    found = [statistics.mean(pair[k] for pair in kept) for k in ("matched", "matched, smooth")]
    assert said.format(*found) in PROSE
    assert all(pair["matched, rotated"] < pair["matched, smooth"] for pair in kept)


def test_the_readme_quotes_what_a_few_coefficients_leave():
    kept = results("coefficients-kept")["kept"]

    def reached(row, count):
        scores = [seed["pesq_raw"][count] for seed in kept[f"{row}-log-cosine"].values()]
        return statistics.mean(map(statistics.mean, scores))

    gains = [
        reached(f"sdm-{name}-{m}", count) - reached(f"vae-{m}", count)
        for name in ("identity", "dct32", "dct64")
        for m in (32, 64)
        for count in ("8", "16")
    ]
    assert f"by {min(gains):.2f} to {max(gains):.2f} in PESQ" in PROSE


def test_the_readme_quotes_what_enhancement_reached():
    held = results("enhancement")
    noisy = [noise != "none" for noise in held["mixtures"]["noise"]]
    for each in (held["mixtures"], *held["systems"].values()):
        each.update({key: list(compress(column, noisy)) for key, column in each.items()})
    trainings = [f"{{}}-log-cosine-seed{seed} fast" for seed in range(5)]
    vaes, sdms = ([each.format(row) for each in trainings] for row in README_ROWS[:2])
    for above, below, measure, digits in [
        (vaes[:1], ["mixture"], "si_sdr", 1),
        (vaes[:1], ["log-MMSE"], "si_sdr", 1),
        (vaes[:1], ["log-MMSE"], "pesq_raw", 2),
        (sdms, vaes, "si_sdr", 1),
    ]:
        assert f"{gained(held, above, below, measure).interval():+.{digits}f}" in PROSE
