import json

import numpy as np
import pytest
from toc import ROOT

from sdmvae_lite import records as module
from sdmvae_lite.table.records import (
    read_record,
    read_records,
    results_folder,
    row_means,
    run_of,
    scores_of,
    weights_of,
)

RECORDS = sorted((ROOT / "results").glob("*-seed*.json"))


@pytest.fixture
def folder(tmp_path):
    """Two runs of one row, of seeds 1 and 0, and one of another."""
    record = read_record(RECORDS[0])
    for name, seed in (("a", 1), ("b", 0)):
        record["training"]["seed"] = seed
        (tmp_path / f"speechocean762-{name}-seed{seed}.json").write_text(json.dumps(record))
    record["variant"] = "untrimmed"
    (tmp_path / "speechocean762-c-seed0.json").write_text(json.dumps(record))
    return tmp_path


def test_records_come_by_row_and_seed(folder):
    row = run_of(read_record(RECORDS[0])).row
    found = read_records(folder, "speechocean762")
    assert found.keys() == {row, f"{row}-untrimmed"}
    assert [record["training"]["seed"] for record in found[row]] == [0, 1]


def test_means_count_utterances_but_for_hoyer_where_they_count_frames(folder):
    (runs, _) = read_records(folder, "speechocean762").values()
    pesq, hoyer = (scores_of(runs, measure) for measure in ("pesq_raw", "hoyer"))
    assert pesq.shape == (2, len(runs[0]["utterances"]["name"]))
    np.testing.assert_allclose(row_means(runs, "pesq_raw"), pesq.mean(axis=1))
    frames = np.array(runs[0]["utterances"]["n_frames"])
    np.testing.assert_allclose(row_means(runs, "hoyer"), hoyer @ frames / frames.sum())
    assert set(weights_of(runs, "estoi")) == {1.0}


def test_what_has_no_score_is_left_out_of_a_mean(folder):
    (runs, _) = read_records(folder, "speechocean762").values()
    scores = runs[0]["sample"]["stoi"]
    scores[3] = None
    assert np.isnan(scores_of(runs, "stoi", "sample")[0, 3])
    expected = np.mean(scores[:3] + scores[4:])
    assert row_means(runs, "stoi", "sample")[0] == pytest.approx(expected)


def test_records_of_other_speech_do_not_mix(folder):
    path = folder / "speechocean762-c-seed0.json"
    record = json.loads(path.read_text())
    record["corpus"]["fingerprint"] = "0" * 64
    path.write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"c-seed0.json is of other speech .*corpus differ"):
        read_records(folder, "speechocean762")


def test_a_corpus_whose_name_begins_alike_is_another(folder):
    path = folder / "speechocean762-c-seed0.json"
    record = json.loads(path.read_text())
    for name in ("speechocean762-c", "my[16k]"):
        record["corpus"] = {"name": name, "fingerprint": "0" * 64}
        (folder / f"{name}-vae-32-seed0.json").write_text(json.dumps(record))
        assert len(read_records(folder, name)) == 1
    assert len(read_records(folder, "speechocean762")) == 2


def test_what_is_not_there_is_said(folder):
    with pytest.raises(FileNotFoundError, match="no records of 'librispeech'"):
        read_records(folder, "librispeech")
    with pytest.raises(ValueError, match=r"unknown measure 'mos': the records hold .*pesq_raw"):
        scores_of([read_record(RECORDS[0])], "mos")
    with pytest.raises(ValueError, match="one of posterior mean, sample, not 'mean'"):
        scores_of([read_record(RECORDS[0])], "stoi", "mean")


def test_the_records_are_found_without_a_checkout_too(monkeypatch, tmp_path):
    assert results_folder() == ROOT / "results"
    monkeypatch.setattr(module, "RESULTS", tmp_path / "gone")
    assert results_folder() == ROOT / "sdmvae_lite" / "results"  # where the installer puts them
