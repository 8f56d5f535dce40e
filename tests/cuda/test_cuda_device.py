"""A GPU as a device: what it refuses and how it says so, and the copies to it. CUDA itself checks next to nothing."""

import sys
import types

import numpy as np
import pytest
from command_line import alexnet, refusal
from narrow import Narrow

from alexnet import AlexNet
from minigrad import Device, cuda, data
from minigrad.commands.benchmark.cpu import Ours, batch
from minigrad.commands.memory import enough_memory, gpu_memory
from minigrad.cuda.device import say_if_apart

# ---- no GPU, for all kinds of reasons


class CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(driver=13000, runtime=13000, devices=0, libraries=("cublas", "nvrtc")):
    """A module `cupy` on a machine of that kind; devices: their number, or an error."""

    def count():
        if isinstance(devices, Exception):
            raise devices
        return devices

    versions = {"driverGetVersion": lambda: driver, "runtimeGetVersion": lambda: runtime}
    calls = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count, **versions)
    return types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=calls, **dict.fromkeys(libraries)))


TOO_OLD = CUDARuntimeError("cudaErrorInsufficientDriver")
NO_DEVICE = CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
MACHINES = {  # packages, module, what is said
    "no CuPy": ([], None, "CuPy is not installed; pip install 'cupy-cuda13x[ctk]'"),
    "CuPy broken": (["cupy-cuda13x"], None, "cupy-cuda13x is installed, but its import failed"),
    "two CuPys": (["cupy-cuda12x", "cupy-cuda13x"], fake_cupy(), "two CuPy packages, cupy-cuda12x and cupy-cuda13x; pip uninstall"),
    "no driver": (["cupy-cuda13x"], fake_cupy(driver=0, devices=TOO_OLD), "there is no NVIDIA driver"),
    "an old driver": (
        ["cupy-cuda13x"],
        fake_cupy(driver=12020, devices=TOO_OLD),
        "made for CUDA 12.2, but CuPy for CUDA 13; update the driver, or pip install 'cupy-cuda12x[ctk]'",
    ),
    "no GPU": (["cupy-cuda13x"], fake_cupy(devices=NO_DEVICE), "CUDA finds none in this machine"),
    "no GPU, no error": (["cupy-cuda13x"], fake_cupy(devices=0), "CUDA finds none in this machine"),
    "no cuBLAS": (["cupy-cuda12x"], fake_cupy(devices=1, libraries=["nvrtc"]), "finds no cublas, which is a part of CUDA; pip install"),
    "no NVRTC": (["cupy-cuda12x"], fake_cupy(devices=1, libraries=["cublas"]), "finds no nvrtc"),
}


@pytest.fixture(params=MACHINES)
def sentence(request, monkeypatch):
    packages, module, sentence = MACHINES[request.param]
    monkeypatch.setattr(cuda, "installed", lambda name: name in packages)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return sentence


@pytest.mark.parametrize("device", ["0", "0,1"])
def test_no_gpu(sentence, capsys, device):
    for words in (["summary", "--variant", "small"], ["benchmark", "--variant", "small"], ["--synthetic"]):
        error = refusal(capsys, *words, "--device", device)
        assert sentence in error and "GPU 0 cannot be used" in error and "use 'cpu', or 'cpu,cpu'" in error


def test_auto_takes_the_cpu_where_there_is_no_gpu(sentence, capsys):
    assert alexnet("summary", "--variant", "small", "--device", "auto") == 0
    assert "devices: cpu (float32)" in capsys.readouterr().out


# ---- a GPU too few, too far or too small


def test_auto_takes_as_many_as_there_are_towers(stand_in, capsys):
    for variant, devices in (("small", "0 (float32, products in TF32), 1 (float32, products in TF32)"), ("owt", "0 (float32, products")):
        assert alexnet("summary", "--variant", variant, "--device", "auto") == 0
        assert f"devices: {devices}" in capsys.readouterr().out


def test_a_number_that_does_not_exist(stand_in, capsys):
    error = refusal(capsys, "summary", "--device", "0,7")
    assert (
        "there is no GPU 7: this machine has 0 (stand-in), 1 (stand-in), and 'cpu'" in error.replace("There", "there") and "'0,0'" in error
    )


def test_gpus_that_cannot_reach_each_other(stand_in):
    """They work through the host, and this is said once."""
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 3)).astype(np.float32)
    expected = AlexNet("small", "0,1").eval().forward(images).get()
    stand_in.state.peers = False
    say_if_apart.cache_clear()
    with pytest.warns(UserWarning, match="GPUs 0 and 1 cannot reach each other's memory: .* goes through the host") as said:
        net = AlexNet("small", "0,1").eval()
        for _ in range(2):
            np.testing.assert_array_equal(net.forward(images).get(), expected)
            net.backward(np.ones((2, 1000), np.float32))
    say_if_apart.cache_clear()
    assert len(said) == 1


@pytest.mark.parametrize("devices", ["0", "0,0", "0,1"])
@pytest.mark.parametrize("words", [["train", "--synthetic", "--epochs", "1"], ["benchmark", "--variant", "small", "--classes", "10"]])
def test_too_little_memory(stand_in, capsys, tmp_path, words, devices):
    words = [*words, "--device", devices] + (["--output", tmp_path / "run"] if words[0] == "train" else [])
    stand_in.state.limit = 30_000_000
    assert alexnet(*words, "--batch-size", "200") == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert "A batch of 200 images needs about 0." in error and "GB on GPU 0, which has 0.03 GB to give" in error
    largest = int(error.split("--batch-size ")[1].split()[0])
    assert 10 < largest < 150
    stand_in.reset()
    stand_in.state.limit = 30_000_000
    net = AlexNet("small", devices, 10)
    with enough_memory(net, largest):
        step(net, largest)


def step(net, batch_size):
    """A training step; as much memory as one takes."""
    Ours(net).step(*batch(net, batch_size))


@pytest.mark.parametrize(
    "Network, variant, devices, batch_size",
    [(AlexNet, "small", "0", 32), (AlexNet, "small", "0,1", 32), (Narrow, "paper", "0,1", 2), (Narrow, "owt", "0", 3)],
)
def test_the_memory_of_a_step_is_foretold(stand_in, Network, variant, devices, batch_size):
    net = Network(variant, devices, 10)
    step(net, batch_size)
    for index, foretold in gpu_memory(net, batch_size).items():
        assert 0.95 < foretold / stand_in.state.peak[index] < 1.2


# ---- kernels: what CUDA would not notice


@pytest.mark.parametrize(
    "mistake, error",
    [
        (lambda xp, x: x.astype(np.float64), "y must be an array of float32 on a GPU, not float64"),
        (lambda xp, x: np.ones((4, 8), np.float32), "y must be an array of float32 on a GPU, not float32"),
        (lambda xp, x: xp.empty((8, 4), np.float32).T, "y must be contiguous"),
    ],
)
def test_a_kernels_arguments_are_checked(stand_in, mistake, error):
    device = Device("0")
    with device:
        x = device.asarray(np.ones((4, 8), np.float32))
        with pytest.raises((TypeError, ValueError), match=error):
            device.launch("activation", "relu_forward", 32, x, mistake(stand_in, x), 32)
        with pytest.raises(TypeError, match="takes 3 arguments, not 2"):
            device.launch("activation", "relu_forward", 32, x, x)
        with pytest.raises(ValueError, match="2,147,483,648 numbers are more than a kernel can count"):
            device.launch("activation", "relu_forward", 1 << 31, x, x, 32)
        with pytest.raises(TypeError, match="struct Pool has the fields N, H, W, C, K, S, OH, OW, but N were given"):
            device.launch("pool", "maxpool_backward", 32, x, device.empty((4, 8), np.uint8), x, {"N": 1})


def test_an_array_of_another_device_is_refused(stand_in):
    here, there = Device("0"), Device("1")
    x, y = there.asarray(np.ones(8, np.float32)), here.empty((8,), np.float32)
    with pytest.raises(ValueError, match="relu_forward: x lies on GPU 1, not 0"):
        here.launch("activation", "relu_forward", 8, x, y, 8)


# ---- loading


def loader(device, batches=4):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2 * batches, 28, 28, 3), dtype=np.uint8), np.arange(2 * batches)
    return data.Loader(images, labels, 2, mean=np.zeros((28, 28, 3)), device=device)


@pytest.mark.parametrize("work", [1, 3])
def test_batches_arrive_while_others_are_used(stand_in, work):
    device = Device("0")
    begun, copied = [], device.copied
    device.copied = lambda images: begun.append(len(begun)) or copied(images)
    expected = [images.copy() for images, _ in loader(Device("cpu")).batches(0)]
    for i, (images, labels) in enumerate(loader(device).batches(0)):
        assert len(begun) == min(i + 2, 4)  # the next batch is on its way
        assert isinstance(images, stand_in.ndarray) and labels.tolist() == [2 * i, 2 * i + 1]
        with device:
            for _ in range(work):
                images = images + 1
        np.testing.assert_array_equal(images.get(), expected[i] + work)


def test_a_loader_that_is_left_early(stand_in):
    batches = loader(Device("0")).batches(0)
    next(batches)
    batches.close()


def test_a_batch_used_before_it_arrived(stand_in, monkeypatch):
    """Planted: the work does not wait for the copy."""
    device = Device("0")
    stream = device.stream
    monkeypatch.setattr(stream, "wait_event", lambda event: None)
    with pytest.raises(RuntimeError, match="race"):
        for images, _ in loader(device).batches(0):
            with device:
                images + 1
    stand_in.state.problems.clear()
