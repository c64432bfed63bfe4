"""The checks of formulas and findings by numbers. First used in :doc:`01_hear_it_first`."""

from __future__ import annotations

import html

import numpy as np
from IPython import get_ipython
from IPython.display import display
from numpy.typing import ArrayLike
from torch import Tensor

from ..config import Preset
from ..speech.corpora import Corpus


def agree(
    what: str, value: ArrayLike | Tensor, reference: ArrayLike | Tensor, within: float
) -> None:
    """Show the largest distance of ``value`` from ``reference``, and check that it is small.

    A notebook shows a tick and ``what``, with the numbers folded; elsewhere one line is printed.

    Args:
        what: the formula, and what it is compared with: a quadrature, a simulation, a library.
        within: largest distance allowed, in the unit of the values.

    Raises AssertionError if the distance is larger than ``within`` or NaN, or the shapes differ.

    >>> agree("pi, by Archimedes", 22 / 7, np.pi, within=0.002)
    pi, by Archimedes: 3.14286 and 3.14159, apart by 1.3e-03 (allowed 2.0e-03)
    """
    value, reference = _float64(value), _float64(reference)
    if value.shape != reference.shape:
        raise AssertionError(f"{what}: shapes {value.shape} and {reference.shape} differ")
    apart = np.abs(value - reference).max()
    shown = f"{value:.6g} and {reference:.6g}" if value.ndim == 0 else f"{value.size:,} pairs"
    numbers = f"{shown}, apart by {apart:.1e} (allowed {within:.1e})"
    if not apart <= within:
        raise AssertionError(f"{what}: {numbers}")
    line = f"{what}: {numbers}"
    if get_ipython() is None:
        print(line)
    else:
        display({"text/plain": line, "text/html": _folded(what, numbers)}, raw=True)


def finding(text: str, holds: bool, preset: Preset, corpus: Corpus) -> None:
    """Print whether a finding holds in this run.

    Raise AssertionError if it does not where it must: in the run that the rendered book shows, of
    the ``laptop`` preset on the synthetic corpus. See :doc:`05_train_a_vae`.
    """
    if not holds and (preset.name, corpus.name) == ("laptop", "synthetic"):
        raise AssertionError(text)
    print(f"{'here too' if holds else 'not in this run'}: {text}")


def _folded(what: str, numbers: str) -> str:
    what, numbers = html.escape(what), html.escape(numbers)
    return f'<details class="agree"><summary>✓ {what}</summary>{numbers}</details>'


def _float64(value: ArrayLike | Tensor) -> np.ndarray:
    if isinstance(value, Tensor):
        value = value.detach().cpu()
    return np.asarray(value, dtype=np.float64)
