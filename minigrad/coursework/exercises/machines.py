"""Exercises of notebook 13: sums over ranks, which are threads here."""

from minigrad.coursework import hidden, tasks
from minigrad.coursework.cases import Case
from minigrad.coursework.exercise import Exercise
from minigrad.coursework.mistakes import ranks

ROWS = ((1.0, 2.0, 3.0), (10.0, 20.0, 30.0), (100.0, 200.0, 300.0))  # of three ranks
SUMS = ((111.0, 222.0, 333.0),) * 3


def sums(name, R, n, weight=1):
    """R ranks with n numbers each; a second for each message, so that the clock counts those that follow one another."""
    return Case(name, (R, n), kwargs={"latency": 1.0}, kind="property", inputs="normal", property="sums_of_all", weight=weight)


MACHINES = (
    Exercise(
        "allreduce.ring", "Sums over all ranks, around a ring", tasks.RingAllReduce, write=("all_reduce",), after=(),
        cases=(
            Case("worked", ROWS, kind="worked", inputs="numbers", expected={"y": SUMS}),
            sums("4-ranks-8-numbers", 4, 8),
            sums("3-ranks-7-numbers", 3, 7, weight=2),
            sums("5-ranks-3-numbers", 5, 3),
            sums("1-rank", 1, 4),
        ),
        vary=hidden.sums, mistakes=ranks.RING,
        points=5, minutes=35, reading="notebook 13", library=(),
    ),
    Exercise(
        "allreduce.tree", "Sums over all ranks, up and down a tree", tasks.TreeAllReduce, write=("all_reduce",), after=(),
        cases=(
            Case("worked", ROWS, kind="worked", inputs="numbers", expected={"y": SUMS}),
            sums("4-ranks-5-numbers", 4, 5),
            sums("6-ranks-3-numbers", 6, 3, weight=2),
            sums("7-ranks-2-numbers", 7, 2),
            sums("1-rank", 1, 4),
        ),
        vary=hidden.sums, mistakes=ranks.TREE,
        points=4, minutes=30, reading="notebook 13", library=(),
    ),
)  # fmt: skip
