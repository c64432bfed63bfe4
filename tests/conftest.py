"""What every test shares: one thread a process, the order of the tests, the folders."""

import os

# Two test processes on two cores: more threads would only wait for each other. Set before torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings

# Machines are shared: a first call that imports something is no failure.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.load_profile("shared")

SLOW = ("chapters", "browser")


def pytest_collection_modifyitems(config, items):
    """Fast tests first; those for a CUDA device only where there is one."""
    if not torch.cuda.is_available():
        without = [item for item in items if item.get_closest_marker("cuda")]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
    items.sort(key=lambda item: any(item.get_closest_marker(name) for name in SLOW))
