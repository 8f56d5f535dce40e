"""Mistakes in what ranks send to one another."""

from minigrad.coursework.judge import sums
from minigrad.coursework.source import Mistake

_CHUNKS = "chunks = np.array_split(x.copy(), R)  # views, of n // R or n // R + 1 numbers"
_ADD = "chunks[(comm.rank - step - 1) % R] += comm.receive(left)"
_FINISHED = "chunks[(comm.rank - step) % R] = comm.receive(left)"
_NEXT = _FINISHED.replace("step)", "step - 1)")
_HALVES = f"""for step in range(R - 1):  # afterwards chunk rank + 1 is finished
            comm.send(chunks[(comm.rank - step) % R], right)
            {_ADD}
        for step in range(R - 1):
            comm.send(chunks[(comm.rank - step + 1) % R], right)
            {_FINISHED}"""
_RESULT = "return np.concatenate(chunks)"

RING = (
    Mistake("writes into x", "np.array_split(x.copy(), R)", "np.array_split(x, R)", sums.WRITES),
    Mistake("the second half forgotten", f"chunks[(comm.rank - step + 1) % R], right)\n            {_FINISHED}",
            f"np.zeros(0), right)\n            comm.receive(left)\n        {_RESULT}", sums.NOT_HANDED_ON),
    Mistake("added in the second half, too", _FINISHED, _FINISHED.replace("] =", "] +="), sums.TWICE),
    Mistake("the mean", _RESULT, f"{_RESULT} / R", sums.MEAN),
    Mistake("chunks that leave numbers out", _CHUNKS,
            "chunks = [x[r * (len(x) // R) :][: len(x) // R].copy() for r in range(R)]", sums.LEFT_OUT),
    Mistake("another chunk is received than was sent", _ADD, _ADD.replace("step - 1", "step"), sums.ELSEWHERE),
    Mistake("sends to the right, listens to the right", "left, right = comm.size, (comm.rank - 1) % comm.size",
            "left, right = comm.size, (comm.rank + 1) % comm.size",
            "Everybody sends to the right, so what comes, comes from the left: from rank − 1, modulo the number of ranks."),
    Mistake("the last rank has no neighbour", "(comm.rank + 1) % comm.size\n", "comm.rank + 1\n",
            "The right neighbour of the last rank is rank 0: (rank + 1) % R."),
    Mistake("the first rank has no neighbour", "(comm.rank - 1) % comm.size", "comm.rank - 1",
            "The left neighbour of rank 0 is the last rank: (rank − 1) % R."),
    Mistake("the second half begins with the wrong chunk", "chunks[(comm.rank - step + 1) % R], right)",
            "chunks[(comm.rank - step) % R], right)", "After R − 1 steps rank r holds chunk r + 1 finished: that one is sent first."),
    Mistake("no chunks", _CHUNKS, "total, passed = x.copy(), x\n        for _ in range(R - 1):\n            comm.send(passed, right)\n"
            f"            passed = comm.receive(left)\n            total += passed\n        return total\n        {_CHUNKS}",
            "Every message holds one chunk, about n / R numbers, and not all n of them."),
    Mistake("one step too many", _HALVES, _HALVES.replace("R - 1", "R").replace("step + 1", "step").replace(_FINISHED, _NEXT), sums.HOME),
    Mistake("one step too few", _HALVES, _HALVES.replace("R - 1", "R - 2"),
            "A chunk passes all other ranks before it is finished: R − 1 steps."),
)  # fmt: skip

_UP = "elif comm.rank % (2 * d) == 0 and comm.rank + d < R:\n                total += comm.receive"
_SENDS = "if comm.rank % (2 * d) == d:\n                comm.send(total"
_DOWN = "for d in reversed(distances):"

TREE = (
    Mistake("writes into x", "total, R = x.copy(), comm.size", "total, R = x, comm.size", sums.WRITES),
    Mistake("nothing comes down", _DOWN, "for d in []:", sums.NOT_HANDED_ON),
    Mistake("added on the way down, too", "total = comm.receive", "total += comm.receive", sums.TWICE),
    Mistake("the mean", "return total", "return total / R", sums.MEAN),
    Mistake("powers of two only", "range((R - 1).bit_length())", "range(R.bit_length() - 1)", sums.POWERS),
    Mistake("waits for a rank that is not there", _UP, _UP.replace(" and comm.rank + d < R", ""),
            "A rank above has no partner where rank + d is R or more: it receives nothing at that level."),
    Mistake("sends again at the next level", f"            {_SENDS}", f"            {_SENDS.replace(' == d:', ':')}",
            "Who has sent is done on the way up: rank r sends only where r divided by 2 d leaves d."),
    Mistake("sends x, not what it has gathered", "comm.send(total, comm.rank - d)", "comm.send(x, comm.rank - d)",
            "A rank sends up all that it has gathered, not only its own numbers."),
    Mistake("down as up", _DOWN, "for d in distances:",
            "Down the tree the largest distance comes first: it was the last one on the way up."),
    Mistake("rank 0 does it all", "distances = [1", "if comm.rank:\n            comm.send(x, 0)\n            return comm.receive(0)\n"
            "        for r in range(1, R):\n            total += comm.receive(r)\n"
            "        for r in range(1, R):\n            comm.send(total, r)\n        return total\n        distances = [1",
            "Rank 0 hears all others one after the other: in a tree, pairs work at the same time."),
)  # fmt: skip
