"""The order of an epoch's frames, from memory or streamed from a store that is larger than it."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Generator, Tensor

from ..config import memory_budget

Frames = Tensor | np.memmap  # held in memory, or streamed from a store
CHUNK = 4096  # frames that are looked at in one go


def hold_frames(
    frames: np.ndarray | Tensor, part: str, n_bins: int, device: torch.device
) -> Frames:
    """Return power spectra (n_frames, n_bins) ready for training, as a tensor on the device.

    Only a whole memory-mapped store, larger in float32 than `config.memory_budget`, stays as it is,
    to be streamed; a slice of one is read into memory.

    Raises:
        ValueError: if the frames, called ``part``, are none, of other bins or no power spectra.
    """
    if frames.ndim != 2 or len(frames) == 0 or frames.shape[1] != n_bins:
        raise ValueError(
            f"{part} frames have shape {tuple(frames.shape)}, the model needs (n_frames, {n_bins})"
        )
    held: Frames
    if (
        isinstance(frames, np.memmap)
        and isinstance(frames.base, mmap.mmap)  # a slice does not know where in the file it begins
        and frames.flags.c_contiguous
        and 4 * frames.size > memory_budget()
    ):
        held = frames
    else:
        with warnings.catch_warnings():
            # nothing is written to them, so frames that cannot be written to will do
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            held = torch.as_tensor(frames, dtype=torch.float32).to(device)
    for chunk in chunks(held, device):
        if not (torch.isfinite(chunk).all() and chunk.min() >= 0):
            raise ValueError(f"{part} frames hold negative, NaN or infinite values, not powers")
    return held


def chunks(frames: Frames, device: torch.device) -> Iterator[Tensor]:
    """Yield all frames in order, `CHUNK` at a time, each (up to CHUNK, n_bins)."""
    if isinstance(frames, Tensor):
        yield from frames.split(CHUNK)
    else:
        for start in range(0, len(frames), CHUNK):
            yield torch.from_numpy(_read(frames, start, CHUNK)).to(device)


def ordered(
    frames: Frames, batch_size: int, generator: Generator, shuffle: bool = True
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what one epoch goes through: frames (n, n_bins) and the order (n,) to take them in.

    Frames in memory come once, in a random order of all. A store that is streamed comes in parts of
    half the memory budget, each a random choice of blocks of ``batch_size`` neighbouring frames,
    read while training is busy with the part before; within a part the order is random again.
    Without ``shuffle`` everything comes as it lies in the store.
    """

    def order(n: int) -> Tensor:
        if shuffle:
            return torch.randperm(n, generator=generator, device=generator.device)
        return torch.arange(n, device=generator.device)

    if isinstance(frames, Tensor):
        yield frames, order(len(frames))
        return
    starts = batch_size * order(-(-len(frames) // batch_size))
    n_blocks = max(1, memory_budget() // (2 * batch_size * frames.shape[1] * 4))  # float32
    parts = starts.cpu().split(n_blocks)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(_gather, frames, parts[0], batch_size)
        for following in (*parts[1:], None):
            part = coming.result().to(generator.device)
            if following is not None:
                coming = reader.submit(_gather, frames, following, batch_size)
            yield part, order(len(part))


def _gather(frames: np.memmap, starts: Tensor, length: int) -> Tensor:
    """Blocks of ``length`` rows that begin at ``starts``, one after the other."""
    rows, filled = np.empty((len(starts) * length, frames.shape[1]), np.float32), 0
    for start in starts.tolist():
        block = _read(frames, start, length)
        rows[filled : filled + len(block)] = block
        filled += len(block)
    return torch.from_numpy(rows[:filled])


def _read(frames: np.memmap, start: int, length: int) -> np.ndarray:
    """Some rows of a store, read from its file: mapped pages would count as memory in use."""
    n_bins, offset = frames.shape[1], frames.offset + start * frames.strides[0]
    count = n_bins * min(length, len(frames) - start)
    rows = np.fromfile(str(frames.filename), frames.dtype, count, offset=offset)
    return rows.reshape(-1, n_bins).astype(np.float32, copy=False)
