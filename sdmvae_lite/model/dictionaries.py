"""Dictionaries D of the sparse model z = D a, and what to know of one before using it.

A dictionary is a float tensor of shape (m, k): k atoms of unit Euclidean norm as columns.
See :doc:`11_build_dictionaries`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..config import ModelConfig


def identity_dictionary(m: int) -> Tensor:
    """Return D = I, (m, m): the code is the latent vector itself (paper, Section 4.1.2)."""
    if m < 1:
        raise ValueError(f"m must be at least 1, not {m}")
    return torch.eye(m)


def dct_dictionary(m: int, k: int, constant_atom: bool = True) -> Tensor:
    r"""Return the dictionary of a discrete cosine transform, (m, k) (paper, eq. 11).

    Atom r holds :math:`\cos((\ell - 1)\pi r / k)` for :math:`\ell = 1 \dots m`, less its mean,
    divided by its norm. With ``constant_atom`` the atoms are r = 0 … k-1, and atom 0, of which
    nothing would be left, stays constant, as in the authors' released code. Without it they are
    r = 1 … k, the equation read to the letter, and for k ≥ m the rank is m - 1: no combination of
    atoms has a mean.

    >>> rank(dct_dictionary(32, 64)), rank(dct_dictionary(32, 64, constant_atom=False))
    (32, 31)
    """
    if m < 1 or k < 1:
        raise ValueError(f"m and k must be at least 1, not {m} and {k}")
    if m == 1 and not (constant_atom and k == 1):
        raise ValueError("a DCT dictionary with m = 1 has only its constant atom: use k = 1")
    position = torch.arange(m, dtype=torch.float64).unsqueeze(1)
    frequency = torch.arange(k, dtype=torch.float64) + (0 if constant_atom else 1)
    atoms = torch.cos(position * math.pi * frequency / k)
    centred = atoms - atoms.mean(dim=0)
    if constant_atom:
        centred[:, 0] = 1.0
    return (centred / centred.norm(dim=0)).float()


def build_dictionary(config: ModelConfig) -> Tensor:
    """Return the dictionary that a model configuration names, (m, code_size).

    One that is learned starts from random atoms, drawn from torch's global generator.
    """
    if config.dictionary == "identity":
        return identity_dictionary(config.m)
    if config.dictionary == "dct":
        return dct_dictionary(config.m, config.code_size, config.constant_atom)
    return normalize(torch.randn(config.m, config.code_size), dim=0)


def spectral_dictionary(config: ModelConfig) -> Tensor:
    """Return the dictionary of log-spectra that a configuration names, (n_bins, m), of unit rms.

    Of the DCT these are the m atoms of least frequency: their coefficients are a cepstrum. One that
    is learned starts from random atoms, drawn from torch's global generator. See
    :doc:`20_learn_the_dictionary`.

    >>> spectral_dictionary(ModelConfig("loglinear-vae", m=20, dictionary="dct")).shape
    torch.Size([513, 20])
    """
    n_bins, m = config.n_bins, config.m
    if config.dictionary == "dct":
        atoms = dct_dictionary(n_bins, n_bins - 1)[:, :m]
    else:
        atoms = torch.randn(n_bins, m)
    return normalize(atoms, dim=0) * math.sqrt(n_bins)


def coherence(dictionary: Tensor) -> float:
    """Return the largest absolute inner product of two different atoms, in [0, 1]."""
    check_dictionary(dictionary)
    gram = (dictionary.double().T @ dictionary.double()).abs()
    return gram.fill_diagonal_(0.0).max().item()


def singular_values(dictionary: Tensor) -> Tensor:
    """Return the singular values in descending order, (min(m, k),)."""
    return torch.linalg.svdvals(dictionary.double())


def rank(dictionary: Tensor) -> int:
    """Return the dimension of the space that the atoms span, up to rounding in float32."""
    values = singular_values(dictionary)
    tolerance = values[0] * max(dictionary.shape) * torch.finfo(torch.float32).eps
    return int((values > tolerance).sum())


def check_dictionary(dictionary: Tensor) -> None:
    """Check that a dictionary is a finite (m, k) matrix of unit-norm columns; else ValueError."""
    if dictionary.ndim != 2 or 0 in dictionary.shape:
        raise ValueError(f"a dictionary has shape (m, k), not {tuple(dictionary.shape)}")
    if not torch.isfinite(dictionary).all():
        raise ValueError("the dictionary holds NaN or infinite values")
    norms = dictionary.double().norm(dim=0)
    worst = int((norms - 1).abs().argmax())
    if abs(norms[worst] - 1) > 1e-4:
        raise ValueError(
            f"atom {worst} of the dictionary has norm {norms[worst]:.4g}: "
            "divide every column by its norm"
        )
