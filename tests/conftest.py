"""What every test shares: one thread a process, the order of the tests, frames to learn from."""

import os

# Two test processes on two cores: more threads would only wait for each other. Set before torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from chromium import browser  # noqa: F401 (a fixture)
from hypothesis import settings
from noise import make_frames
from xdist.scheduler import LoadFileScheduling

# Machines are shared: a first call that imports something is no failure.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")

pytest.register_assert_rewrite("played")  # helpers and fixtures in one: imported before a plugin

SLOW = ("chapters", "browser")


@pytest.fixture(scope="module")
def train():
    """Five batches of frames for small models, see `noise`."""
    return make_frames(640, seed=0)


@pytest.fixture(scope="module")
def validation():
    """Other frames of the same kind."""
    return make_frames(128, seed=1)


def pytest_collection_modifyitems(config, items):
    """Order the tests; leave those for a CUDA device out where there is none.

    In one process fast tests come first; in two the slow ones, so that both end together.
    """
    if not torch.cuda.is_available():
        without = [item for item in items if item.get_closest_marker("cuda")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
    items.sort(
        key=lambda item: any(item.get_closest_marker(name) for name in SLOW),
        reverse="PYTEST_XDIST_WORKER" in os.environ,
    )


class ByFile(LoadFileScheduling):
    """The tests of a file in one process, since they share fixtures; each chapter by itself."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        return nodeid if file.endswith("test_chapters.py") else file


def pytest_xdist_make_scheduler(config, log):
    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None
