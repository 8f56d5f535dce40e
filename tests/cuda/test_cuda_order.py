"""A GPU's work comes in any order that streams and events allow, and the results are the same to the bit. A wait taken away is seen."""

import hashlib
import inspect
import textwrap

import numpy as np
import pytest
from fake_cuda import AT_ONCE, LATE, RANDOM, STREAMS
from narrow import Narrow

from minigrad import SGD, SoftmaxCrossEntropy, data, training
from minigrad.cuda import upload
from minigrad.cuda.device import CudaDevice

ORDERS = [(LATE, 1), (RANDOM, 1), (STREAMS, 1), (RANDOM, 2), (STREAMS, 2), (RANDOM, 3), (STREAMS, 3)]  # policy, seed
PLACES = [  # devices, whether they reach each other's memory, the orders tried
    ("0", True, ORDERS[:3]),
    ("0,0", True, ORDERS),
    ("0,1", True, ORDERS),
    ("0,1", False, ORDERS[:3]),
    ("0,cpu", True, ORDERS[:3]),
]


def trained(devices):
    """A digest of all numbers of a short training. With batches loaded while others are used, and some left early; a user's own CuPy work
    on the current stream; a pass in which the host waits for nothing; weights set from outside."""
    net, rng = Narrow("tiny", devices, 10), np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, 28, 28, 3), dtype=np.uint8), rng.integers(0, 10, 12)
    own, mean = rng.standard_normal((2, 4, 28, 28, 3)).astype(np.float32), np.full((28, 28, 3), 120.0)
    four, one = (data.Loader(images, labels, n, mean=mean, shuffle=True, augment=True, device=net.device, workers=2) for n in (4, 1))
    loss, sgd, numbers = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), 0.002), []

    def step(x, y):
        logits = net.forward(x)
        numbers.extend([loss.forward(logits, y), float((logits * 2).sum()), *training.top_k_errors(logits, y)])
        net.backward(loss.backward())
        sgd.step()

    for epoch in range(2):
        net.train()
        for x, y in four.batches(epoch):
            x = x * np.float32(0.5)
            x += np.float32(1)
            step(x, y)
        early = four.batches(epoch)
        next(early)
        early.close()
        x = [net.device.asarray(x) for x in own]  # into the memory of those left
        numbers.append(float((x[0] + x[1]).sum()))
        net.device.gpu.synchronize()
        step(x[0], labels[:4])
        step(x[1], labels[:4])
        sgd.parameters[0].value[...] *= np.float32(1.03)
        net.eval()
        numbers += [loss.forward(net.forward(x), y) for x, y in four.batches(epoch)]
        numbers += [float(x.sum()) for x in [x * np.float32(2) for x, _ in one.batches(epoch)]]
    assert np.isfinite(numbers).all()
    digest = hashlib.sha256(repr(numbers).encode())
    for p, v in zip(sgd.parameters, sgd.velocities, strict=True):
        digest.update(p.device.numpy(p.value).tobytes() + p.device.numpy(v).tobytes())
    return digest.hexdigest()


def in_order(gpus, policy, seed, devices, peers):
    gpus.reset(seed)
    gpus.set(devices=2, policy=policy, peers=peers)
    return trained(devices)


@pytest.mark.filterwarnings("ignore:GPUs 0 and 1 cannot reach")
@pytest.mark.parametrize("devices, peers, orders", PLACES)
def test_every_order_gives_the_same_bits(fake_gpus, devices, peers, orders):
    expected = in_order(fake_gpus, AT_ONCE, 1, devices, peers)
    for order in orders:
        assert in_order(fake_gpus, *order, devices, peers) == expected, order
        assert fake_gpus.count("problems") == 0
    assert bool(fake_gpus.count("copy peer")) == (devices == "0,1" and peers)
    assert bool(fake_gpus.count("copy through host")) == (devices == "0,1" and not peers)


MUTANTS = [  # method of CudaDevice or function of upload.py, the text, what becomes of it; at the end: an event of any GPU, no copy at all
    ("send", "self.stream.wait_event(target.record())", "target.record()"),
    ("send", "target.stream.wait_event(self.record())", "self.record()"),
    ("send", "array.nbytes, self.stream)", "array.nbytes, target.stream)"),
    ("begun", "device.copies.wait_event(device.record())", "device.record()"),
    ("arrived", "device.stream.wait_event(done)", "pass"),
    ("arrived", "done.synchronize()", "pass"),
    ("one_ahead", "device.copies.synchronize()", "pass"),
    ("__enter__", "self.stream.wait_event(self.before)", "pass"),
    ("__exit__", "caller.wait_event(self.record())", "self.record()"),
    ("record", "self.event.record(self.stream)", "pass"),
    ("record", "self.event.record(self.stream)", "self.event = self.xp.cuda.Event(disable_timing=True); self.event.record(self.stream)"),
    ("send", "if target is self:", "if target.is_gpu:"),
]


def mutant(function, old, new):
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{old!r} is not in {function.__qualname__}"
    names = {}
    exec(compile(source.replace(old, new), f"{function.__qualname__} without {old}", "exec"), function.__globals__, names)
    return names[function.__name__]


@pytest.mark.filterwarnings("ignore:The device where the array resides")
@pytest.mark.parametrize("name, old, new", MUTANTS)
def test_a_wait_taken_away_is_seen(fake_gpus, monkeypatch, name, old, new):
    expected = in_order(fake_gpus, AT_ONCE, 1, "0,1", True)
    owner = upload if hasattr(upload, name) else CudaDevice
    monkeypatch.setattr(owner, name, mutant(getattr(owner, name), old, new))
    assert any(seen(fake_gpus, order, expected) for order in ORDERS)
    fake_gpus.reset()


def seen(gpus, order, expected):
    try:
        return in_order(gpus, *order, "0,1", True) != expected or gpus.count("problems") > 0
    except Exception:  # NaN for a loss, an index that is none, CUDA's own refusal: all are seen
        return True
