"""Timing: rounds that go through all candidates in turn, so that a busy minute hits every one."""

import statistics
import time
from collections.abc import Callable


def in_rounds(candidates: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each candidate's own figure, once a round; a first call of each is not counted."""
    for measure in candidates.values():
        measure()
    figures: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, measure in candidates.items():
            figures[name].append(measure())
    return figures


def seconds(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def spread(figures: list[float]) -> dict[str, float]:
    return {"min": min(figures), "median": statistics.median(figures), "max": max(figures)}
