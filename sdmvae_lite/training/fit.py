"""Algorithm 1 for every model with the methods of `VAE`: stopped early, resumable to the bit.

:doc:`05_train_a_vae` builds it up, :doc:`13_train_sdm_vae` compares it with the paper by line.
"""

from __future__ import annotations

import copy
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import add
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from ..config import TrainingConfig, to_dict
from ..model.models import VAE, loss
from .batches import Frames, chunks, hold_frames, ordered
from .checkpoints import TrainingState, describe_run, load_checkpoint, save_checkpoint

Losses = Sequence[float]  # reconstruction and KL, means over frames
VALIDATION_SEED = 20_220_918  # the noise is the same in every epoch and every run


@dataclass
class History:
    """Losses of each epoch: sums over bins and coefficients, averaged over frames.

    ``loss`` = ``reconstruction`` + ``kl`` is the negative ELBO without its constants.
    """

    train_reconstruction: list[float] = field(default_factory=list)
    train_kl: list[float] = field(default_factory=list)
    validation_reconstruction: list[float] = field(default_factory=list)
    validation_kl: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list, compare=False)  # of each epoch, by the clock

    @property
    def epochs(self) -> int:
        return len(self.validation_kl)

    @property
    def train_loss(self) -> list[float]:
        return list(map(add, self.train_reconstruction, self.train_kl))

    @property
    def validation_loss(self) -> list[float]:
        return list(map(add, self.validation_reconstruction, self.validation_kl))

    @property
    def best_epoch(self) -> int:
        """Return the epoch of the lowest validation loss, counted from 1; 0 before the first."""
        return 1 + int(np.argmin(self.validation_loss)) if self.epochs else 0

    def append(self, train: Losses, validation: Losses, seconds: float) -> None:
        """Add an epoch; a FloatingPointError names it if a loss is not finite."""
        fields = vars(self).values()
        for values, value in zip(fields, (*train, *validation, seconds), strict=True):
            values.append(value)
        if not math.isfinite(self.train_loss[-1] + self.validation_loss[-1]):
            raise FloatingPointError(
                f"the loss is no longer finite in epoch {self.epochs}: "
                "lower the learning rate, or look for silent frames in the speech"
            )


def fit(
    model: VAE,
    train: np.ndarray | Tensor,
    validation: np.ndarray | Tensor,
    training: TrainingConfig = TrainingConfig(),
    device: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> History:
    """Train ``model`` in place by Algorithm 1 and leave it with its best weights, on the CPU.

    A step of Adam on each mini-batch is the second of its two updates (paper, eq. 8b); the first is
    part of a model's KL. The best weights of a ``cosine`` schedule are its last; what follows is of
    the ``constant`` one.

    Frames are shuffled anew in every epoch, unless ``training.shuffle`` is False. Training stops
    when the validation loss, always under the same noise, has not improved for
    ``training.patience`` epochs. If it is interrupted or fails, the model gets back the weights
    that it came with, so that the same call can be given again. See :doc:`13_train_sdm_vae`.

    Args:
        train: power spectra, (n_frames, n_bins), of other speakers than ``validation``.
        device: as `find_device` takes it.
        checkpoint: a file that is written after every epoch; where it exists, the same call goes
            on from it, and on a CPU ends exactly as if it had never stopped.

    Raises:
        ValueError: if frames are missing, do not fit the model or are no power spectra; if the
            checkpoint is damaged or of another run, naming it.
        OSError: naming the checkpoint, if it cannot be written, as on a full disk.
        FloatingPointError: if the loss stops being finite, naming the epoch.
    """
    target = find_device(device)
    path = None if checkpoint is None else Path(checkpoint).expanduser()
    if path is not None and path.is_dir():
        raise ValueError(f"the checkpoint {path} is a folder: name a file in it")
    train_frames = hold_frames(train, "train", model.config.n_bins, target)
    validation_frames = hold_frames(validation, "validation", model.config.n_bins, target)
    run = describe_run(model, training, train_frames, validation_frames) if path else {}
    start = best = copy.deepcopy(model.state_dict())
    history, generator = History(), Generator(target).manual_seed(training.seed)
    try:
        model.to(target)
        optimiser = torch.optim.Adam(model.parameters(), lr=training.learning_rate, fused=True)
        if path is not None and path.exists():
            state = load_checkpoint(path, model, generator, run)
            best, history = state.best, History(**state.history)
            optimiser.load_state_dict(optimiser.state_dict() | {"state": state.moments})
        else:
            model.prepare(chunks(train_frames, target))
        with tqdm(total=training.max_epochs, initial=history.epochs, disable=not progress) as bar:
            while not finished(history, training):
                began = time.monotonic()
                model.begin_epoch(history.epochs)
                losses = _train_epoch(
                    model, train_frames, optimiser, generator, training, history.epochs
                )
                validated = validation_losses(model, validation_frames)
                history.append(losses, validated, time.monotonic() - began)
                if kept_epoch(history, training) == history.epochs:
                    best = copy.deepcopy(model.state_dict())
                if path is not None:
                    state = TrainingState(best, optimiser.state_dict()["state"], to_dict(history))
                    save_checkpoint(path, model, generator, run, state)
                bar.update()
                bar.set_postfix(validation=f"{sum(validated):.1f}", best=history.best_epoch)
    except BaseException:
        best = start
        raise
    finally:
        model.load_state_dict(best)
        model.to("cpu").eval()
    return history


def _train_epoch(
    model: VAE,
    frames: Frames,
    optimiser: torch.optim.Optimizer,
    generator: Generator,
    training: TrainingConfig,
    epoch: int,
) -> Losses:
    """Go once over the frames; return the mean reconstruction and KL."""
    model.train()
    totals = torch.zeros(2, dtype=torch.float64, device=generator.device)
    steps = -(-len(frames) // training.batch_size)
    for step, batch in enumerate(_batches(frames, generator, training)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(training, epoch + step / steps)
        # gamma's update and the reparametrisation happen inside the model
        reconstruction, kl = loss(model, batch, model(batch, generator=generator))
        optimiser.zero_grad()
        (reconstruction + kl).backward()
        if model.gradient_limit is not None:
            clip_grad_norm_(model.parameters(), model.gradient_limit)
        optimiser.step()
        totals += len(batch) * torch.stack((reconstruction, kl)).detach()
    return (totals / len(frames)).tolist()


def _batches(frames: Frames, generator: Generator, training: TrainingConfig) -> Iterator[Tensor]:
    for held, order in ordered(frames, training.batch_size, generator, training.shuffle):
        for rows in order.split(training.batch_size):
            yield held.index_select(0, rows)


@torch.no_grad()
def validation_losses(model: VAE, frames: Frames) -> Losses:
    """Return mean reconstruction and KL of frames (n_frames, n_bins), under noise always the same.

    See :doc:`08_variational_sparse_coding`.
    """
    model.eval()
    device = next(model.parameters()).device
    generator = Generator(device).manual_seed(VALIDATION_SEED)
    totals = torch.zeros(2, dtype=torch.float64, device=device)
    for batch in chunks(frames, device):
        totals += len(batch) * torch.stack(loss(model, batch, model(batch, generator=generator)))
    return (totals / len(frames)).tolist()


def finished(history: History, training: TrainingConfig) -> bool:
    """Return whether training is over: no epochs left, or no better loss for too long."""
    waited = history.epochs - kept_epoch(history, training)
    return history.epochs >= training.max_epochs or waited >= training.patience


def kept_epoch(history: History, training: TrainingConfig) -> int:
    """Return whose weights are kept, counted from 1: the best epoch's, or the last of a cosine."""
    return history.best_epoch if training.schedule == "constant" else history.epochs


def learning_rate(training: TrainingConfig, epochs: float) -> float:
    """Return Adam's learning rate after so many epochs, fractions included.

    >>> recipe = TrainingConfig(learning_rate=1.0, schedule="cosine", max_epochs=4)
    >>> [round(learning_rate(recipe, epochs), 3) for epochs in (0, 0.5, 1, 2, 3, 4)]
    [0.0, 0.481, 0.854, 0.5, 0.146, 0.0]
    """
    if training.schedule == "constant":
        return training.learning_rate
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, epochs / training.max_epochs)))
    return training.learning_rate * min(1.0, epochs) * falling


def find_device(name: str = "auto") -> torch.device:
    """Return the device ``cpu``, ``cuda``, ``cuda:1``, or ``auto``: CUDA where there is one.

    Another name is a ValueError, CUDA asked for and absent a RuntimeError.
    See :doc:`15_bring_your_own_speech`.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", str(name)):
        raise ValueError(f"unknown device {name!r}: use auto, cpu, cuda or cuda:1")
    device, number = torch.device(name), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= number:
        raise RuntimeError(
            f"device {name!r} was asked for, and this machine has {number} CUDA devices: "
            "use device='auto' or 'cpu'"
        )
    return device
