"""A training step that is recorded as CUDA graphs gives the bits of one that is not, in every order that the graphs' edges allow."""

import functools
import hashlib
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from backends import NO_FAKE, as_in_a_new_process
from fake_cuda import AT_ONCE, LATE, RANDOM, STREAMS
from narrow import Narrow
from test_cuda_order import mutant

from minigrad import SGD, SoftmaxCrossEntropy, data
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import recorder
from minigrad.cuda.graph import CannotRecord, RecordedStep, Recorder
from minigrad.layers import Dropout
from minigrad.optim import LARS
from minigrad.training import evaluate, to_host, train_on_batch

ORDERS = [(RANDOM, 1), (STREAMS, 1), (LATE, 1), (RANDOM, 2), (STREAMS, 2)]  # policy, seed


def parts(devices, optimizer=SGD):
    net = Narrow("tiny", devices, 10)
    return net, SoftmaxCrossEntropy().to(net.device), optimizer(net.parameters(), 0.002)


def trained(devices, step, bf16=False):
    """A digest of all numbers of a short training: batches of two sizes, the larger one later, a learning rate that falls, evaluation in
    between, and weights that are changed from outside."""
    (net, loss, sgd), rng = parts(devices), np.random.default_rng(0)
    for device in net.towers.devices if bf16 else ():
        device.use_bfloat16()
    images, labels, mean = rng.integers(0, 256, (3, 28, 28, 3), dtype=np.uint8), rng.integers(0, 10, 3), np.full((28, 28, 3), 120.0)
    of_one, of_two = (data.Loader(images, labels, n, mean=mean, shuffle=True, augment=True, device=net.device) for n in (1, 2))
    numbers = []

    def inspect(value, logits):
        numbers.extend([value, *to_host(logits).ravel().tolist()])

    def change(parameters):
        for p in parameters:
            with p.device.gpu:
                p.value[...] *= np.float32(1.03)  # by CuPy on the GPU's own stream

    for epoch, loader in enumerate((of_one, of_two, of_two, of_two)):
        net.train()
        with closing(loader.batches(epoch)) as batches:
            for x, y in batches:
                sgd.lr *= 0.9
                step(net, loss, sgd, x * np.float32(0.5), y, inspect)
        change(sgd.parameters[:4])
        numbers.extend(evaluate(net, loss, of_two.batches(epoch)))
        change(sgd.parameters)
    assert np.isfinite(numbers).all() and net.step == 9
    digest = hashlib.sha256(repr(numbers).encode())
    for p, v in zip(sgd.parameters, sgd.velocities, strict=True):
        digest.update(p.device.numpy(p.value).tobytes() + p.device.numpy(v).tobytes())
    return digest.hexdigest()


@functools.cache
def not_recorded(gpus):
    """The digest of steps that are not recorded, the same on all devices (test_cuda_network.py)."""
    return in_order(gpus, AT_ONCE, 1, "0,1", 1, train_on_batch)


def in_order(gpus, policy, seed, devices, peers, step):
    gpus.reset(seed)
    gpus.set(devices=2, policy=policy, peers=peers)
    return trained(devices, step)


PLACES = [("0", 1, ORDERS[:2]), ("0,0", 1, ORDERS[:3]), ("0,1", 1, ORDERS), ("0,1", 0, ORDERS[1:2])]


@pytest.mark.filterwarnings("ignore:GPUs 0 and 1 cannot reach")
@pytest.mark.parametrize("devices, peers, orders", PLACES)
def test_the_bits_are_those_of_steps_that_are_not_recorded(fake_gpus, devices, peers, orders):
    expected = not_recorded(fake_gpus)
    for order in orders:
        assert in_order(fake_gpus, *order, devices, peers, Recorder(train_on_batch)) == expected, order
        assert fake_gpus.count("problems") == 0 and fake_gpus.count("captures") == 4 and fake_gpus.count("graph launches") == 2 * 7


def test_the_bits_in_bfloat16(fake_gpus):
    digests = []
    for step in (train_on_batch, Recorder(train_on_batch)):
        fake_gpus.reset()
        fake_gpus.set(devices=2, policy=RANDOM)
        digests.append(trained("0,1", step, bf16=True))
        assert fake_gpus.count("problems") == 0 and fake_gpus.count("gemm of bfloat16") > 0
    assert digests[0] == digests[1] != not_recorded(fake_gpus)


@pytest.mark.skipif(NO_FAKE is None, reason="the tests above do the same on the fake CUDA")
@pytest.mark.parametrize("devices", ["0", "0,0"])
def test_the_bits_on_one_gpu(one_gpu, devices):
    assert trained(devices, Recorder(train_on_batch)) == trained(devices, train_on_batch)


@pytest.mark.skipif(NO_FAKE is None, reason="the tests above do the same on the fake CUDA")
def test_the_bits_on_two_gpus(two_gpus):
    assert trained("0,1", Recorder(train_on_batch)) == trained("0,1", train_on_batch)


MUTANTS = {  # what a graph can get wrong: the function, the text, what becomes of it
    "a learning rate that is always the first": (SGD, "move_cuda", "device.changing.get(dtype.name)", "None"),
    "dropout of the first step always": (Dropout, "forward_cuda", 'self.device.changing.get("step", 0)', "0"),
    "a second stream that is not joined": (RecordedStep, "graph", "stream.wait_event(device.record())", "pass"),
    "a second stream that does not start with the first": (RecordedStep, "graph", "device.stream.wait_event(self.first.record())", "pass"),
    "memory that others are given as well": (
        Recorder,
        "__call__",
        "net.device.xp.cuda.using_allocator(self.pool_for(net).malloc)",
        "suppress()",
    ),
    "arrays of the device that another step's graphs write to": (Recorder, "forget", "device.forget()", "pass"),
    "numbers overwritten before they are fetched": (
        RecordedStep,
        "__call__",
        "self.forward.launch(stream)",
        "self.forward.launch(stream); numbers['step'] += 1; numbers['labels'] = 0",
    ),
    "a loss that is not waited for": (RecordedStep, "__call__", "stream.synchronize()", "pass"),
    "a GPU's earlier work that is not waited for": (RecordedStep, "__call__", "stream.wait_event(device.record())", "pass"),
    "a GPU's later work that does not wait": (RecordedStep, "__call__", "device.stream.wait_event(first.record())", "pass"),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_is_seen(fake_gpus, monkeypatch, fault):
    expected = not_recorded(fake_gpus)
    owner, name, old, new = MUTANTS[fault]
    monkeypatch.setattr(owner, name, mutant(getattr(owner, name), old, new))

    def seen(order):
        try:
            return in_order(fake_gpus, *order, "0,1", 1, Recorder(train_on_batch)) != expected or fake_gpus.count("problems") > 0
        except Exception:  # NaN for a loss, CUDA's own refusal: all are seen
            return True

    assert any(map(seen, ORDERS))
    fake_gpus.reset()


def test_the_host_launches_two_graphs_and_waits_once(fake_gpus):
    (net, loss, sgd), step = parts("0,1"), Recorder(train_on_batch)
    x, y = net.device.asarray(np.ones((4, 28, 28, 3), np.float32)), np.arange(4)
    counted = "kernels", "gemm", "captures", "cudaMalloc", "graph launches"
    for _ in range(2):
        step(net, loss, sgd, x, y)
    before, waits = [fake_gpus.count(what) for what in counted], fake_gpus.waits
    step(net, loss, sgd, x, y)
    assert [fake_gpus.count(what) - earlier for what, earlier in zip(counted, before, strict=True)] == [0, 0, 0, 0, 2]
    assert fake_gpus.waits == waits + 1
    frees = fake_gpus.count("cudaFree")
    step.pool.free_all_blocks()  # as CuPy does by itself where memory is short
    assert fake_gpus.count("cudaFree") == frees and step.held(net.device) > 1_000_000
    del step
    assert fake_gpus.count("cudaFree") > frees


def test_graphs_take_little_more_memory_than_steps_and_give_it_back(fake_gpus):
    import cupy

    def used():
        free, whole = cupy.cuda.runtime.memGetInfo()
        return whole - free

    def held_by(step):
        """Bytes after steps with batches of two sizes."""
        net, loss, sgd = parts("0")
        x, y = net.device.asarray(np.ones((64, 28, 28, 3), np.float32)), np.arange(64) % 10
        for n in (64, 64, 64, 32, 32, 32):
            step(net, loss, sgd, x[:n], y[:n])
        return used()

    plain = held_by(train_on_batch)
    as_in_a_new_process()
    assert used() == 0
    assert held_by(Recorder(train_on_batch)) < 1.3 * plain
    as_in_a_new_process()
    assert used() == 0


def test_a_loss_that_is_refused_changes_nothing(fake_gpus):
    (net, loss, sgd), step, calls = parts("0,1"), Recorder(train_on_batch), []

    def refuse_the_third(value, logits):
        calls.append(value)
        if len(calls) > 2:
            raise ArithmeticError
        return logits

    x, y = net.device.asarray(np.ones((4, 28, 28, 3), np.float32)), np.arange(4)
    for _ in range(2):
        step(net, loss, sgd, x, y, refuse_the_third)
    before = [p.device.numpy(p.value).copy() for p in sgd.parameters]
    with pytest.raises(ArithmeticError):
        step(net, loss, sgd, x, y, refuse_the_third)
    assert net.step == 2 and all(np.array_equal(p.device.numpy(p.value), w) for p, w in zip(sgd.parameters, before, strict=True))
    with pytest.raises(ValueError, match="label 10 of image 0 is not one of the classes 0 to 9"):
        step(net, loss, sgd, x, y + 10, refuse_the_third)


def test_what_cannot_be_recorded_is_refused(fake_gpus):
    """LARS waits for norms. Afterwards the same arrays train on without a recording."""
    net, loss, lars = parts("0,1", LARS)
    step, x, y = Recorder(train_on_batch), net.device.asarray(np.ones((4, 28, 28, 3), np.float32)), np.arange(4)
    step(net, loss, lars, x, y)
    with pytest.raises(CannotRecord, match="A training step cannot be recorded as CUDA graphs here .* make it without --graph"):
        step(net, loss, lars, x, y)
    assert net.step == 1
    train_on_batch(net, loss, lars, x, y)
    assert net.step == 2


def test_too_little_memory_is_told(fake_gpus):
    """And the graphs' own is given back, so that it can be said how much there is."""
    import cupy

    (net, loss, sgd), step = parts("0"), Recorder(train_on_batch)
    x, y = net.device.asarray(np.ones((4, 28, 28, 3), np.float32)), np.arange(4)
    for _ in range(2):
        step(net, loss, sgd, x, y)
    fake_gpus.set(memory=cupy.cuda.runtime.memGetInfo()[1] - cupy.cuda.runtime.memGetInfo()[0])
    many = np.ones((400, 28, 28, 3), np.float32)
    with pytest.raises(MemoryError):
        step(net, loss, sgd, many, np.arange(400) % 10)
    assert step.held(net.device) == 0


def test_several_processes_record_nothing(fake_gpus):
    with pytest.raises(UsageError, match="--graph is for one process"):
        recorder(parts("0")[0], {}, SimpleNamespace(size=2))


def test_the_fake_refuses_what_cuda_refuses(fake_gpus):
    import cupy

    errors = cupy.cuda.runtime.CUDARuntimeError, cupy.cuda.driver.CUDADriverError
    one, two = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)
    event, array = cupy.cuda.Event(disable_timing=True), cupy.zeros(4, np.float32)

    def unjoined():
        event.record(one)
        two.wait_event(event)
        with two:
            array.fill(1)

    def from_outside():
        event.record(two)
        one.wait_event(event)

    def on_the_default_stream():
        with cupy.cuda.Stream.null:
            array.fill(1)

    def pageable():
        memory = np.zeros(4, np.float32)
        cupy.cuda.runtime.memcpyAsync(array.data.ptr, memory.ctypes.data, 16, cupy.cuda.runtime.memcpyDefault, one.ptr)

    for what, status in (
        (one.synchronize, 900),
        (cupy.cuda.Device(0).synchronize, 900),
        (on_the_default_stream, 900),
        (pageable, 900),
        (from_outside, 905),
        (unjoined, 904),
    ):
        one.begin_capture()
        with pytest.raises(errors) as refused:
            what()
            one.end_capture()
        assert refused.value.status == status, what
        if status != 904:
            with pytest.raises(errors):
                one.end_capture()
    one.begin_capture()
    with one:
        array += 1
    event.record(one)
    graph = one.end_capture()
    with pytest.raises(errors):  # an event of a capture that has ended
        two.wait_event(event)
    for _ in range(3):
        graph.launch(two)
    two.synchronize()
    assert array.get().tolist() == [3, 3, 3, 3]
