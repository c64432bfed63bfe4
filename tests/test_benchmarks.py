"""`make bench` works; what it measures is asserted nowhere."""

import json
import subprocess
import sys

import pytest
from toc import ROOT


@pytest.mark.chapters  # as slow as one
def test_the_benchmarks_run_and_say_what_they_found(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    results = json.loads((tmp_path / "cpu.json").read_text())
    assert results["machine"] in printed
    for figures in results["ms per step and run"].values():
        assert list(figures)[:3] == ["products alone", "plain loop", "fit"]
        assert all(value["min"] > 0 for value in figures.values())
    assert [row["budget in GB"] < row["GB of frames"] for row in results["growth"]][-1]
    assert {"frames, times real time", "scoring"} <= results.keys()
    quality = results["seconds to a quality"]
    assert quality["seconds"].keys() == quality["points"].keys()
    for points in quality["points"].values():
        assert [point["epochs"] for point in points] == [1, 2]
    assert "seconds until PESQ is -0.5" in printed
    assert (tmp_path / "cpu.png").stat().st_size > 10_000


def test_the_readme_quotes_the_results():
    results = json.loads((ROOT / "benchmarks" / "results" / "cpu.json").read_text())
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert results["machine"] in text
    one, two = results["ms per step and run"].values()
    for name in ("plain loop", "fit", "fit, on each of 2 cores", "products alone"):
        assert f"| {one[name]['median']:.2f} | {two[name]['median']:.2f} |" in text
