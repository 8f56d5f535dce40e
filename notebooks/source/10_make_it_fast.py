# %% [markdown]
# # 10 · Make it fast
#
# **The question.** NumPy is said to be slow. minigrad trains the network of 2012 on a CPU in NumPy alone. Where does the time of a training step go, what is the
# least it could be, and what do you change first?
#
# **You will** take a step apart, layer by layer, measure what your machine can do at best, see why a batch is cut into slabs, and write down one gain of your own,
# with its figure. About 45 minutes. This notebook is optional; its exercise has no checker but the clock.
#
# Before: [09 · Train and look inside](09_train_and_look_inside.ipynb). Next: [11 · A network of your own](11_your_own_network.ipynb).
#
# All times here are measured while you run it. On a busy machine they are bad ones: close what you do not need.

# %%
import os
import statistics
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from alexnet import OVERHANG, AlexNet
from minigrad import plain
from minigrad.commands.benchmark.cpu import Ours, Stopwatch, batch
from minigrad.cuda import count
from minigrad.device import CPU, cores
from minigrad.engine import slabs
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 10
rng = np.random.default_rng(SEED)
print(f"seed {SEED}; {cores()} cores")


def seconds(work, repeat=3 if FAST else 9, pick=statistics.median):
    """The median time of a call (or what else `pick` picks); the first, which asks for memory, does not count."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return pick(times)


# %% [markdown]
# ## 1 · Measure first
#
# **Predict** before you look: which of these takes most of a training step of the paper's network? Convolutions, normalisation, pooling, fully connected layers,
# the update of the weights? (Notebook 07 counted the arithmetic.)

# %%
N = 2 if FAST else 32
net = AlexNet("paper", seed=SEED)
images, labels = batch(net, N)
training = Ours(net)
training.step(images, labels)
watch = Stopwatch(net)
steps = 2 if FAST else 5
start = time.perf_counter()
for _ in range(steps):
    training.step(images, labels)
step = (time.perf_counter() - start) / steps
update = seconds(training.optimizer.step)
names = list(dict.fromkeys(name for name, _ in watch.seconds))
print(f"{N} images: {step:.2f} s a step, {N / step:.1f} images a second; the update alone {update:.3f} s")

# %%
figure, axis = plt.subplots(figsize=(10, 3.4))
forward = [1e3 * watch.seconds.get((name, "forward"), 0) / steps for name in names]
backward = [1e3 * watch.seconds.get((name, "backward"), 0) / steps for name in names]
axis.bar([*names, "SGD"], [*forward, 0], label="forward")
axis.bar([*names, "SGD"], [*backward, 0], bottom=[*forward, 0], hatch="///", edgecolor="white", label="backward")
axis.bar("SGD", 1e3 * update, color="0.5", label="update")
axis.set(xlabel="layer, both towers", ylabel="ms a step", title=f"Where the time of a training step goes, {N} images")
axis.tick_params(axis="x", labelrotation=60)
axis.legend()
plt.show()
kinds = {
    kind: sum(f + b for name, f, b in zip(names, forward, backward, strict=True) if name.startswith(kind))
    for kind in ("conv", "norm", "pool", "fc")
}
print(", ".join(f"{kind} {time_:.0f} ms" for kind, time_ in kinds.items()), f", update {1e3 * update:.0f} ms")

# %% [markdown]
# The update does not depend on the number of images, and the fully connected layers hardly do while there are few: with a few images they weigh
# much, with many little. A speed in images per second means nothing without its batch size.
#
# ## 2 · What is the least it could be?
#
# Two things limit a computation: how fast the processor multiplies, and how fast numbers come from memory. Which one, is decided by the **intensity**:
# operations for each byte that has to come or go.
#
# $$\text{speed} \le \min(\text{peak}, \; \text{intensity} \times \text{bandwidth})$$
#
# Drawn in logarithms it looks like a roof. First its two lines, measured here: a large matrix product, and a large copy.

# %%
size = 1024 if FAST else 2048
A, B, C = (rng.standard_normal((size, size), np.float32) for _ in range(3))
rows = [slice(i, i + 128) for i in range(0, size, 128)]
peak = 2 * size**3 / seconds(lambda: CPU.run(lambda part: np.matmul(A[part], B, out=C[part]), rows), pick=min)
source, target = np.ones(1 << 24, np.float32), np.ones(1 << 24, np.float32)
parts = [slice(i, i + (1 << 20)) for i in range(0, 1 << 24, 1 << 20)]
bandwidth = 2 * source.nbytes / seconds(lambda: CPU.run(lambda part: np.copyto(target[part], source[part]), parts), pick=min)
print(f"peak {peak / 1e9:.0f} GFLOP/s, bandwidth {bandwidth / 1e9:.1f} GB/s: they meet at {peak / bandwidth:.0f} operations a byte")

# %% [markdown]
# **Predict** on which side of that meeting point each of these lies: a convolution, fc6 with few images, fc6 with many, ReLU, the update.


# %%
def point(work, operations, bytes_moved):
    """(operations a byte, operations a second) of a piece of work."""
    return operations / bytes_moved, operations / seconds(work)


x1 = rng.standard_normal((N, 55, 55, 48), np.float32)
x2 = rng.standard_normal((N, 27, 27, 48), np.float32)
conv2, fc6 = mg.Conv2d(48, 128, 5, padding=2, rng=rng), mg.Linear(9216, 2048, rng=rng)
few, many = (rng.standard_normal((n, 9216), np.float32) for n in (2, 64))
relu, norm, pool = mg.ReLU(), mg.LocalResponseNorm(), mg.MaxPool2d(3, 2)
fc6.forward(few)
fc6.backward(rng.standard_normal((2, 2048), np.float32))
optimizer = mg.SGD(fc6.parameters(), lr=1e-6)
y2 = conv2.forward(x2)
points = {
    "conv2": point(lambda: conv2.forward(x2), 2 * conv2.W.size * N * 27 * 27, 4 * (x2.size + conv2.W.size + y2.size)),
    "fc6, 2 images": point(lambda: fc6.forward(few), 2 * fc6.W.size * 2, 4 * (fc6.W.size + 2 * (9216 + 2048))),
    "fc6, 64 images": point(lambda: fc6.forward(many), 2 * fc6.W.size * 64, 4 * (fc6.W.size + 64 * (9216 + 2048))),
    "relu1": point(lambda: relu.forward(x1), x1.size, 8 * x1.size),
    "norm1": point(lambda: norm.forward(x1), 12 * x1.size, 8 * x1.size),  # a square, five additions, two roots, ...
    "pool1": point(lambda: pool.forward(x1), 2 * x1.size, 5 * x1.size),  # about two comparisons for each x
    "update": point(optimizer.step, 7 * fc6.W.size, 20 * fc6.W.size),  # reads w, g, v; writes w, v
}
figure, axis = plt.subplots(figsize=(8, 4.2))
intensity = np.logspace(-1.5, 3, 100)
axis.loglog(intensity, np.minimum(peak, intensity * bandwidth) / 1e9, color="black", linewidth=1.5)
for (name, (x, speed)), marker in zip(points.items(), "osD^vP*", strict=True):
    axis.loglog(x, speed / 1e9, marker, markersize=8, label=f"{name}: {speed / min(peak, x * bandwidth):.0%} of the roof")
axis.text(intensity[4], intensity[4] * bandwidth / 1e9 * 2.2, "memory", rotation=32, fontsize=9)
axis.text(6, peak / 1e9 * 1.2, "arithmetic", fontsize=9)
axis.set(xlabel="operations for each byte", ylabel="10⁹ operations a second", title="The roof of this machine", ylim=(None, peak / 1e9 * 3))
axis.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# Where a point lies near the roof, there is nothing to gain without another algorithm. Far below it there is. (Above it? Then the data came from the cache, not from
# memory.)
#
# ## 3 · Slabs
#
# Layers that treat images one by one could run one after the other over the whole batch: conv1 for all, then ReLU for all, and so on. Then each layer
# reads all its input from memory, since the cache has long forgotten it. minigrad takes a **slab** of a few images through the whole stage. While a slab is on
# its way, it stays in the cache, and each thread has a slab of its own.
#
# `slabs.SLAB` is its size in bytes (of its largest array). **Predict** the shape of the curve: what is bad about very small slabs, and what about one slab for all?

# %%
usual = slabs.SLAB
some = rng.standard_normal((16 if FAST else 32, 55, 55, 48), np.float32)
stage = mg.Sequential(relu1=mg.ReLU(), norm1=mg.LocalResponseNorm(), pool1=mg.MaxPool2d(3, 2))


def one_after_the_other():
    """Each layer over the whole batch before the next begins."""
    h = some
    for layer in stage.layers.values():
        h = layer.forward(h)


sizes, times = [1 << k for k in range(19, 26, 2 if FAST else 1)], []
apart = seconds(one_after_the_other)
try:
    for slabs.SLAB in sizes:
        times.append(seconds(lambda: stage.forward(some)))
finally:
    slabs.SLAB = usual
figure, axis = plt.subplots(figsize=(7, 3.4))
axis.semilogx([size / 1e6 for size in sizes], [1e3 * t / len(some) for t in times], "o-", label="slab by slab through all three")
axis.axhline(1e3 * apart / len(some), color="C1", linestyle="--", label="one layer after the other")
axis.axvline(usual / 1e6, color="0.5", linestyle=":", linewidth=1)
axis.text(usual / 1e6 * 1.05, 0.02, "minigrad's", fontsize=8)
axis.set(
    xlabel="largest array of a slab, MB", ylabel="ms an image", title=f"relu1, norm1, pool1 forward, {len(some)} images", ylim=(0, None)
)
axis.legend(fontsize=8, loc="center right")
plt.show()

# %% [markdown]
# The number of *tasks* depends on the batch alone, never on the number of threads, and sums are taken in the order of the images. So results are the same to
# the last bit on one core and on sixty-four. That costs nothing, and it makes every difference a bug:

# %%
gradients, speeds = [], []
images = rng.standard_normal((8, 112, 112, 3), np.float32)
stage.layers["conv1"] = mg.Conv2d(3, 48, 11, stride=4, padding=OVERHANG, rng=rng)
stage.layers.move_to_end("conv1", last=False)
for threads in sorted({1, cores()}):
    stage.to(mg.Device("cpu", threads=threads))
    speeds.append(f"{threads} thread{'s' * (threads > 1)} {1e3 * seconds(lambda: stage.forward(images)):.0f} ms")
    stage.backward(np.ones_like(stage.forward(images)))
    gradients.append(stage["conv1"].dW.copy())
print(", ".join(speeds))
assert all(np.array_equal(gradients[0], other) for other in gradients)

# %% [markdown]
# ## 4 · Before and after
#
# The plain layers of the coursework are what you have written in notebooks 03 to 06. Here they race against the library's, forward and backward, one tower, and
# must give the same numbers. **Predict** where the gain is largest.

# %%
M = 2 if FAST else 16
pairs = {
    "conv2": (plain.Conv2d(48, 128, 5, padding=2, rng=rng), mg.Conv2d(48, 128, 5, padding=2), (M, 27, 27, 48)),
    "relu1": (plain.ReLU(), mg.ReLU(), (M, 55, 55, 48)),
    "norm1": (plain.LocalResponseNorm(), mg.LocalResponseNorm(), (M, 55, 55, 48)),
    "pool1": (plain.MaxPool2d(3, 2), mg.MaxPool2d(3, 2), (M, 55, 55, 48)),
    "fc7": (plain.Linear(4096, 2048, rng=rng), mg.Linear(4096, 2048), (M, 4096)),
}
table = {}
for name, (slow, fast, shape) in pairs.items():
    for p, q in zip(slow.parameters(), fast.parameters(), strict=True):
        q.value[...] = p.value
    x = rng.standard_normal(shape, np.float32)
    y = slow.forward(x)
    dy = rng.standard_normal(y.shape, np.float32)
    assert np.allclose(fast.forward(x), y, rtol=1e-4, atol=1e-4)
    assert np.allclose(fast.backward(dy), slow.backward(dy), rtol=1e-3, atol=1e-4)
    table[name] = [1e3 * seconds(lambda layer=layer, x=x, dy=dy: (layer.forward(x), layer.backward(dy))) / M for layer in (slow, fast)]
figure, axis = plt.subplots(figsize=(7, 3.4))
places = np.arange(len(table))
for offset, label, hatch in ((-0.2, "plain", "///"), (0.2, "library", "")):
    bars = axis.bar(places + offset, [row[offset > 0] for row in table.values()], 0.4, label=label, hatch=hatch, edgecolor="white")
axis.bar_label(bars, [f"{slow / fast:.1f} ×" for slow, fast in table.values()], fontsize=8)
axis.set(
    xticks=places, xticklabels=list(table), xlabel="layer", ylabel="ms an image", yscale="log", title=f"Forward and backward, {M} images"
)
axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))  # beside the bars, whose heights nobody knows beforehand
plt.show()

# %% [markdown]
# A single ReLU of a few images gains little or loses: handing it to threads costs as much as it takes. It gains as a part of a slab's way (section 3).
#
# Four ideas are behind it, and you can find each in one file:
#
# | idea | where | how it helps |
# |---|---|---|
# | channels last | everywhere | patches and pools copy contiguous runs of channels (notebook 00) |
# | slabs, one BLAS thread in each worker | `engine/slabs.py`, `engine/workers.py` | the cache keeps a slab; no thread waits for another inside a product |
# | memory used again | `engine/memory.py` | fresh pages of memory are cleared by the system at their first touch |
# | another formula | `engine/lrn.py`, `engine/pooling.py`, `engine/winograd.py` | s^0.75 by two square roots; columns first, then rows; 25 multiplications instead of 81 for 3 × 3 outputs of a 3 × 3 kernel |
#
# Two of them measured alone:

# %%
s = rng.uniform(2, 3, 1 << 18).astype(np.float32)
root, result = np.empty_like(s), np.empty_like(s)


def by_roots():
    """s^(3/4) into `result`: no new memory."""
    np.sqrt(s, out=root)
    np.sqrt(root, out=result)
    np.multiply(result, root, out=result)


with_power, with_roots = seconds(lambda: np.power(s, np.float32(0.75), out=root)), seconds(by_roots)
assert np.allclose(s**0.75, result, rtol=1e-6)
used = np.empty(1 << 24, np.float32)
fresh, again = seconds(lambda: np.empty(1 << 24, np.float32).fill(1)), seconds(lambda: used.fill(1))
print(f"s^0.75 for {s.size:,} numbers: power {1e3 * with_power:.2f} ms, roots {1e3 * with_roots:.2f} ms")
print(f"filling 64 MB: fresh memory {1e3 * fresh:.1f} ms, memory used before {1e3 * again:.1f} ms")

# %% [markdown]
# ## 5 · Your gain
#
# Choose one, or one of your own. `before` is given: the sum over five neighbouring channels, as the plain normalisation takes it. **Write** `after` so that it is
# faster and gives the same. The next cell checks both claims.
#
# 1. One array of zeros at both ends, and five shifted slices added: no windows.
# 2. A running sum along the channels, and differences of it. (Are the digits still good enough? Why not?)
# 3. A band matrix of ones, and one product: `x² @ band`.
# 4. All pixels as one long run of memory, as `engine/lrn.py` does it.


# %%
def before(q):
    """q (..., C) -> at each channel the sum over it and two neighbours on both sides."""
    padded = np.pad(q, [(0, 0)] * (q.ndim - 1) + [(2, 2)])
    return np.lib.stride_tricks.sliding_window_view(padded, 5, axis=-1).sum(axis=-1)


def after(q):
    """The same, faster: yours."""
    return before(q)


# %%
q = rng.standard_normal((M, 55, 55, 48), np.float32) ** 2
error = np.abs(after(q) - before(q.astype(np.float64))).max() / np.abs(before(q)).max()
slow, fast = seconds(lambda: before(q)), seconds(lambda: after(q))
library = seconds(lambda: norm.forward(q))
print(f"before {1e3 * slow:.1f} ms, after {1e3 * fast:.1f} ms: {slow / fast:.2f} times as fast, largest error {error:.1e}")
print(f"(the library's whole normalisation, forward: {1e3 * library:.1f} ms)")
assert error < 1e-5, "faster, but not the same"

# %% [markdown]
# **Write down** in one sentence, with its figure: *what* you changed, the time before and after, on which machine, with which batch. A gain without its figure is a
# rumour; so is one that was measured once.
#
# *(your sentence)*
#
# ## 6 · On a GPU
#
# There the same layers run as kernels over the whole batch (`*.cu`, beside the Python files). What changes:
#
# - **Patches** do not fit: for 128 images conv1's alone take 128 · 363 · 3025 · 4 bytes = 562 MB a tower. They are made in chunks of a *workspace*.
# - **TF32**: since 2020 GPUs multiply float32 in tensor cores with 10 bits of fraction, several times as fast. minigrad allows it unless `--fp32` is said; gradients are
#   checked in float64.
# - **Streams**: a GPU is only told what to do, and does it later. A timer that does not wait measures the telling.

# %%
if count():
    gpu = AlexNet("paper", "0", seed=SEED)
    photographs, truth = batch(gpu, 128)
    on_gpu = Ours(gpu)
    on_gpu.step(photographs, truth)
    begin = gpu.device.mark()
    for _ in range(5):
        on_gpu.step(photographs, truth)
    print(f"one GPU, 128 images, {gpu.device.arithmetic}: {640 / gpu.device.seconds(begin, gpu.device.mark()):,.0f} images a second")
else:
    print(f"there is no GPU here; conv1's patches of 128 images would take {128 * 363 * 3025 * 4 / 1e6:.0f} MB")

# %% [markdown]
# ## 7 · What goes wrong
#
# | what was done | what one sees |
# |---|---|
# | timed the first call | memory is asked for, kernels are compiled: ten times too slow |
# | timed once | the machine was busy; take the median of several |
# | compared two programs one after the other | the second one is cooler, or hotter: take turns |
# | BLAS with many threads inside many threads | everything waits for everything |
# | optimised what takes 2 % | the most that can be gained is 2 % |
# | float64 somewhere | half the speed, twice the memory (notebook 00) |
# | faster and different | compare with the plain version, always |
#
# ## 8 · Four rituals
#
# Speed changes nothing else. The fast layers have passed the first three rituals in their own notebooks; here they are again after all that we did to them.

# %%
x = rng.standard_normal((2, 9, 8, 7))
y = mg.LocalResponseNorm(5, 0.5, 0.75, 1.0).forward(x)
for n, r, q_, i in np.ndindex(y.shape):
    assert np.isclose(y[n, r, q_, i], x[n, r, q_, i] * (1 + 0.5 * (x[n, r, q_, max(0, i - 2) : i + 3] ** 2).sum()) ** -0.75, rtol=1e-12)
print("1 · two roots are a power: forward equals the loop")

# %%
for make in (
    lambda: mg.Conv2d(2, 5, 3, stride=2, padding=(1, 0, 2, 1)),
    lambda: mg.MaxPool2d(3, 2),
    lambda: mg.LocalResponseNorm(5, 0.5, 0.75, 1.0),
):
    report = check_layer(make, (3, 7, 6, 2))
    assert report.ok, report
print("2 · gradients right")

# %%
assert slabs.SLAB == usual
x = rng.standard_normal((5, 31, 29, 3), np.float32)
layer = mg.Conv2d(3, 8, 5, stride=2, padding=1, rng=rng)
slow = plain.Conv2d(3, 8, 5, stride=2, padding=1)
slow.W, slow.b = layer.W, layer.b
assert np.allclose(layer.forward(x), slow.forward(x), rtol=1e-4, atol=1e-6)
print("3 · slab by slab equals the whole batch at once")

# %%
small = AlexNet("small", num_classes=10, seed=SEED)
x, truth = batch(small, 32)
learner = Ours(small, lr=0.01)
losses = [learner.step(x, truth) for _ in range(80)]
print(f"4 · 32 images of noise overfitted: loss {losses[0]:.2f} to {losses[-1]:.2f}")
assert losses[-1] < losses[0] / 2

# %% [markdown]
# ## Recap
#
# | work | operations | bytes | bound by |
# |---|---|---|---|
# | convolution, N images | 2 N · OH · OW · K² · C · CO | x, W, y | arithmetic |
# | fully connected, N images | 2 N · in · out | mostly W: 4 · in · out | memory for small N, arithmetic for large |
# | ReLU, normalisation, pooling | a few a number | x and y | memory; so do it while the slab is in the cache |
# | update | 7 a weight | 20 a weight | memory |
#
# The arithmetic of the whole network forward is the sum of its layers' multiply-adds:

# %%
macs = net.multiply_adds()
total = sum(macs.values())
floor = 2 * (3 * total - macs["conv1"]) * N / peak  # forward, and two products as large in backward; nobody wants conv1's dx
print(f"{total:,} multiply-adds an image; at this machine's peak the plain sums of a step of {N} images take {floor:.2f} s (Winograd's way")
print(f"takes fewer for 3 x 3 kernels); measured {step:.2f} s")

# %% [markdown]
# **Explain**: why does a step of 32 images not take sixteen times as long as one of 2?
#
# *(your answer)*
#
# From the command line: `python alexnet.py benchmark`, and `--against torch` where PyTorch is installed: both in turns, with their ratio. In the library:
# `minigrad/device/`, `minigrad/engine/`, `minigrad/commands/benchmark/cpu.py`.
