"""Mixtures of two voices, their separation by codes drawn of two decoders, and how it is judged."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from recordings import write_speakers
from toc import ROOT

from sdmvae_lite import ModelConfig, build_model, save_model
from sdmvae_lite.speech.spectra import stft

sys.path.insert(0, str(ROOT))
from benchmarks import two_speakers


def sentence(number, length=8000):
    return np.random.default_rng(number).standard_normal(length)


def test_every_two_speakers_are_mixed_once_in_sentences_that_adapt_nothing():
    spoken = {
        who: [sentence(10 * n + i, 8000 + 100 * n) for i in range(4)]
        for n, who in enumerate("abcd")
    }
    drawn = list(two_speakers.pairs(spoken))
    assert [two for two, _ in drawn] == [*map(tuple, ("ab", "ac", "ad", "bc", "bd", "cd"))]
    used = []
    for two, voices in drawn:
        powers = np.sum(voices**2, axis=1)
        assert powers[0] == pytest.approx(powers[1])
        assert np.abs(voices.sum(axis=0)).max() == pytest.approx(1)
        for who, voice in zip(two, voices, strict=True):
            alike = [abs(np.corrcoef(voice, s[: len(voice)])[0, 1]) for s in spoken[who]]
            assert max(alike) == pytest.approx(1)
            used.append(int(np.argmax(alike)))
    assert set(used) == set(range(two_speakers.HELD_OUT))


def test_frames_that_are_the_wrong_way_are_counted_and_assigned():
    """Two voices in bins of their own: gains of 0 and 1 separate them."""
    time = np.arange(16000) / 16000
    voices = np.stack([np.sin(2 * np.pi * f * time) for f in (500, 3000)])
    low = torch.arange(513) < 100
    gains = torch.stack([low, ~low])[None].repeat(len(stft(voices[0])), 1, 1).float()
    right = two_speakers.judged(voices, gains)
    assert right["si_sdr"] == right["assigned"] > 30
    assert right["wrong"] == 0

    some = gains.clone()
    some[::4] = gains[::4].flip(1)
    found = two_speakers.judged(voices, some)
    assert found["wrong"] == pytest.approx(0.25, abs=0.01)
    assert found["si_sdr"] < 15
    assert found["assigned"] == pytest.approx(right["si_sdr"])
    turned = two_speakers.judged(voices, some.flip(1))
    assert turned["wrong"] == pytest.approx(1 - found["wrong"])
    assert two_speakers.judged(voices, some.flip(1), ordered=False) == found


class Toy:
    """Two bins, a code of one coefficient: ``z`` makes one louder and the other fainter."""

    config = SimpleNamespace(code_size=1)

    def __init__(self, tilt):
        self.tilt = torch.tensor([tilt, -tilt])

    def synthesis(self, code):
        return code

    def decode(self, code):
        return 3 * torch.cat([code, -code], dim=1) + self.tilt

    def __call__(self, frames, sample):
        return SimpleNamespace(variance=torch.full((len(frames), 1), 0.1))


def test_exchanges_bring_chains_to_the_posterior_of_two_decoders(monkeypatch):
    """Against its mean on a grid of both codes, which chains without exchanges miss."""
    monkeypatch.setattr(two_speakers, "ROUNDS", 60)
    models, power = (Toy(0.3), Toy(-0.3)), torch.tensor([[40.0, 40.0]])
    z = torch.linspace(-5, 5, 401)
    codes = torch.stack(torch.meshgrid(z, z, indexing="ij"), dim=-1).reshape(-1, 2)
    voices = torch.stack([m.decode(codes[:, [n]]).exp() for n, m in enumerate(models)], dim=1)
    total = voices.sum(dim=1)
    density = -(total.log() + power / total).sum(dim=1) - codes.square().sum(dim=1) / 2
    weights = torch.softmax(density, dim=0)[:, None]
    exact = (weights * voices[:, 0] / total).sum(dim=0)
    assert exact[0] > 0.6  # the halves are unequal
    found = {
        exchange: two_speakers.separated(models, power.repeat(2000, 1), exchange).mean(dim=0)[0]
        for exchange in (False, True)
    }
    torch.testing.assert_close(found[True], exact, atol=0.03, rtol=0)
    assert (found[False] - exact).abs().max() > 0.06


def test_the_record_is_gone_on_with_and_its_best_adaptation_is_used(tmp_path, monkeypatch):
    write_speakers(tmp_path / "train", "x")
    write_speakers(tmp_path / "validation", "abc", 3)
    write_speakers(tmp_path / "test", "def", 3)
    table = "speaker,gender\nd,f\ne,m\n"
    (tmp_path / "utterances.csv").write_text(table, encoding="utf-8")
    for seed in range(2):
        model = build_model(ModelConfig(m=4, input="log-power"), seed)
        save_model(model, tmp_path / "weights" / f"vae-32-log-cosine-seed{seed}")
    monkeypatch.setattr(two_speakers, "TRIED", ((2, 1e-9), (3, 1e-9)))
    for name in ("ROUNDS", "STEPS", "KEPT"):
        monkeypatch.setattr(two_speakers, name, 2)
    arguments = ["two_speakers", str(tmp_path), "--weights", str(tmp_path / "weights")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--out", str(tmp_path)])
    two_speakers.main()
    (path,) = tmp_path.glob("*-two-speakers.json")
    found = json.loads(path.read_text())
    assert found["genders"] == {"d": "f", "e": "m", "f": None}
    assert len(found["pairs"]) == 3
    assert len(found["tried"]) == len(found["trainings"]) == 2
    for one in found["trainings"].values():
        assert one.keys() == two_speakers.SYSTEMS.keys()
        assert {len(each) for system in one.values() for each in system.values()} == {3}

    used = []
    del found["trainings"]["vae-32-log-cosine-seed0"]
    found["tried"]["2 steps at 1e-09"]["si_sdr"] = 99.0
    path.write_text(json.dumps(found))
    monkeypatch.setattr(two_speakers, "measured", lambda *each: used.append(each[2:]) or {})
    two_speakers.main()
    assert used == [(2, 1e-9)]
