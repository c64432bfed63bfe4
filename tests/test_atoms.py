"""Whether atoms are found again: the matching, and what chance would give."""

import json
import sys

import numpy as np
import pytest
import torch
from recordings import write_speakers
from toc import ROOT
from torch.distributions import MultivariateNormal, kl_divergence

from sdmvae_lite import ModelConfig, build_model, load_frames, save_model
from sdmvae_lite.speech.corpora import load_corpus

sys.path.insert(0, str(ROOT))
from benchmarks import atoms

CONFIG = ModelConfig("loglinear-vae", 6, "learned", hidden=8, input="log-power")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def curves(rng, count=8):
    """Smooth curves that are not orthogonal."""
    waves = np.cos(np.outer(np.linspace(0, np.pi, 200), np.arange(1, 13)))
    return waves @ rng.standard_normal((12, count))


def matched(one, other):
    return atoms.alike(one, other)[0]


def shared(one, other):
    return atoms.alike(one, other)[2]


def test_atoms_are_found_again_whatever_their_order_sign_and_length(rng):
    one = curves(rng)
    signs = rng.choice([-3.0, 0.5], size=8)
    assert matched(one, one[:, rng.permutation(8)] * signs) == pytest.approx(1)
    assert matched(one, one[:, :5]) == pytest.approx(1)  # as many pairs as there can be
    apart = np.eye(8)[:, :5]
    apart[5, :2] = 1.0  # two of five at 45 degrees
    assert atoms.alike(np.eye(8)[:, :5], apart)[1] == pytest.approx(0.6)


def test_the_matching_is_the_best_of_all(rng):
    one, other = curves(rng, 4), curves(rng, 4)
    every = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T
    orders = [order for order in every if len(set(order)) == 4]
    found = atoms.cosines(one, other)
    best = max(found[range(4), order].mean() for order in orders)
    assert matched(one, other) == pytest.approx(best)


def test_chance_keeps_the_space_or_the_smoothness_and_nothing_else(rng):
    one = curves(rng)
    again = atoms.rotated(one, rng)
    assert np.allclose(again @ again.T, one @ one.T)  # of the log-spectra that it makes
    assert shared(one, again) == pytest.approx(1)
    smooth = atoms.smooth(one, rng)
    spectra = [np.abs(np.fft.rfft(np.vstack([each, each[::-1]]), axis=0)) for each in (one, smooth)]
    assert np.allclose(*spectra)
    assert shared(one, smooth) < 0.9
    assert max(matched(one, each) for each in (again, smooth)) < 0.95


def test_the_space_is_found_again_where_the_atoms_are_not(rng):
    one = curves(rng)
    found = atoms.compared(one, atoms.rotated(one, rng))
    assert found["shared"] == pytest.approx(1)
    assert found["angle"] == pytest.approx(0, abs=1e-3)
    assert abs(found["matched"] - found["matched, rotated"]) < 5 * found["matched, rotated, spread"]
    itself = atoms.compared(one, one)
    mean, spread = (itself[f"matched, rotated{end}"] for end in ("", ", spread"))
    assert itself["matched"] == 1 > mean + 5 * spread


def test_independence_costs_nothing_of_orthogonal_atoms_and_what_it_costs_of_others(rng):
    """The divergence of the best independent Gaussian from the one with this precision."""
    assert atoms.lost(np.linalg.qr(rng.standard_normal((20, 5)))[0] * 3) == pytest.approx(0)
    axes = rng.standard_normal((20, 5))
    precision = torch.from_numpy(np.eye(5) + axes.T @ axes)
    zero = torch.zeros(5, dtype=torch.float64)
    whole = MultivariateNormal(zero, precision_matrix=precision)
    best = MultivariateNormal(zero, torch.diag(1 / torch.diag(precision)))
    assert atoms.lost(axes) == pytest.approx(kl_divergence(best, whole).item())
    for factor in (0.9, 1.1):
        other = MultivariateNormal(zero, factor * best.covariance_matrix)
        assert kl_divergence(other, whole) > kl_divergence(best, whole)


def test_components_are_the_axes_of_the_log_powers(rng):
    axes = np.linalg.qr(rng.standard_normal((20, 20)))[0][:, :2]
    log = rng.standard_normal((9000, 2)) * [6.0, 3.0] @ axes.T
    frames = np.exp(log) * rng.exponential(size=log.shape)
    found = atoms.components(frames)
    assert np.allclose(np.linalg.norm(found[:, :2], axis=0), [6, 3], rtol=0.05)
    assert (np.diag(atoms.cosines(axes, found[:, :2])) > 0.99).all()
    assert np.linalg.norm(found[:, 2:], axis=0).max() < 0.7  # noise of one strength is taken out


def test_models_in_a_folder_are_compared_and_not_twice(tmp_path):
    corpus = write_speakers(tmp_path / "corpus", ["a", "b", "c", "d", "e"])
    for seed in (0, 1):
        save_model(build_model(CONFIG, seed), tmp_path / f"{CONFIG.name}-cosine-seed{seed}")
    save_model(build_model(CONFIG, 0), tmp_path / f"{CONFIG.name}-cosine-seed2")
    alone = ModelConfig("loglinear-vae", 7, "learned", hidden=8)
    save_model(build_model(alone, 0), tmp_path / f"{alone.name}-seed0")
    command = [str(corpus), "--weights", str(tmp_path), "--out", str(tmp_path)]
    atoms.main(command)
    path = tmp_path / "corpus-atoms.json"
    found = json.loads(path.read_text())
    row = f"{CONFIG.name}-cosine"
    one = found["rows"].pop(row)
    assert {name: set(only["pairs"]) for name, only in found["rows"].items()} == {
        alone.name: {"0 and components"}
    }
    assert set(one["pairs"]) == {
        *("0 and 1", "0 and 2", "1 and 2"),
        *("0 and components", "1 and components", "2 and components"),
    }
    assert one["pairs"]["0 and 2"]["matched"] == 1 > one["pairs"]["0 and 1"]["matched"]
    one["pairs"]["0 and 1"] = "kept"
    found["rows"][row] = one
    path.write_text(json.dumps(found))
    atoms.main(command)
    assert json.loads(path.read_text()) == found


def test_an_atom_in_use_is_not_zero_and_says_something(tmp_path):
    corpus = load_corpus(write_speakers(tmp_path / "corpus", ["a", "b", "c", "d", "e"]))
    frames = np.asarray(load_frames(corpus, "test", progress=False))
    model = build_model(ModelConfig("loglinear-vae", 6, "learned", nonzero=2), 0)
    share, rms = atoms.in_use(model, torch.as_tensor(frames))
    assert share.sum() == pytest.approx(2, abs=0.01)
    assert ((share == 0) == (rms == 0)).all()
