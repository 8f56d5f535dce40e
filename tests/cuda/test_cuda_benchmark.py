"""The benchmark on a GPU, on fake GPUs: what it counts and what it prints. Its times mean nothing here."""

import re
import time
from types import SimpleNamespace

import pytest
import roofline
from command_line import alexnet, refusal
from narrow import Narrow

from minigrad import Conv2d, Dropout, Linear, LocalResponseNorm, MaxPool2d, ReLU
from minigrad.commands.benchmark import gpu
from minigrad.commands.benchmark.gpu import work


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(gpu, "LARGE", 16)
    monkeypatch.setattr(gpu, "WARM_UP", 1)


def printed(capsys, *flags):
    assert alexnet("benchmark", "--variant", "small", "--batch-size", "3", "--steps", "2", *flags) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("device", ["0", "0,0", "0,1"])
def test_the_table(fake_gpus, quick, capsys, device):
    out = printed(capsys, "--device", device)
    assert "Fake H200, driver for CUDA 13.0, CUDA 13.0, CuPy " in out and "minigrad: small, batch 3, float32, products in TF32" in out
    assert "median of 2 steps" in out and "ceilings measured now: copy" in out and "GPU memory held: minigrad 0." in out
    rows = dict(re.findall(r"^(\w+) +[\d.]+ +[\d.]+ +[\d.]+%(.*)$", out, re.M))
    assert {"conv1", "pool2", "pool5", "fc8", "drop7", "update"} <= rows.keys()
    assert all(re.fullmatch(r" +\d+ +[\d.]+ +[\d.]+ +[\d.]+x", rows[name]) for name in ("conv1", "fc6", "pool2", "update"))


def test_recorded(fake_gpus, quick, capsys):
    out = printed(capsys, "--device", "0,1", "--graph")
    assert "devices [Device('0'), Device('1')], recorded as CUDA graphs\n" in out and re.search(r"^conv1 +[\d.]+ +[\d.]+ ", out, re.M)
    assert fake_gpus.count("captures") == 2 and fake_gpus.count("graph launches") == 4
    assert refusal(capsys, "benchmark", "--variant", "small", "--graph").endswith("name GPUs alone, or leave --graph out.\n")


def test_full_precision(fake_gpus, quick, capsys):
    assert "minigrad: small, batch 3, float32, devices [Device('0')]" in printed(capsys, "--device", "0", "--fp32")


def test_in_bfloat16(fake_gpus, quick, capsys):
    out = printed(capsys, "--device", "0", "--bf16")
    assert "minigrad: small, batch 3, float32, convolutions in bfloat16, other products in TF32, devices" in out
    assert re.search(r"product of 16 x 16 matrices \d+ TFLOP/s, in bfloat16 \d+$", out, re.M)


def test_beside_pytorch(fake_gpus, quick, capsys, monkeypatch):
    """PyTorch has the same network in both memory formats, on the CPU here."""
    pytest.importorskip("torch")
    side = gpu.TheirStep
    monkeypatch.setattr(side, "place", lambda self, index: self.torch.device("cpu"))
    monkeypatch.setattr(side, "mark", lambda self: time.perf_counter())
    monkeypatch.setattr(side, "between", lambda self, start, end: end - start)
    out = printed(capsys, "--device", "0", "--against", "torch")
    assert "eager, cudnn.benchmark on, TF32 on for convolutions and Linear, foreach SGD" in out
    assert re.search(r"^torch contiguous +median", out, re.M) and re.search(r"^torch channels_last +median", out, re.M)
    assert re.search(r"ratio to the faster of the two: [\d.]+ times PyTorch's speed", out)


def test_pytorch_without_a_gpu(fake_gpus, capsys, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert alexnet("benchmark", "--variant", "small", "--device", "0", "--against", "torch") == 2
    assert re.search(r"needs PyTorch, .* sees no GPU", capsys.readouterr().err)


def test_a_clock_that_gpus_and_cpus_share(fake_gpus, capsys):
    assert alexnet("benchmark", "--variant", "small", "--device", "0,cpu") == 2
    assert "no clock in common" in capsys.readouterr().err


def test_bytes_and_operations():
    """Counted by hand; in float32, and with what is multiplied in bfloat16."""
    x, y = (2, 6, 6, 4), (2, 6, 6, 8)
    conv = Conv2d(4, 8, 3, padding=1)  # 36 columns of patches, one for the bias, and up to a multiple of four: 40
    X, Y, P, W, operations = 2 * 36 * 16, 2 * 36 * 32, 72 * 160, 4 * 288, 2 * 72 * 288
    forward = [(0, X + P), (operations, P + W + Y)]
    assert work(conv, x, y) == (forward, [*forward, (operations, P + W + Y), (0, P + X)])
    assert work(conv, x, y, stay=True) == (forward, [forward[1], (operations, P + W + Y), (0, P + X)])
    conv.input_gradient = False
    assert work(conv, x, y) == (forward, forward)
    conv.input_gradient, conv.device = True, SimpleNamespace(bf16=True)
    P = 72 * 80
    forward = [(0, W + W // 2), (0, X + P), (operations, P + W // 2 + Y)]
    backward = [(0, Y + Y // 2), (operations, P + W + Y // 2), (operations, P + W // 2 + Y // 2), (0, P + X)]
    assert work(conv, x, y, stay=True) == (forward, backward)
    assert work(Linear(10, 5), (2, 10), (2, 5)) == ([(200, 80 + 200 + 40)], [(200, 320)] * 2)
    assert work(ReLU(), x, x) == work(LocalResponseNorm(), x, x) == ([(0, 2 * X)], [(0, 3 * X)])
    assert work(MaxPool2d(2, 2), x, (2, 3, 3, 4)) == ([(0, X + X // 4 + X // 16)],) * 2
    assert work(Dropout(), x, x) == ([(0, 2 * X)],) * 2


def test_a_step_by_calculation():
    """What is computed stays the same, what is moved becomes less, and still less in bfloat16."""
    net = Narrow("tiny paper")
    before, now = (roofline.of_step(net, 2, now) for now in (False, True))
    net.towers.devices[0].bf16 = True
    half = roofline.of_step(net, 2, now=True)
    assert before.keys() - now.keys() == {"norm1", *(f"relu{i}" for i in range(1, 8))}
    sums = [[sum(kernel[i] for kernels in table.values() for kernel in kernels) for i in (0, 1)] for table in (before, now, half)]
    assert sums == [[86281344, 91918560], [86281344, 57493248], [86281344, 31511504]]
