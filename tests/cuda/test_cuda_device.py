"""A GPU as a device: what it refuses and how it says so, and the copies to it. CUDA itself checks next to nothing."""

import os
import sys
import types

import numpy as np
import pytest
from backends import as_in_a_new_process, fake
from command_line import alexnet, refusal
from fake_cuda import LATE, NEVER, RANDOM, STREAMS
from test_cuda_memory import in_a_new_thread, step

from alexnet import AlexNet
from minigrad import SGD, Device, Linear, Parameter, cuda, data
from minigrad.cuda import upload
from minigrad.cuda.device import say_if_apart
from minigrad.cuda.kernels import Fields
from minigrad.device import CPU

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


def test_auto_takes_as_many_as_there_are_towers(fake_gpus, capsys):
    for variant, devices in (("small", "0 (float32, products in TF32), 1 (float32, products in TF32)"), ("owt", "0 (float32, products")):
        assert alexnet("summary", "--variant", variant, "--device", "auto") == 0
        assert f"devices: {devices}" in capsys.readouterr().out


def test_a_number_that_does_not_exist(fake_gpus, capsys):
    error = refusal(capsys, "summary", "--device", "0,7")
    assert (
        "there is no GPU 7: this machine has 0 (Fake H200), 1 (Fake H200), and 'cpu'" in error.replace("There", "there")
        and "'0,0'" in error
    )


def test_gpus_that_cannot_reach_each_other(fake_gpus):
    """They work through the host, and this is said once."""
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 3)).astype(np.float32)
    expected = AlexNet("small", "0,1").eval().forward(images).get()
    fake_gpus.set(peers=0)
    say_if_apart.cache_clear()
    with pytest.warns(UserWarning, match="GPUs 0 and 1 cannot reach each other's memory: .* goes through the host") as said:
        net = AlexNet("small", "0,1").eval()
        for _ in range(2):
            np.testing.assert_array_equal(net.forward(images).get(), expected)
            net.backward(np.ones((2, 1000), np.float32))
    say_if_apart.cache_clear()
    assert len(said) == 1


@pytest.mark.parametrize("policy, seed", [(LATE, 1), *((policy, seed) for seed in (1, 2, 3) for policy in (RANDOM, STREAMS))])
def test_an_array_of_another_gpu_comes_with_all_that_it_was_to_become(fake_gpus, policy, seed):
    """Asked for while the other GPU is current, or none is."""
    fake_gpus.reset(seed)
    fake_gpus.set(devices=2, policy=policy)
    there, here = Device("0"), Device("1")
    ones = there.asarray(np.ones((64, 64), np.float32))

    def work():
        with there:
            y = ones * 2
            for _ in range(20):
                y = y + 1
            return y

    for ask in (lambda y: here.numpy(here.asarray(y)), here.numpy, CPU.asarray):
        with here:
            inside = ask(work())
        for found in (inside, ask(work())):
            np.testing.assert_array_equal(found, np.full((64, 64), 22, np.float32))


def test_threads_for_towers_keep_what_cuda_gives_a_thread(fake_gpus):
    """A handle of cuBLAS costs a thread milliseconds and megabytes: not once more with each step."""
    net = AlexNet("small", "0,cpu", 10)
    for _ in range(2):
        step(net, 2)
    made = fake_gpus.count("cublasCreate")
    for _ in range(3):
        step(net, 2)
    assert fake_gpus.count("cublasCreate") == made <= 2 and fake_gpus.count("cublasDestroy") == 0


def test_cuda_without_its_headers(fake_gpus, capsys, monkeypatch, tmp_path):
    """As in a "runtime" container: CuPy's own kernels could not be compiled."""
    monkeypatch.setattr(cuda, "HEADERS", f"{cuda.HEADERS}  // {tmp_path}")  # not compiled and kept by an earlier run
    fake_gpus.set(headers=0)
    error = refusal(capsys, "summary", "--device", "1")
    assert "GPU 1 cannot be used: CuPy finds no headers of CUDA" in error and "pip install 'cupy-cuda13x[ctk]'" in error
    assert alexnet("summary", "--variant", "small", "--device", "auto") == 0
    assert "devices: cpu (float32)" in capsys.readouterr().out


def test_precision_is_what_cupy_multiplies_in(fake_gpus, monkeypatch):
    """CuPy reads CUPY_TF32 at a process's first product, and then keeps to it."""
    monkeypatch.setenv("CUPY_TF32", "0")
    multiply()
    monkeypatch.setenv("CUPY_TF32", "1")
    assert not Device("0").tf32 and Device("0").arithmetic == "float32"
    assert multiply() == "gemm compute type 68"  # CUBLAS_COMPUTE_32F
    as_in_a_new_process()
    assert Device("0").tf32 and multiply() == "gemm compute type 77"  # CUBLAS_COMPUTE_32F_FAST_TF32


def multiply():
    """The compute type of a product on GPU 0."""
    gpus, kinds = fake(), ("gemm compute type 68", "gemm compute type 77")
    before = [gpus.count(kind) for kind in kinds]
    Linear(4, 4).to(Device("0")).forward(np.ones((4, 4), np.float32))
    return next(kind for kind, count in zip(kinds, before, strict=True) if gpus.count(kind) > count)


def test_cublas_has_a_workspace_for_each_stream(fake_gpus, monkeypatch):
    """Else two streams at work on one GPU may give other bits each time. A user's own setting stays."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    in_a_new_thread(lambda: Linear(4, 4).to(Device("0")).forward(np.ones((4, 4), np.float32)))
    assert fake_gpus.count("cublasCreate") == 1 and fake_gpus.count("cublasCreate without a workspace for each stream") == 0
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    Device("0")
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_a_batch_is_cut_the_same_way_whoever_else_uses_the_gpu(fake_gpus):
    """The parts' gradients are added up one after the other: the bits of a run would depend on its neighbours'."""
    fake_gpus.set(memory=8 << 30, policy=NEVER)
    before = Device("0").workspace
    others = Device("0").empty((6 << 30,), np.uint8)
    assert before == Device("0").workspace == 2 << 30
    del others


# ---- kernels: what CUDA would not notice


@pytest.mark.parametrize(
    "mistake, error",
    [
        (lambda device, x: x.astype(np.float64), "y must be an array of float32 on a GPU, not float64"),
        (lambda device, x: np.ones((4, 8), np.float32), "y must be an array of float32 on a GPU, not float32"),
        (lambda device, x: device.empty((8, 4), np.float32).T, "y must be contiguous"),
    ],
)
def test_a_kernels_arguments_are_checked(fake_gpus, mistake, error):
    device = Device("0")
    with device:
        x = device.asarray(np.ones((4, 8), np.float32))
        with pytest.raises((TypeError, ValueError), match=error):
            device.launch("activation", "relu_forward", 32, x, mistake(device, x), 32)
        with pytest.raises(TypeError, match="takes 3 arguments, not 2"):
            device.launch("activation", "relu_forward", 32, x, x)
        with pytest.raises(ValueError, match="2,147,483,648 numbers are more than a kernel can count"):
            device.launch("activation", "relu_forward", 1 << 31, x, x, 32)
        with pytest.raises(TypeError, match="struct Pool has the fields N, H, W, C, K, S, OH, OW, relu, but N were given"):
            device.launch("pool", "maxpool_backward", 32, x, device.empty((4, 8), np.uint8), x, Fields(N=1))


def test_an_array_of_another_device_is_refused(fake_gpus):
    here, there = Device("0"), Device("1")
    x, y = there.asarray(np.ones(8, np.float32)), here.empty((8,), np.float32)
    with pytest.raises(ValueError, match="relu_forward: x lies on GPU 1, not 0"):
        here.launch("activation", "relu_forward", 8, x, y, 8)


def test_a_kernel_is_loaded_onto_its_own_gpu_alone(fake_gpus):
    """Whichever is current when it is first launched: a context on another one would take hundreds of megabytes there."""
    other, device = Device("0"), Device("1")
    x, y = device.asarray(np.array([-1, 2, -3, 4], np.float32)), device.empty((4,), np.float32)
    device.xp.clear_memo()  # no kernel is loaded
    loaded = fake_gpus.count("module load")
    with other:
        device.launch("activation", "relu_forward", 4, x, y, 4, channels=4)
    assert fake_gpus.count("module load") == loaded + 1
    np.testing.assert_array_equal(device.numpy(y), [0, 2, 0, 4])


@pytest.mark.parametrize("number", [3, 130])
def test_all_parameters_move_in_one_launch(fake_gpus, number):
    """In one for each 64, of any sizes; what lies at odd addresses, too."""
    rng, device, parameters, twins = np.random.default_rng(0), Device("0"), [], []
    for i in range(number):
        value, grad = rng.standard_normal((2, 1 + i % 7)).astype(np.float32)
        twins.append(Parameter(f"{'Wb'[i % 2]}", value, grad))
        there = device.asarray(np.array([*value, *value], np.float32))[i % 2 :][: value.size]
        value[...] = device.numpy(there)
        parameters.append(on_gpu(device, twins[-1].name, there, device.asarray(grad)))
    here, there = SGD(twins, 0.1), SGD(parameters, 0.1)
    for sgd in (here, there):
        sgd.step()
        sgd.step()
    assert fake_gpus.count("kernel sgd") == 2 * -(-number // 64)
    for p, q in zip(twins, parameters, strict=True):
        np.testing.assert_allclose(device.numpy(q.value), p.value, rtol=1e-6)


def on_gpu(device, name, value, grad):
    parameter = Parameter(name, value, grad)
    parameter.device = device
    return parameter


def test_a_gradient_that_cannot_be_used(fake_gpus):
    device = Device("0")
    value = device.asarray(np.ones(4, np.float32))
    sgd = SGD([on_gpu(device, "W", value, value.astype(np.float64))])
    with pytest.raises(TypeError, match="g must be an array of float32 on a GPU, not float64"):
        sgd.step()


# ---- products


def test_products_take_matrices_as_they_lie(fake_gpus):
    device, (a, b) = Device("0"), np.random.default_rng(0).standard_normal((2, 12, 12)).astype(np.float32)
    A, B = device.asarray(a), device.asarray(b)
    for rows, inner, columns in ((4, 8, 12), (1, 8, 5), (7, 1, 3), (6, 5, 1), (1, 1, 1)):
        out = device.empty((rows, columns), np.float32)
        for x, X in ((a[:rows, :inner], A[:rows, :inner]), (a[:inner, :rows].T, A[:inner, :rows].T)):
            for y, Y in ((b[:inner, :columns], B[:inner, :columns]), (b[:columns, :inner].T, B[:columns, :inner].T)):
                assert device.matmul(X, Y, out) is out
                np.testing.assert_allclose(out.get(), x @ y, rtol=1e-4, atol=1e-5)
                device.matmul(X, Y, out, add=True)
                np.testing.assert_allclose(out.get(), 2 * (x @ y), rtol=1e-4, atol=1e-5)


def test_products_that_are_none(fake_gpus):
    device = Device("0")
    with device:
        a, b, out = (device.xp.ones(shape, np.float32) for shape in ((4, 8), (8, 6), (4, 6)))
        with pytest.raises(ValueError, match=r"a product of \(4, 8\) and \(4, 8\) does not give \(4, 6\)"):
            device.matmul(a, a, out)
        with pytest.raises(TypeError, match="a product of float32 and float64 does not give float32"):
            device.matmul(a, b.astype(np.float64), out)
        with pytest.raises(ValueError, match="whose rows or columns are contiguous, not shape"):
            device.matmul(device.xp.ones((8, 16), np.float32)[::2, ::2], b, out)
        with pytest.raises(ValueError, match="rows of a product must be contiguous"):
            device.matmul(a, b, device.xp.ones((6, 4), np.float32).T)
    assert fake_gpus.count("gemm") == 0


def test_a_sum_of_rows_is_no_product_in_tf32(fake_gpus):
    device, a = Device("0"), np.random.default_rng(0).standard_normal((5, 7))
    for dtype in (np.float32, np.float64, np.float32):
        for rows in (3, 5):
            found = device.sum_of_rows(device.asarray(a[:rows].astype(dtype)))
            assert found.shape == (7,) and found.dtype == dtype
            np.testing.assert_allclose(found.get(), a[:rows].sum(axis=0), rtol=1e-5)
    assert fake_gpus.count("gemm compute type 68") == 4 and fake_gpus.count("gemm compute type 77") == 0


# ---- loading


def loader(device, batches=4):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (2 * batches, 28, 28, 3), dtype=np.uint8), np.arange(2 * batches)
    return data.Loader(images, labels, 2, mean=np.zeros((28, 28, 3)), device=device)


@pytest.mark.parametrize("work", [1, 3])
def test_batches_arrive_while_others_are_used(fake_gpus, monkeypatch, work):
    device = Device("0")
    begun, begin = [], upload.begun
    monkeypatch.setattr(upload, "begun", lambda device, images: begun.append(len(begun)) or begin(device, images))
    expected = [images.copy() for images, _ in loader(Device("cpu")).batches(0)]
    for i, (images, labels) in enumerate(loader(device).batches(0)):
        assert len(begun) == min(i + 2, 4)  # the next batch is on its way
        assert isinstance(images, device.xp.ndarray) and labels.tolist() == [2 * i, 2 * i + 1]
        with device:
            for _ in range(work):
                images = images + 1
        np.testing.assert_array_equal(images.get(), expected[i] + work)


def test_a_loader_that_is_left_early(fake_gpus):
    batches = loader(Device("0")).batches(0)
    next(batches)
    batches.close()
