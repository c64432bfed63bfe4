"""A few runs of one row of the table, trained side by side with hand-derived gradients.

`lockstep.fit_many` drives them. See :doc:`10_train_sdm_vae`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from tqdm import tqdm

from .batches import ordered
from .config import Run, to_dict
from .gradients import Noise, negative_elbo
from .models import build_model, loss
from .storage import TrainingState, describe_run, load_checkpoint, save_checkpoint
from .training import History, finished, validation_losses

CHECKPOINT_SECONDS = 10.0  # between checkpoints of a run that goes on
WARM_UP = 3  # steps before a GPU captures one


class Trainee:
    """One run under way: its model, its generator, Adam's moments, its losses and best weights.

    See :doc:`12_bring_your_own_speech`.
    """

    def __init__(
        self,
        run: Run,
        train: Tensor | np.memmap,
        validation: Tensor | np.memmap,
        device: torch.device,
        folder: Path | None = None,
    ) -> None:
        self.run = run
        self.model = build_model(run.model, run.training.seed).to(device)
        self.generator = Generator(device).manual_seed(run.training.seed)
        self.identity = describe_run(self.model, run.training, train, validation)
        self.history, self.best, self.moments = History(), self._weights(), {}
        self.checkpoint = None if folder is None else Path(folder) / f"{run.name}.safetensors"
        self.saved = time.monotonic()
        if self.checkpoint is not None and self.checkpoint.exists():
            state = load_checkpoint(self.checkpoint, self.model, self.generator, self.identity)
            self.history, self.best = History(**state.history), state.best
            self.moments = state.moments

    @property
    def finished(self) -> bool:
        return finished(self.history, self.run.training)

    @property
    def epochs_left(self) -> int:
        return self.run.training.max_epochs - self.history.epochs

    def begin_epoch(self) -> None:
        self.began = time.monotonic()
        self.model.begin_epoch(self.history.epochs)

    def close_epoch(self, train: list[float], validation: tuple[float, float]) -> None:
        """Note an epoch's losses, keep the weights if they are the best so far, and save."""
        now = time.monotonic()
        try:
            self.history.append((train[0], train[1]), validation, now - self.began)
        except FloatingPointError as error:
            raise FloatingPointError(f"{self.run.name}: {error}") from None
        if self.history.best_epoch == self.history.epochs:
            self.best = self._weights()
        due = now - self.saved >= CHECKPOINT_SECONDS
        if self.checkpoint is not None and (due or self.finished):
            state = TrainingState(self.best, self.moments, to_dict(self.history))
            save_checkpoint(self.checkpoint, self.model, self.generator, self.identity, state)
            self.saved = now

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in self.model.state_dict().items()}


def train_together(
    trainees: Sequence[Trainee],
    train: Tensor | np.memmap,
    validation: Tensor | np.memmap,
    bar: tqdm,
) -> Iterator[None]:
    """Train a stack to its end; each ``next`` is a step. Who has finished leaves and costs no more.

    See :doc:`12_bring_your_own_speech`.

    Args:
        trainees: of one row of the table, and in the same epoch.
        train: from `batches.hold_frames`.
        validation: likewise.
        bar: counts epochs; its total shrinks where a run stops early.
    """
    while trainees := [trainee for trainee in trainees if not trainee.finished]:
        stack = Stack(trainees)
        while not any(trainee.finished for trainee in trainees):
            yield from stack.epoch(train, validation)
            bar.update(len(trainees))
        bar.total -= sum(trainee.epochs_left for trainee in trainees if trainee.finished)


class Stack:
    """Trainees of one row of the table, in the same epoch, whose weights share tensors.

    A parameter is stacked to (runs, ...) and each model's own becomes a view of it; so are Adam's
    moments. See :doc:`12_bring_your_own_speech`.
    """

    def __init__(self, trainees: Sequence[Trainee]) -> None:
        self.trainees = trainees
        self.model, self.training = trainees[0].model, trainees[0].run.training
        self.device = trainees[0].generator.device
        self.parameters = self._stacked_parameters()
        self.weights = {name: value.detach() for name, value in self.parameters.items()}
        self.gradients = {name: value.grad for name, value in self.parameters.items()}
        self.optimiser = self._optimiser()
        runs, size, config = len(trainees), self.training.batch_size, self.model.config
        self.rows = torch.empty(runs, size, dtype=torch.long, device=self.device)
        self.frames = torch.empty(runs * size, config.n_bins, device=self.device)
        self.noise = torch.empty(2, runs, size, config.code_size, device=self.device)
        self.totals = torch.zeros(runs, 2, dtype=torch.float64, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.steps = 0
        self.stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))

    def epoch(self, train: Tensor | np.memmap, validation: Tensor | np.memmap) -> Iterator[None]:
        """One epoch of every trainee; each ``next`` is a step."""
        steps = self._steps(train, validation)
        while True:
            with self._own_stream():
                if next(steps, steps) is steps:
                    return
            yield

    def _steps(self, train: Tensor | np.memmap, validation: Tensor | np.memmap) -> Iterator[None]:
        for trainee in self.trainees:
            trainee.begin_epoch()
        self.totals.zero_()
        size, shuffle = self.training.batch_size, self.training.shuffle
        parts = (ordered(train, size, trainee.generator, shuffle) for trainee in self.trainees)
        for drawn in zip(*parts, strict=True):
            held, orders = drawn[0][0], torch.stack([order for _, order in drawn])
            for rows in orders.split(size, dim=1):
                self._step(held, rows, lasting=held is train)
                yield
        for trainee, losses in zip(self.trainees, self.totals / len(train), strict=True):
            trainee.close_epoch(losses.tolist(), validation_losses(trainee.model, validation))

    def _step(self, held: Tensor, rows: Tensor, lasting: bool) -> None:
        """Update every trainee by the frames of its row; on a GPU, by a captured graph if it can.

        A graph needs full batches, hand-derived gradients and frames that stay where they are.
        """
        fits = lasting and rows.shape[1] == self.training.batch_size and self._by_hand
        if self.stream is not None and fits and self.steps >= WARM_UP:
            self.rows.copy_(rows)
            if self.graph is None:
                self.graph = self._captured(held)
            self.graph.replay()
        else:
            self._update(held, rows)
        self.steps += 1

    @torch.no_grad()
    def _update(self, held: Tensor, rows: Tensor) -> None:
        runs, batch = rows.shape
        frames = self.frames[: rows.numel()]
        torch.index_select(held, 0, rows.flatten(), out=frames)
        frames = frames.view(runs, batch, -1)
        if self._by_hand:
            noise = self._drawn(batch)
            losses = negative_elbo(self.model, self.weights, self.gradients, frames, noise)
        else:
            losses = self._by_autograd(frames)
        self.optimiser.step()
        self.totals.add_(losses, alpha=batch)

    @property
    def _by_hand(self) -> bool:
        """VSC's pseudo-inputs are left to autograd."""
        return not self.model.config.pseudo_inputs

    def _drawn(self, batch: int) -> Noise:
        """Fresh noise, each trainee's from its own generator, in the order in which `fit` draws."""
        noise = Noise(*self.noise[:, :, :batch])
        for row, trainee in enumerate(self.trainees):
            noise.normal[row].normal_(generator=trainee.generator)
            if self.model.config.model == "vsc":
                noise.uniform[row].uniform_(generator=trainee.generator)
        return noise

    @torch.enable_grad()
    def _by_autograd(self, frames: Tensor) -> Tensor:
        self.optimiser.zero_grad(set_to_none=False)
        losses = []
        for trainee, batch in zip(self.trainees, frames, strict=True):
            both = torch.stack(
                loss(trainee.model, batch, trainee.model(batch, generator=trainee.generator))
            )
            both.sum().backward()  # adds to the views of the stacked gradients
            losses.append(both.detach())
        return torch.stack(losses)

    def _captured(self, held: Tensor) -> torch.cuda.CUDAGraph:
        """The update as a graph that reads ``self.rows``; capturing it does not run it."""
        graph = torch.cuda.CUDAGraph()
        for trainee in self.trainees:
            graph.register_generator_state(trainee.generator)
        with torch.cuda.graph(graph, stream=self.stream):
            self._update(held, self.rows)
        return graph

    def _own_stream(self) -> AbstractContextManager:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def _stacked_parameters(self) -> dict[str, nn.Parameter]:
        own = [dict(trainee.model.named_parameters()) for trainee in self.trainees]
        stacked = {}
        for name in own[0]:
            together = nn.Parameter(torch.stack([parameters[name].detach() for parameters in own]))
            together.grad = torch.zeros_like(together)
            for row, parameters in enumerate(own):
                parameters[name].data = together.detach()[row]
                parameters[name].grad = together.grad[row]
            stacked[name] = together
        return stacked

    def _optimiser(self) -> torch.optim.Adam:
        """Adam on the stacked parameters, going on from the trainees' moments."""
        adam = torch.optim.Adam(
            self.parameters.values(),
            lr=self.training.learning_rate,
            fused=True,
            capturable=self.device.type == "cuda",
        )
        for number, parameter in enumerate(self.parameters.values()):
            rows = [t.moments.get(number) or _zeros(parameter[0]) for t in self.trainees]
            adam.state[parameter] = {
                name: torch.stack([moments[name] for moments in rows]).to(self.device)
                for name in ("exp_avg", "exp_avg_sq")
            }
            adam.state[parameter]["step"] = rows[0]["step"].clone().to(self.device)
            for row, trainee in enumerate(self.trainees):
                trainee.moments[number] = {
                    name: value[row] if name != "step" else value
                    for name, value in adam.state[parameter].items()
                }
        return adam


def _zeros(parameter: Tensor) -> dict[str, Tensor]:
    """Adam's moments before the first step."""
    zeros = torch.zeros_like(parameter)
    return {"step": torch.zeros(()), "exp_avg": zeros, "exp_avg_sq": zeros}
