"""How long a training step takes on GPUs: against the roofline, layer by layer, and beside PyTorch's on the same GPU.

Times are those between CUDA events. A step is forward, loss, backward and update, on images that lie on the GPU already; no loading."""

import statistics

import numpy as np

from minigrad.commands.benchmark.peers import Ours
from minigrad.commands.benchmark.sides import batch
from minigrad.commands.export.to_torch import twin
from minigrad.cuda.blas import BFLOAT16
from minigrad.layers import Conv2d
from minigrad.layers.base import ImageLayer
from minigrad.training import train_on_batch

WARM_UP = 3  # steps: compilation, memory pools, cuDNN's choice of algorithms
LARGE = 8192  # rows of the matrices that the ceilings are measured with


class OurStep(Ours):
    """A step of ours, with the clocks of all its GPUs. step: `train_on_batch`, or what makes the same step recorded."""

    def __init__(self, net, images, labels, step):
        super().__init__(net)
        self.train_on = step
        self.images, self.labels = net.device.asarray(images), labels

    def seconds(self):
        """Make a step: its time on the GPU that took longest."""
        starts = [(device, device.mark()) for device in self.net.towers.devices]
        self.step(self.images, self.labels)
        return max(device.seconds(start, end) for device, start, end in [(device, start, device.mark()) for device, start in starts])


class TheirStep:
    """The same step in PyTorch, eager, on the first of our GPUs. Raises ImportError if PyTorch is missing or sees no GPU."""

    def __init__(self, net, images, labels, memory_format, tf32):
        import torch

        self.torch = torch
        place = self.place(net.device.index)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = tf32  # convolutions
        torch.set_float32_matmul_precision("high" if tf32 else "highest")  # Linear
        layout = {"memory_format": getattr(torch, memory_format)}
        self.model = twin(net).to(place, **layout)
        self.optimizer = torch.optim.SGD(self.model.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
        self.autocast = torch.autocast(place.type, torch.bfloat16, enabled=net.device.bf16)  # its own choice of what that is for
        self.loss = torch.nn.CrossEntropyLoss()
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).to(place).contiguous(**layout)
        self.labels = torch.from_numpy(labels).to(place)

    def place(self, index):
        if not self.torch.cuda.is_available():
            raise ImportError(f"PyTorch {self.torch.__version__} sees no GPU")
        return self.torch.device("cuda", index)

    def mark(self):
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start, end):
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def seconds(self):
        start = self.mark()
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast:
            loss = self.loss(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        loss.item()  # as ours, which hands out a float
        return self.between(start, self.mark())


def work(layer, x, y, stay=False):
    """What a layer computes and moves in forward and in backward: for each, a list of (operations, bytes), one for each kernel.

    x, y: shapes of a batch of float32 arrays. stay: whether a convolution's patches stay for backward. Every array counts once for each
    kernel that reads or writes it."""
    X, Y = (4 * int(np.prod(shape, dtype=np.int64)) for shape in (x, y))
    if operations := 2 * layer.multiply_adds(x):
        P, W, half = layer.unfolded(x), 4 * layer.W.size, in_bfloat16(layer)
        w, dy = (W // 2, Y // 2) if half else (W, Y)  # as they are multiplied
        rounded_W, rounded_dy = [(0, W + w)] * half, [(0, Y + dy)] * half
        unfold, wanted = [(0, X + P)] if P else [], getattr(layer, "input_gradient", True)
        fold = [(0, X + P + X * getattr(layer, "relu", False))] if P else []  # which reads x where a ReLU is taken in
        dx = [(operations, (P or X) + w + dy), *fold] if wanted else []
        forward = rounded_W + unfold + [(operations, (P or X) + w + Y)]
        return forward, rounded_dy + (not stay) * unfold + [(operations, (P or X) + W + dy), *dx]
    if not isinstance(layer, ImageLayer):  # Flatten, which moves nothing
        return [], []
    keeps = layer.keeps()
    if keeps == "winners":
        return ([(0, X + Y + Y // 4)],) * 2
    return [(0, X + Y)], [(0, X + 2 * Y if keeps else X + Y)]  # backward reads dy, and x or y if it was kept


def in_bfloat16(layer):
    """Whether a layer's products of float32 arrays are made in bfloat16."""
    return layer.device.bf16 and isinstance(layer, Conv2d)


class Stopwatch:
    """Times each layer's forward and backward inside real steps, by events around them."""

    def __init__(self, net):
        self.marks, self.work, self.in_bfloat16 = [], {}, set()  # the latter: names of layers
        for _, _, name, layer in net.layers():
            if in_bfloat16(layer):
                self.in_bfloat16.add(name)
            for direction in ("forward", "backward"):
                method = f"{direction}_cuda" if isinstance(layer, ImageLayer) else direction
                setattr(layer, method, self.timed(getattr(layer, method), name, direction, layer))

    def timed(self, function, name, direction, layer):
        def call(*arguments):
            start = layer.device.mark()
            result = function(*arguments)
            self.marks.append((name, direction, layer.device, start, layer.device.mark()))
            if direction == "forward":
                shape, kept = arguments[0].shape, getattr(getattr(layer, "way", None), "kept", None)
                self.work[layer] = name, work(layer, shape, layer.output_shape(shape), stay=kept is not None)
            return result

        return call

    def seconds(self):
        """{(name, direction): seconds} since the last call, towers added up."""
        sums = {}
        for name, direction, device, start, end in self.marks:
            sums[name, direction] = sums.get((name, direction), 0) + device.seconds(start, end)
        self.marks.clear()
        return sums

    def kernels(self, name, direction):
        """What `work` says of that layer in all towers."""
        return [kernel for other, parts in self.work.values() if other == name for kernel in parts[direction == "backward"]]


def median_of(device, call, repeat=20):
    """Median seconds of call() on the device."""
    with device:
        for _ in range(WARM_UP):
            call()
        marks = [(device.mark(), call(), device.mark()) for _ in range(repeat)]
        return statistics.median(device.seconds(start, end) for start, _, end in marks)


def ceilings(device):
    """What this GPU reaches here and now: bytes a second of a copy, operations a second of a large product, as our layers multiply, and of
    one in bfloat16 where convolutions do, else None."""
    a = device.asarray(np.random.default_rng(0).standard_normal((LARGE, LARGE), np.float32))
    b, xp = device.empty(a.shape, a.dtype), device.xp
    copied = median_of(device, lambda: xp.copyto(b, a))
    multiplied, half = median_of(device, lambda: device.matmul(a, a, b)), None
    if device.bf16:
        half = device.empty(a.shape, BFLOAT16)
        device.launch("conv", "to_bfloat16", a.size, a, half, a.size, channels=LARGE)
        half = 2 * LARGE**3 / median_of(device, lambda a=half: device.matmul(a, a, b))
    return 2 * a.nbytes / copied, 2 * LARGE**3 / multiplied, half


def benchmark(net, *, batch_size, steps, against=None, step=train_on_batch, out=None):
    """Print how long a training step takes, PyTorch's beside it with against="torch", and where ours spends its time. step: what trains on
    a batch, which may be recorded; layer by layer it is not.

    Raises ImportError if PyTorch is asked for and not installed, or sees no GPU."""
    images, labels = batch(net, batch_size)
    sides, device = {"minigrad": OurStep(net, images, labels, step)}, net.device
    print("; ".join(dict.fromkeys(device.description for device in net.towers.devices)), file=out)
    recorded = "" if step is train_on_batch else ", recorded as CUDA graphs"
    print(f"minigrad: {net.variant}, batch {batch_size}, {device.arithmetic}, devices {net.towers.devices}{recorded}", file=out)
    if against == "torch":
        for layout in ("contiguous_format", "channels_last"):
            sides[f"torch {layout.removesuffix('_format')}"] = TheirStep(net, images, labels, layout, device.tf32)
        torch = sides["torch contiguous"].torch
        print(
            f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}: eager, cudnn.benchmark on, "
            f"TF32 {'on' if device.tf32 else 'off'} for convolutions and Linear, {'autocast to bfloat16, ' * device.bf16}foreach SGD",
            file=out,
        )
    times = {name: [] for name in sides}
    for turn in range(WARM_UP + steps):
        for name, side in sides.items():
            seconds = side.seconds()
            if turn >= WARM_UP:
                times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        low, high = 1e3 * min(times[name]), 1e3 * max(times[name])
        line = f"{name:17s} median of {steps} steps {seconds * 1e3:8.3f} ms (from {low:.3f} to {high:.3f})"
        print(f"{line}, {batch_size / seconds:,.0f} images/s", file=out)
    if against:
        best = min(seconds for name, seconds in medians.items() if name != "minigrad")
        print(f"ratio to the faster of the two: {best / medians['minigrad']:.2f} times PyTorch's speed", file=out)
    held = device.held + (step.held(device) if recorded else 0)
    print(f"GPU memory held: minigrad {held / 1e9:.2f} GB", end="", file=out)
    if against and torch.cuda.is_available():
        print(f", both of PyTorch's {torch.cuda.max_memory_reserved(device.index) / 1e9:.2f} GB", end="", file=out)
    print(file=out)
    ours = sides["minigrad"]
    ours.train_on = train_on_batch
    del sides
    print_layers(ours, medians["minigrad"], steps, out)


def print_layers(ours, step, steps, out):
    """The layer table. Events around each layer keep the host busier, so these are steps of their own."""
    net, device = ours.net, ours.net.device
    memory, arithmetic, half = ceilings(device)
    in_bfloat16 = f", in bfloat16 {half / 1e12:.0f}" if half else ""
    print(
        f"ceilings measured now: copy {memory / 1e12:.2f} TB/s, product of {LARGE} x {LARGE} matrices {arithmetic / 1e12:.0f} TFLOP/s"
        f"{in_bfloat16}\n"
        "floor: the longer of bytes and arithmetic at these rates, kernel by kernel; towers together",
        file=out,
    )
    watch, tables, updates = Stopwatch(net), [], []
    for _ in range(WARM_UP + steps):
        ours.seconds()
        tables.append(watch.seconds())
        starts = [device.mark() for device in net.towers.devices]
        ours.optimizer.step()
        updates.append(sum(device.seconds(start, device.mark()) for device, start in zip(net.towers.devices, starts, strict=True)))
    rows = [
        (name, [statistics.median(t[name, d] for t in tables[WARM_UP:]) for d in ("forward", "backward")], watch.kernels)
        for name in dict.fromkeys(name for name, _ in tables[0])
    ]
    heads = ("layer", "forward ms", "backward ms", "share", "GB/s", "TFLOP/s", "floor ms", "of floor")
    print("{:9s} {:>11s} {:>12s} {:>7s} {:>8s} {:>9s} {:>9s} {:>9s}".format(*heads), file=out)
    total, floors = 0, 0
    for name, (forward, backward), kernels in rows:
        done, rate = kernels(name, "forward") + kernels(name, "backward"), half if name in watch.in_bfloat16 else arithmetic
        total, floors = total + forward + backward, floors + print_row(name, forward, backward, done, step, memory, rate, out)
    moved = 5 * sum(p.value.nbytes for p in net.parameters())  # reads weight, gradient, velocity; writes weight and velocity
    update = statistics.median(updates[WARM_UP:])
    floors += print_row("update", 0, update, [(0, moved)], step, memory, arithmetic, out)
    rest = step - total - update
    print(f"{'the rest':9s} {'':11s} {rest * 1e3:12.3f} {rest / step:7.1%}   (exchange, loss, waiting for the host)", file=out)
    print(f"{'step':9s} {'':11s} {step * 1e3:12.3f} {'':7s} {'':8s} {'':9s} {floors * 1e3:9.3f} {step / floors:8.1f}x", file=out)


def print_row(name, forward, backward, kernels, step, memory, arithmetic, out):
    """Print a layer's row; returns its floor in seconds."""
    seconds, operations, moved = forward + backward, sum(o for o, _ in kernels), sum(b for _, b in kernels)
    floor = sum(max(o / arithmetic, b / memory) for o, b in kernels)
    rates = f"{moved / seconds / 1e9:8.0f} {operations / seconds / 1e12:9.1f}" if kernels else ""
    ratio = f"{floor * 1e3:9.3f} {seconds / floor:8.1f}x" if kernels else ""
    print(f"{name:9s} {forward * 1e3:11.3f} {backward * 1e3:12.3f} {seconds / step:7.1%} {rates} {ratio}".rstrip(), file=out)
    return floor
