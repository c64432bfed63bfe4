"""Labels of frames, and the measures and codes of the probing benchmark, against what counts."""

import json
import sys
from itertools import combinations, pairwise

import numpy as np
import pytest
from toc import ROOT

from sdmvae_lite import ModelConfig, build_model, load_corpus, save_model

sys.path.insert(0, str(ROOT))
from benchmarks import phones, probing, selectivity


@pytest.fixture(scope="module")
def speech():
    return load_corpus("synthetic", minutes=3)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_label_is_that_of_the_phone_at_the_centre_of_a_frame_far_from_its_edges():
    found = phones.labels([(0.0, 0.1, "sil"), (0.1, 0.2, "m"), (0.2, 0.3, "s")], 19)
    centres = np.arange(19) * 0.016
    expected = np.full(19, phones.NO_CLASS)
    expected[(centres >= 0.12) & (centres < 0.18)] = phones.CLASSES.index("nasal")
    expected[(centres >= 0.22) & (centres < 0.28)] = phones.CLASSES.index("fricative")
    assert found.tolist() == expected.tolist()


def test_every_phone_of_the_synthetic_voices_has_a_class_or_belongs_to_two(speech):
    spoken = {phone for each in speech.test for *_, phone in each.source.phonemes()}
    without = {phone for phone in spoken if phones.broad_class(phone) == phones.NO_CLASS}
    assert without <= {"sil", "tʃ", "dʒ", "ɾ", "əl", "ɪɹ", "ɛɹ", "ɑːɹ", "ʊɹ", "ɔːɹ"}
    assert len(spoken - without) > 30


def test_alignment_agrees_with_the_synthesiser_far_more_often_than_its_largest_class(speech):
    pytest.importorskip("pocketsphinx")
    found = phones.agreement(speech.test[:4])
    assert found["aligned"] == found["utterances"] == 4
    assert found["largest class"] + 0.1 < found["agree"] < 1
    assert found["agree, edges included"] < found["agree"]


def test_aligned_phones_follow_each_other_and_unknown_words_have_none(speech):
    pytest.importorskip("pocketsphinx")
    align, source = phones.aligner(), speech.test[0].source
    found = align(source.read(), source.text)
    assert all(one[1] == other[0] for one, other in pairwise(found))
    assert found[-1][1] == pytest.approx(len(source.read()) / 16_000, abs=0.02)
    assert {name for *_, name in found} >= {"SIL", "AH"}
    assert align(source.read(), "the grobblefax") is None


def test_auroc_is_the_share_of_pairs(rng):
    values = rng.integers(0, 6, (60, 3)).astype(float)  # with many ties
    positive, strata = rng.random(60) < 0.3, rng.integers(0, 3, 60)
    pairs = [
        (i, j)
        for i in np.flatnonzero(positive)
        for j in np.flatnonzero(~positive)
        if strata[i] == strata[j]
    ]
    won = [(values[i] > values[j]) + 0.5 * (values[i] == values[j]) for i, j in pairs]
    never = np.zeros(60, dtype=bool)
    found = selectivity.auroc(values, np.column_stack([positive, never, ~positive]), strata)
    np.testing.assert_allclose(found[0], np.mean(won, axis=0))
    np.testing.assert_allclose(found[2], 1 - found[0])
    assert np.isnan(found[1]).all()


def test_strata_hold_one_speaker_and_a_range_of_levels(rng):
    level, speakers = rng.standard_normal(100), np.repeat(["a", "b"], 50)
    found = selectivity.strata(level, speakers)
    for number in range(10):
        assert (found == number).sum() == 10
        assert len(set(speakers[found == number])) == 1
    for one, other in pairwise(range(5)):
        assert level[found == one].max() < level[found == other].min()


def test_shifted_classes_are_the_same_frames_elsewhere(rng):
    classes, speakers = np.arange(40), np.repeat(["a", "b"], 20)
    moved = selectivity.shifted(classes, speakers, rng)
    for speaker in "ab":
        here = speakers == speaker
        assert sorted(moved[here]) == sorted(classes[here])
        steps = (moved[here] - classes[here]) % 20
        assert len(set(steps)) == 1
        assert 5 <= steps[0] <= 15


def test_what_is_chosen_is_the_best_pair_beside_what_is_known(rng):
    n, beside = 400, rng.standard_normal((400, 1))
    values = rng.standard_normal((n, 6))
    positive = values[:, 1] + 0.7 * values[:, 4] + 2 * beside[:, 0] > 0.5
    values[:, 2] = beside[:, 0]  # says the most, but nothing new

    def left(columns):
        weight = np.sqrt(np.where(positive, 0.5 / positive.sum(), 0.5 / (~positive).sum()))
        known = np.column_stack([np.ones(n), beside, values[:, columns]]) * weight[:, None]
        target = np.where(positive, 1.0, -1.0) * weight
        return ((target - known @ np.linalg.lstsq(known, target, rcond=None)[0]) ** 2).sum()

    taken = selectivity.chosen(values, positive, beside, 6)
    assert taken[0] == min(range(6), key=lambda column: left([column]))
    assert set(taken[:2]) == set(min(combinations(range(6), 2), key=lambda pair: left([*pair])))
    assert sorted(taken) == list(range(6))
    assert taken[-1] == 2


def test_a_probe_finds_what_is_there_and_guesses_where_nothing_is(rng):
    values, noise = rng.standard_normal((2, 2000, 3))
    positive = values[:, 1] > 0.8
    for columns, low, high in ((values, 0.93, 1.0), (noise, 0.44, 0.56)):
        said = selectivity.probe(columns[:1000], positive[:1000], columns[1000:])
        assert low < selectivity.balanced_accuracy(said, positive[1000:]) <= high
    assert selectivity.balanced_accuracy(np.ones(10, dtype=bool), np.arange(10) < 3) == 0.5


def test_values_by_speaker_have_no_mean_and_unit_spread(rng):
    values, speakers = rng.standard_normal((60, 2)) * [3, 0] + [5, 2], np.repeat(["a", "b"], 30)
    found = selectivity.by_speaker(values, speakers)
    for speaker in "ab":
        np.testing.assert_allclose(found[speakers == speaker].mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(found[speakers == speaker].std(axis=0), [1, 0], atol=1e-12)


def test_activities_are_those_that_made_the_spectra(rng):
    patterns, weights = rng.gamma(0.5, size=(3, 40)) + 1e-3, rng.gamma(2.0, size=(20, 3)) + 0.2
    torch = pytest.importorskip("torch")
    found = probing.activities(torch.from_numpy(patterns).float(), weights @ patterns, 2000)
    np.testing.assert_allclose(np.exp(found), weights, rtol=0.02)


def test_a_code_of_random_atoms_has_sixteen_and_nothing_of_them_is_left(rng):
    power, mean = rng.gamma(1.0, size=(5, 200)), np.zeros(200)
    code = probing.random_atoms(mean, 3, power)
    atoms = np.random.default_rng(3).standard_normal((200, probing.ATOMS))
    left = probing.log_spectrum(power) - code @ atoms.T
    assert ((code != 0).sum(axis=1) == probing.NONZERO).all()
    assert np.abs(left @ atoms)[code != 0].max() < 1e-6 * np.abs(left @ atoms).max()


def test_the_benchmark_keeps_what_it_found_and_goes_on(speech, tmp_path, monkeypatch, capsys):
    for seed in range(2):
        model = build_model(ModelConfig(m=64, input="log-power"), seed)
        save_model(model, tmp_path / "weights" / f"vae-64-log-cosine-seed{seed}")
    monkeypatch.setattr(probing, "FITTED", 500)
    monkeypatch.setattr(probing, "CONTROLS", 1)
    monkeypatch.setattr(probing, "agreement", lambda utterances: {"utterances": len(utterances)})
    arguments = ["probing", "synthetic", "--minutes", "3", "--sentences", "1"]
    arguments += ["--weights", str(tmp_path / "weights"), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    probing.main()
    path = tmp_path / "synthetic-probing.json"
    found = json.loads(path.read_text())
    assert set(found["codes"]["vae-64"]) == {"0", "1"}
    assert {"level", "cepstrum", "pca", "nmf", "random-atoms", "untrained"} <= set(found["codes"])
    for seeds in found["codes"].values():
        for one in seeds.values():
            for classes in one.values():
                assert set(classes) == set(phones.CLASSES)
                for scores in classes.values():
                    assert len(scores["all"]) == len(found["speakers"]) > 3
                    assert np.nanmin(scores["auroc"]) >= 0
    del found["codes"]["level"]
    path.write_text(json.dumps(found))
    capsys.readouterr()
    probing.main()
    assert capsys.readouterr().out.startswith("level 0")
    assert json.loads(path.read_text())["codes"].keys() == found["codes"].keys() | {"level"}
