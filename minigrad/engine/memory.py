"""Arrays whose memory, once nothing refers to it, serves the next array of about the same size.

Fresh pages cost a page fault and a clearing each, which is more than the arithmetic of an elementwise operation; a GPU's memory pool
does the same for the same reason."""

import ctypes
import math
import os
import weakref
from collections import defaultdict

import numpy as np

REUSED_FROM = 1 << 16  # bytes; smaller arrays are malloc's business
LINE = 64  # bytes of a cache line
LOOKED_AFTER = 1 << 24  # bytes of new blocks, at least, until it is asked whether too much lies free


class Loan(weakref.ref):
    """A weak reference to an array, with the size and the block of the memory below it. (weakref.finalize costs four times as much.)"""

    __slots__ = ("size", "block")


class Pool:
    """Blocks of memory by their size, free or lent to an array that is alive.

    Sizes are rounded up, four to each doubling, and an array may take a block of up to twice its size: so the temporary arrays of one layer
    lie where those of another did. While the sizes repeat from step to step, every array finds a free block. When they change, as with
    another batch size, blocks of sizes that were not asked for lately go back to the system once more lies free than was ever lent at a
    time, and half as much again."""

    def __init__(self):
        self.forget()

    def forget(self):
        """Begin with nothing. Arrays that are alive keep their memory; it does not come back."""
        self.free, self.lent = defaultdict(list), {}
        self.asked, self.last_asked = 0, {}  # how many arrays so far, and which of them was the last of its size
        self.fresh_blocks = self.fresh_bytes = self.most_lent = 0

    def empty(self, shape, dtype):
        """An uninitialised array of that shape, aligned to cache lines. Raises MemoryError, which says how many bytes were wanted."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size < REUSED_FROM:
            return np.empty(shape, dtype)
        wanted, step = size, 1 << (size.bit_length() - 3)
        size = -(-size // step) * step
        self.asked += 1
        for larger in range(size, 2 * size + 1, step):
            try:
                block, start = self.free[larger].pop()
            except IndexError:  # not looked for before, since another thread may come between
                continue
            size = larger
            break
        else:
            # A bytearray, since views of views refer to the last array above something that is none: this one.
            block = self.fresh(size + LINE, wanted)
            start = -np.frombuffer(block, np.uint8).ctypes.data % LINE
        self.last_asked[size] = self.asked
        array = np.ndarray(shape, dtype, block, start)
        loan = Loan(array, self.back)
        loan.size, loan.block = size, (block, start)
        self.lent[id(loan)] = loan  # Python calls `back` only while the weak reference itself is alive
        return array

    def fresh(self, size, wanted):
        """New memory for an array of `wanted` bytes; if there is none, all that lies free is given back first."""
        self.fresh_blocks, self.fresh_bytes = self.fresh_blocks + 1, self.fresh_bytes + size
        if self.fresh_bytes > max(LOOKED_AFTER, self.most_lent // 2):
            self.fresh_bytes = 0
            self.bound()
        try:
            return bytearray(size)
        except MemoryError:
            self.trim()
        try:
            return bytearray(size)
        except MemoryError:
            raise MemoryError(f"{wanted / 1e9:.2f} GB more are wanted for one array") from None

    def back(self, loan):
        """The array is gone: its block is free."""
        if self.lent.pop(id(loan), None) is not None:  # else it was lent before `forget`
            self.free[loan.size].append(loan.block)

    def bound(self):
        """Give free blocks back to the system, the sizes first that were not asked for the longest, until no more than 1.5 times the most
        that was ever lent at a time lies free."""
        self.most_lent = max(self.most_lent, sum(loan.size for loan in list(self.lent.values())))
        total = sum(size * len(blocks) for size, blocks in list(self.free.items()))
        before = total
        for size in sorted(self.free, key=lambda size: self.last_asked.get(size, 0)):
            if total <= 1.5 * self.most_lent:
                break
            total -= size * len(self.free[size])
            self.free[size].clear()
        if total < before:
            give_back()

    def trim(self):
        """Give all free blocks back to the system."""
        for blocks in list(self.free.values()):
            blocks.clear()
        give_back()


def give_back():
    """Have the C library hand what was freed to the system: GNU's keeps blocks of up to 32 MB for itself, others hand them on."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


pool = Pool()
empty = pool.empty
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.forget)  # a fork in the middle of `back` would leave the books half written
