"""Memory that is used again."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad.engine import memory
from minigrad.engine.memory import Pool


def test_memory_is_used_again_once_nobody_has_it():
    pool = Pool()
    a = pool.empty((200, 200), np.float32)
    view, place = a[3:], a.ctypes.data
    del a
    assert pool.empty((200, 200), np.float32).ctypes.data != place  # a view still needs it
    del view
    assert pool.empty((100, 200), np.float64).ctypes.data == place and place % 64 == 0


def test_temporaries_of_different_sizes_share_their_memory():
    """As those of layers one after the other; but none lies in more than twice the memory that it needs."""
    pool = Pool()
    for size in (1000, 990, 1003, 800, 510):
        pool.empty((size, 1000), np.float32)
    assert pool.fresh_blocks == 1
    pool.empty((400, 1000), np.float32)
    assert pool.fresh_blocks == 2
    a = pool.empty((990, 1000), np.float32)
    a[...] = 1
    b = pool.empty((990, 1000), np.float32)
    b[...] = 2
    assert (a == 1).all() and pool.fresh_blocks == 3


def test_memory_that_lies_unused_is_given_back_before_there_is_none(monkeypatch):
    pool, left = Pool(), [1]
    pool.empty((300, 300), np.float32)
    assert any(pool.free.values())

    def scarce(size):
        if any(pool.free.values()) or not left:
            raise MemoryError
        return bytes(left.pop()) and bytearray(size)

    monkeypatch.setattr(memory, "bytearray", scarce, raising=False)
    pool.empty((400, 400), np.float32)
    with pytest.raises(MemoryError, match="8.00 GB"):
        pool.empty((2 * 10**9,), np.float32)


def test_what_lies_free_is_bounded_when_sizes_change():
    """As with many batch sizes, one after the other: each asks for arrays of sizes that no other uses."""
    pool = Pool()
    for batch_size in range(1, 200):
        arrays = [pool.empty((batch_size, 4096 + i), np.float32) for i in range(8)]
        most = sum(a.nbytes for a in arrays)
        del arrays
    free = sum(size * len(blocks) for size, blocks in pool.free.items())
    assert free < 4 * most


def test_steps_of_one_size_find_all_blocks_free():
    pool = Pool()
    for step in range(3):
        arrays = [pool.empty((100 + 10 * i, 200), np.float32) for i in range(200)]
        if step == 0:
            made = pool.fresh_blocks
        del arrays
    assert pool.fresh_blocks == made == 200


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks /proc for the memory in use")
def test_what_is_trimmed_reaches_the_system():
    """Blocks of a size that the C library keeps for itself."""
    code = (
        "import numpy as np\nfrom minigrad.engine.memory import Pool\n"
        "def used():\n    return int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "pool = Pool()\nbefore = used()\n"
        "for size in (20, 15, 3, 2, 1, 0.5) * 3:\n"
        "    arrays = [pool.empty((int(size * 2**18) + i,), np.float32) for i in range(8)]\n"
        "    for a in arrays:\n        a[...] = 1\n    kept = arrays[0]\n    del a, arrays\n"
        "pool.trim()\nassert not any(pool.free.values())\nprint(used() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40e6
