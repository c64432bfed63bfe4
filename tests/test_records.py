import errno
import json
from dataclasses import replace

import numpy as np
import pytest
from toc import ROOT

from sdmvae_lite.table import records as module
from sdmvae_lite.table.records import (
    of_recipe,
    of_runs,
    read_record,
    read_records,
    results_folder,
    row_means,
    scores_of,
    weights_of,
    write_record,
)
from sdmvae_lite.training.fit import History

RECORD = ROOT / "results" / "speechocean762-vae-32-seed0.json"


@pytest.fixture
def record():
    return read_record(RECORD)


@pytest.fixture
def folder(tmp_path, record):
    """Two runs of one row, of seeds 1 and 0, and one of another."""
    for name, seed in (("a", 1), ("b", 0)):
        seeded = replace(record, training=replace(record.training, seed=seed))
        write_record(tmp_path / f"speechocean762-{name}-seed{seed}.json", seeded)
    varied = replace(seeded, variant="untrimmed")
    write_record(tmp_path / "speechocean762-c-seed0.json", varied)
    return tmp_path


def test_records_come_by_row_and_seed(folder, record):
    found = read_records(str(folder), "speechocean762")
    assert found.keys() == {record.row, f"{record.row}-untrimmed"}
    assert [each.training.seed for each in found[record.row]] == [0, 1]
    assert record.row == record.run.row


def test_a_record_is_the_same_after_a_file(folder, record):
    varied = replace(record, variant="lr-0.001", kind="Laplace")
    path = str(folder / "new folder" / "speechocean762-d-seed0.json")
    write_record(path, varied)
    assert read_record(path) == varied
    assert read_record(path).row == f"{record.model.name}-laplace-lr-0.001"
    assert read_record(path).run.kind == "Laplace"


def test_means_count_utterances_but_for_hoyer_where_they_count_frames(folder):
    (runs, _) = read_records(folder, "speechocean762").values()
    pesq, hoyer = (scores_of(runs, measure) for measure in ("pesq_raw", "hoyer"))
    assert pesq.shape == (2, len(runs[0].utterances["name"]))
    np.testing.assert_allclose(row_means(runs, "pesq_raw"), pesq.mean(axis=1))
    frames = np.array(runs[0].utterances["n_frames"])
    np.testing.assert_allclose(row_means(runs, "hoyer"), hoyer @ frames / frames.sum())
    assert set(weights_of(runs, "estoi")) == {1.0}


@pytest.mark.parametrize(
    ("measure", "mean"),
    [("hoyer", 0.8), ("hoyer_unit_rms", 0.8), ("hoyer_kl", 0.8), ("estoi", 0.5), ("pesq_wb", 0.5)],
)
def test_a_long_and_a_short_utterance(record, measure, mean):
    """Of 1 and of 4 frames: scores over frames have one value a frame, others one a file."""
    scores = {measure: [0.0, 1.0]}
    both = replace(record, utterances={"n_frames": [1, 4]}, posterior_mean=scores, sample=scores)
    for decoded in ("posterior mean", "sample"):
        assert row_means([both], measure, decoded) == pytest.approx([mean])


def test_what_has_no_score_is_left_out_of_a_mean(folder):
    (runs, _) = read_records(folder, "speechocean762").values()
    scores = runs[0].sample["stoi"]
    scores[3] = None
    assert np.isnan(scores_of(runs, "stoi", "sample")[0, 3])
    assert np.isnan(runs[0].scores("stoi", "sample")).sum() == 1
    expected = np.mean(scores[:3] + scores[4:])
    assert row_means(runs, "stoi", "sample")[0] == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_a_run_without_any_score_has_no_mean(record):
    nothing = [None] * len(record.utterances["name"])
    unscored = replace(record, posterior_mean=record.posterior_mean | {"hoyer_kl": nothing})
    np.testing.assert_array_equal(
        np.isnan(row_means([record, unscored], "hoyer_kl")), [False, True]
    )


def test_rows_of_the_recipe_come_under_the_names_of_the_paper(folder, record):
    model = replace(record.model, input="log-power")
    by_recipe = replace(record, model=model, training=replace(record.training, schedule="cosine"))
    write_record(folder / "speechocean762-d-seed0.json", by_recipe)
    rows = read_records(folder, "speechocean762")
    ending = by_recipe.row.removeprefix(record.row)
    assert of_recipe(rows, ending) == {record.row: [by_recipe]}
    assert of_recipe({record.row: [record]}, ending) == {}


def test_measures_of_trainings(record):
    history = History([1.0, 2.0], [9.0, 9.0], [5.0, 7.5], [9.0, 9.0])
    timed = replace(record, history=history, best_epoch=2, seconds_of_training=10)
    untimed = replace(timed, best_epoch=1, seconds_of_training=None)
    np.testing.assert_allclose(np.exp(of_runs([timed, untimed], "cost")), [5.0])
    np.testing.assert_allclose(of_runs([timed, untimed], "overfitting"), [5.5, 4.0])
    with pytest.raises(ValueError, match="cost or overfitting, not 'estoi'"):
        of_runs([timed], "estoi")


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


def test_what_is_not_there_is_said(folder, record):
    with pytest.raises(FileNotFoundError, match="no records of 'librispeech'"):
        read_records(folder, "librispeech")
    with pytest.raises(ValueError, match=r"unknown measure 'mos': the records hold .*pesq_raw"):
        scores_of([record], "mos")
    with pytest.raises(ValueError, match="one of posterior mean, sample, not 'mean'"):
        scores_of([record], "stoi", "mean")


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"model": {}, "training": {}}', "\xff"])
def test_what_is_no_record_is_named(tmp_path, content):
    path = tmp_path / "mine-vae-32-seed0.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"mine-vae-32-seed0.json holds no run record"):
        read_record(path)


def test_a_full_disk_is_an_error_that_names_the_record(tmp_path, record, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match=r"mine-vae-32-seed0.json cannot be written \(No space"):
        write_record(tmp_path / "mine-vae-32-seed0.json", record)
    assert not list(tmp_path.iterdir())


def test_the_records_are_found_without_a_checkout_too(monkeypatch, tmp_path):
    """Beside an installed package a folder called results is somebody else's."""
    assert results_folder() == ROOT / "results"
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "sdmvae_lite")
    installed = tmp_path / "sdmvae_lite" / "results"  # where the installer puts them
    assert results_folder() == installed
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert results_folder() == installed
