# %% [markdown]
# # 00 · Arrays, devices, one definition for both
#
# **The question.** A picture is a block of numbers. In which order do they lie in memory, and who owns them?
#
# **You will** read shapes as sentences, take windows of an image without copying a number, change an array where it lies, and keep float32
# from turning into float64. About 30 minutes. No earlier notebook is needed; you should have seen NumPy before.
#
# Next: [01 · Can you trust a derivative?](01_derivatives.ipynb)

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import data

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
print(f"seed {SEED}, NumPy {np.__version__}")

# %% [markdown]
# ## 1 · A shape is a sentence
#
# minigrad keeps images as `(N, H, W, C)`: N images, H rows, W columns, C channels. The paper writes its layers so: 224×224×3, 55×55×96.
# The library comes with ten thousand small pictures, Fashion-MNIST.

# %%
fashion = data.load("fashion-mnist")
images, labels = fashion.train_images[:8], fashion.train_labels[:8]
print("images", images.shape, images.dtype, "   labels", labels.shape, labels.dtype)

figure, axes = plt.subplots(1, 8, figsize=(9, 1.6))
for axis, image, label in zip(axes, images, labels, strict=True):
    axis.imshow(image[..., 0], cmap="gray")
    axis.set_title(fashion.classes[label], fontsize=8)
    axis.axis("off")
plt.show()

# %% [markdown]
# **Predict.** What are the shapes of these four? Write them down before you run the next cell.
#
# `images[0]` · `images[:, 0]` · `images[..., 0]` · `images.mean(axis=0)`

# %%
for text in ("images[0]", "images[:, 0]", "images[..., 0]", "images.mean(axis=0)"):
    print(f"{text:22s}", eval(text).shape)

# %% [markdown]
# A letter for each axis, always in this order, and the shape tells what a number is: `y[n, r, q, c]` is channel c of the pixel in row r and
# column q of image n.

# %% [markdown]
# ## 2 · The same numbers, in a row
#
# Memory has no rows and columns, only a long line of numbers. The **strides** say how many bytes lie between neighbours along each axis.
# The last axis is the one whose neighbours touch.

# %%
x = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)  # N H W C
print("shape  ", x.shape)
print("strides", x.strides, "bytes")

# %% [markdown]
# The picture shows where the channels of one pixel lie, for `(H, W, C)` and for `(C, H, W)`, the order that other libraries use. One colour
# is one pixel.

# %%
H, W, C = x.shape[1:]
pixel = np.arange(H * W).reshape(H, W, 1) * np.ones((1, 1, C), int)
figure, axes = plt.subplots(2, 1, figsize=(9, 2.2))
orders = (("(H, W, C): the four channels of a pixel lie side by side", pixel), ("(C, H, W): they lie apart", pixel.transpose(2, 0, 1)))
for axis, (title, numbers) in zip(axes, orders, strict=True):
    line = np.ascontiguousarray(numbers).reshape(1, -1)
    axis.imshow(line, cmap="cividis", aspect="auto")
    for position, number in enumerate(line[0]):
        axis.text(position, 0, number, ha="center", va="center", fontsize=8, color="white" if number < 3 else "black")
    axis.set(title=title, yticks=[])
axes[1].set_xlabel("place in memory (the number is the pixel's)")
axes[0].set_xticks([])
plt.show()

# %% [markdown]
# Why does it matter? A layer mostly treats the channels of a pixel together, and a processor fetches memory in lines, of 64 bytes mostly.
# What lies side by side comes in one fetch; and what will be wanted next, the processor guesses and fetches ahead, if the steps are regular.
#
# **Predict.** From each of 4000 rows of a matrix we copy 60 numbers: first neighbours, then every second, every fourth, … every 64th. The
# count is the same. How much longer does the last one take, for each number?

# %%
big = rng.standard_normal((4000, 4000)).astype(np.float32)


def seconds(f, repeat=3 if FAST else 9):
    """The shortest of a few runs."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


steps = (1, 2, 4, 8, 16, 32, 64)
count = 60
times = [seconds(lambda step=step: np.array(big[:, : count * step : step])) * 1e9 / (4000 * count) for step in steps]
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot([4 * step for step in steps], times, "o-")
axis.set(
    xscale="log", xlabel="bytes from one number to the next", ylabel="nanoseconds for each number", title="Copying numbers that lie apart"
)
axis.set_xticks([4 * step for step in steps], [str(4 * step) for step in steps])
axis.axvline(64, color="0.6", linestyle="--")
axis.text(66, max(times) * 0.05, "a line: 64 bytes", fontsize=8)
axis.set_ylim(0)
plt.show()
print("side by side   1.0")
for step, time_ in zip(steps[1:], times[1:], strict=True):
    print(f"{4 * step:3d} bytes apart  {time_ / times[0]:.1f} times as long")

# %% [markdown]
# **Read your own numbers.** Up to 64 bytes several of ours come with one fetch; from there on each costs a fetch of its own, and most of what is
# fetched is thrown away. If fetches were all that counts, the curve would rise up to the dashed line and be flat behind it. Is it, on your machine?
# On two cores of an AMD EPYC (Zen 4), on 2026-11-28, it was not quite: 3, 3 and 4 times as long as side by side up to 32 bytes, 10 to 15 times at 64, 20 to 29
# times at 128 and 26 to 30 at 256 (three runs). So the lines show, between 32 bytes and 64, and two other things do. The first step already costs a factor of 3:
# neighbours are copied many at a time, the others one by one. And something else grows along the axis: how much memory is touched in all, 4000 rows of 60 numbers,
# 1 MB on the left and 61 MB on the right. The left end fits into a cache near the core, the right end into none, and there every line comes from memory.

# %% [markdown]
# ## 3 · Views
#
# A slice copies nothing. It is another description (start, shape, strides) of memory that is there already. So is a transposed array, and
# so are *all windows of an image*: neighbouring windows share most of their pixels, and no number is written twice.

# %%
image = np.arange(5 * 6).reshape(1, 5, 6, 1)
window = image[:, 1:4, 2:5]
print("shares memory:", np.shares_memory(image, window), "  strides", image.strides, window.strides)
window[...] = 0
print(image[0, :, :, 0])

# %% [markdown]
# A **transpose** is a view, too: the same memory, its axes told in another order. For a matrix there is one other order, `A.T`. With more axes you say which:
# `a.transpose(0, 2, 1)` reads "first the old axis 0, then the old 2, then the old 1".

# %%
a = np.arange(24).reshape(2, 3, 4)
b = a.transpose(0, 2, 1)
print("shapes", a.shape, "->", b.shape, "   strides", a.strides, "->", b.strides, "   shares memory:", np.shares_memory(a, b))
assert b[1, 3, 2] == a[1, 2, 3]  # axes 1 and 2 have changed places
c = np.zeros((10, 11, 12, 13)).transpose(0, 3, 1, 2)  # the last axis comes second, the others keep their order
print("(10, 11, 12, 13) with the axes in the order 0, 3, 1, 2:", c.shape)
print("every second row and column:", np.zeros((8, 9))[::2, ::2].shape)

# %% [markdown]
# ### Exercise: all windows
#
# `windows(x, K, S)` gives, for images x `(N, H, W, C)`, the array `(N, OH, OW, K, K, C)` of all K×K windows that fit, S pixels apart:
#
# $$\text{found}[n, r, q] = x[n,\; rS : rS + K,\; qS : qS + K] \qquad OH = \lfloor (H - K) / S \rfloor + 1$$
#
# It is a view. `np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(1, 2))` brings you most of the way: all windows, one pixel apart. Two things are
# left, a step and an order of axes. Try it on `np.zeros((2, 5, 4, 3))` with K = 3, print the shape, and write a letter below each of its six numbers.

# %% exercise="arrays.windows"

# %% [markdown] mistakes="arrays.windows"
# **What goes wrong**

# %% [markdown]
# In [03 · Convolution I](03_convolution_1.ipynb) these windows become the rows of a matrix, and a convolution becomes one product.

# %%
patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
print(f"{images.nbytes:,} bytes of images; their windows {patches.shape} are {patches.size:,} numbers, and no new memory")

# %% [markdown]
# ## 4 · Who owns it?
#
# Two names may stand for the same memory. `w = w - lr * g` makes a new array and lets the name `w` point to it: whoever else held the old
# one keeps the old numbers. `w -= lr * g` changes the memory itself.

# %%
W = np.ones(3)
layer = {"W": W}  # somebody else who holds it
W = W - 0.1
print("after W = W - 0.1 the layer has", layer["W"])
W = layer["W"]
W -= 0.1
print("after W -= 0.1    the layer has", layer["W"])

# %% [markdown]
# This is the contract of minigrad's layers: `Parameter.value` is the live array, and the optimiser writes into it. On the other hand no
# layer ever writes into what it was handed: whoever handed it over may still need it.
#
# ### Exercise: a step in place

# %% exercise="arrays.in_place"

# %% [markdown]
# ### Mend a bug
#
# This function takes the mean image from the pictures before they go into a network. It has worked for years, with pictures in uint8. Then
# somebody hands over float32, and calls it twice. Run it, find the reason in the words `copy=False`, and mend it.


# %%
def centred(pictures):
    """The pictures minus their mean picture, float32."""
    pictures = pictures.astype(np.float32, copy=False)
    pictures -= pictures.mean(axis=0)
    return pictures


for dtype in (np.uint8, np.float32):
    mine = images.astype(dtype)
    before = mine.copy()
    centred(mine)
    print(f"{np.dtype(dtype).name:8s} the caller's pictures are {'as they were' if (mine == before).all() else 'CHANGED'}")

# %%
conv = mg.Conv2d(3, 4, 3, rng=np.random.default_rng(SEED))
weights = next(conv.parameters())
print(weights, "   the layer's own W:", weights.value is conv.W)
weights.value[...] = 0
assert not conv.W.any()

# %% [markdown]
# ## 5 · float32 stays float32
#
# Networks are trained in float32: half the memory, twice the speed, and seven digits are enough. Only the checking of gradients, in the
# next notebook, needs the fifteen digits of float64.
#
# One `np.float64` is enough to turn a whole network into float64: NumPy gives the result the wider type of both. A plain Python number does
# not count.
#
# **Predict** the dtype of each.

# %%
x = np.ones(3, np.float32)
for text in ("x * 2", "x * 0.1", "x * np.float64(0.1)", "x * np.ones(3)", "x.mean()", "x * np.sqrt(2)", "x / np.sqrt(np.float32(2))"):
    print(f"{text:28s}", np.asarray(eval(text)).dtype)

# %% [markdown]
# (`np.sqrt(2)` is an np.float64, `np.sqrt(np.float32(2))` an np.float32. With NumPy 1 the third and the sixth gave float32: there the *value* of a number decided. Since NumPy 2 the type does, see NEP 50.)
#
# ### Exercise: a leak
#
# `x.dtype.type` is the class of the numbers in x, `np.float32` or another; called with a number it makes one of that type.

# %% exercise="arrays.float64_leak"

# %% [markdown] mistakes="arrays.in_place arrays.float64_leak"
# **What goes wrong.** In a network the leak shows as a training run that suddenly takes twice the time and twice the memory, and nothing else.

# %% [markdown]
# ## 6 · One definition for both
#
# A layer never says where it computes. It asks its **device** for memory and for the module whose functions take its arrays: NumPy on a
# CPU, CuPy on a GPU. So a network on two GPUs is the same program as on your laptop, with another list of devices.

# %%
device = mg.Device("cpu")
print(f"{device.name}: {device.threads} worker threads, arrays of {device.xp.__name__}, {device.arithmetic}")


def gpu():
    """A GPU that works, or None. Without a driver CuPy can be imported, and fails later: so something is computed."""
    try:
        import cupy

        cupy.arange(3).sum()
        return mg.Device("0")
    except Exception:
        return None


here = gpu() or device
print("This notebook has no GPU and computes on the CPU." if here is device else f"There is a GPU: {here.arithmetic}")
relu = mg.ReLU().to(here)
print(here.numpy(relu.forward(here.asarray(np.array([[-1.0, 2.0, -3.0, 4.0]], np.float32)))))

# %% [markdown]
# ## Recap
#
# | | shape | remember |
# |---|---|---|
# | images | `(N, H, W, C)` | channels lie side by side |
# | a window | `(K, K, C)` | a view: start, shape, strides |
# | all windows | `(N, OH, OW, K, K, C)` | OH = (H − K) // S + 1 |
# | a parameter | any | changed in place, by the optimiser alone |
# | dtype | float32 | float64 only to check gradients |
#
# **Explain**, in two sentences of your own: why can two arrays of different shapes hold the same numbers without holding them twice?
#
# *(your answer)*
#
# Where to look in the library: `minigrad/device/cpu.py` (what a device is), `minigrad/layers/base.py` (the contract), `minigrad/layers/conv.py`
# (`im2col`, the windows as a matrix). Next: [01 · Can you trust a derivative?](01_derivatives.ipynb)
