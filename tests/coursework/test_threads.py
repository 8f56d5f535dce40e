"""Ranks as threads: what they send arrives and is counted, the clock is that of the formulas, and nothing that they do ends in a wait."""

import math

import numpy as np
import pytest

from minigrad.coursework import AllReduce, checking, tasks
from minigrad.coursework.exercises import find
from minigrad.coursework.judge.request import judge
from minigrad.coursework.mistakes import ranks
from minigrad.coursework.source import plant
from minigrad.coursework.threads import Deadlock


def program(function):
    """A class whose ranks run this function of comm and x."""
    return type("Program", (AllReduce,), {"all_reduce": lambda self, comm, x: function(comm, x)})()


def ones(ranks):
    return np.ones((ranks, 2))


@pytest.mark.parametrize("way", [tasks.RingAllReduce, tasks.TreeAllReduce])
@pytest.mark.parametrize("R, n", [(1, 3), (2, 1), (3, 7), (5, 3), (6, 6), (8, 40), (9, 0)])
def test_sums_bytes_and_seconds(way, R, n):
    """A tenth of a second each message, ten bytes a second; float32."""
    x = np.random.default_rng(R).standard_normal((R, n)).astype(np.float32)
    layer = way(latency=0.1, bandwidth=10)
    y = layer.forward(x)
    assert y.dtype == np.float32 and np.allclose(y, x.sum(axis=0), atol=1e-5) and (y == y[0]).all() and not layer.unread
    levels = math.ceil(math.log2(R))
    if way is tasks.TreeAllReduce:
        assert sum(layer.sent) == 2 * (R - 1) * 4 * n and layer.seconds == pytest.approx(2 * levels * (0.1 + 4 * n / 10))
    elif n % R == 0:
        assert layer.sent == [2 * (R - 1) * 4 * n // R] * R and layer.messages == [2 * (R - 1)] * R
        assert layer.seconds == pytest.approx(2 * (R - 1) * (0.1 + 4 * n / R / 10))


def test_who_hears_many_hears_them_one_after_the_other():
    star = next(mistake for mistake in ranks.TREE if mistake.name == "rank 0 does it all")
    layer = plant(tasks.TreeAllReduce, star)(latency=1.0)
    layer.forward(ones(8))
    assert layer.seconds == 14  # and not 6


# ---- nobody waits for ever


@pytest.mark.parametrize(
    "function, sentence",
    [
        (
            lambda comm, x: comm.receive((comm.rank + 1) % 3),
            "nobody goes on: rank 0 waits for rank 1, rank 1 for rank 2, rank 2 for rank 0.",
        ),
        (lambda comm, x: comm.receive(2) if comm.rank < 2 else x, "nobody goes on: rank 0 waits for rank 2, rank 1 for rank 2."),
        (
            lambda comm, x: comm.send(x, (comm.rank + 1) % 3) or comm.receive((comm.rank + 1) % 3),
            "nobody goes on: rank 0 waits for rank 1, rank 1 for rank 2, rank 2 for rank 0. "
            "Sent, but never received: from 0 to 1, 1 to 2, 2 to 0.",
        ),
        (lambda comm, x: comm.receive(comm.rank), "nobody goes on: rank 0 waits for rank 0, rank 1 for rank 1, rank 2 for rank 2."),
    ],
)
def test_a_deadlock_is_a_sentence(function, sentence):
    with pytest.raises(Deadlock) as error:
        program(function).forward(ones(3))
    assert str(error.value) == sentence


def test_an_error_of_one_rank_is_told_though_others_wait_for_it():
    def stumbles(comm, x):
        if comm.rank > 0:
            raise KeyError(f"rank {comm.rank}")
        return comm.receive(1)

    with pytest.raises(KeyError, match="rank 1"):  # the lowest that has one, in every run
        program(stumbles).forward(ones(3))


@pytest.mark.parametrize(
    "function, sentence",
    [
        (lambda comm, x: comm.send(x, comm.rank + 1), r"rank 1 sends to rank 2, but there are ranks 0 to 1"),
        (lambda comm, x: comm.send(x, (comm.rank + 1) % 2) or comm.receive(comm.rank - 1), r"rank 0 receives from rank -1, but"),
        (lambda comm, x: comm.send(x, 0.5), r"rank 0 sends to rank 0.5, but"),
        (lambda comm, x: None, r"all_reduce of rank 0 returns None: is a `return` missing\?"),
        (lambda comm, x: x[: 2 - comm.rank], r"all_reduce of rank 1 returns the shape \(1,\), expected \(2,\)"),
    ],
)
def test_what_is_wrong_is_a_sentence(function, sentence):
    with pytest.raises(ValueError, match=sentence):
        program(function).forward(ones(2))


def test_ranks_share_nothing():
    """Neither what is sent nor `self`; and forward, which starts them, is not theirs to write."""
    with pytest.raises(AttributeError):
        type("Sharing", (AllReduce,), {"all_reduce": sharing})().forward(ones(2))
    with pytest.raises(TypeError, match="forward is given"):
        type("Alone", (AllReduce,), {"forward": lambda self, x: x})

    def changes_what_it_has_sent(comm, x):
        mine = x.copy()
        comm.send(mine, 1 - comm.rank)
        mine += 5
        return comm.receive(1 - comm.rank)

    assert (program(changes_what_it_has_sent).forward(ones(2)) == 1).all()


def sharing(self, comm, x):
    if comm.rank == 0:
        self.mine = x
        comm.send(x, 1)
        return x
    comm.receive(0)
    return self.mine


# ---- looked at, graded


def test_the_debugger_looks_at_one_rank(monkeypatch):
    seen = []

    class Debugger:
        def runcall(self, function, layer, comm, x):
            seen.append(comm.rank)
            return function(layer, comm, x)

    monkeypatch.setattr(checking.pdb, "Pdb", Debugger)
    (ring,) = find(["allreduce.ring"])
    assert (checking.stopping(ring, plant(ring.source))().forward(ones(4)) == 4).all()
    assert len(seen) == 1


def test_in_the_cage(tmp_path):
    """Threads run there, too, and a deadlock names the student's line."""
    path = tmp_path / "solution.py"
    path.write_text(
        "from minigrad.coursework import AllReduce\n\n\nclass RingAllReduce(AllReduce):\n    def all_reduce(self, comm, x):\n"
        "        return x + comm.receive((comm.rank - 1) % comm.size) if comm.size > 1 else x.copy()\n",
        encoding="utf-8",
    )
    verdict = judge({"impl": str(path), "exercise": "allreduce.ring", "seed": 0, "sandbox": "off"})
    assert [case["status"] for case in verdict["cases"]] == ["wrong"] * 4 + ["passes"]
    assert verdict["cause"].startswith(
        "Deadlock: nobody goes on: rank 0 waits for rank 2, rank 1 for rank 0, rank 2 for rank 1. (line 6 of sol"
    )
