"""benchmark: the tables it prints on a CPU, what counts as disturbed, and peers that are the same network."""

import os
import re
import time
from functools import partial

import numpy as np
import pytest
from command_line import alexnet

from alexnet import AlexNet
from minigrad import Device
from minigrad.commands.benchmark import cpu, peers, quiet, sides, sweep
from minigrad.commands.errors import UsageError
from minigrad.commands.export import to_torch

SMALL = ("benchmark", "--variant", "small", "--batch-size", "3", "--steps", "2")


@pytest.fixture
def busy_machine(monkeypatch):
    """Where others are at work, as on a machine that runs tests: nothing is waited for."""
    monkeypatch.setattr(sides, "PATIENCE", 0)
    monkeypatch.setattr(quiet, "SHORTEST", 0.001)


def test_benchmark_prints_a_table(capsys):
    assert alexnet(*SMALL) == 0
    out = capsys.readouterr().out
    assert "conv5" in out and "GFLOP/s" in out and "images/s" in out and "backward ms" in out and "update" in out


def test_forward_alone(capsys):
    assert alexnet("benchmark", "--variant", "small", "--inference", "--steps", "2") == 0
    out = capsys.readouterr().out
    assert re.findall(r"small, batch (\d+),", out) == ["1", "16", "128"]
    assert "conv5" in out and "median of 2 forwards" in out and "backward" not in out and "update" not in out


def slowly(function):
    """The same function, which sleeps for so long that all else does not count beside it."""

    def call(x):
        time.sleep(0.1)
        return function(x)

    return call


@pytest.mark.parametrize("device, N", [("cpu", 3), ("cpu,cpu", 3), ("cpu", 1)])
def test_layers_take_no_longer_than_the_step_they_are_part_of(device, N):
    """Towers side by side: a worker's seconds are a share of the step's, also those of the fully connected layers."""
    net = AlexNet("small", device, num_classes=10)
    net.to([Device("cpu", threads=2 if device == "cpu" else 1) for _ in net.towers.devices])
    for tower in net.towers.stages[2]:
        tower["fc6"].forward = slowly(tower["fc6"].forward)
    side, watch = peers.Ours(net), cpu.Stopwatch(net)
    side.optimizer.step = watch.timed_update(side.optimizer.step)
    start = time.perf_counter()
    side.step(*sides.batch(net, N))
    assert 0 < sum(watch.seconds.values()) <= time.perf_counter() - start


def test_what_cannot_be_compared(capsys, monkeypatch):
    assert alexnet(*SMALL, "--against", "onnxruntime") == 2
    assert "computes forward alone: add --inference" in capsys.readouterr().err
    monkeypatch.setattr("minigrad.commands.benchmark.find_spec", lambda package: None if package == "tensorflow" else True)
    assert alexnet(*SMALL, "--against", "torch", "tensorflow") == 2
    shown = capsys.readouterr()
    assert "needs the package tensorflow, which is not installed here: pip install tensorflow." in shown.err and not shown.out
    assert alexnet(*SMALL, "--against", "jax") == 2
    assert "invalid choice: 'jax'" in capsys.readouterr().err


def test_sides_take_turns(busy_machine):
    """Ours against itself: two processes, the same logits."""
    make = partial(AlexNet, "small", num_classes=7)
    (one, other), _, _, apart = sides.measure(["minigrad", "minigrad"], make, 1, True, 2, 3)
    assert apart == 0 and len(one.seconds) == len(other.seconds) == 3 and one.version == f"NumPy {np.__version__}"
    assert one.memory is None or 1e7 < one.memory < 1e9


def test_a_sweep_with_its_picture(capsys, tmp_path, monkeypatch):
    def beside(names, make, *, batch_size, steps, inference, threads):
        memory = None if "torch" in names else 1e8 + 1e6 * batch_size
        return [sides.Times("minigrad", "", [0.1 + 0.01 * batch_size / threads], 0, memory)]

    monkeypatch.setattr(cpu, "beside", beside)
    monkeypatch.setattr(sweep, "thread_counts", lambda most: [1, 2])
    flags = ("--sweep", "--output", tmp_path / "growth.png", "--batch-size", "32", "8", "128", "64")
    assert alexnet(*SMALL[:3], *flags) == 0
    out = capsys.readouterr().out
    assert "minigrad, 1 thread: seconds = 0.1000 + 0.010000 N, at most 0.0% off" in out and "memory = 100 MB + 1.00 MB N" in out
    assert "minigrad, 2 threads: seconds = 0.1000 + 0.005000 N" in out and (tmp_path / "growth.png").stat().st_size > 1e4
    monkeypatch.setattr("minigrad.commands.benchmark.find_spec", lambda package: True)
    assert alexnet(*SMALL[:3], *flags[:-3], "--against", "torch") == 0
    out = capsys.readouterr().out
    assert "one batch size, so no line" in out and "memory" not in out
    assert alexnet(*SMALL[:3], "--sweep", "--output", tmp_path / "no" / "growth.png", "--batch-size", "8") == 2
    assert "name another --output" in capsys.readouterr().err


def test_a_straight_line():
    N = np.array([8, 32, 64, 128, 256.0])
    np.testing.assert_allclose(sweep.fit(N, np.where(N < 32, 9, 0.5 + 0.25 * N)), (0.5, 0.25))
    np.testing.assert_allclose(sweep.fit(N[:3], 1 + N[:3]), (1, 1))
    assert sweep.fit(N[:1], N[:1]) is None and sweep.fit(N, np.full(5, np.nan)) is None
    assert sweep.thread_counts(1) == [1] and sweep.thread_counts(6) == [1, 2, 4, 6] and sweep.thread_counts(8) == [1, 2, 4, 8]


def test_what_others_do_counts(tmp_path, monkeypatch):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 9999 9999 5 6 7 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    assert quiet.processor_seconds(stat) == pytest.approx(168 / os.sysconf("SC_CLK_TCK"))
    assert quiet.processor_seconds(tmp_path / "none") is None
    assert quiet.is_disturbed(10, 13, 1.8, 2) and not quiet.is_disturbed(10, 12, 1.9, 2) and not quiet.is_disturbed(None, None, 0, 1)
    used = iter([0, 1, 1, 2, 2, 2])
    monkeypatch.setattr(quiet, "processor_seconds", lambda: next(used))
    monkeypatch.setattr(quiet, "SHORTEST", 0.01)
    assert 0.03 <= quiet.wait(10) < 9 and next(used, "all read") == "all read"


def test_a_disturbed_turn_is_repeated(busy_machine, monkeypatch):
    monkeypatch.setattr(sides, "PATIENCE", 60)
    told = iter([(1.0, False)] * 2 + [(5.0, True), (5.0, True), (1.0, False), (2.0, False)])
    monkeypatch.setattr(sides, "Side", lambda *arguments: side)
    monkeypatch.setattr(quiet, "wait", lambda most: 0.5)

    class side:
        times, logits = sides.Times("minigrad", ""), np.ones((1, 2))
        turn, end = staticmethod(lambda: next(told)), staticmethod(lambda: None)

    (times,), waited, repeated, _ = sides.measure(["minigrad"], None, 1, True, 1, 2)
    assert times.seconds == [1.0, 2.0] and times.disturbed == 0 and repeated == 2 and waited == 2


def test_another_network_is_no_peer():
    def side(name, logits):
        return type("Side", (), {"times": sides.Times(name, ""), "logits": np.array(logits)})

    ours = side("minigrad", [[1.0, -2.0]])
    assert sides.agreement([ours, side("torch", [[1.0001, -2.0]])]) == pytest.approx(5e-5)
    for wrong in ([[1.1, -2.0]], [[np.nan, 0.0]]):
        with pytest.raises(UsageError, match="--against torch computes another network"):
            sides.agreement([ours, side("torch", wrong)])


@pytest.mark.parametrize("name", ["torch", "torch-channels-last", "tensorflow", "onnxruntime"])
def test_peers_are_the_same_network(name):
    """Its logits; and after a step without dropout its loss and its logits, where it trains."""
    for package in peers.NEEDS[name]:
        pytest.importorskip(package)
    net = AlexNet("small", num_classes=5, init="2012", seed=1).eval()
    for p in net.parameters():
        if p.name.endswith("b"):
            p.value[...] = np.random.default_rng(3).normal(0, 0.1, p.value.shape)
    for layer in (layer for *_, layer in net.layers() if hasattr(layer, "p")):
        layer.p = 0
    images, labels = sides.batch(net, 2)
    inference = name == "onnxruntime"
    peer, ours = peers.PEERS[name](net, 1, inference), peers.Ours(net, 1, inference)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    close(peer.logits(images), ours.logits(images))
    if not inference:
        close(peer.step(images, labels), ours.step(images, labels))
        close(peer.logits(images), ours.logits(images))


def test_the_twin_in_torch_drops_and_scales_as_ours_in_tests():
    torch = pytest.importorskip("torch")
    net = AlexNet("small", num_classes=5, init="2012", seed=1).eval()
    images, _ = sides.batch(net, 2)
    logits = to_torch.twin(net).eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).detach().numpy()
    np.testing.assert_allclose(logits, net.infer(images), rtol=1e-4, atol=1e-6)
