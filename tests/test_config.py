import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmvae_lite.config import (
    PRESETS,
    ModelConfig,
    Preset,
    STFTConfig,
    TrainingConfig,
    from_dict,
    get_preset,
    to_dict,
)


def through_json(config):
    return from_dict(type(config), json.loads(json.dumps(to_dict(config))))


def test_the_defaults_are_the_papers_protocol():
    assert STFTConfig() == STFTConfig(window_length=1024, hop_length=256)
    assert STFTConfig().n_bins == 513
    assert TrainingConfig() == TrainingConfig(1e-4, 128, 500, 20, 0)
    assert (ModelConfig().m, ModelConfig().hidden) == (32, 128)
    assert get_preset("paper").training == TrainingConfig()
    assert get_preset("paper").input == ModelConfig().input == "power"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_presets_survive_json(preset):
    assert through_json(preset) == preset


@given(
    m=st.integers(1, 256),
    k=st.none() | st.integers(1, 256),
    alpha=st.floats(0.001, 0.999),
    constant_atom=st.booleans(),
)
def test_model_configurations_survive_json(m, k, alpha, constant_atom):
    config = ModelConfig("sdm-vae", m, "dct", k, constant_atom, alpha)
    assert through_json(config) == config


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (STFTConfig, {"hop": 256}, "unknown key 'hop'"),
        (STFTConfig, {"hop_length": "256"}, "'hop_length' must be int, not str '256'"),
        (STFTConfig, {"hop_length": 256.0}, "'hop_length' must be int, not float 256.0"),
        (TrainingConfig, {"seed": True}, "'seed' must be int, not bool True"),
        (TrainingConfig, {"learning_rate": None}, "'learning_rate' must be float"),
        (ModelConfig, {"constant_atom": 1}, "'constant_atom' must be bool, not int 1"),
        (ModelConfig, {"k": 1.5}, "'k' must be int | None, not float 1.5"),
        (
            Preset,
            {"name": "x", "minutes": 1, "training": 3},
            "'training' must be TrainingConfig, not int 3",
        ),
        (Preset, {"training": {"epochs": 3}}, "TrainingConfig: unknown key 'epochs'"),
    ],
)
def test_unknown_and_ill_typed_keys_are_named(kind, values, named):
    with pytest.raises(ValueError, match=r".*") as error:
        from_dict(kind, values)
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (ModelConfig, {"m": "32"}, "'m' must be int, not str '32'"),
        (ModelConfig, {"m": 32.0}, "'m' must be int, not float 32.0"),
        (ModelConfig, {"hop_length": 12.5}, "'hop_length' must be int | None, not float 12.5"),
        (ModelConfig, {"model": None}, "'model' must be str, not NoneType None"),
        (TrainingConfig, {"batch_size": 0.5}, "'batch_size' must be int, not float 0.5"),
        (TrainingConfig, {"seed": 1.5}, "'seed' must be int, not float 1.5"),
        (TrainingConfig, {"shuffle": 1}, "'shuffle' must be bool, not int 1"),
        (STFTConfig, {"window_length": "1024"}, "'window_length' must be int, not str"),
    ],
)
def test_values_of_another_type_are_refused_at_once(kind, values, named):
    with pytest.raises(ValueError, match=r".*") as error:
        kind(**values)
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"n_bins": 1}, "n_bins must be at least 2, not 1"),
        ({"hop_length": 0}, "hop_length must be between 1 and half a window"),
        ({"hop_length": 513}, "hop_length must be between 1 and half a window"),
        ({"n_bins": 33, "hop_length": 64}, "hop_length must be between 1 and half a window"),
    ],
)
def test_a_model_of_no_possible_stft_is_refused(values, named):
    with pytest.raises(ValueError, match=named):
        ModelConfig(**values)


@pytest.mark.parametrize("n_bins", [2, 3, 33, 513])
def test_a_models_stft_has_its_bins(n_bins):
    assert ModelConfig(n_bins=n_bins).stft.n_bins == n_bins
    assert ModelConfig().stft == STFTConfig()
    assert ModelConfig(hop_length=128).stft == STFTConfig(1024, 128)


def test_an_integer_is_a_fine_learning_rate():
    assert from_dict(TrainingConfig, {"learning_rate": 1}).learning_rate == 1


def test_json_must_hold_an_object():
    with pytest.raises(ValueError, match="STFTConfig: expected a JSON object, not list"):
        from_dict(STFTConfig, [])


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (STFTConfig, {"window_length": 1}, "window_length must be at least 2"),
        (STFTConfig, {"window_length": 1023}, "window_length must be an even"),
        (STFTConfig, {"hop_length": 0}, "hop_length must be between 1 and half"),
        (STFTConfig, {"hop_length": 513}, "hop_length must be between 1 and half"),
        (
            ModelConfig,
            {"model": "gan"},
            "model must be one of vae, vsc, sdm-vae, student-vae, loglinear-vae, not 'gan'",
        ),
        (ModelConfig, {"m": 0}, "m must be at least 1, not 0"),
        (ModelConfig, {"k": 0, "dictionary": "dct"}, "k must be at least 1"),
        (ModelConfig, {"k": 64}, "k must be None or m = 32 with the identity dictionary"),
        (ModelConfig, {"dictionary": "wavelet"}, "dictionary must be one of identity, dct"),
        (ModelConfig, {"alpha": 0.0}, "alpha must be strictly between 0 and 1, not 0.0"),
        (ModelConfig, {"alpha": 1.0}, "alpha must be strictly between 0 and 1, not 1.0"),
        (ModelConfig, {"pseudo_inputs": -1}, "pseudo_inputs must be 0"),
        (TrainingConfig, {"batch_size": 0}, "batch_size must be at least 1, not 0"),
        (TrainingConfig, {"patience": 0}, "patience must be at least 1, not 0"),
        (TrainingConfig, {"max_epochs": 0}, "max_epochs must be at least 1"),
        (TrainingConfig, {"learning_rate": 0.0}, "learning_rate must be finite and positive"),
        (TrainingConfig, {"learning_rate": float("nan")}, "learning_rate must be finite"),
        (TrainingConfig, {"seed": -1}, "seed must be between 0"),
    ],
)
def test_values_out_of_range_are_named(kind, values, named):
    with pytest.raises(ValueError, match=r".*") as error:
        kind(**values)
    assert named in str(error.value)


def test_the_preset_comes_from_name_then_environment_then_laptop(monkeypatch):
    monkeypatch.delenv("SDMVAE_PRESET", raising=False)
    assert get_preset().name == "laptop"
    monkeypatch.setenv("SDMVAE_PRESET", "smoke")
    assert get_preset().name == "smoke"
    assert get_preset("paper").name == "paper"
    with pytest.raises(ValueError, match="unknown preset 'huge': choose one of smoke, laptop"):
        get_preset("huge")
