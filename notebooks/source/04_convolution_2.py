# %% [markdown]
# # 04 · Convolution II: the way back
#
# **The question.** Forward, a convolution copied pixels into patches and multiplied. What is the derivative of *copying*?
#
# **You will** derive three gradients of one product, write the transpose of im2col, and see that two towers are one network with zeros in its
# weights. About 60 minutes.
#
# Before: [03 · Convolution I](03_convolution_1.ipynb). Next: [05 · Pooling and normalisation](05_pooling_and_lrn.ipynb)

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import data, gradcheck, plain
from minigrad.coursework import tasks
from minigrad.coursework.exercises import find
from minigrad.coursework.source import plant
from minigrad.gradcheck import check_layer, kink_free

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · Three derivatives of one product
#
# With `P` the patches, one row for each place of the window, forward is `Y = P @ W + b`: exactly a fully connected layer, whose "images" are the
# N·OH·OW places. So we know its derivatives from [02](02_network_by_hand.ipynb):
#
# $$dW = P^T\, dY \qquad db = \sum_{\text{rows}} dY \qquad dP = dY\, W^T$$
#
# **Predict** the shapes of all three for x `(3, 7, 6, 2)`, five output channels, K = 3, no padding, stride 1.

# %%
x = rng.standard_normal((3, 7, 6, 2))
P = plain.im2col(x, 3)
W, dY = rng.standard_normal((3 * 3 * 2, 5)), rng.standard_normal((len(P), 5))
for name, array in (("P", P), ("dW", P.T @ dY), ("db", dY.sum(axis=0)), ("dP", dY @ W.T)):
    print(f"{name:3s}", array.shape)

# %% [markdown]
# (So far notebook 02, with other names.) One thing is missing: dP is the gradient of the *patches*. What does a pixel get?
#
# ## 2 · The derivative of copying
#
# im2col copied pixel $x$ into several places of P: once into each window that contains it. If the pixel grows by δ, every copy grows by δ, and L
# changes by δ times the **sum** of what all copies say. So the way back adds up: every number of dP goes to the pixel that it was read from.
#
# How many windows contain a pixel? For K = 3 and stride 1: nine inside, one in the corner. With stride 2 it is a pattern. **Predict** it before you
# look: which pixels of an 8×8 image are in four windows of size 3 and stride 2, which in one?

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for axis, (K, S, title) in zip(
    axes, ((3, 1, "K = 3, stride 1"), (3, 2, "K = 3, stride 2: they overlap"), (2, 3, "K = 2, stride 3: gaps")), strict=True
):
    shape = (1, 8, 8, 1)
    count = plain.col2im(np.ones_like(plain.im2col(np.ones(shape), K, S)), shape, K, S)[0, ..., 0]
    axis.imshow(count, cmap="cividis", vmin=0, vmax=9)
    for i, j in np.ndindex(8, 8):
        axis.text(j, i, f"{count[i, j]:.0f}", ha="center", va="center", fontsize=8, color="white" if count[i, j] < 5 else "black")
    axis.set(title=title, xlabel="column", ylabel="row" if K == 3 and S == 1 else "")
figure.suptitle("In how many windows is a pixel?", x=0.01, ha="left")
plt.show()

# %% [markdown]
# ### Exercise: col2im
#
# `col2im(patches, shape, K, S, padding)` takes patches `(N·OH·OW, K·K·C)` back to an image of that shape. A **tap** is a place (i, j) in the window.
# Loop over the K·K taps, not over the windows: tap (i, j) of *all* windows was read
# from rows i, i + S, i + 2S, … and columns j, j + S, …, which is one slice. Two taps may lie on the same pixel, so add.

# %% exercise="patches.add_back"

# %% [markdown] mistakes="patches.add_back"
# **What goes wrong**

# %% [markdown]
# ## 3 · Without looking: the adjoint test
#
# Number every pixel of the image, j = 0, 1, 2, …, and every number of the patches, i = 0, 1, 2, … Each number of the patches is a sum over all pixels, with the
# factor 1 for the pixel it was copied from and 0 for all others. These factors fill a table A, a row for each i and a column for each j:
#
# $$p_i = \sum_j A_{ij}\, x_j \qquad\text{and by the chain rule}\qquad dx_j = \sum_i A_{ij}\, dp_i$$
#
# The same table both times: im2col runs along its rows, the way back along its columns. A table with rows and columns exchanged is its **transpose** $A^T$; so
# col2im is the transpose of im2col. For a tiny image the table can be written down: column j is what im2col makes of an image with a single 1 at pixel j.

# %%
tiny = (1, 3, 3, 1)  # nine pixels, four windows of 2 x 2
A = np.stack([plain.im2col(np.eye(9)[j].reshape(tiny), 2).ravel() for j in range(9)], axis=1)
print("A is", A.shape, "and has a single 1 in each row:", A.sum(axis=1).astype(int))
print("ones in each column, as an image:", A.sum(axis=0).astype(int).reshape(3, 3), sep="\n")
p = rng.standard_normal(16)
assert np.allclose(A.T @ p, plain.col2im(p.reshape(4, 4), tiny, 2).ravel())

# %% [markdown]
# For real images the table is too large (conv1 of AlexNet: 1,098,075 × 150,528), but a transpose can be recognised without it. Write ⟨a, b⟩ for *multiply number by
# number and add everything up*. Then
#
# $$\langle A x,\; p \rangle = \sum_i \Big(\sum_j A_{ij}\, x_j\Big)\, p_i = \sum_j x_j \Big(\sum_i A_{ij}\, p_i\Big) = \langle x,\; A^T p \rangle \qquad \text{for all } x \text{ and } p$$
#
# since both are the sum of the same terms, in another order. This is the **adjoint test** (adjoint is another word for transpose). Draw x and p at random; both
# sides are single numbers; they agree to the last digits or one of the functions is wrong. A hundred draws of random sizes, strides and paddings, for
# col2im and for one that writes `=` where it should add:


# %%
def overwriting(patches, shape, K, S, padding):
    """The way back, window by window, with a mistake. padding: the same number on all sides."""
    N, H, W, C = shape
    padded = np.zeros((N, H + 2 * padding, W + 2 * padding, C))
    OH, OW = ((size + 2 * padding - K) // S + 1 for size in (H, W))
    for r, q in np.ndindex(OH, OW):
        padded[:, r * S : r * S + K, q * S : q * S + K] = patches.reshape(N, OH, OW, K, K, C)[:, r, q]  # should be +=
    return padded[:, padding : padding + H, padding : padding + W]


def adjoint_error(back, rng):
    """|<Ax, p> - <x, back(p)>|, as a fraction of their size."""
    K, S, padding = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(0, 3))
    x = rng.standard_normal((2, int(rng.integers(5, 9)), int(rng.integers(5, 9)), 3))
    Ax = plain.im2col(x, K, S, padding)
    p = rng.standard_normal(Ax.shape)
    return abs((Ax * p).sum() - (x * back(p, x.shape, K, S, padding)).sum()) / np.linalg.norm(Ax) / np.linalg.norm(p)


draws = {
    name: [adjoint_error(back, np.random.default_rng(k)) for k in range(100)]
    for name, back in (("adding", plain.col2im), ("overwriting", overwriting))
}
figure, axis = plt.subplots(figsize=(7.5, 2.6))
for k, (name, errors) in enumerate(draws.items()):
    axis.semilogy(np.maximum(errors, 1e-18), "o^"[k], markersize=4, color=f"C{k}", label=name)
axis.set(xlabel="draw", ylabel="difference of both sides", title="⟨Ax, p⟩ = ⟨x, Aᵀp⟩? A hundred draws", ylim=(1e-19, 10))
axis.legend(loc="center right", frameon=True)
plt.show()

# %% [markdown]
# Half of the triangles lie at the bottom: where windows do not overlap (K ≤ S), overwriting is right. One lucky draw proves nothing; this is
# why the checker has cases of every kind.
#
# ## 4 · All together
#
# ### Exercise: convolution, backward
#
# All pieces are there. `self.patches` and `self.x_shape` were kept by forward.

# %% exercise="conv2d.backward"

# %% [markdown] mistakes="conv2d.backward"
# **What goes wrong**

# %% [markdown]
# Where a mistake shows tells what it is. Three mistakes, K = 3 and stride 2. **Predict** for the first: which pixels are wrong, if windows
# overwrite one another?

# %%
known = {mistake.name: mistake for mistake in find(["conv2d.backward"])[0].mistakes}  # those that the table above lists
chosen = ("= for += in col2im", "stride forgotten in col2im", "kernel flipped in backward")
image = kink_free((1, 9, 9, 1), np.random.default_rng(SEED))
figure, axes = plt.subplots(1, len(chosen), figsize=(9, 3))
for axis, name in zip(axes, chosen, strict=True):
    Mistaken = plant(plain.Conv2d, known[name])  # the class as it is, but for one line
    layer = Mistaken(1, 3, 3, 2, 0, std=1.0, rng=np.random.default_rng(1)).astype(np.float64)
    y = layer.forward(image)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    expected = gradcheck.numerical_gradient(layer.forward, image.copy(), dy)
    layer.forward(image)
    error = np.abs(layer.backward(dy) - expected)[0, ..., 0] / np.abs(expected).max()
    picture = axis.imshow(error, cmap="cividis", vmin=0, vmax=1)
    axis.set(title=name, xlabel="column")
axes[0].set_ylabel("row")
figure.colorbar(picture, ax=axes, label="error of dx / largest dx", shrink=0.8)
plt.show()

# %% [markdown]
# The first map shows where windows overlap: rows and columns 2, 4 and 6 of the picture, as in the count above. The second is wrong wherever a tap
# was read from farther away than it was put back. The third is wrong nearly everywhere: the right numbers, at the wrong places.
#
# ### Mend a bug
#
# With stride 1 there is another way to dx: a convolution of dy with the kernel **turned by 180°**, its two channel axes exchanged. (Why? Pixel h met
# tap i on the way to output h − i. So output r speaks to pixel h through tap h − r: the taps run backwards.) Here somebody turned it by less.


# %%
def dx_by_turning(dy, W):
    """dx of a convolution with stride 1 and no padding. dy (N, OH, OW, CO), W (K, K, C, CO)."""
    K = len(W)
    turned = W[::-1].transpose(0, 1, 3, 2)  # (K, K, CO, C)
    return plain.conv2d_naive(dy, turned, np.zeros(W.shape[2]), padding=K - 1)


layer = plain.Conv2d(2, 5, 3, std=1.0, rng=np.random.default_rng(1)).astype(np.float64)
dy = rng.standard_normal(layer.forward(rng.standard_normal((2, 6, 5, 2))).shape)
error = np.abs(dx_by_turning(dy, layer.W) - layer.backward(dy)).max()
print(f"largest difference {error:.1e}: {'right' if error < 1e-12 else 'WRONG'}")

# %% [markdown]
# ## 5 · Two towers are one network with zeros
#
# AlexNet is split into two **towers**. In conv2, tower 0 sees the 48 channels of its own conv1 and makes 128; tower 1 the same with its own. Other
# libraries call this `groups=2`. Side by side it is one convolution of 96 channels into 256, whose W has two blocks and is zero elsewhere.

# %%
parts = [rng.standard_normal((1, 1, 6, 8)) for _ in range(2)]
whole = tasks.block_weights(parts)
figure, axis = plt.subplots(figsize=(5, 3.4))
picture = axis.imshow(np.ma.masked_equal(whole[0, 0], 0), cmap="PuOr", vmin=-3, vmax=3)
axis.set_facecolor("0.92")
axis.set(title="W of one tower that does the work of two", xlabel="output channel", ylabel="input channel")
axis.text(11.5, 2.5, "0", ha="center", va="center", fontsize=16, color="0.4")
axis.text(3.5, 8.5, "0", ha="center", va="center", fontsize=16, color="0.4")
figure.colorbar(picture, ax=axis, label="weight")
plt.show()

# %% [markdown]
# **Predict**: the paper's conv2 has K = 5, 2 × 48 channels in and 2 × 128 out. How many weights has it, and how many would it have in one tower?
#
# ### Exercise: blocks
#
# `np.zeros` makes float64 unless you say which dtype.

# %% exercise="towers.block_weights"

# %% [markdown] mistakes="towers.block_weights"
# **What goes wrong**

# %%
print(f"conv2: {2 * 5 * 5 * 48 * 128:,} weights in two towers, {5 * 5 * 96 * 256:,} in one")
x = rng.standard_normal((2, 5, 6, 6))  # two towers of three channels each
kernels = [rng.standard_normal((3, 3, 3, 4)) for _ in range(2)]
apart = []
for t, kernel in enumerate(kernels):
    tower = mg.Conv2d(3, 4, 3, padding=1).astype(np.float64)
    tower.W[...] = kernel
    apart.append(tower.forward(x[..., 3 * t : 3 * t + 3]))
one = mg.Conv2d(6, 8, 3, padding=1).astype(np.float64)
one.W[...] = tasks.block_weights(kernels)
assert np.allclose(one.forward(x), np.concatenate(apart, axis=-1), rtol=1e-12, atol=1e-12)
print("two towers side by side equal one with blocks, to the last digits")

# %% [markdown]
# Half of the weights, half of the work, and both halves may lie on different devices: [08](08_two_devices.ipynb).
#
# ## 6 · How the library does it
#
# `minigrad/layers/conv.py` finds dx in three other ways. 3 × 3 kernels with stride 1 and 64 channels or more take fewer multiplications
# (`minigrad/engine/winograd.py`). With stride 1 and no more output than input channels, what weight W[i, j] saw and what it made lie equally far apart
# everywhere, so dx is itself a convolution of dy, with the kernel turned by 180°; and the patches of dy serve dW as well. Otherwise it adds up tap by tap,
# without ever making dP. The tests hold all three against the same loops as the plain version that you have just written.

# %%
# 1 and 3: the library's against the plain version, forward and backward
for arguments in ((4, 6, 3, 1, 1), (6, 4, 3, 1, 1), (3, 5, 5, 2, (1, 0, 2, 1)), (2, 3, 1, 1, 0)):
    fast, slow = (make(*arguments, std=0.3, rng=np.random.default_rng(1)).astype(np.float64) for make in (mg.Conv2d, plain.Conv2d))
    x = rng.standard_normal((3, 8, 9, arguments[0]))
    y = fast.forward(x)
    assert np.allclose(y, slow.forward(x), rtol=1e-12, atol=1e-12)
    dy = rng.standard_normal(y.shape)
    assert np.allclose(fast.backward(dy), slow.backward(dy), rtol=1e-10, atol=1e-10)
    assert np.allclose(fast.dW, slow.dW) and np.allclose(fast.db, slow.db)

# 2: the gradient check
report = check_layer(lambda: mg.Conv2d(2, 5, 3, stride=2, padding=(1, 0, 2, 1)), (3, 7, 6, 2))
assert report.ok
print(report)

# %%
# 4: a small convolutional network overfits 32 pictures
fashion = data.load("fashion-mnist")
pictures, labels = (fashion.train_images[:32] / np.float32(255)).astype(np.float32), fashion.train_labels[:32]
rngs = [np.random.default_rng([SEED, k]) for k in range(3)]
net = mg.Sequential(
    conv1=mg.Conv2d(1, 12, 5, stride=2, std=0.2, rng=rngs[0]),
    relu1=mg.ReLU(),
    conv2=mg.Conv2d(12, 24, 3, stride=2, std=0.12, rng=rngs[1]),
    relu2=mg.ReLU(),
    flatten=mg.Flatten(),
    fc3=mg.Linear(5 * 5 * 24, 10, std=0.04, rng=rngs[2]),
)
loss, optimizer, history = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=0.0), []
start = time.perf_counter()
for _ in range(80):
    history.append(loss.forward(net.forward(pictures), labels))
    net.backward(loss.backward())
    optimizer.step()
assert (net.forward(pictures).argmax(axis=1) == labels).all()
print(f"32 pictures learnt by heart in {time.perf_counter() - start:.1f} s: loss {history[0]:.2f} → {history[-1]:.4f}")

# %% [markdown]
# ## Recap
#
# | | |
# |---|---|
# | dW `(K, K, C, CO)` | patchesᵀ · dy, reshaped as W |
# | db `(CO,)` | sum of dy over images, rows and columns |
# | dx `(N, H, W, C)` | col2im(dy · Wᵀ): every copy reports back, and a pixel adds up |
# | towers | blocks of W on the diagonal, zeros elsewhere |
#
# **Explain**: the derivative of copying is adding. What is the derivative of adding?
#
# *(your answer)*
#
# In the paper: §3.2 and Figure 2 (which kernels see what). Next: [05 · Pooling and normalisation](05_pooling_and_lrn.ipynb).
