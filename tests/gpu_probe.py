"""What gpu_session.py measures in processes of their own: python3 tests/gpu_probe.py PART [--tiny]

Lines that begin with "=" are for its summary."""

import argparse
import hashlib
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))


def places():
    """The devices to try: one GPU, both towers on it, and two GPUs where there are two."""
    from minigrad import cuda

    return ["0", "0,0"] + ["0,1"] * (cuda.count() > 1)


def bits(variant, images_a_batch):
    """Do three steps with loading give the same bits each time, with one queue and with two, where new memory is full of NaN, and recorded
    as CUDA graphs?"""
    import cupy

    class Poison(cupy.cuda.memory_hook.MemoryHook):
        name = "poison"

        def malloc_postprocess(self, *, device_id, size, mem_size, mem_ptr, pmem_id):
            cupy.cuda.runtime.memsetAsync(mem_ptr, 0xFF, mem_size, cupy.cuda.get_current_stream().ptr)

    found = {}
    for device in places():
        found[f"{device}, recorded"] = [digest(variant, device, images_a_batch, recorded=True)]
    for device in [place for place in places() for _ in range(3)]:
        found.setdefault(device, []).append(digest(variant, device, images_a_batch))
    with Poison():
        for device in places():
            found[f"{device}, memory full of NaN"] = [digest(variant, device, images_a_batch)]
    for name, digests in found.items():
        print(f"= bits of {name}: {' '.join(digests)}")
    print(f"= bits all equal: {len({one for digests in found.values() for one in digests}) == 1}")


def digest(variant, device, images_a_batch, recorded=False):
    import numpy as np

    from alexnet import AlexNet
    from minigrad import SGD, SoftmaxCrossEntropy, data
    from minigrad.cuda.graph import Recorder
    from minigrad.training import train_on_batch

    net, rng = AlexNet(variant, device, 10), np.random.default_rng(0)
    side, count = (28 if variant == "small" else 256), 3 * images_a_batch
    images, labels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8), rng.integers(0, 10, count)
    mean, size = np.full((side, side, 3), 120.0), min(side, net.image_size)
    loader = data.Loader(images, labels, images_a_batch, mean=mean, size=size, shuffle=True, augment=True, device=net.device, workers=4)
    loss, sgd, numbers = SoftmaxCrossEntropy().to(net.device), SGD(net.parameters(), 0.002), hashlib.sha256()
    step = Recorder(train_on_batch) if recorded else train_on_batch
    for x, y in loader.batches(0):
        numbers.update(repr(step(net, loss, sgd, x, y)[0]).encode())
    for p, v in zip(sgd.parameters, sgd.velocities, strict=True):
        numbers.update(p.device.numpy(p.value).tobytes() + p.device.numpy(v).tobytes())
    return numbers.hexdigest()[:12]


def made(variant, place):
    """A network on these devices; with --bf16 where they are "0 --bf16"."""
    from alexnet import AlexNet

    net = AlexNet(variant, place.removesuffix(" --bf16"))
    for device in net.towers.devices if place.endswith(" --bf16") else ():
        device.use_bfloat16()
    return net


def steps(variant, batch_size):
    """Ten steps with dropout on each device beside the CPU's: how far the weights are apart."""
    import numpy as np

    from minigrad.commands.benchmark.cpu import Ours, batch

    expected = None
    for place in ["cpu", *places(), "0 --bf16"]:
        net = made(variant, place)
        ours, (images, labels) = Ours(net), batch(net, batch_size)
        losses = [ours.step(images, labels) for _ in range(10)]
        weights = {p.name: p.device.numpy(p.value) for p in net.parameters()}
        expected = expected or weights
        error = {name: np.linalg.norm(weights[name] - W) / np.linalg.norm(W) for name, W in expected.items()}
        worst = max(error, key=error.get)
        apart = "" if place == "cpu" else f"; {worst} differs most from the CPU's, by {error[worst]:.1e} of its norm"
        print(f"= ten steps on {place} ({net.device.arithmetic}): loss {losses[0]:.4f} to {losses[-1]:.4f}{apart}", flush=True)


def clocks(variant, batch_size, repeat):
    """A step's time by the clock, the host's time to tell it all to the GPU, and the GPU's time for it without gaps: told while the GPU is
    still busy with copies."""
    import numpy as np

    from minigrad.commands.benchmark.cpu import Ours, batch
    from minigrad.cuda.graph import Recorder

    for place in [*places(), "0 --bf16"]:
        net = made(variant, place)
        ours, device, (images, labels) = Ours(net), net.device, batch(net, batch_size)
        x, loss = device.asarray(images), ours.loss
        big = device.empty((2, (1 << 28) if batch_size > 64 else 1 << 10), np.float32)
        for _ in range(3):
            ours.step(x, labels)
        wall, host, alone = seconds(ours, device, x, labels, repeat), [], []
        ours.train_on, plain = Recorder(ours.train_on), ours.train_on
        recorded = seconds(ours, device, x, labels, 2 + repeat)[2:]
        ours.train_on = plain
        loss.forward = lambda logits, labels, loss=loss: unread(loss, logits, labels)
        for _ in range(repeat):
            with device:
                for _ in range(60):
                    device.xp.copyto(big[0], big[1])  # some 30 ms on an H200
            before, start = device.mark(), time.perf_counter()
            ours.step(x, labels)
            host.append(time.perf_counter() - start)
            alone.append(device.seconds(before, device.mark()))
        each = " ".join(
            f"{name} {1e3 * statistics.median(s):.2f} ms,"
            for name, s in (("step", wall), ("recorded", recorded), ("host", host), ("GPU 0", alone))
        )
        rate = batch_size / statistics.median(wall)
        print(
            f"= {variant} on {place}, batch {batch_size}: {each} {rate:,.0f} images/s, {device.held / 1e9:.2f} GB held",
            flush=True,
        )


def errors(variant, batch_size):
    """How far the convolutions of a tower, and the gradients of a step, are from those in float64: relative to their norms."""
    import numpy as np

    from alexnet import AlexNet
    from minigrad import Conv2d, Device, SoftmaxCrossEntropy

    def results(precision, make):
        """What make(dtype, device) -> arrays gives in float64, in float32 or with --bf16."""
        device = Device("0")
        if precision == "bf16":
            device.use_bfloat16()
        return [device.numpy(array) for array in make(np.dtype("float64" if precision == "float64" else "float32"), device)]

    def report(name, names, make, mark=""):
        exact = results("float64", make)
        for precision, what in (("float32", Device("0").arithmetic), ("bf16", "--bf16")):
            found = results(precision, make)
            far = [f"{n} {np.linalg.norm(a - b) / np.linalg.norm(b):.1e}" for n, a, b in zip(names, found, exact, strict=True)]
            print(f"{mark}{name}, {what}: {', '.join(far)}", flush=True)

    rng, net = np.random.default_rng(0), AlexNet(variant, init="he")
    for step in net.walk(batch_size):
        if step.tower == 0 and isinstance(step.layer, Conv2d):
            x, dy = (rng.standard_normal(shape, np.float32) for shape in (step.x_shape, step.y_shape))

            def of_layer(dtype, device, given=step.layer, x=x, dy=dy):
                layer = Conv2d(given.in_channels, given.out_channels, given.kernel_size, given.stride, given.padding)
                layer.W, layer.b = given.W, given.b
                layer.astype(dtype).to(device)
                y, dx = layer.forward(x.astype(dtype)), layer.backward(dy.astype(dtype))
                return y, dx, layer.dW, layer.db

            report(step.name, ("y", "dx", "dW", "db"), of_layer)

    names = [p.name for p in net.parameters() if p.name.startswith("tower0") and p.name.endswith(".W")]
    x, labels = 58 * rng.standard_normal((batch_size, net.image_size, net.image_size, 3), np.float32), np.arange(batch_size)

    def of_step(dtype, device):
        there = AlexNet(variant, init="he").astype(dtype)
        there.to([device])
        loss = SoftmaxCrossEntropy().to(device)
        logits = there.forward((x * there.input_scale).astype(dtype))
        loss.forward(logits, labels)
        there.backward(loss.backward())
        gradients = {p.name: p.grad for p in there.parameters()}
        return logits, *(gradients[name] for name in names)

    report("gradients of a step", ("logits", *(name.split(".")[1] for name in names)), of_step, mark="= ")


def seconds(ours, device, x, labels, repeat):
    """By the clock, of so many steps."""
    found = []
    for _ in range(repeat):
        device.gpu.synchronize()
        start = time.perf_counter()
        ours.step(x, labels)
        device.gpu.synchronize()
        found.append(time.perf_counter() - start)
    return found


def unread(loss, logits, labels):
    """The loss's forward on a GPU, whose number nobody asks for: the host does not wait."""
    loss.forward_cuda(logits, loss.device.asarray(labels, "int64"))
    return 0.0


def products(variant, batch_size, tiny):
    """Each product of a tower by itself, and what a copy and a large product reach."""
    import numpy as np

    from alexnet import AlexNet
    from minigrad import Conv2d, Device, Linear
    from minigrad.commands.benchmark import gpu
    from minigrad.cuda.blas import BFLOAT16
    from minigrad.cuda.conv import InBfloat16, patch_columns

    gpu.LARGE = 16 if tiny else gpu.LARGE
    device = Device("0")
    device.use_bfloat16()
    memory, arithmetic, half = (rate / 1e12 for rate in gpu.ceilings(device))
    device.bf16 = False
    print(f"= copy {memory:.2f} TB/s, product of large matrices {arithmetic:.0f} TFLOP/s ({device.arithmetic}), {half:.0f} in bfloat16")
    in_bfloat16 = 0
    for step in AlexNet(variant).walk(batch_size):
        if step.tower > 0 or not isinstance(step.layer, (Conv2d, Linear)):
            continue
        rows, wide = int(np.prod(step.y_shape[:-1])), step.y_shape[-1]
        deep = patch_columns(step.layer) if isinstance(step.layer, Conv2d) else step.x_shape[-1]
        timed(f"= {step.name:6s}", device, rows, deep, wide, np.dtype("float32"))
        if isinstance(step.layer, Conv2d):
            in_bfloat16 += timed(f"{step.name}, bfloat16:", device, rows, patch_columns(step.layer, InBfloat16.ones), wide, BFLOAT16)
    print(f"= products of these convolutions in bfloat16, all in all: {in_bfloat16 * 1e6:.0f} us", flush=True)


def timed(name, device, rows, deep, wide, dtype):
    """Print the times of a layer's three products, and return their sum in seconds. dtype: of what is multiplied, and of dx."""
    import numpy as np

    from minigrad.commands.benchmark import gpu

    shapes, total = ((rows, deep), (deep, wide), (rows, wide)), 0
    x, W, dy = (device.empty(shape, dtype) for shape in shapes)
    y, dW = (device.empty(shape, np.float32) for shape in shapes[:0:-1])
    for array in (x, W, dy):
        array[...] = 0.1 if dtype == np.float32 else 0x3DCD  # 0.1 in bfloat16: not zeros, with which a GPU can run faster
    line = f"{name} {rows:6d} x {deep:4d} x {wide:4d}:"
    for what, (a, b, out) in {"forward": (x, W, y), "dW": (x.T, dy, dW), "dx": (dy, W.T, x)}.items():
        seconds = gpu.median_of(device, lambda a=a, b=b, out=out: device.matmul(a, b, out), 10)
        moved, done = (a.nbytes + b.nbytes + out.nbytes) / seconds / 1e12, 2 * rows * deep * wide / seconds / 1e12
        line += f"  {what} {seconds * 1e6:.0f} us {done:.0f} TFLOP/s {moved:.2f} TB/s"
        total += seconds
    print(line, flush=True)
    return total


def loading(variant, batch_size):
    """A step beside the loader's threads: what Python's lock costs."""
    import numpy as np

    from alexnet import AlexNet
    from minigrad import data
    from minigrad.commands.benchmark.cpu import Ours

    net = AlexNet(variant, "0", 10)
    ours, side, count = Ours(net), 28 if variant == "small" else 256, 10 * batch_size
    images, labels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8), np.zeros(count, np.int64)
    for workers in (1, 4, 8):
        mean, size = np.full((side, side, 3), 120.0), min(side, net.image_size)
        loader = data.Loader(
            images, labels, batch_size, mean=mean, size=size, shuffle=True, augment=True, device=net.device, workers=workers
        )
        told, start = [], time.perf_counter()
        for x, y in loader.batches(0):
            begun = time.perf_counter()
            ours.step(x, y)
            told.append(time.perf_counter() - begun)
        rate = count / (time.perf_counter() - start)
        print(f"= {variant}, loading with {workers} threads: {rate:,.0f} images/s, step {1e3 * statistics.median(told):.2f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["bits", "steps", "errors", "clocks", "products", "loading"])
    parser.add_argument("--tiny", action="store_true")
    a = parser.parse_args()
    variants, batch_size = (["small"], 4) if a.tiny else (["paper", "owt"], 128)
    if a.part == "bits":
        bits(variants[0], min(batch_size, 64))
    elif a.part == "steps":
        steps(variants[0], min(batch_size, 32))
    elif a.part == "errors":
        errors(variants[0], min(batch_size, 16))
    elif a.part == "clocks":
        clocks(variants[0], batch_size, 2 if a.tiny else 20)
    elif a.part == "products":
        for variant in variants:
            products(variant, batch_size, a.tiny)
    else:
        loading(variants[0], batch_size)
