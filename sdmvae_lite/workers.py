"""Work shared out: over the cores of this machine, or to wherever joblib's backend sends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from joblib import Parallel


def as_done(jobs: Iterable[Any], n_jobs: int | None) -> Iterator[Any]:
    """Yield the results of joblib's ``delayed`` jobs, each as soon as it is there, in any order.

    A backend that cannot hand them out one by one, as Ray's cannot, gives all at the end.

    Args:
        n_jobs: at a time; -1 is one a core, None leaves it to an enclosing
            ``joblib.parallel_config``.
    """
    try:
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    except ValueError:
        parallel = Parallel(n_jobs=n_jobs)
    yield from parallel(jobs)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use ``number`` threads inside, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
