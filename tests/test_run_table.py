"""The one command that makes the table, on small trees of each corpus's layout."""

import importlib.util

import pytest
from distributed import LocalCluster
from recordings import write_speakers
from test_corpora_librispeech import archive, server  # noqa: F401 (fixtures)
from test_corpora_tcd_timit import LAYOUTS, write_tree
from toc import ROOT

from sdmvae_lite.records import read_records

ROWS = ["vae-32", "sdm-dct64-32"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))


def run_table(folder, *arguments):
    specification = importlib.util.spec_from_file_location("tool", ROOT / "tools/run_table.py")
    tool = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(tool)
    few = ["--rows", *ROWS, "--seeds", "1", "--preset", "smoke", "--out", str(folder / "records")]
    tool.main([str(argument) for argument in (*arguments, *few)])
    return folder / "records"


def check(folder, corpus):
    records = read_records(folder, corpus)
    assert list(records) == sorted(ROWS)
    for (record,) in records.values():
        assert len(record["history"]["validation_kl"]) == 3
        assert len(record["posterior mean"]["hoyer"]) == len(record["utterances"]["name"])


@pytest.mark.parametrize(
    ("layout", "split"), [("TCD-TIMIT", []), ("NTCD-TIMIT", ["--split", "ntcd"])]
)
def test_on_tcd_timit_with_either_split(tmp_path, layout, split):
    tree = write_tree(tmp_path / "data", LAYOUTS[layout])
    check(run_table(tmp_path, f"tcd-timit:{tree}", *split), layout)


@pytest.mark.usefixtures("server")
def test_on_librispeech(tmp_path):
    check(run_table(tmp_path, "librispeech"), "LibriSpeech")


def test_on_recordings_over_the_workers_of_a_dask_cluster(tmp_path):
    write_speakers(tmp_path / "mine", ["anna", "ben", "cem", "dora"])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        folder = run_table(tmp_path, tmp_path / "mine", "--dask", cluster.scheduler_address)
    check(folder, "mine")


def test_a_device_that_is_not_there_is_named(tmp_path):
    write_speakers(tmp_path / "mine", ["anna", "ben", "cem", "dora"])
    with pytest.raises(RuntimeError, match=r"'cuda:7' was asked for"):
        run_table(tmp_path, tmp_path / "mine", "--device", "cuda:7")
    assert not (tmp_path / "records").exists()
