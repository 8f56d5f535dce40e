# %% [markdown]
# # 03 · Convolution I: every patch through the same layer
#
# **The question.** Where a thing is in a picture should not matter for what it is. How does one build that into a layer, and how does one
# compute it fast with nothing but a matrix product?
#
# **You will** write a convolution three times: as four loops, as patches laid out in rows, as one product. About 45 minutes.
#
# Before: [02 · A network by hand](02_network_by_hand.ipynb). Next: [04 · Convolution II](04_convolution_2.ipynb), the backward half.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import data, plain
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
fashion = data.load("fashion-mnist")
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · A window that wanders
#
# A fully connected layer looks at all pixels at once. A convolution looks at a small **window** of K×K pixels, with a fully connected layer of its
# own, the **kernel**; and at the next window with the *same* kernel, and so on. With x `(N, H, W, C)`, weights W `(K, K, C, CO)` and stride S:
#
# $$y_{n r q o} = b_o + \sum_{i, j, c} x_{n,\; rS + i,\; qS + j,\; c} \; W_{i j c o}$$
#
# (Mathematicians call this a correlation: nothing is flipped. All libraries compute it and say convolution.)
#
# What does a kernel see? Here is one that subtracts the left column of its window from the right one, and one that subtracts the upper row
# from the lower.

# %%
image = fashion.train_images[0].astype(np.float64)[None] / 255
kernels = {
    "right − left": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4,
    "below − above": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]) / 4,
    "mean": np.ones((3, 3)) / 9,
}
figure, axes = plt.subplots(2, 4, figsize=(9, 3.7), height_ratios=[1, 2.5])
axes[0, 0].axis("off")
axes[1, 0].imshow(image[0, ..., 0], cmap="gray")
axes[1, 0].set_title("the image")
for k, (name, kernel) in enumerate(kernels.items(), start=1):
    y = plain.conv2d_naive(image, kernel[:, :, None, None], np.zeros(1))
    axes[0, k].imshow(kernel, cmap="PuOr", vmin=-0.5, vmax=0.5)
    axes[0, k].set_title(name)
    axes[1, k].imshow(y[0, ..., 0], cmap="PuOr", vmin=-1, vmax=1)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
plt.show()

# %% [markdown]
# Kernels like these are not made by hand in a network. They are learned, and the first layer of AlexNet finds edges in all directions by itself
# (Figure 3 of the paper; you will see yours in [09](09_train_and_look_inside.ipynb)).
#
# ## 2 · How many windows fit?
#
# With `before` and `after` zeros put around an axis of length H:
#
# $$OH = \left\lfloor \frac{H + \text{before} + \text{after} - K}{S} \right\rfloor + 1$$
#
# The first window begins at 0, the last must end inside, and they begin S apart. What is left over at the end is read by nobody.
#
# **Predict** the five numbers before you run the cell. The last is the paper's first layer: 224 pixels, K = 11, S = 4. It should give 55.

# %%
for H, K, S, before, after in ((28, 3, 1, 0, 0), (28, 3, 1, 1, 1), (28, 5, 2, 0, 0), (13, 3, 2, 0, 0), (224, 11, 4, 0, 0)):
    print(f"H {H:3d}, K {K:2d}, S {S}, padding {before},{after}:  {(H + before + after - K) // S + 1}")

# %% [markdown]
# 54, not 55. The paper's own numbers do not fit: 224 pixels give 54 places. Three zeros more on one side give 55, and this library puts them
# beyond the right and the bottom, `padding=(0, 3, 0, 3)`, as the original program of 2012 did. Caffe reads 227 pixels instead; torchvision pads
# by 2 on all sides.
#
# ## 3 · Loops
#
# The definition, as it stands: a number of y for each image, row, column and output channel. Four loops; the window itself, a small array, goes
# to NumPy.
#
# `padding` may be a number or four, `(top, bottom, left, right)`. The cell below imports two small functions for it, and NumPy puts the zeros around:

# %%
print("four_sides(2) =", plain.four_sides(2), "   four_sides((0, 3, 0, 3)) =", plain.four_sides((0, 3, 0, 3)))
print("output_size(28, K=5, S=2, before=0, after=1) =", plain.output_size(28, 5, 2, 0, 1), "   the formula of section 2, for one axis")
print("np.pad: one row above, two columns on the right\n", np.pad(np.ones((2, 3), int), ((1, 0), (0, 2))), sep="")

# %% [markdown]
# ### Exercise: loops
#
# `np.ndindex(y.shape)` runs through all (n, r, q, o): four loops in one line.

# %% exercise="conv2d.naive"

# %% [markdown] mistakes="conv2d.naive"
# **What goes wrong**

# %% [markdown]
# ## 4 · Patches as rows
#
# A sum over i, j and c is the product of two vectors of length K·K·C: the window, written as a row, and one column of W. So write *all* windows as
# the rows of a matrix, and the convolution is one matrix product:
#
# $$\underbrace{\text{patches}}_{(N \cdot OH \cdot OW)\, \times\, (K \cdot K \cdot C)} \; \underbrace{W}_{(K \cdot K \cdot C)\, \times\, CO}$$
#
# The picture shows it for an image of 4×5 pixels and a window of 2×2. A row of the matrix is a window; the framed one is the third.

# %%
tiny = np.arange(20.0).reshape(1, 4, 5, 1)
rows = plain.im2col(tiny, 2)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), width_ratios=[1, 1])
for axis, numbers, title in ((axes[0], tiny[0, ..., 0], "the image: 20 pixels"), (axes[1], rows, "im2col: 12 windows × 4 pixels")):
    axis.imshow(numbers, cmap="cividis", aspect="equal" if axis is axes[0] else 0.36)
    for i, j in np.ndindex(numbers.shape):
        axis.text(j, i, f"{numbers[i, j]:.0f}", ha="center", va="center", fontsize=8, color="white" if numbers[i, j] < 10 else "black")
    axis.set(title=title)
axes[0].add_patch(plt.Rectangle((1.5, -0.5), 2, 2, fill=False, edgecolor="C1", linewidth=3))
axes[1].add_patch(plt.Rectangle((-0.5, 1.5), 4, 1, fill=False, edgecolor="C1", linewidth=3))
axes[0].set(xlabel="column", ylabel="row", yticks=range(4))
axes[1].set(xlabel="place in the window (i, j)", ylabel="window (r, q)", yticks=range(12), xticks=range(4))
axes[1].set_xticklabels(["0,0", "0,1", "1,0", "1,1"])
axes[1].set_yticklabels([f"{r},{q}" for r in range(3) for q in range(4)], fontsize=7)
plt.show()

# %% [markdown]
# **Count**: 20 pixels became 48 numbers. How often does pixel 7 appear, and how often pixel 0? What is the rule? (The next notebook needs it.)
#
# The order within a row must be that of W: (i, j, c), since `W.reshape(K * K * C, CO)` runs through its first axes in that order.
#
# ### Exercise: im2col
#
# The windows are those of notebook 00, of an image with zeros around it. What is new is the order of the axes, and the `reshape` into rows.

# %% exercise="patches.extract"

# %% [markdown] mistakes="patches.extract"
# **What goes wrong**

# %% [markdown]
# ### Mend a bug
#
# This im2col was tested with grey pictures, and passed. Mend it.


# %%
def hasty_im2col(x, K):
    """x (N, H, W, C) -> patches (N * OH * OW, K * K * C)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (K, K), axis=(1, 2))
    return windows.reshape(-1, K * K * x.shape[3])


for C in (1, 3):
    x = rng.standard_normal((2, 5, 4, C))
    print(f"{C} channel{'s' * (C > 1)}: {'right' if np.array_equal(hasty_im2col(x, 3), plain.im2col(x, 3)) else 'WRONG'}")

# %% [markdown]
# ## 5 · One product
#
# Now forward is three lines: patches, product plus bias, shape. From here on exercises are methods of a class: what the call was handed when the layer was
# made is in `self.K, self.S, self.padding`, and `im2col` is the library's.
#
# ### Exercise: convolution, forward

# %% exercise="conv2d.forward"

# %% [markdown] mistakes="conv2d.forward"
# **What goes wrong**

# %% [markdown]
# ## 6 · What it costs, what it gains
#
# The patch matrix holds every pixel up to K² times. For the second layer of AlexNet, 27×27 pixels of 48 channels in each of its two halves, K = 5, and a batch
# of 128 images:

# %%
floats = 128 * 27 * 27 * 48
print(f"the images {4 * floats / 1e6:.0f} MB, their patches {4 * floats * 25 / 1e6:.0f} MB")

# %% [markdown]
# So the library never builds it whole on a CPU: it takes a **slab** of a few images, builds their patches while they are in the processor's cache,
# multiplies, and forgets them (`minigrad/engine/slabs.py`).
#
# **Predict**: by which factor is the product faster than the loops? 2, 20, 200?


# %%
def seconds(f, repeat=2 if FAST else 5):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_conv(x, W):
    """Patches of the whole batch, one product."""
    return (plain.im2col(x, W.shape[0], 1, 2) @ W.reshape(-1, W.shape[3])).reshape(*x.shape[:3], W.shape[3])


x = rng.standard_normal((4 if FAST else 16, 27, 27, 48)).astype(np.float32)  # conv2 of one of AlexNet's halves
conv2 = mg.Conv2d(48, 128, 5, padding=2, std=0.05, rng=np.random.default_rng(SEED))
times = {
    "loops": seconds(lambda: plain.conv2d_naive(x, conv2.W, conv2.b, 1, 2), 1),
    "patches and a product": seconds(lambda: matmul_conv(x, conv2.W)),
    "mg.Conv2d, slab by slab": seconds(lambda: conv2.forward(x)),
}
figure, axis = plt.subplots(figsize=(7.5, 2.2))
for name, time_ in times.items():
    axis.barh(name, time_ * 1e3 / len(x))
    axis.text(time_ * 1.1e3 / len(x), name, f"{time_ * 1e3 / len(x):.1f} ms, {times['loops'] / time_:.0f} ×", va="center", fontsize=9)
axis.set(xscale="log", xlabel="milliseconds an image", title="conv2 of one half of AlexNet, three times the same numbers")
axis.set_xlim(1, times["loops"] * 1e4 / len(x))
axis.invert_yaxis()
plt.show()

# %% [markdown]
# The same multiplications, the same additions. The product has them in an order in which every number fetched from memory is used many times
# before it is let go; people have spent decades on that one function.
#
# ## 7 · The rituals

# %%
# 1: forward against the loops, on odd shapes and one-sided padding
layer = mg.Conv2d(2, 5, 3, stride=2, padding=(1, 0, 2, 1), rng=np.random.default_rng(1)).astype(np.float64)
x = rng.standard_normal((3, 7, 6, 2))
assert np.allclose(layer.forward(x), plain.conv2d_naive(x, layer.W, layer.b, 2, (1, 0, 2, 1)), rtol=1e-12, atol=1e-12)

# 2: the gradient check (backward is the next notebook's)
report = check_layer(lambda: mg.Conv2d(2, 5, 3, stride=2, padding=(1, 0, 2, 1)), (3, 7, 6, 2))
assert report.ok and report.kinks == 0
print(report)

# 3: fast against plain
x = rng.standard_normal((5, 9, 8, 48)).astype(np.float32)
assert np.allclose(conv2.forward(x), matmul_conv(x, conv2.W) + conv2.b, atol=1e-4)

# %%
# 4: a convolution and a fully connected layer overfit 16 pictures
pictures = (fashion.train_images[:16] / np.float32(255)).astype(np.float32)
labels = fashion.train_labels[:16]
net = mg.Sequential(
    conv1=mg.Conv2d(1, 8, 5, stride=2, std=0.2, rng=np.random.default_rng(SEED)),
    relu1=mg.ReLU(),
    flatten=mg.Flatten(),
    fc2=mg.Linear(12 * 12 * 8, 10, std=0.03, rng=np.random.default_rng(SEED)),
)
loss, optimizer = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=0.0)
for _ in range(60):
    value = loss.forward(net.forward(pictures), labels)
    net.backward(loss.backward())
    optimizer.step()
assert (net.forward(pictures).argmax(axis=1) == labels).all()
print(f"16 pictures learnt by heart, loss {value:.4f}")

# %% [markdown]
# ## Recap
#
# | | shape |
# |---|---|
# | x | `(N, H, W, C)` |
# | W, b | `(K, K, C, CO)`, `(CO,)` |
# | patches | `(N·OH·OW, K·K·C)` |
# | y | `(N, OH, OW, CO)`, OH = (H + top + bottom − K) // S + 1 |
#
# **Explain**: a convolution with K = 1 is a fully connected layer applied to what?
#
# *(your answer)*
#
# In the library: `minigrad/layers/conv.py`. In the paper: §3.5 and Figure 2. The idea of patches as rows is older than its name; see Chellapilla, Puri and
# Simard, "High performance convolutional neural networks for document processing" (2006). Next: [04 · Convolution II](04_convolution_2.ipynb).
