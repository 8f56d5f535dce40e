"""Ranks that share the fully connected layers, here threads of one process: the numbers and the bytes of `Towers` cut into columns."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from lenet import LeNet
from narrow import Narrow

from minigrad import SGD, Conv2d, Flatten, Linear, LocalResponseNorm, ReLU, Sequential, SoftmaxCrossEntropy, Towers
from minigrad.commands.memory import enough_memory
from minigrad.hybrid import Hybrid
from minigrad.optim import LARS
from minigrad.ranks import Ranks
from minigrad.training.step import train_on_batch, train_on_share


class Everybody:
    """So many threads that hand each other what they have."""

    def __init__(self, size):
        self.size, self.said, self.barrier = size, [None] * size, threading.Barrier(size, timeout=20)

    def all(self, rank, value):
        self.said[rank] = value
        self.barrier.wait()
        said = list(self.said)
        self.barrier.wait()
        return said


class ThreadTeam:
    def __init__(self, everybody, rank):
        self.everybody, self.rank, self.size = everybody, rank, everybody.size

    def all(self, value):
        return self.everybody.all(self.rank, value)

    def swap(self, parts, shapes):
        arrived = [parts[self.rank] for parts in self.all(parts)]
        assert [part.shape for part in arrived] == shapes
        return arrived


class ThreadRanks(Ranks):
    """One team of all."""

    def __init__(self, everybody, rank):
        self.rank, self.size, self.team, self.waiting = rank, everybody.size, ThreadTeam(everybody, rank), []

    def add(self, parameters):
        self.waiting += [p for p in parameters if p.owned is None]

    def sum(self, *numbers):
        everybody = self.team.all([*numbers, *(p.grad.copy() for p in self.waiting)])
        sums = [sum(parts) for parts in zip(*everybody, strict=True)]
        for p, total in zip(self.waiting, sums[len(numbers) :], strict=True):
            p.grad = total
        self.waiting = []
        return tuple(sums[: len(numbers)])


def batches(net, sizes=(7, 2, 1)):
    rng = np.random.default_rng(5)
    for N in sizes:
        yield rng.normal(0, 60, (N, net.image_size, net.image_size, 3)), rng.integers(0, net.num_classes, N)


def trained(net, step, optimizer):
    """The weights by name after a few steps, of which the last ones have fewer images than there may be ranks."""
    loss = SoftmaxCrossEntropy()
    for x, labels in batches(net.train()):
        step(net, loss, optimizer, x, labels)
    return {p.name: (p.value, p.owned) for p in net.parameters()}


@pytest.mark.parametrize(
    "Network, variant, size, lars", [(Narrow, "tiny", 2, True), (Narrow, "tiny", 7, False), (LeNet, "lenet-5", 3, False)]
)
def test_columns_are_those_of_the_whole_network(Network, variant, size, lars):
    """Two towers with a stage for each layer; one tower with all layers in one stage. Of seven ranks some have no column of
    fc8, which has five in a tower."""

    def make():
        return Network(variant, num_classes=10).astype("float64")

    def optimizer(net, team=None):
        return LARS(net.parameters(), 5.0, team=team) if lars else SGD(net.parameters(), 1e-3)

    def program(rank):
        ranks = ThreadRanks(everybody, rank)
        net = make()
        net.share_columns(ranks.team)

        def step(net, loss, sgd, x, labels):
            train_on_share(net, loss, sgd, x[ranks.share(len(x))], labels, ranks, lambda value: None)

        return trained(net, step, optimizer(net, ranks.team))

    net, everybody = make(), Everybody(size)
    expected = trained(net, train_on_batch, optimizer(net))
    with ThreadPoolExecutor(size) as threads:
        found = list(threads.map(program, range(size)))
    for name, (value, _) in expected.items():
        owned = [weights[name][1] for weights in found]
        if ".fc" in name or ".f6" in name or ".c5" in name or ".out" in name:
            assert [o.start for o in owned[1:]] == [o.end for o in owned[:-1]] and {o.total for o in owned} == {value.shape[-1]}
            whole = np.concatenate([weights[name][0] for weights in found], axis=-1)
        else:
            assert owned == [None] * size
            whole = found[-1][name][0]
        np.testing.assert_allclose(whole, value, rtol=0, atol=1e-12 * np.abs(value).max(), err_msg=name)


def shared(stages, size=2):
    return Hybrid(Towers(stages), ThreadTeam(Everybody(size), 0))


@pytest.mark.parametrize(
    "stages, words",
    [
        ([[Sequential(fc=Linear(4, 4))]], "nothing to share"),
        ([[Sequential(conv=Conv2d(3, 4, 3))]], "nothing to share"),
        ([[Sequential(conv=Conv2d(3, 4, 3))], [Sequential(fc=Linear(4, 4), norm=LocalResponseNorm())]], "norm, behind a Linear"),
        (
            [[Sequential(conv=Conv2d(3, 4, 3))], [Sequential(a=Linear(4, 4), b=Linear(4, 4)) for _ in range(2)]],
            "towers with a, b have other",
        ),
        (
            [[Sequential(conv=Conv2d(3, 4, 3))], [Sequential(c=Conv2d(4, 4, 1), f=Flatten(), fc=Linear(4, 4)) for _ in range(2)]],
            "with c, f",
        ),
    ],
)
def test_what_cannot_be_shared_is_named(stages, words):
    before = [p.value.shape for stage in stages for tower in stage for p in tower.parameters()]
    with pytest.raises(ValueError, match=words):
        shared(stages)
    assert before == [p.value.shape for stage in stages for tower in stage for p in tower.parameters()]


def test_memory_that_is_not_enough_is_not_counted(monkeypatch):
    net = Narrow("tiny", num_classes=10)
    net.share_columns(ThreadTeam(Everybody(2), 0))
    monkeypatch.setattr(net.towers, "devices", [SimpleNamespace(is_gpu=True, index=0)])
    with pytest.raises(MemoryError, match="planted"), enough_memory(net, 4):
        raise MemoryError("planted")


def test_one_tower_is_cut_up_at_its_fully_connected_layers():
    net = shared([[Sequential(conv=Conv2d(3, 4, 3), relu=ReLU(), flat=Flatten(), fc1=Linear(16, 6), relu1=ReLU(), fc2=Linear(6, 2))]])
    assert [list(stage[0].layers) for stage in net.stages] == [["conv", "relu"], ["flat", "fc1", "relu1"], ["fc2"]]
    assert [p.value.shape for p in net.parameters()] == [(3, 3, 3, 4), (4,), (16, 3), (3,), (6, 1), (1,)]
