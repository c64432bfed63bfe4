"""The command line, in this process where that shows the same, else in one of its own."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from click.testing import CliRunner
from distributed import LocalCluster
from recordings import recording, write, write_speakers

from sdmvae_lite import (
    ModelConfig,
    build_model,
    code_to_waveform,
    evaluate,
    fit,
    get_preset,
    keep_largest,
    load_corpus,
    load_frames,
    load_model,
    load_pretrained,
    mean_scores,
    read_records,
    resynthesise,
    save_model,
)
from sdmvae_lite.cli import MEASURES, MORE_ROWS, main
from sdmvae_lite.enhancement.em import enhance
from sdmvae_lite.scoring.metrics import estoi, hoyer, pesq_raw, si_sdr
from sdmvae_lite.speech.corpora.tcd_timit import SPLITS
from sdmvae_lite.table.runs import ROWS_AFTER_THE_PAPER, ROWS_OF_TABLE_1

COMMANDS = ("corpus", "train", "score", "resynthesise", "keep", "enhance", "table")
ROWS = ["sdm-dct64-32", "vae-32"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SDMVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


@pytest.fixture
def mine(tmp_path):
    """Recordings of four speakers."""
    return write_speakers(tmp_path / "mine", ["anna", "ben", "cem", "dora"])


@pytest.fixture(scope="module")
def spoken():
    """A sentence of the synthetic corpus."""
    return load_corpus("synthetic", minutes=0.7).test[0].waveform()


@pytest.fixture
def stereo(tmp_path, spoken):
    """That sentence as a FLAC file at 44.1 kHz, one channel louder than the other."""
    mono = 0.3 * soxr.resample(spoken, 16_000, 44_100)
    return write(tmp_path / "in.flac", np.stack([mono, 0.5 * mono], axis=1), 44_100)


def sdmvae(*arguments):
    """The command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def done(*arguments):
    result = sdmvae(*arguments)
    assert result.exit_code == 0, result.output
    return result


def failed(*arguments):
    """What the command says when it fails: an error, after what click says of its usage."""
    result = sdmvae(*arguments)
    assert result.exit_code == 2, result.output
    usage, _, error = result.stderr.partition("Error: ")
    assert not usage or usage.startswith("Usage: ")
    assert "Traceback" not in error
    return error


def started(*arguments):
    """The command in a process group of its own, as a terminal starts it."""
    command = [sys.executable, "-m", "sdmvae_lite", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it hears Ctrl-C
        **pipes,
    )


def run(*arguments):
    """What the command prints in a process of its own, once it has succeeded."""
    process = started(*arguments)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return stdout


def samples(path):
    found, rate = soundfile.read(path, dtype="int16")
    assert (rate, found.ndim, soundfile.info(path).subtype) == (16_000, 1, "PCM_16")
    return found


def heard(path):
    """The sound of a file as the models take it, by soundfile and soxr alone."""
    waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(waveform.mean(axis=1), rate, 16_000)


def printed(output):
    """The table of scores in an output, by row and measure."""
    lines = output.splitlines()
    (head,) = (number for number, line in enumerate(lines) if line.split() == list(MEASURES))
    rows = {}
    for line in lines[head + 1 :]:
        name, *values = line.rsplit(maxsplit=len(MEASURES))
        if not re.fullmatch(r"nan|-?\d+\.\d{3}", values[-1]):
            break
        rows[name.strip()] = dict(zip(MEASURES, map(float, values), strict=True))
    return rows


def test_help_loads_no_torch_and_names_every_command():
    program = (
        "import sys; from sdmvae_lite.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in ('torch', 'numpy', 'librosa', 'joblib') if name in sys.modules])"
    )
    stdout = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert stdout.splitlines()[-1] == "[]"
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", stdout, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_of_its_own_options(name):
    text = done(name, "--help").output
    example = text.rstrip().splitlines()[-1]
    assert example.startswith(f"  Example: sdmvae {name} ")
    for option in re.findall(r"--[a-z-]+", example):
        assert f"  {option} " in text


def test_the_version_is_the_packages():
    assert done("--version").output.split()[-1] == importlib.metadata.version("sdmvae-lite")


def test_a_corpus_is_checked_and_its_faults_are_listed(mine):
    write(mine / "anna" / "silent.wav", np.zeros(16_000))
    write(mine / "ben" / "short.wav", np.zeros(100))
    write(mine / "stray.wav")
    cut = write(mine / "cem" / "cut.wav")
    cut.write_bytes(cut.read_bytes()[:-1000])
    stdout = run("corpus", mine)
    rows = [line.split() for line in stdout.splitlines() if line.endswith("minutes")]
    assert [row[0] for row in rows] == ["train", "validation", "test"]
    assert sum(int(row[1]) for row in rows) == 4
    assert sum(int(row[3]) for row in rows) == 8
    for name, reason in {
        "anna/silent": "is silent",
        "ben/short": "less than one window",
        "cem/cut": "is cut short",
        "stray.wav": "is in no speaker's folder",
    }.items():
        assert re.search(rf"^    {name}: .*{reason}", stdout, re.MULTILINE), stdout


def test_what_is_resampled_is_a_note(tmp_path):
    for name in ("anna", "ben", "cem"):
        write(tmp_path / "mine" / name / "u.wav", rate=8_000)
    assert "Note: 3 of 3 files (8000 Hz) are resampled" in done("corpus", "mine").stderr


def test_training_is_stopped_taken_up_and_is_that_of_fit(tmp_path, cache):
    arguments = ("train", "synthetic", "mine", "--minutes", "0.4", "--preset", "laptop")
    arguments += ("--model", "sdm-vae", "--m", "8", "--dictionary", "dct", "--k", "12")
    arguments += ("--seed", "3", "--device", "cpu")
    process = started(*arguments)
    while not list(cache.glob("checkpoints/*.safetensors")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1].startswith("Stopped: the same command")
    assert "Traceback" not in stderr
    assert not (tmp_path / "mine").exists()

    result = done(*arguments)
    assert int(re.search(r"(\d+)/60 ", result.stderr)[1]) >= 1
    config = ModelConfig("sdm-vae", m=8, dictionary="dct", k=12, input="log-power")
    assert f"mine: {config.label}, epoch 60 of 60" in result.stdout

    corpus, expected = load_corpus("synthetic", minutes=0.4), build_model(config, seed=3)
    frames = [load_frames(corpus, part, progress=False) for part in ("train", "validation")]
    fit(expected, *frames, replace(get_preset("laptop").training, seed=3), "cpu", progress=False)
    trained = load_model("mine")
    assert trained.config == config
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], value, rtol=0, atol=0)


def test_rows_of_the_table_are_models_to_train(mine):
    for row in (ROWS_OF_TABLE_1[3], MORE_ROWS[0], MORE_ROWS[-1], ROWS_AFTER_THE_PAPER[-1]):
        done("train", mine, row.name, "--row", row.name, "--preset", "smoke")
        assert load_model(row.name).config == replace(row, input="log-power")


def test_scores_are_those_of_evaluate(tmp_path):
    save_model(load_pretrained("sdm-dct64-32"), tmp_path / "model")
    corpus = ("synthetic", "--minutes", "0.7")
    found = printed(run("score", *corpus, "--model", "model", "--jobs", "1"))
    test = load_corpus("synthetic", minutes=0.7).test
    rows = evaluate(load_pretrained("sdm-dct64-32"), test, n_jobs=1, progress=False)
    expected = mean_scores(rows)
    assert list(found) == ["sdm-dct64-32"]
    for measure, value in found["sdm-dct64-32"].items():
        assert value == pytest.approx(expected[measure], abs=6e-4)


def test_what_has_no_score_is_listed(tmp_path):
    for seed, name in enumerate(("anna", "ben", "cem")):
        write(tmp_path / "brief" / name / "u.wav", recording(0.2, seed=seed))
    result = done("score", "brief", "--model", "vae-32", "--jobs", "1")
    assert np.isnan(printed(result.stdout)["vae-32"]["estoi"])
    (utterance,) = load_corpus("brief").test
    assert f"no score: {utterance.id}: estoi: STOI needs about 0.4 s of speech" in result.stdout


def test_a_recording_is_resynthesised_as_loud_as_it_was(stereo):
    stdout = run("resynthesise", stereo, "out.wav", "--model", "sdm-identity-32")
    waveform = heard(stereo)
    assert f"{stereo}: {len(waveform) / 16_000:.2f} s at 44100 Hz, channels: 2" in stdout
    expected = resynthesise(load_pretrained("sdm-identity-32"), waveform).estimate
    found = samples("out.wav")
    assert len(found) == len(waveform)
    np.testing.assert_allclose(found / 2**15, expected * np.abs(waveform).max(), atol=2**-14)
    assert found.std() / 2**15 == pytest.approx(waveform.std(), rel=0.3)


def test_what_would_be_clipped_is_made_quieter(tmp_path, spoken):
    loud = np.clip(10 * spoken, -1, 1)
    source = write(tmp_path / "in.wav", loud, subtype="FLOAT")
    estimate = resynthesise(load_pretrained("vsc-0.05-32"), loud).estimate
    peak = np.abs(estimate).max()
    assert peak > 1
    stdout = done("resynthesise", source, "out.wav", "--model", "vsc-0.05-32").stdout
    assert f"{20 * np.log10(peak):.1f} dB quieter" in stdout
    np.testing.assert_allclose(samples("out.wav") / 2**15, estimate / peak, atol=2**-14)


@pytest.mark.parametrize("by", ["kl", "magnitude"])
def test_few_coefficients_are_kept_and_scored(tmp_path, spoken, by):
    source = write(tmp_path / "in.wav", spoken, subtype="FLOAT")
    arguments = ("keep", source, "out.wav", "--model", "sdm-dct64-32", "--count", "4")
    stdout = run(*arguments) if by == "kl" else done(*arguments, "--by", by).stdout
    model = load_pretrained("sdm-dct64-32")
    result = resynthesise(model, spoken)
    code = keep_largest(result.output.code, 4, result.output.kl if by == "kl" else None)
    expected = code_to_waveform(model, code, result.phase, len(spoken))
    level = np.abs(spoken).max()
    np.testing.assert_allclose(samples("out.wav") / 2**15, level * expected, atol=2**-14)
    rows = printed(stdout)
    assert list(rows) == ["all", f"4 by {by}"]
    for row, estimate, kept in (
        ("all", result.estimate, result.output.code),
        (f"4 by {by}", expected, code),
    ):
        for measure, compute in (("pesq_raw", pesq_raw), ("estoi", estoi), ("si_sdr", si_sdr)):
            value = compute(result.reference, estimate)
            assert rows[row][measure] == pytest.approx(value, abs=6e-4)
        assert rows[row]["hoyer"] == pytest.approx(hoyer(kept).mean().item(), abs=6e-4)


def test_all_coefficients_kept_are_the_resynthesis(stereo):
    done("resynthesise", stereo, "all.wav", "--model", "vae-32")
    done("keep", stereo, "kept.wav", "--model", "vae-32", "--count", "32")
    assert Path("kept.wav").read_bytes() == Path("all.wav").read_bytes()


def test_a_recording_that_is_there_is_replaced_only_by_force(stereo):
    Path("out.wav").write_bytes(b"mine")
    arguments = ("resynthesise", stereo, "out.wav", "--model", "vae-32")
    assert "out.wav exists already" in failed(*arguments)
    assert Path("out.wav").read_bytes() == b"mine"
    done(*arguments, "--force")
    assert len(samples("out.wav")) == len(heard(stereo))


def test_a_noisy_recording_is_taken_apart(tmp_path, spoken):
    rng = np.random.default_rng(0)
    noise = 0.02 * rng.standard_normal(len(spoken))
    noisy = write(
        tmp_path / "noisy.wav", soxr.resample(0.3 * spoken + noise, 16_000, 22_050), 22_050
    )
    arguments = ("enhance", noisy, "clean.wav", "--noise-out", "noise.wav")
    stdout = run(*arguments)
    waveform = heard(noisy)
    assert f"{noisy}: {len(waveform) / 16_000:.2f} s at 22050 Hz, channels: 1" in stdout
    expected = enhance(load_pretrained("vae-32-log"), waveform)
    for name, part in zip(("clean.wav", "noise.wav"), expected, strict=True):
        assert f"{name}: {len(waveform) / 16_000:.2f} s at 16000 Hz" in stdout
        np.testing.assert_allclose(samples(name) / 2**15, part, atol=2**-14)
    added = (samples("clean.wav").astype(int) + samples("noise.wav")) / 2**15
    np.testing.assert_allclose(added, waveform, atol=2**-14)
    assert si_sdr(spoken, samples("clean.wav")) > si_sdr(spoken, waveform) + 2

    before = {path: path.read_bytes() for path in tmp_path.glob("*.wav")}
    assert "clean.wav exists already" in failed(*arguments)
    assert "a file is named twice" in failed("enhance", noisy, noisy, "--force")
    twice = ("enhance", noisy, "new.wav", "--noise-out", "./new.wav")
    assert "a file is named twice" in failed(*twice)
    assert {path: path.read_bytes() for path in tmp_path.glob("*.wav")} == before


SOUND = ("in.wav", "out.wav", "--model")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("corpus", "nowhere"), r"unknown corpus 'nowhere', and no such folder"),
        (("corpus", "empty"), r"empty holds no speech"),
        (("corpus", "mine", "--split", "ntcd"), r"split='ntcd' is for tcd-timit alone"),
        (("corpus", "mine", "--minutes", "0"), r"^minutes must be a positive number.*\n$"),
        (("train", "mine", "empty"), r"empty exists already"),
        (
            ("train", "mine", "out", "--row", "vae"),
            r"unknown row 'vae': choose one of vae-32, .*u20",
        ),
        (("train", "mine", "out", "--row", "vae-32", "--m", "8"), r"--m is not for vae-32"),
        (("train", "mine", "out", "--k", "8"), r"--k is not for vae: leave it out"),
        (("train", "mine", "out", "--nonzero", "8"), r"--nonzero is not for vae: leave it out"),
        (
            ("train", "mine", "out", "--model", "loglinear-vae"),
            r"dictionary must be one of dct, learned, not 'identity'",
        ),
        (
            ("train", "mine", "out", "--model", "sdm-vae", "--alpha", "0.1"),
            r"--alpha is not for sdm",
        ),
        (("train", "mine", "out", "--m", "0"), r"m must be at least 1"),
        (("train", "mine", "out", "--seed", "-1"), r"seed must be between"),
        (("train", "mine", "out", "--device", "cuda:7"), r"'cuda:7' was asked for"),
        (("train", "mine", "out", "--device", "tpu"), r"unknown device 'tpu'"),
        (("train", "mine", "damaged.wav/out", "--preset", "smoke"), r"damaged.wav"),
        (("score", "mine", "--model", "vae-31"), r"'vae-31'.*choose one of loglinear-dct-64-log, "),
        (("score", "mine", "--model", "empty"), r"model.json is missing"),
        (
            ("score", "faulty", "--model", "vae-32"),
            r"has 1 fault\(s\): \n.* is silent.*\nMend or remove them, or add --skip",
        ),
        (
            ("resynthesise", "nothing.wav", "out.wav", "--model", "vae-32"),
            r"nothing\.wav cannot be",
        ),
        (
            ("resynthesise", "damaged.wav", "out.wav", "--model", "vae-32"),
            r"damaged\.wav cannot be",
        ),
        (("resynthesise", *SOUND, "vae-31"), r"'vae-31'"),
        (("resynthesise", "in.wav", "out.mp3", "--model", "vae-32"), r"ends in \.wav"),
        (
            ("resynthesise", "in.wav", "in.wav/o.wav", "--model", "vae-32"),
            r"o\.wav cannot be written",
        ),
        (("enhance", "damaged.wav", "out.wav"), r"damaged\.wav cannot be"),
        (("enhance", "in.wav", "out.wav", "--method", "best"), r"unknown method 'best': choose"),
        (("enhance", "in.wav", "out.wav", "--device", "gpu"), r"unknown device 'gpu': use auto"),
        (("enhance", "in.wav", "out.wav", "--noise-out", "out.flac"), r"out\.flac is to be a WAV"),
        (("keep", *SOUND, "vae-32", "--count", "-1"), r"-1 is not in the range"),
        (("keep", *SOUND, "vae-32"), r"Missing option '--count'"),
        (("table", "mine", "--rows", "vae-32,vae"), r"unknown row 'vae'"),
        (("table", "mine", "--device", "cuda:7", "--out", "out"), r"'cuda:7' was asked for"),
        (("table", "mine", "--out", "damaged.wav"), r"damaged\.wav"),
        (("table", "mine", "--dask", "nowhere"), r"missing port number in address 'nowhere'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_fault_is_one_line_and_leaves_nothing(mine, tmp_path, arguments, message):
    write_speakers(tmp_path / "faulty", ["anna", "ben", "cem"])
    write(tmp_path / "faulty" / "anna" / "silent.wav", np.zeros(16_000))
    write(tmp_path / "in.wav")
    (tmp_path / "damaged.wav").write_bytes(b"RIFF, and no more")
    (tmp_path / "empty").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.glob("*.wav")}
    assert re.search(message, failed(*arguments))
    assert {path: path.read_bytes() for path in tmp_path.glob("*.wav")} == before
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "empty").iterdir())


def test_what_cannot_be_used_is_skipped_when_asked(mine):
    write(mine / "anna" / "silent.wav", np.zeros(16_000))
    result = done("score", mine, "--model", "vae-32", "--skip", "--jobs", "1")
    assert "left out: 1" in result.stdout


def check(folder, corpus):
    records = read_records(folder, corpus)
    assert list(records) == sorted(f"{row}-log-cosine" for row in ROWS)
    for (record,) in records.values():
        assert len(record.history.validation_kl) == 3
        assert len(record.scores("hoyer")) == len(record.utterances["name"])


def table(*arguments):
    few = ("--rows", ",".join(ROWS), "--seeds", "1", "--preset", "smoke", "--jobs", "1")
    return done("table", *arguments, *few)


@pytest.mark.parametrize(
    ("layout", "name", "split"),
    [
        ("volunteers/{}/Clips/straightcam/sa1.wav", "TCD-TIMIT", ()),
        ("Clean/volunteers/{}/straightcam/sa1.wav", "NTCD-TIMIT", ("--split", "ntcd")),
    ],
)
def test_a_table_on_tcd_timit_with_either_split(tmp_path, layout, name, split):
    for speakers in (*SPLITS["authors"].values(), *SPLITS["ntcd"].values()):
        for who in sorted(speakers)[:2]:
            write(tmp_path / "data" / layout.format(who))
    table(f"tcd-timit:{tmp_path / 'data'}", *split, "--skip", "--out", "mine")
    check("mine", name)


def test_a_table_on_librispeech(cache):
    write_speakers(cache / "LibriSpeech-dev-clean", ["84", "174", "251", "422"], suffix=".flac")
    table("librispeech")
    check("records", "LibriSpeech")


def test_a_table_is_printed_and_is_not_made_again(mine):
    arguments = ("table", mine, "--rows", "vae-32", "--preset", "smoke", "--jobs", "1")
    first = run(*arguments, "--seeds", "2")
    written = {path: path.stat().st_mtime_ns for path in Path("records").iterdir()}
    assert len(written) == 2
    assert printed(done(*arguments, "--seeds", "2").stdout) == printed(first)
    assert {path: path.stat().st_mtime_ns for path in Path("records").iterdir()} == written
    records = read_records("records", "mine")["vae-32-log-cosine"]
    assert [record.training.seed for record in records] == [0, 1]
    mean = np.mean([record.scores("si_sdr") for record in records])
    assert printed(first)["vae-32-log-cosine"]["si_sdr"] == pytest.approx(mean, abs=6e-4)


def test_a_table_by_the_workers_of_a_dask_cluster(mine):
    threads = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    with LocalCluster(**threads, dashboard_address=None) as cluster:
        before = cluster.scheduler.transition_counter
        table(mine, "--dask", cluster.scheduler_address, "--device", "cpu")
        assert cluster.scheduler.transition_counter > before
    check("records", "mine")
