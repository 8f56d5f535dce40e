"""The memory of GPUs: what a step takes is foretold, and a want of it, of whatever kind, is told as one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from backends import as_in_a_new_process
from command_line import alexnet
from fake_cuda import NEVER

from alexnet import AlexNet
from minigrad import Device, Linear, data
from minigrad.commands.benchmark.cpu import Ours, batch
from minigrad.commands.memory import enough_memory, gpu_memory
from minigrad.layers import conv, linear

TRAIN, BENCHMARK = ["train", "--synthetic", "--epochs", "1"], ["benchmark", "--variant", "small", "--classes", "10"]


@pytest.mark.parametrize("words, devices", [(TRAIN, "0"), (TRAIN, "0,1"), (BENCHMARK, "0,0")])
def test_too_little_memory(fake_gpus, capsys, tmp_path, words, devices):
    words = [*words, "--device", devices] + (["--output", tmp_path / "run"] if words[0] == "train" else [])
    fake_gpus.set(memory=30_000_000)
    assert alexnet(*words, "--batch-size", "200") == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert "A batch of 200 images needs about 0." in error and "GB on GPU 0, which has 0.03 GB to give" in error
    largest = int(error.split("--batch-size ")[1].split()[0])
    assert 10 < largest < 150
    as_in_a_new_process()
    net = AlexNet("small", devices, 10)
    with enough_memory(net, largest):
        step(net, largest)


def step(net, batch_size):
    """A training step; as much memory as one takes."""
    Ours(net).step(*batch(net, batch_size))


MEASURED = [
    ("paper", "0", 128, False),
    ("paper", "0,1", 128, False),
    ("paper", "0,0", 64, False),
    ("owt", "0", 128, False),
    ("half", "0", 64, False),
    ("small", "0", 512, False),
    ("small", "0,1", 512, False),
    ("paper", "0", 128, True),
    ("paper", "0,1", 256, True),
    ("owt", "0", 128, True),
    ("small", "0", 512, True),
]


@pytest.mark.filterwarnings("ignore:invalid value")  # of a loss that nobody computed
@pytest.mark.parametrize("variant, devices, batch_size, bf16", MEASURED)
def test_the_memory_of_a_step_is_foretold(fake_gpus, monkeypatch, variant, devices, batch_size, bf16):
    """With as much as is foretold three steps are possible; with a 1.3th of it they are not."""
    for layer in (linear, conv):  # to draw weights takes longer than all else
        monkeypatch.setattr(layer, "starting_weights", lambda _, shape, *__: (np.zeros(shape, np.float32), np.zeros(shape[-1], np.float32)))
    fake_gpus.set(policy=NEVER)
    foretold = gpu_memory(network(variant, devices, bf16), batch_size)
    assert possible(variant, devices, bf16, batch_size, foretold)
    assert not possible(variant, devices, bf16, batch_size, {index: need / 1.3 for index, need in foretold.items()})


def network(variant, devices, bf16):
    net = AlexNet(variant, devices, 1000)
    for device in net.towers.devices if bf16 else ():
        device.use_bfloat16()
    return net


def possible(variant, devices, bf16, batch_size, limits):
    import cupy

    as_in_a_new_process()
    pool = cupy.get_default_memory_pool()
    for index, limit in limits.items():
        with cupy.cuda.Device(index):
            pool.set_limit(size=int(limit))
    try:
        net = network(variant, devices, bf16)
        ours, images, labels = (
            Ours(net),
            np.zeros((batch_size, net.image_size, net.image_size, 3), np.float32),
            np.zeros(batch_size, np.int64),
        )
        for _ in range(3):
            ours.step(images, labels)
        return True
    except MemoryError:
        return False
    finally:
        for index in limits:
            with cupy.cuda.Device(index):
                pool.set_limit(size=0)


@pytest.mark.parametrize("status", [1, 3])  # what cuBLAS says for "not initialised" and "allocation failed"
def test_no_memory_for_cublas(fake_gpus, status):
    device = Device("0")
    x = device.asarray(np.ones((8, 8), np.float32))
    device.gpu.synchronize()
    fake_gpus.set(cublas=status)
    with pytest.raises(MemoryError, match="CUBLAS_STATUS_"):
        in_a_new_thread(lambda: Linear(8, 8).to(device).forward(x))


def test_other_errors_of_cublas_stay_what_they_are(fake_gpus):
    device = Device("0")
    fake_gpus.set(cublas=13)
    with pytest.raises(RuntimeError, match="CUBLAS_STATUS_EXECUTION_FAILED"):
        in_a_new_thread(lambda: Linear(8, 8).to(device).forward(np.ones((8, 8), np.float32)))


def in_a_new_thread(work):
    """work() in a thread that has no handle of cuBLAS yet."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def test_no_room_for_pinned_memory(fake_gpus):
    fake_gpus.set(pinned=1000)
    with pytest.raises(MemoryError, match="1,000,000 bytes of pinned memory"):
        Device("0").host_empty((250, 1000), np.float32)


@pytest.mark.parametrize("batch_size", [5, 8])
def test_the_pinned_memory_of_a_loader_is_foretold(fake_gpus, batch_size):
    images = np.zeros((64, 30, 30, 3), np.uint8)
    loading = data.Loader(images, np.zeros(64, int), batch_size, mean=np.zeros((30, 30, 3)), device=Device("0"), workers=3)
    before = fake_gpus.count("bytes pinned")
    for _ in loading.batches(0):
        pass
    assert 0 < fake_gpus.count("bytes pinned") - before <= loading.memory
