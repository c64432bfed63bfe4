import numpy as np
import pytest
import torch
from noise import N_BINS, make_frames

from sdmvae_lite.config import ModelConfig, TrainingConfig, memory_budget
from sdmvae_lite.model.models import build_model
from sdmvae_lite.training.batches import CHUNK, chunks, hold_frames, ordered
from sdmvae_lite.training.fit import fit

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path):
    """A store of 1,000 frames, each filled with its own number."""
    rows = np.repeat(np.arange(1000, dtype=np.float32)[:, None], N_BINS, axis=1)
    (tmp_path / "frames.f32").write_bytes(rows.tobytes())
    return np.memmap(tmp_path / "frames.f32", dtype=np.float32, mode="c", shape=rows.shape)


def allow(monkeypatch, n_frames):
    monkeypatch.setenv("SDMVAE_MEMORY", str(n_frames * N_BINS * 4 / 1e9))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def epoch(frames, seed=0, batch_size=64):
    """What an epoch goes through, part by part."""
    return [held[order][:, 0] for held, order in ordered(frames, batch_size, generator(seed))]


def test_a_store_within_the_budget_is_held_in_memory(store, monkeypatch):
    allow(monkeypatch, 1000)
    held = hold_frames(store, "train", N_BINS, CPU)
    assert isinstance(held, torch.Tensor)
    (order,) = epoch(held)
    assert torch.equal(order, torch.randperm(1000, generator=generator()).float())


@pytest.mark.parametrize("rows", [slice(500, None), slice(None, None, 2), slice(0, None)])
def test_a_part_of_a_store_is_what_it_says(store, monkeypatch, rows):
    allow(monkeypatch, 10)
    held = hold_frames(store[rows], "train", N_BINS, CPU)
    assert torch.cat(list(chunks(held, CPU)))[:, 0].tolist() == list(range(1000))[rows]


def test_a_larger_store_is_streamed_and_every_frame_comes_once(store, monkeypatch):
    allow(monkeypatch, 512)
    held = hold_frames(store, "train", N_BINS, CPU)
    assert held is store
    parts = epoch(held)
    assert len(parts) == 4  # of half the budget: 256 frames, the last of fewer
    assert max(len(part) for part in parts) == 256
    assert torch.cat(parts).sort().values.tolist() == list(range(1000))


def test_a_part_is_a_choice_of_blocks_from_everywhere(store, monkeypatch):
    allow(monkeypatch, 512)
    first = epoch(store, batch_size=8)[0]
    blocks = first.div(8, rounding_mode="floor").unique()
    assert len(blocks) == 32
    assert blocks.min() < 20
    assert blocks.max() > 105
    assert (first.diff() == 1).sum() < 10  # neighbours do not stay together


def test_streaming_is_a_matter_of_the_seed(store, monkeypatch):
    allow(monkeypatch, 512)
    first, again, other = (torch.cat(epoch(store, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("budget", [1000, 512])
def test_without_shuffling_frames_come_as_they_lie(store, monkeypatch, budget):
    allow(monkeypatch, budget)
    held = hold_frames(store, "train", N_BINS, CPU)
    parts = [held[order][:, 0] for held, order in ordered(held, 64, generator(), shuffle=False)]
    assert len(parts) == (1 if budget == 1000 else 4)
    assert torch.cat(parts).tolist() == list(range(1000))


def test_a_budget_below_one_batch_still_streams(store, monkeypatch):
    allow(monkeypatch, 1)
    assert [len(part) for part in epoch(store, batch_size=300)].count(300) == 3


def test_frames_in_memory_stay_there_whatever_their_size(monkeypatch):
    allow(monkeypatch, 1)
    assert isinstance(hold_frames(np.ones((9, N_BINS), np.float32), "", N_BINS, CPU), torch.Tensor)


def test_chunks_are_the_frames_in_order(store):
    held = torch.from_numpy(store)
    for frames in (store, held):
        assert torch.equal(torch.cat(list(chunks(frames, CPU))), held)
    tall = np.lib.stride_tricks.as_strided(store, (CHUNK + 1, N_BINS), (0, 4))
    assert [len(chunk) for chunk in chunks(torch.from_numpy(tall), CPU)] == [CHUNK, 1]


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_a_store_of_other_numbers_is_streamed_as_float32(tmp_path, monkeypatch, dtype):
    allow(monkeypatch, 512)
    power = make_frames(640, seed=0).astype(dtype)
    power.tofile(tmp_path / "frames")
    store = np.memmap(tmp_path / "frames", dtype=dtype, mode="r", shape=power.shape)
    training = TrainingConfig(batch_size=64, max_epochs=1)
    model = build_model(ModelConfig(m=4, hidden=16, n_bins=N_BINS), seed=0)
    assert hold_frames(store, "train", N_BINS, CPU) is store
    fit(model, store, power.astype(np.float32), training, "cpu", progress=False)
    held = hold_frames(power, "train", N_BINS, CPU)
    assert torch.equal(torch.cat(list(chunks(store, CPU))), held)


def test_a_streamed_store_that_holds_no_power_spectra_is_refused(store, monkeypatch):
    allow(monkeypatch, 10)
    path = store.filename
    rows = np.memmap(path, dtype=np.float32, mode="r+", shape=store.shape)
    rows[777, 5] = -1
    rows.flush()
    with pytest.raises(ValueError, match="train frames hold negative"):
        hold_frames(store, "train", N_BINS, CPU)


@pytest.mark.parametrize("value", ["lots", "0", "-1", "nan", "inf"])
def test_a_budget_that_is_no_number_is_refused(value, monkeypatch):
    monkeypatch.setenv("SDMVAE_MEMORY", value)
    with pytest.raises(ValueError, match=f"SDMVAE_MEMORY must be .* not '{value}'"):
        memory_budget()


def test_a_model_learns_from_a_streamed_store_what_it_learns_from_memory(tmp_path, monkeypatch):
    """As well as another seed would: the validation losses lie as close as those of two seeds."""
    power = make_frames(4000, seed=0)
    (tmp_path / "frames.f32").write_bytes(power.tobytes())
    store = np.memmap(tmp_path / "frames.f32", dtype=np.float32, mode="c", shape=power.shape)
    config = TrainingConfig(learning_rate=3e-3, batch_size=64, max_epochs=4)

    def trained(budget):
        allow(monkeypatch, budget)
        model = build_model(ModelConfig(m=4, hidden=16, n_bins=N_BINS), seed=0)
        return fit(model, store, power[:500], config, "cpu", progress=False).validation_loss

    streamed, resident = trained(1000), trained(4000)
    assert streamed[0] != resident[0]
    assert streamed[-1] == pytest.approx(resident[-1], abs=0.5)
    assert resident[0] - resident[-1] > 5


def test_a_streamed_run_in_two_sittings_equals_one_in_one(store, tmp_path, monkeypatch):
    allow(monkeypatch, 512)
    config = TrainingConfig(batch_size=64, max_epochs=4)
    checkpoint = tmp_path / "run.safetensors"

    def model():
        return build_model(ModelConfig(m=4, hidden=16, n_bins=N_BINS), seed=0)

    whole, first, second = model(), model(), model()
    history = fit(whole, store, store[:100], config, "cpu", progress=False)
    begin_epoch = first.begin_epoch

    def stop(epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        begin_epoch(epoch)

    monkeypatch.setattr(first, "begin_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(first, store, store[:100], config, "cpu", checkpoint, progress=False)
    resumed = fit(second, store, store[:100], config, "cpu", checkpoint, progress=False)
    assert resumed == history
    assert all(
        torch.equal(value, whole.state_dict()[name]) for name, value in second.state_dict().items()
    )
    for budget, held in ((256, "streamed within 33792 bytes"), (1000, "in memory")):
        allow(monkeypatch, budget)
        named = rf"another run \(train frames held was streamed .* 67584 bytes, is now {held}\)"
        with pytest.raises(ValueError, match=named):
            fit(model(), store, store[:100], config, "cpu", checkpoint, progress=False)
    checkpoint.unlink()
    resident = fit(model(), store, store[:100], config, "cpu", checkpoint, progress=False)
    assert resident != history
    allow(monkeypatch, 512)
    with pytest.raises(ValueError, match="train frames held was in memory, is now streamed within"):
        fit(model(), store, store[:100], config, "cpu", checkpoint, progress=False)
