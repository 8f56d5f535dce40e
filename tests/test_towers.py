"""Towers: columns that exchange channels between stages equal one column with block-structured weights."""

import threading
from copy import deepcopy

import numpy as np
import pytest
from naive import numerical_gradients, relative_error

from alexnet import AlexNet
from minigrad import SGD, Conv2d, Device, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential, Tanh, Towers
from minigrad.device import parse

SHAPE = (3, 7, 9, 2)  # after the pool 3 x 4
HIDDEN, OUT = 4, 3  # channels of a tower


def column(T, t, dtype=np.float64):
    """Tower t of T, one Sequential for each stage."""

    def weights(layer):
        return {"std": 0.4, "bias": 0.1 * (t + 1), "rng": np.random.default_rng([T, t, layer])}

    stages = [
        Sequential(
            conv1=Conv2d(2, HIDDEN, 3, padding=1, **weights(1)),
            tanh1=Tanh(),
            pool1=MaxPool2d(3, 2),
            conv2=Conv2d(HIDDEN, 2, 3, padding=1, **weights(2)),
            relu2=ReLU(),
        ),
        Sequential(conv3=Conv2d(2 * T, 3, 2, padding=(1, 0, 0, 1), **weights(3)), tanh3=Tanh(), conv4=Conv2d(3, 2, 1, **weights(4))),
        Sequential(flatten=Flatten(), fc5=Linear(3 * 4 * 2 * T, OUT, **weights(5))),
    ]
    return [stage.astype(dtype) for stage in stages]


SEES_ALL = ("conv1", "conv3", "fc5")


def towers(T, devices=("cpu",), dtype=np.float64):
    return Towers([list(stage) for stage in zip(*(column(T, t, dtype) for t in range(T)), strict=True)], devices)


def joined(name, arrays):
    """The towers' W, b or gradients of a layer as those of one column: zeros from each tower to the channels of the others."""
    if arrays[0].ndim == 1 or name in SEES_ALL:
        return np.concatenate(arrays, axis=-1)
    T, (*K, C, CO) = len(arrays), arrays[0].shape
    W = np.zeros((*K, T * C, T * CO))
    for t, a in enumerate(arrays):
        W[..., t * C : (t + 1) * C, t * CO : (t + 1) * CO] = a
    return W


def by_layer(net):
    """(layer, "W" or "b") -> the parameters of all towers, in order."""
    found = {}
    for p in net.parameters():
        _, layer, kind = p.name.split(".")
        found.setdefault((layer, kind), []).append(p)
    return found


def one_column(T):
    """The same function as `towers(T)`, in one Sequential."""
    net = Sequential(
        conv1=Conv2d(2, T * HIDDEN, 3, padding=1),
        tanh1=Tanh(),
        pool1=MaxPool2d(3, 2),
        conv2=Conv2d(T * HIDDEN, T * 2, 3, padding=1),
        relu2=ReLU(),
        conv3=Conv2d(T * 2, T * 3, 2, padding=(1, 0, 0, 1)),
        tanh3=Tanh(),
        conv4=Conv2d(T * 3, T * 2, 1),
        flatten=Flatten(),
        fc5=Linear(3 * 4 * T * 2, T * OUT),
    ).astype(np.float64)
    parts = by_layer(towers(T))
    for p in net.parameters():
        layer, kind = p.name.split(".")
        p.value[...] = joined(layer, [q.value for q in parts[layer, kind]])
    return net


@pytest.mark.parametrize("T", [1, 2, 3])
def test_towers_equal_one_column_with_block_structured_weights(rng, T):
    x = rng.standard_normal(SHAPE)
    net, reference = towers(T), one_column(T)
    y, expected = net.forward(x), reference.forward(x)
    assert y.shape == (3, T * OUT)
    assert relative_error(y, expected) < 1e-12
    dy = rng.standard_normal(y.shape)
    assert relative_error(net.backward(dy), reference.backward(dy)) < 1e-12
    parts = by_layer(net)
    for p in reference.parameters():
        layer, kind = p.name.split(".")
        blocks = joined(layer, [q.grad for q in parts[layer, kind]])
        structure = joined(layer, [np.ones_like(q.grad) for q in parts[layer, kind]])
        assert relative_error(blocks, p.grad * structure) < 1e-12


@pytest.mark.parametrize("T", [2, 3])
def test_gradients_of_the_first_stage_through_the_exchanges(rng, T):
    """Every tower's first weights act on the outputs of all towers: a partial gradient that is lost or averaged shows here."""
    net, x = towers(T), rng.standard_normal(SHAPE)
    dys = [rng.standard_normal((3, T * OUT)) for _ in range(2)]
    for p in (p for p in net.parameters() if p.name.split(".")[1] in ("conv1", "conv2") and p.name.endswith("b")):
        numerical = numerical_gradients(lambda: net.forward(x), p.value, dys)
        for dy, expected in zip(dys, numerical, strict=True):
            net.forward(x)
            net.backward(dy)
            assert relative_error(p.grad, expected) < 1e-6
    W = next(p for p in net.parameters() if p.name == f"tower{T - 1}.conv1.W")
    corner = W.value[1, 1]
    numerical = numerical_gradients(lambda: net.forward(x), corner, dys)
    for dy, expected in zip(dys, numerical, strict=True):
        net.forward(x)
        net.backward(dy)
        assert relative_error(W.grad[1, 1], expected) < 1e-6


def test_a_norm_sees_the_channels_of_its_own_tower_alone(rng):
    x = 20 * rng.standard_normal((2, 3, 4, 5))
    layers = [Conv2d(5, 6, 1, std=1.0, rng=np.random.default_rng(t)).astype(np.float64) for t in range(2)]
    net = Towers([[Sequential(conv=layer, norm=LocalResponseNorm()) for layer in deepcopy(layers)]])
    expected = [LocalResponseNorm().forward(layer.forward(x)) for layer in layers]
    np.testing.assert_array_equal(net.forward(x), np.concatenate(expected, axis=-1))


def test_a_stage_with_fewer_towers_joins_the_others(rng):
    """As in 2012, when the last layer lay on device 0 alone."""
    x = rng.standard_normal((2, 5))
    apart = [Sequential(fc1=Linear(5, width, std=1.0, rng=rng), tanh1=Tanh()).astype(np.float64) for width in (3, 4)]
    last = Sequential(fc2=Linear(7, 2, std=1.0, rng=rng)).astype(np.float64)
    net = Towers([deepcopy(apart), [deepcopy(last)]], ("cpu", "cpu"))
    hidden = np.concatenate([tower.forward(x) for tower in apart], axis=-1)
    np.testing.assert_allclose(net.forward(x), last.forward(hidden), rtol=1e-12)
    dy = rng.standard_normal((2, 2))
    d = last.backward(dy)
    expected = apart[0].backward(d[:, :3]) + apart[1].backward(d[:, 3:])
    np.testing.assert_allclose(net.backward(dy), expected, rtol=1e-12)
    assert net.bytes_forward == net.bytes_backward == 8 * 2 * 4  # what tower 1 sends to tower 0


def test_parameters_are_called_by_tower_layer_and_letter():
    net = Towers([[Sequential(conv1=Conv2d(1, 2, 3)) for _ in range(2)], [Sequential(relu=ReLU(), fc2=Linear(4, 1)) for _ in range(2)]])
    expected = ["tower0.conv1.W", "tower0.conv1.b", "tower1.conv1.W", "tower1.conv1.b"]
    assert [p.name for p in net.parameters()] == expected + [name.replace("conv1", "fc2") for name in expected]


@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_sent_between_towers(rng, T, dtype):
    """Forward, each tower sends its channels to each of the others, and its outputs to tower 0; backward the same in return."""
    net = towers(T, dtype=dtype)
    y = net.forward(rng.standard_normal(SHAPE).astype(dtype))
    N, pixels = SHAPE[0], 3 * 4
    sent = (T - 1) * T * N * (2 * pixels + 2 * pixels) + (T - 1) * N * OUT
    assert net.bytes_forward == sent * np.dtype(dtype).itemsize
    net.backward(y)
    assert net.bytes_backward == net.bytes_forward
    net.forward(rng.standard_normal((1, *SHAPE[1:])).astype(dtype))
    assert net.bytes_forward * 3 == net.bytes_backward  # counted anew in every pass


def layouts(T):
    yield ("cpu",) * T
    yield [Device("cpu", threads=1)]
    yield [Device("cpu", threads=3)]
    yield [Device("cpu", threads=1 + t % 2) for t in range(T)]
    if T == 3:
        yield ("cpu", "cpu")


def ten_steps(net, x, dy):
    sgd = SGD(net.parameters(), lr=0.01)
    results = []
    for _ in range(10):
        results += [net.forward(x), net.backward(dy)]
        sgd.step()
    return results + [p.value for p in net.parameters()]


@pytest.mark.parametrize("T", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_layout_of_devices_changes_no_bit(rng, T, dtype):
    x = rng.standard_normal((11, *SHAPE[1:])).astype(dtype)
    dy = rng.standard_normal((11, T * OUT)).astype(dtype)
    expected = ten_steps(towers(T, dtype=dtype), x, dy)
    for devices in layouts(T):
        for result, number in zip(ten_steps(towers(T, devices, dtype), x, dy), expected, strict=True):
            np.testing.assert_array_equal(result, number)


@pytest.mark.parametrize("threads, limit", [(2, "LITTLE"), (4, "SMALL")])
def test_a_cpu_takes_two_towers_side_by_side_where_little_comes_in(rng, monkeypatch, threads, limit):
    """Each waits for the other, which hangs unless both are at work. With more threads than towers the towers must be small, too."""
    both = threading.Barrier(2, timeout=10)

    class Meeting(Tanh):
        def output_shape(self, shape):
            if meet:
                both.wait()
            return shape

    net = Towers([[Sequential(tanh=Meeting()), Sequential(tanh=Meeting())]], [Device("cpu", threads=threads)])
    x, meet = rng.standard_normal((3, 4)), True
    y = net.forward(x)
    meet = False
    monkeypatch.setattr(f"minigrad.towers.{limit}", 0)
    np.testing.assert_array_equal(net.forward(x), y)


def test_towers_with_large_weights_share_the_threads(rng):
    """One after the other on more threads than towers: the weights are more than a thread should read alone."""
    at_work = []

    class Watching(Linear):
        def forward(self, x):
            at_work.append(self.device.workers.at_work())
            return super().forward(x)

    net = Towers([[Sequential(fc=Watching(1100, 512)), Sequential(fc=Watching(1100, 512))]], [Device("cpu", threads=4)])
    net.forward(rng.standard_normal((3, 1100), np.float32))
    assert at_work == [False, False]


def test_a_small_batch_of_a_tower_beside_another_is_one_task(rng):
    """Two tasks for one alone, which threads share."""
    towers = Towers([[Sequential(conv=Conv2d(3, 4, 3, rng=rng)) for _ in range(2)], [Sequential(conv=Conv2d(8, 4, 3, rng=rng))]])
    towers.forward(rng.standard_normal((32, 20, 17, 3), np.float32))
    assert [[len(tower.layers["conv"].call.tasks) for tower in stage] for stage in towers.stages] == [[1, 1], [2]]


def test_the_number_of_threads_changes_no_bit_of_two_small_towers(rng):
    x, dy = rng.standard_normal((24, 28, 28, 3), np.float32), rng.standard_normal((24, 10), np.float32)
    results = []
    for threads in (1, 2, 3):
        net = AlexNet("small", num_classes=10).to([Device("cpu", threads=threads)])
        results.append([net.forward(x), net.backward(dy), *(p.grad for p in net.parameters())])
    for others in results[1:]:
        for result, expected in zip(others, results[0], strict=True):
            np.testing.assert_array_equal(result, expected)


def test_towers_side_by_side_never_read_what_has_not_arrived(rng):
    """A race would change the numbers from run to run."""
    net, x, dy = towers(2, ("cpu", "cpu")), rng.standard_normal(SHAPE), rng.standard_normal((3, 2 * OUT))
    y, dx = net.forward(x), net.backward(dy)
    for _ in range(20):
        net.forward(x[:1])
        np.testing.assert_array_equal(net.forward(x), y)
        np.testing.assert_array_equal(net.backward(dy), dx)


def test_more_devices_than_towers_is_refused():
    with pytest.raises(ValueError, match=r"Towers.*\b3\b.*\b2\b"):
        towers(2, ("cpu", "cpu", "cpu"))
    with pytest.raises(ValueError, match=r"Towers.*\b2\b.*\b1\b"):
        towers(1, ("cpu", "cpu"))


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="tpu.*'cpu'"):
        towers(2, ("cpu", "tpu"))


def test_an_error_says_in_which_layer(rng):
    with pytest.raises(ValueError, match=r"in conv1, the 1st layer: Conv2d.*\b2\).*\b5\)"):
        towers(2).forward(rng.standard_normal((1, 7, 9, 5)))


def test_switches_reach_every_tower_and_return_the_network():
    net = towers(2)
    columns = [tower for stage in net.stages for tower in stage]
    assert net.eval() is net and not any(tower.training for tower in columns)
    assert net.train() is net and all(tower.training for tower in columns)
    assert net.astype(np.float32) is net
    assert {p.value.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert net.to(Device("cpu")) is net


def test_copies_share_nothing(rng):
    net, x, dy = towers(2, ("cpu", "cpu")), rng.standard_normal(SHAPE), rng.standard_normal((3, 2 * OUT))
    y, dx = net.forward(x), net.backward(dy)
    copy = deepcopy(net)
    for p in net.parameters():
        p.value[...] = 0
    np.testing.assert_array_equal(copy.forward(x), y)
    np.testing.assert_array_equal(copy.backward(dy), dx)
    assert not net.forward(x).any()


@pytest.mark.parametrize("text, number", [("cpu", 1), ("cpu,cpu", 2), (" cpu , cpu,cpu ", 3)])
def test_devices_are_parsed_from_text(text, number):
    devices = parse(text)
    assert len(devices) == number and all(isinstance(device, Device) for device in devices)


@pytest.mark.parametrize("text", ["", "tpu", "cpu,", "cpu,tpu", "-1", "999"])
def test_text_that_names_no_device_is_refused(text):
    with pytest.raises(ValueError, match="'cpu'.*'cpu,cpu'"):
        parse(text)


@pytest.mark.parametrize("arguments", [("tpu",), ("cpu", 0), ("cpu", -2)])
def test_a_device_that_cannot_be_is_refused(arguments):
    with pytest.raises(ValueError, match=str(arguments[-1])):
        Device(*arguments)


def test_towers_that_cannot_move_stay_where_they_are(rng):
    """Names that do not exist, too many devices, and a tower that fails on the way."""
    net, x = Towers([[Sequential(fc=Linear(3, 2, rng=rng)), Sequential(fc=Linear(3, 2, rng=rng))]], "cpu,cpu"), rng.standard_normal((2, 3))
    devices, y = net.devices, net.forward(x)
    for wrong in ("tpu", "cpu,cpu,cpu", [Device()] * 3):
        with pytest.raises(ValueError):
            net.to(wrong)
    full, other = net.stages[0][1], Device()
    place = type(full).to

    def to(device):
        if device is other:
            raise MemoryError
        return place(full, device)

    full.to = to
    with pytest.raises(MemoryError):
        net.to(other)
    assert net.devices == devices and net.device is devices[0]
    assert [tower["fc"].device for tower in net.stages[0]] == devices
    np.testing.assert_array_equal(net.forward(x), y)


def test_gradients_are_announced_stage_by_stage(rng):
    net = towers(2)
    dy = rng.standard_normal(net.forward(rng.standard_normal(SHAPE)).shape)
    said, grads = [], {}

    def done(parameters):
        said.append([p.name for p in parameters])
        grads.update({p.name: p.grad.copy() for p in parameters})

    net.backward(dy, done)
    assert [{name.split(".")[1] for name in names} for names in said] == [{"fc5"}, {"conv3", "conv4"}, {"conv1", "conv2"}]
    assert grads.keys() == {p.name for p in net.parameters()}
    for p in net.parameters():  # nothing has changed since it was announced
        np.testing.assert_array_equal(p.grad, grads[p.name])
    order, said[:] = said[:], []
    net.without_images(done)
    assert said == order
    assert all(p.grad.shape == p.value.shape and p.grad.dtype == p.value.dtype and not p.grad.any() for p in net.parameters())
