# %% [markdown]
# # 10 · Make it fast
#
# **The question.** Two programs do the same multiplications in the same order of magnitude of code. One takes ten times as long. Where is the time?
#
# **You will** measure before you believe, draw the limits of your own machine, see why images go through the network in slabs, and find a gain of
# your own. About 45 minutes. This one is optional; nothing later needs it.
#
# Before: [03 · Convolution I](03_convolution_1.ipynb) and [08 · Two devices](08_two_devices.ipynb).
#
# Times are those of the machine that runs this notebook, and of what else it does just now. Every comparison below takes both sides in turn
# and the shortest of several runs; look at ratios, not at milliseconds.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

import minigrad as mg
from alexnet import AlexNet, macs_by_layer
from minigrad.benchmark import Ours, Stopwatch, batch
from minigrad.device import cores
from minigrad.layers import base
from minigrad.layers.conv import im2col

plt.style.use("minigrad.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
print(f"seed {SEED}, NumPy {np.__version__}, {cores()} cores")


def shortest(*functions, rounds=4 if FAST else 15):
    """The seconds of each, the shortest of some rounds, in turn."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for k, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[k] = min(best[k], time.perf_counter() - start)
    return best


# %% [markdown]
# ## 1 · Measure first
#
# A training step of `small`, the network that `python alexnet.py` trains. **Predict**: which three layers take most of the time?

# %%
net = AlexNet("small", num_classes=10, seed=SEED)
images, labels = batch(net, 32 if FAST else 64)
step = Ours(net)
step.step(images, labels)
watch = Stopwatch(net)
steps = 3 if FAST else 10
start = time.perf_counter()
for _ in range(steps):
    step.step(images, labels)
whole = (time.perf_counter() - start) / steps * 1e3

names = [name for name in dict.fromkeys(name for name, _ in watch.seconds)]
spent = {way: np.array([watch.seconds.get((name, way), 0) / steps * 1e3 for name in names]) for way in ("forward", "backward")}
figure, axis = plt.subplots(figsize=(9, 3.6))
axis.bar(names, spent["forward"], label="forward")
axis.bar(names, spent["backward"], bottom=spent["forward"], label="backward")
axis.set(
    ylabel="milliseconds",
    title=f"A training step of {len(images)} images: {whole:.0f} ms, of which layers {sum(map(sum, spent.values())):.0f} ms",
)
axis.tick_params(axis="x", rotation=60)
axis.legend()
plt.show()

# %% [markdown]
# `python alexnet.py benchmark` prints the same table for every variant, and `--against torch` the same network in PyTorch in the same run.
#
# ## 2 · Two limits
#
# A processor can do so many multiplications a second, and fetch so many bytes a second. A function that does many multiplications with every byte
# is limited by the first, one that does few by the second. The number that decides is the **intensity**: operations for each byte moved.
#
# First the two limits of this machine: what one core multiplies, times the number of cores; and what one core copies, which is nearly all that the memory
# gives.

# %%
n = 512 if FAST else 1024
a, b, c = (rng.standard_normal((n, n)).astype(np.float32) for _ in range(3))
large, copy = np.ones(1 << (22 if FAST else 24), np.float32), np.empty(1 << (22 if FAST else 24), np.float32)
with threadpool_limits(1):
    product, copying = shortest(lambda: np.matmul(a, b, out=c), lambda: np.copyto(copy, large))
peak, bandwidth = cores() * 2 * n**3 / product / 1e9, 2 * large.nbytes / copying / 1e9
print(f"products: {peak:.0f} GFLOP/s     copying: {bandwidth:.0f} GB/s     both are full at {peak / bandwidth:.0f} operations a byte")

# %% [markdown]
# Now the layers: their operations, the bytes that go in and out at least once, and what they really reach.

# %%
N = len(images)
macs, points = macs_by_layer(net), {}
for stage in net.towers.stages[:2]:
    for name, layer in stage[0].layers.items():
        x_shape, y_shape = layer.call.x_shape, layer.call.y_shape
        bytes_moved = 4 * len(stage) * (np.prod(x_shape) + np.prod(y_shape))
        if name in macs:
            operations = 2 * macs[name] * N
        elif name.startswith("norm"):
            operations = 2 * 10 * np.prod(y_shape)  # both towers; squares, sums of five, two roots, a division
        elif name.startswith("pool"):
            operations = 2 * layer.kernel_size**2 * np.prod(y_shape)
        else:
            operations = 2 * np.prod(y_shape)
        seconds = spent["forward"][names.index(name)] / 1e3
        points[name] = operations / bytes_moved, operations / seconds / 1e9

x = np.logspace(-1.5, 3, 200)
figure, axis = plt.subplots(figsize=(8, 4.4))
axis.loglog(x, np.minimum(peak, bandwidth * x), color="0.3", label="the roof, for numbers from memory")
for kind, marker, colour in (("conv", "o", "C0"), ("norm", "s", "C1"), ("pool", "^", "C2"), ("relu", "D", "C3")):
    chosen = {name: point for name, point in points.items() if name.startswith(kind)}
    axis.plot(*zip(*chosen.values(), strict=True), marker, color=colour, label=kind)
    for name, (intensity, rate) in chosen.items():
        axis.annotate(name, (intensity, rate), (4, 3), textcoords="offset points", fontsize=7)
axis.set(xlabel="operations for each byte", ylabel="GFLOP/s", title="The roofline of this machine, and the layers under it (forward)")
axis.legend(loc="lower right", fontsize=8)
plt.show()

# %% [markdown]
# On the right, convolutions: what counts is the quality of the matrix product, and that is BLAS's business. On the left everything else: a ReLU does one
# operation for eight bytes and will never be fast, *unless its bytes are still in the cache*. Some points may even lie above the slope: their numbers never
# came from memory.
#
# That is the one idea behind the library's speed on a CPU.
#
# ## 3 · Slabs
#
# Do not run a layer over the whole batch and then the next layer over the whole batch: by then the first images have left the cache. Take a few images, a
# **slab**, through *all* layers until the towers meet, and then the next slab. Same work, same numbers, other order.
#
# **Predict** the curve: time of the first five layers of the paper's network against the size of a slab, from one image to the whole batch.

# %%
tower = AlexNet("paper", num_classes=2, seed=SEED).towers.stages[0][0]
count = 8 if FAST else 32
x = (rng.standard_normal((count, 224, 224, 3)) * 58).astype(np.float32)
one_image = 4 * 55 * 55 * 48  # bytes of conv1's outputs, the largest array
usual, times = base.SLAB, {}
sizes = [k for k in (1, 2, 4, 8, 16, 32) if k <= count // 2]
try:
    for k in sizes:
        base.SLAB = k * one_image
        times[k] = shortest(lambda: tower.forward(x), rounds=2 if FAST else 4)[0] / count * 1e3
finally:
    base.SLAB = usual
figure, axis = plt.subplots(figsize=(6.5, 3))
axis.plot(sizes, list(times.values()), "o-")
axis.axvline(usual / one_image, color="0.6", linestyle="--", linewidth=1)
axis.text(usual / one_image * 1.05, min(times.values()) * 0.3, "what the library takes", fontsize=8)
axis.set(
    xscale="log", xlabel="images in a slab", ylabel="milliseconds an image", title="conv1 to pool2 of one tower, forward", ylim=(0, None)
)
axis.set_xticks(sizes, map(str, sizes))
axis.minorticks_off()
plt.show()

# %% [markdown]
# ## 4 · Threads
#
# Slabs are independent, so threads can take them, one each, with BLAS held to one thread meanwhile. NumPy lets go of Python's lock while it computes.
# Sums are made in the order of the images, whoever finished first: the numbers do not depend on the number of threads. That is worth a test:

# %%
results = []
for threads in (1, 2, 3):
    small = AlexNet("small", [mg.Device("cpu", threads)], num_classes=10, seed=SEED)
    Ours(small).step(images, labels)
    results.append(np.concatenate([p.grad.ravel() for p in small.parameters()]))
assert all(np.array_equal(result, results[0]) for result in results)
print("gradients with 1, 2 and 3 threads are equal to the last bit")

# %% [markdown]
# ## 5 · A gain, from start to end
#
# Here is one that is in the library, found with the profile of section 1. conv1's db is a sum over images, rows and columns:
#
# ```python
# db = dy.reshape(-1, CO).sum(axis=0)
# ```
#
# 300,000 numbers, one addition each: it should take as long as reading them, a few hundredths of a millisecond. **Predict** before you measure.

# %%
CO = 12
dy = rng.standard_normal((32, 28, 28, CO)).astype(np.float32)
rows = dy.reshape(-1, CO)
with threadpool_limits(1):
    by_sum, by_product, reading = shortest(lambda: rows.sum(axis=0), lambda: np.ones(len(rows), np.float32) @ rows, lambda: rows.copy())
assert np.allclose(rows.sum(axis=0), np.ones(len(rows), np.float32) @ rows, atol=1e-2)
for name, seconds in (("rows.sum(axis=0)", by_sum), ("ones @ rows", by_product), ("copying them", reading)):
    print(f"{name:18s} {seconds * 1e3:6.3f} ms")
print(f"a product with ones is {by_sum / by_product:.0f} times as fast as the sum")

# %%
figure, axis = plt.subplots(figsize=(6.5, 1.8))
axis.barh(["before: sum(axis=0)", "after: ones @ rows"], [by_sum * 1e3, by_product * 1e3], color=["C1", "C0"])
axis.set(xlabel="milliseconds", title="db of conv1 for 32 images")
axis.invert_yaxis()
plt.show()

# %% [markdown]
# Why? NumPy's loop goes over the *last* axis, and that has only twelve numbers here: it starts anew for each pixel, and starting costs more than adding.
# For long rows there is no difference. The general lesson is dull and true: **measure, find the one line, ask what it should cost, and compare.**
#
# What came before the gain: a profile. What came after: a test that ties the new line to the old one, and the figure.
#
# ## 6 · On a GPU
#
# The same thoughts, other numbers: more operations a second by a factor of a hundred, more bytes by thirty, and a price for every launch. So there a
# layer is *one* kernel over the whole batch, and elementwise layers are fused where they can be. Two more words you will meet: **TF32**, products whose
# factors are rounded to 10 bits and summed in float32, five times as fast and exact to three digits (`--fp32` switches it off); and **streams**, queues of
# work that run side by side, one for each tower. `minigrad/cuda/device.py` has both.

# %%
try:
    import cupy

    cupy.arange(3).sum()
    gpu = mg.Device("0")
except Exception:
    gpu = None
if gpu is None:
    print("There is no GPU here. With one, the next lines would show a product in TF32 and its error.")
else:
    exact = a.astype(np.float64) @ b
    on_gpu = gpu.numpy(gpu.xp.matmul(gpu.asarray(a), gpu.asarray(b)))
    print(f"{gpu.arithmetic}: largest error {np.abs(on_gpu - exact).max() / np.abs(exact).max():.1e}")

# %% [markdown]
# ## 7 · Yours
#
# Below is im2col for conv1 of `small`, three channels, the way the library does it. It takes a good part of conv1's time. Can you copy the same numbers
# faster? Write `my_im2col`; the cell says whether it is right, and how fast. (Ideas: fewer and longer runs of memory; keeping what does not change from step
# to step; copying only what the product needs.) If it wins clearly, with a test, it belongs into the library.


# %%
def my_im2col(x, K, S=1, padding=(0, 0, 0, 0)):
    return im2col(x, K, S, padding)


x = rng.standard_normal((32, 28, 28, 3)).astype(np.float32)
assert np.array_equal(my_im2col(x, 3, 1, (1, 1, 1, 1)), im2col(x, 3, 1, (1, 1, 1, 1))), "other numbers than im2col"
mine, theirs = shortest(lambda: my_im2col(x, 3, 1, (1, 1, 1, 1)), lambda: im2col(x, 3, 1, (1, 1, 1, 1)))
print(f"im2col {theirs * 1e3:.2f} ms, yours {mine * 1e3:.2f} ms")

# %% [markdown]
# **Write it down**, as somebody else could repeat it: what you measured, on which machine, with which sizes; before, after, the ratio; and why.
#
# *(your answer)*
#
# ## Recap
#
# | | |
# |---|---|
# | measure | in turn, the shortest of several, ratios |
# | roofline | min(peak, bandwidth × operations per byte) |
# | slab | a few images through many layers while they are in the cache |
# | threads | one slab each; sums in the order of the images |
# | a gain | a profile before, a test and a figure after |
#
# **Explain**: why is a pooling layer slower per operation than a convolution, on every machine?
#
# *(your answer)*
#
# The roofline is Williams, Waterman and Patterson's (Communications of the ACM 52, 2009). In the library: `minigrad/layers/base.py` (slabs),
# `minigrad/device.py` (threads, memory that is used again), `minigrad/benchmark.py`.
