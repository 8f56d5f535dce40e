"""The CPU as a device: its tasks, its memory, and its names."""

import threading
import time

import numpy as np
import pytest

from minigrad import Conv2d, Device, ReLU, Sequential
from minigrad.device import Memory, parse


def test_an_error_leaves_nobody_at_work():
    """The first exception comes out once the task that is under way is done, and no other task is begun."""
    done, started = [], threading.Event()

    def work(task):
        if task == 0:
            started.wait(10)
            raise RuntimeError("task 0")
        started.set()
        time.sleep(0.05)
        done.append(task)

    with pytest.raises(RuntimeError, match="task 0"):
        Device("cpu", threads=2).run(work, range(50))
    before = list(done)
    time.sleep(0.15)
    assert done == before and len(done) < 49


def test_results_come_in_the_order_of_the_tasks():
    assert Device("cpu", threads=3).run(lambda n: n**2, range(20)) == [n**2 for n in range(20)]


def test_memory_is_used_again_once_nobody_has_it():
    memory = Memory()
    a = memory.empty((200, 200), np.float32)
    view, place = a[3:], a.ctypes.data
    del a
    assert memory.empty((200, 200), np.float32).ctypes.data != place  # a view still needs it
    del view
    assert memory.empty((100, 200), np.float64).ctypes.data == place and place % 64 == 0


def test_memory_that_lies_unused_is_given_back_before_there_is_none(monkeypatch):
    from minigrad import device

    memory, left = Memory(), [1]
    memory.empty((300, 300), np.float32)
    assert any(memory.free.values())

    def scarce(size):
        if any(memory.free.values()) or not left:
            raise MemoryError
        return bytes(left.pop()) and bytearray(size)

    monkeypatch.setattr(device, "bytearray", scarce, raising=False)
    memory.empty((400, 400), np.float32)
    with pytest.raises(MemoryError, match="8.00 GB"):
        memory.empty((2 * 10**9,), np.float32)


@pytest.mark.parametrize("name", ["auto", "0,1", "tpu", "", None])
def test_a_device_is_one_place(name):
    with pytest.raises(ValueError, match="'cpu', or the number of a GPU"):
        Device(name)


def test_a_list_of_places_is_parsed():
    assert [device.name for device in parse("cpu, cpu")] == ["cpu", "cpu"]
    with pytest.raises(ValueError, match="'tpu'.*'cpu,cpu'.*'auto'"):
        parse("cpu,tpu")


def test_layers_move_to_a_device_by_its_name(rng):
    for layer in (Conv2d(3, 2, 3), Sequential(conv1=Conv2d(3, 2, 3), relu1=ReLU())):
        assert layer.to("cpu") is layer
        assert layer.forward(rng.standard_normal((1, 4, 4, 3))).shape == (1, 2, 2, 2)
        with pytest.raises(ValueError, match="tpu"):
            layer.to("tpu")
        assert layer.forward(rng.standard_normal((1, 4, 4, 3))).shape == (1, 2, 2, 2)
