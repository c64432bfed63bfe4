"""A model of a reader's own, a few lines over `VAE`, goes wherever the book's models go."""

import linecache

import pytest
import torch
from noise import N_BINS

from sdmvae_lite import VAE, ModelConfig, TrainingConfig, build_model, fit, load_model, save_model
from sdmvae_lite.model.divergences import gaussian_kl
from sdmvae_lite.model.pretrained import save_pretrained

CONFIG = ModelConfig(m=4, hidden=16, n_bins=N_BINS)
TRAINING = TrainingConfig(learning_rate=1e-2, batch_size=64, max_epochs=3)


class BetaVAE(VAE):
    """A VAE whose divergence counts four times."""

    def kl(self, mu, logvar):
        return 4 * gaussian_kl(mu, logvar)


CELL = """
from sdmvae_lite import VAE
from sdmvae_lite.model.divergences import gaussian_kl


class CellVAE(VAE):
    scale = scale_of_all

    def kl(self, mu, logvar):
        return weight * self.scale * gaussian_kl(mu, logvar)
"""


def in_a_cell(text, number, **outside):
    """The class of a notebook's cell: it has no file, and its methods know the cell."""
    name = f"<cell {number}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    namespace = {"__name__": "__main__", **outside}
    exec(compile(text, name, "exec"), namespace)
    return namespace["CellVAE"]


@pytest.fixture
def trained(train, validation):
    model = build_model(CONFIG, 0, BetaVAE)
    fit(model, train, validation, TRAINING, "cpu", progress=False)
    return model


def test_it_is_trained_by_its_own_divergence(trained, train, validation):
    plain = build_model(CONFIG, 0)
    fit(plain, train, validation, TRAINING, "cpu", progress=False)
    frames = torch.from_numpy(validation)
    nats = [
        gaussian_kl(*model.encode(frames)).sum(dim=-1).mean().item() for model in (trained, plain)
    ]
    assert nats[0] < 0.7 * nats[1]
    output = trained(frames, sample=False)
    torch.testing.assert_close(output.kl, 4 * gaussian_kl(*trained.encode(frames)))


def test_it_is_saved_and_loaded(trained, tmp_path):
    folder = save_model(trained, tmp_path / "beta")
    loaded = load_model(folder, kind=BetaVAE)
    assert type(loaded) is BetaVAE
    assert loaded.config == CONFIG
    for name, value in trained.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_a_file_is_of_one_class_alone(trained, tmp_path):
    own = save_model(trained, tmp_path / "own")
    with pytest.raises(ValueError, match=r"own is a model of the class BetaVAE.*kind=BetaVAE"):
        load_model(own)
    package = save_model(build_model(CONFIG, 0), tmp_path / "package")
    with pytest.raises(ValueError, match=r"of the class sdmvae_lite.VAE, not BetaVAE"):
        load_model(package, kind=BetaVAE)
    namesake = type("VAE", (BetaVAE,), {})  # is not the package's, whatever it is called
    with pytest.raises(ValueError, match=r"of the class VAE, not sdmvae_lite.VAE"):
        load_model(save_model(namesake(CONFIG), tmp_path / "namesake"))


def test_it_is_none_of_the_trained_models_of_the_package(trained, tmp_path):
    with pytest.raises(ValueError, match="BetaVAE is a class of your own: use save_model"):
        save_pretrained(trained, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_of_the_first_version_is_loaded(tmp_path):
    folder = save_model(build_model(CONFIG, 0), tmp_path / "model")
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"class": "sdmvae_lite.VAE",', ""))
    assert load_model(folder).config == CONFIG


def test_its_checkpoint_goes_on_with_the_same_code_alone(train, validation, tmp_path):
    """Defined in a cell, as readers do."""

    def run(text, number, weight, scale=1.0):
        kind = in_a_cell(text, number, weight=weight, scale_of_all=scale)
        model = build_model(CONFIG, 0, kind)
        return fit(model, train, validation, TRAINING, "cpu", tmp_path / "run", progress=False)

    first = run(CELL, 1, 4)
    assert run(CELL, 2, 4) == first
    for other in (
        (CELL.replace("weight *", "2 * weight *"), 3, 4),
        (CELL, 4, 5),
        (CELL, 5, 4, 2.0),
    ):
        with pytest.raises(ValueError, match=r"another run \(source was"):
            run(*other)


def test_a_class_without_a_text_has_no_checkpoint(train, validation, tmp_path):
    for kind in (
        in_a_cell(CELL, 3, weight=4, scale_of_all=1),
        type("Other", (BetaVAE,), {"__module__": "gone"}),
    ):
        linecache.cache.pop("<cell 3>", None)
        with pytest.raises(ValueError, match=f"the text of the class {kind.__name__} is not found"):
            fit(kind(CONFIG), train, validation, TRAINING, "cpu", tmp_path / "run", False)
