"""Algorithm 1: training one model, stopped early, resumable to the bit.

`fit` is the loop that :doc:`05_train_a_vae` builds up and :doc:`10_train_sdm_vae` holds against the
paper line by line; saving and loading trained models stand in ``storage.py``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from .config import TrainingConfig, to_dict
from .models import VAE, loss
from .storage import describe_run, load_checkpoint, save_checkpoint

VALIDATION_BATCH = 4096  # frames; any size gives the same loss up to rounding
VALIDATION_SEED = 20_220_918  # the noise is the same in every epoch and every run


@dataclass
class History:
    """Losses per frame after each epoch, and which epoch was best.

    Losses are sums over bins and coefficients, averaged over frames, without constants:
    ``loss`` = ``reconstruction`` + ``kl`` is the negative ELBO. See :doc:`05_train_a_vae`.
    """

    train_reconstruction: list[float] = field(default_factory=list)
    train_kl: list[float] = field(default_factory=list)
    validation_reconstruction: list[float] = field(default_factory=list)
    validation_kl: list[float] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        return len(self.validation_kl)

    @property
    def train_loss(self) -> list[float]:
        return [r + k for r, k in zip(self.train_reconstruction, self.train_kl, strict=True)]

    @property
    def validation_loss(self) -> list[float]:
        return [
            r + k for r, k in zip(self.validation_reconstruction, self.validation_kl, strict=True)
        ]

    @property
    def best_epoch(self) -> int:
        """The epoch of the lowest validation loss, counted from 1; 0 before the first."""
        return 1 + int(np.argmin(self.validation_loss)) if self.epochs else 0

    def append(self, train: tuple[float, float], validation: tuple[float, float]) -> None:
        self.train_reconstruction.append(train[0])
        self.train_kl.append(train[1])
        self.validation_reconstruction.append(validation[0])
        self.validation_kl.append(validation[1])


def fit(
    model: VAE,
    train: np.ndarray,
    validation: np.ndarray,
    config: TrainingConfig = TrainingConfig(),
    device: str = "auto",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> History:
    """Train ``model`` in place by Algorithm 1 and leave it with its best weights, on the CPU.

    Frames are shuffled anew in every epoch. Training stops when the validation loss, always
    under the same noise, has not improved for ``config.patience`` epochs.
    See :doc:`10_train_sdm_vae`.

    Args:
        model: initialised, for instance by ``build_model(config, seed)``.
        train: power spectra, (n_frames, n_bins).
        validation: likewise, of other speakers.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:1``.
        checkpoint: a file that is written after every epoch; where it exists, training goes on
            from it, and on a CPU ends exactly as if it had never stopped.
        progress: show a bar with the losses and the time left.

    Raises:
        ValueError: if there are no frames, or they do not fit the model or are no power spectra;
            if the checkpoint is of another model or configuration; for an unknown device.
        RuntimeError: if CUDA is asked for and absent.
        FloatingPointError: if the loss stops being finite, naming the epoch.
    """
    target = find_device(device)
    train = _resident(train, "train", model, target)
    validation = _resident(validation, "validation", model, target)
    model.to(target)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    generator = Generator(target).manual_seed(config.seed)
    history, best = History(), copy.deepcopy(model.state_dict())
    run = describe_run(model, config, train, validation)
    if checkpoint is not None and checkpoint.exists():
        best, losses = load_checkpoint(checkpoint, model, optimiser, generator, run)
        history = History(**losses)
    with tqdm(total=config.max_epochs, initial=history.epochs, disable=not progress) as bar:
        while not _finished(history, config):
            model.begin_epoch(history.epochs)
            losses = _train_epoch(model, train, optimiser, generator, config.batch_size)
            history.append(losses, validation_losses(model, validation))
            if not math.isfinite(history.train_loss[-1] + history.validation_loss[-1]):
                raise FloatingPointError(
                    f"the loss is no longer finite in epoch {history.epochs}: "
                    "lower the learning rate, or look for silent frames in the speech"
                )
            if history.best_epoch == history.epochs:
                best = copy.deepcopy(model.state_dict())
            if checkpoint is not None:
                losses = to_dict(history)
                save_checkpoint(checkpoint, model, optimiser, generator, best, run, losses)
            bar.update()
            bar.set_postfix(
                validation=f"{history.validation_loss[-1]:.1f}", best=history.best_epoch
            )
    model.load_state_dict(best)
    model.to("cpu").eval()
    return history


def _train_epoch(
    model: VAE,
    frames: Tensor,
    optimiser: torch.optim.Optimizer,
    generator: Generator,
    batch_size: int,
) -> tuple[float, float]:
    """One pass over the shuffled frames; the mean reconstruction and KL of its batches."""
    model.train()
    totals = torch.zeros(2, dtype=torch.float64, device=frames.device)
    for batch in _shuffled_batches(frames, batch_size, generator):
        # gamma's update and the reparametrisation happen inside the model
        reconstruction, kl = loss(model, batch, model(batch, generator=generator))
        optimiser.zero_grad()
        (reconstruction + kl).backward()
        optimiser.step()
        totals += len(batch) * torch.stack((reconstruction, kl)).detach()
    reconstruction, kl = (totals / len(frames)).tolist()
    return reconstruction, kl


def _shuffled_batches(frames: Tensor, batch_size: int, generator: Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(frames), generator=generator, device=frames.device)
    for indices in order.split(batch_size):
        yield frames[indices]


@torch.no_grad()
def validation_losses(model: VAE, frames: Tensor) -> tuple[float, float]:
    """Mean reconstruction and KL of a sampled code, under noise that is always the same.

    See :doc:`05_train_a_vae`.
    """
    model.eval()
    generator = Generator(frames.device).manual_seed(VALIDATION_SEED)
    totals = torch.zeros(2, dtype=torch.float64, device=frames.device)
    for batch in frames.split(VALIDATION_BATCH):
        losses = loss(model, batch, model(batch, generator=generator))
        totals += len(batch) * torch.stack([torch.as_tensor(value) for value in losses])
    reconstruction, kl = (totals / len(frames)).tolist()
    return reconstruction, kl


def _finished(history: History, config: TrainingConfig) -> bool:
    waited = history.epochs - history.best_epoch
    return history.epochs >= config.max_epochs or waited >= config.patience


def find_device(name: str = "auto") -> torch.device:
    """The torch device called ``name``; ``auto`` is CUDA where there is one, else the CPU.

    See :doc:`05_train_a_vae`.

    Raises:
        ValueError: for a name torch does not know.
        RuntimeError: if CUDA is asked for and absent.

    >>> find_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(
            f"device {name!r} was asked for, and this machine has {torch.cuda.device_count()} "
            "CUDA devices: use device='auto' or 'cpu'"
        )
    return device


def _resident(frames: np.ndarray, part: str, model: VAE, device: torch.device) -> Tensor:
    """The frames as a tensor on the device, checked."""
    tensor = torch.as_tensor(frames, dtype=torch.float32)
    n_bins = model.config.n_bins
    if tensor.ndim != 2 or len(tensor) == 0 or tensor.shape[1] != n_bins:
        raise ValueError(
            f"{part} frames have shape {tuple(tensor.shape)}, the model needs (n_frames, {n_bins})"
        )
    if not torch.isfinite(tensor).all() or tensor.min() < 0:
        raise ValueError(f"{part} frames hold negative, NaN or infinite values: not power spectra")
    return tensor.to(device)
