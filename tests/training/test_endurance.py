"""Long runs (slow): memory, descriptors and threads are those of the beginning."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from command_line import FLAGS, alexnet

from alexnet import AlexNet
from minigrad.engine.memory import pool

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks /proc")]


def used():
    """Megabytes in use, descriptors, threads."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(os.listdir("/proc/self/fd")), threading.active_count()


def test_fifty_epochs(tmp_path):
    """A whole run from a folder of images, resumed for fifty epochs more. A worker thread of a network that is gone may still be there."""
    from faults.common import folder_of_images

    folder = folder_of_images(tmp_path / "images")
    assert alexnet("--data", folder, "--epochs", "2", "--augment", "--output", tmp_path / "run", *FLAGS) == 0
    assert alexnet("--resume", tmp_path / "run", "--epochs", "12") == 0
    before = used()
    assert alexnet("--resume", tmp_path / "run", "--epochs", "62") == 0
    after = used()
    assert after[0] - before[0] < 40 and after[1] == before[1] and after[2] <= before[2] + 1, (before, after)


def test_a_hundred_and_twenty_eight_batch_sizes():
    """What lies free in the pool stays below 1.5 times what the largest batch holds; `trim` gives it back."""
    net, rng = AlexNet("small", num_classes=10), np.random.default_rng(0)

    def step(batch_size):
        net.backward(net.forward(rng.standard_normal((batch_size, 28, 28, 3), np.float32)))

    step(128)
    start = used()
    for batch_size in rng.permutation(np.arange(1, 129)).tolist():
        step(batch_size)
    after = used()
    free = sum(size * len(blocks) for size, blocks in pool.free.items())
    assert free <= 2.6 * pool.most_lent and after[1:] == start[1:]
    assert after[0] - start[0] < 3 * pool.most_lent / 1e6 + 30, (start, after, pool.most_lent / 1e6)
    pool.trim()
    assert not any(pool.free.values())
