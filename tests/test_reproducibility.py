"""The page on reproducing the paper agrees with the records, and with the released code's runs."""

import json
import re
from itertools import combinations

import numpy as np
from toc import BOOK, ROOT

from sdmvae_lite.table.claims import RECIPE
from sdmvae_lite.table.records import of_recipe, read_records, row_means
from sdmvae_lite.table.runs import ROWS_OF_TABLE_1

PAGE = " ".join((BOOK / "reproducibility.md").read_text(encoding="utf-8").split())
ROWS = read_records(ROOT / "results", "speechocean762")
RELEASED = json.loads((ROOT / "results" / "released-code-speechocean762.json").read_text("utf-8"))


def test_the_page_says_what_the_first_trainings_took():
    seeds = range(5)
    runs = [run for row in ROWS_OF_TABLE_1 for run in ROWS[row.name] if run.training.seed in seeds]
    epochs = [run.history.epochs for run in runs]
    seconds = [run.seconds_of_training for run in runs if run.seconds_of_training is not None]
    assert f"takes {min(epochs)} to {max(epochs)} epochs" in PAGE
    timed = f"the {len(seconds)} of the first {len(runs)} trainings ({len(ROWS_OF_TABLE_1)} rows"
    assert f"{timed}, {len(seeds)} seeds)" in PAGE
    assert f"took {sum(seconds) / 3600:.1f} hours" in PAGE


def test_trainings_of_a_row_are_further_apart_than_rows():
    scores = [row_means(ROWS[row.name], "pesq_raw")[:5] for row in ROWS_OF_TABLE_1]
    of_rows = [abs(one.mean() - other.mean()) for one, other in combinations(scores, 2)]
    assert np.median([np.ptp(one) for one in scores]) > np.median(of_rows)
    assert "five trainings of one row are usually further apart in PESQ" in PAGE


def test_a_training_by_the_recipe_takes_minutes():
    runs = [run for row in of_recipe(ROWS, RECIPE).values() for run in row]
    seconds = [run.seconds_of_training for run in runs if run.seconds_of_training]
    assert 30 < np.median(seconds) < 600
    assert "training by the recipe takes minutes" in PAGE


def test_the_released_code_ran_on_the_speech_of_the_records():
    assert RELEASED["corpus"] == ROWS["vae-32"][0].corpus
    assert re.fullmatch("[0-9a-f]{40}", RELEASED["commit"])
    chapter = (BOOK / "18_paper_code_and_book.ipynb").read_text(encoding="utf-8")
    assert f"`{RELEASED['commit'][:7]}`" in chapter
    assert RELEASED["repository"] in chapter


def test_the_released_codes_trainings_ended_by_themselves():
    for row, runs in RELEASED["runs"].items():
        assert row in ROWS
        for run in runs:
            losses = run["validation loss"]
            assert len(run["train loss"]) == len(losses) == run["weights of epoch"]
            assert run["train loss"][-1] < run["train loss"][0]
            if run["stopped"] == "after 500 epochs":
                assert len(losses) == 500
            else:
                assert run["stopped"] == "after 20 epochs without a lower validation loss"
                assert len(losses) == np.argmin(losses) + 1 + 20


def test_the_released_codes_trainings_have_all_scores_of_all_utterances():
    measures = {"pesq_raw", "estoi", "hoyer"}
    runs = [run for runs in RELEASED["runs"].values() for run in runs]
    for run in runs:
        assert len(run["rms"]) == 32
        assert min(run["rms"]) > 0
        assert run["scores"].keys() == {"posterior mean", "sample"}
        assert run["scores"]["posterior mean"].keys() == measures | {"hoyer_unit_rms"}
        assert run["scores"]["sample"].keys() == measures
        for scores in run["scores"].values():
            assert 1 < np.mean(scores["pesq_raw"]) < 4.5
            assert 0 < np.mean(scores["estoi"]) < 1
            assert 0 < np.mean(scores["hoyer"]) < 1
            for measure, found in scores.items():
                assert len(found) == len(ROWS["vae-32"][0].utterances["name"])
                assert 0 < min(found) < max(found) < (4.6 if measure == "pesq_raw" else 1)


def test_an_epoch_of_the_released_code_never_reaches_the_last_files():
    epoch = RELEASED["epochs"]["train"]
    assert epoch["the same in every epoch"]
    assert 0.95 < epoch["files begun"] / epoch["files"] < 1


def test_the_page_says_what_the_released_code_gives():
    for row, runs in RELEASED["runs"].items():
        assert len(runs) == 5
        epochs = [len(run["validation loss"]) for run in runs]
        ours = [record.history.epochs for record in ROWS[row]]
        assert 1.5 < np.mean(epochs) / np.mean(ours) < 2.2
        for measure in ("pesq_raw", "estoi"):
            theirs = np.mean([run["scores"]["posterior mean"][measure] for run in runs])
            assert 0 < row_means(ROWS[row], measure).mean() - theirs < 0.1
    assert "trained five times for each of its two models" in PAGE
    assert "in about twice as many epochs" in PAGE
    assert "PESQ and ESTOI a little below ours" in PAGE
