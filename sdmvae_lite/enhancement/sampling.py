"""Codes drawn from their posterior given the mixture: two Markov chains for every frame at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

# From codes (n_frames, code_size) to log-densities (n_frames,), up to a constant, and what was
# computed on the way that is to be kept, (n_frames, ...): here the decoded variances of speech.
Density = Callable[[Tensor], tuple[Tensor, Tensor]]
ACCEPTED = 0.57  # share of Langevin proposals to be accepted: best in many dimensions
_ADAPT = 0.2  # how fast the steps follow


class Samples(NamedTuple):
    """What a chain has gone through, but for what it threw away."""

    codes: Tensor  # (R, n_frames, code_size); the chain stands at the last
    kept: Tensor  # (R, n_frames, ...), what the density computed of them
    accepted: Tensor  # (n_frames,), the share of proposals
    step: Tensor  # (n_frames, 1), of the next proposal, relative to the scale


def metropolis(
    density: Density,
    code: Tensor,
    scale: Tensor,
    burn: int,
    keep: int,
    generator: Generator | None = None,
) -> Samples:
    r"""Return samples of a random walk (Metropolis et al., 1953; Leglaive et al., 2018).

    .. math:: z' = z + \text{scale} \odot \epsilon, \qquad
        \text{accepted with probability } \min\left(1, \frac{p(z')}{p(z)}\right)

    The first ``burn`` steps are thrown away, the ``keep`` after them are kept. See
    :doc:`23_enhance_speech`.
    """
    value, made = density(code)
    kept, accepted = [], torch.zeros_like(value)
    for number in range(burn + keep):
        proposal = code + scale * _normal(code, generator)
        new_value, new_made = density(proposal)
        accept = torch.log(_uniform(value, generator)) < new_value - value
        code, made = _choose(accept, proposal, code), _choose(accept, new_made, made)
        value, accepted = torch.where(accept, new_value, value), accepted + accept
        if number >= burn:
            kept.append((code, made))
    return _samples(kept, accepted / (burn + keep), torch.ones_like(value))


def langevin(
    density: Density,
    code: Tensor,
    scale: Tensor,
    burn: int,
    keep: int,
    generator: Generator | None = None,
    step: Tensor | float = 0.5,
) -> Samples:
    r"""Return samples of a walk that drifts uphill (Roberts and Tweedie, 1996).

    .. math:: z' = z + \tfrac{\tau^2}{2} S^2 \nabla \log p(z) + \tau S \epsilon

    with S the diagonal of ``scale`` and τ the step, accepted with probability
    :math:`\min(1, p(z') q(z \mid z') / p(z) q(z' \mid z))`, q being the density of proposals. The
    step of each frame follows what is accepted of it in ``burn`` and stays after that, so that the
    samples that are kept tend to exactly this density.
    """
    value, made, slope = _slope(density, code)
    step = torch.as_tensor(step, dtype=code.dtype, device=code.device).expand(len(code), 1)
    kept, accepted = [], torch.zeros_like(value)
    for number in range(burn + keep):
        noise, spread = _normal(code, generator), step * scale
        proposal = code + 0.5 * spread.square() * slope + spread * noise
        new_value, new_made, new_slope = _slope(density, proposal)
        back = noise + 0.5 * spread * (slope + new_slope)  # the noise that would lead back
        ratio = new_value - value + 0.5 * (noise.square() - back.square()).sum(dim=1)
        accept = torch.log(_uniform(value, generator)) < ratio
        code, made = _choose(accept, proposal, code), _choose(accept, new_made, made)
        slope = _choose(accept, new_slope, slope)
        value, accepted = torch.where(accept, new_value, value), accepted + accept
        if number >= burn:
            kept.append((code, made))
        else:
            chance = ratio.clamp(max=0).exp().unsqueeze(1)
            step = step * torch.exp(_ADAPT * (chance - ACCEPTED))
    return _samples(kept, accepted / (burn + keep), step)


def _slope(density: Density, code: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a density's two values and the gradient of the first."""
    with torch.enable_grad():
        code = code.detach().requires_grad_()
        value, made = density(code)
        (slope,) = torch.autograd.grad(value.sum(), code)
    return value.detach(), made.detach(), slope


def _choose(accept: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(accept.view(-1, *[1] * (new.ndim - 1)), new, old)


def _samples(kept: list[tuple[Tensor, Tensor]], accepted: Tensor, step: Tensor) -> Samples:
    codes, made = zip(*kept, strict=True)
    return Samples(torch.stack(codes), torch.stack(made), accepted, step)


def _normal(like: Tensor, generator: Generator | None) -> Tensor:
    return torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)


def _uniform(like: Tensor, generator: Generator | None) -> Tensor:
    return torch.rand(like.shape, dtype=like.dtype, device=like.device, generator=generator)
