# %% [markdown]
# # 05 · Overlapping pooling and local response normalisation
#
# **The question.** Pooling and normalisation have no weights at all, and yet their derivatives are the ones that are most often wrong. What does a
# layer pass back when only *one* of nine numbers counted? And what, when every number has changed the size of its neighbours?
#
# **You will** write max-pooling and local response normalisation, forward and backward, see who wins a tie, and find a mistake that passes
# a careless gradient check. About 60 minutes.
#
# Before: [04 · Convolution II](04_convolution_2.ipynb). Next: [06 · The recipe of 2012](06_training_recipe.ipynb). In the paper: §3.3 and §3.4.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import data, plain
from minigrad.gradcheck import check_layer, kink_free, numerical_gradient

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 5
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · Pooling: windows that overlap
#
# A pooling layer looks at K × K windows, S pixels apart, and keeps one number of each: the largest. Every channel is pooled by itself.
#
# $$y_{n,r,q,c} = \max_{0 \le i,j < K} \; x_{n,\,rS+i,\,qS+j,\,c} \qquad\qquad OH = \lfloor (H - K) / S \rfloor + 1$$
#
# The usual choice is K = S = 2: windows lie side by side. The paper takes K = 3, S = 2 (§3.4): windows are one pixel wider than their distance,
# and so they **overlap**. **Predict** the sizes: 55 pixels, pooled three times, either way.

# %%
for K, S in ((3, 2), (2, 2)):
    sizes = [55]
    for _ in range(3):
        sizes.append(mg.MaxPool2d(K, S).output_shape((1, sizes[-1], sizes[-1], 1))[1])
    print(f"windows {K} x {K}, {S} apart:", " -> ".join(map(str, sizes)))

# %% [markdown]
# The same sizes: 55 is a fortunate number for windows of 3, and with windows of 2 a row and a column are left over each time. So whatever overlap does, it is
# not a matter of size. (In the network there are convolutions between the pools. They are padded so that they keep the size.)
#
# **Predict.** In a 9 × 9 image with K = 3, S = 2: how many windows read the pixel in row 2, column 2? Row 2, column 3? Row 1, column 1?

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 3.9))
for axis, (K, S, size) in zip(axes, ((3, 2, 9), (2, 2, 9), (3, 2, 10)), strict=True):
    reads = np.zeros((size, size), int)
    OH = (size - K) // S + 1
    for r, q in np.ndindex(OH, OH):
        reads[r * S : r * S + K, q * S : q * S + K] += 1
    axis.imshow(reads, vmin=0, vmax=4, cmap="Blues")
    for r, q in np.ndindex(reads.shape):
        axis.text(q, r, reads[r, q], ha="center", va="center", fontsize=8, color="white" if reads[r, q] > 2 else "black")
    axis.set(
        title=f"Windows that read each pixel,\nK = {K}, S = {S}, {size} × {size} pixels",
        xlabel="column",
        ylabel="row",
        xticks=range(size),
        yticks=range(size),
    )
    axis.tick_params(length=0, labelsize=7)
plt.show()

# %% [markdown]
# With overlap three pixels in four, away from the edge, belong to two windows or more, and one in four to four. Remember that 4: it will be a `+=` in backward. On the right, 10 pixels
# do not divide: the last row and column are read by nobody. minigrad, like PyTorch, leaves partial windows out.
#
# A worked example, small enough for paper. **Predict** y before you run the cell.

# %%
x = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3], [5, 8, 9, 7, 9], [3, 2, 3, 8, 4], [6, 2, 6, 4, 3]], np.float64)[None, :, :, None]
print(x[0, :, :, 0].astype(int))
print("y =")
print(mg.MaxPool2d(3, 2).forward(x)[0, :, :, 0].astype(int))

# %% [markdown]
# ### Exercise: the largest of each window
#
# Remember who won: `self.won[n, r, q, c, m]` is true if number m of that window, at row `m // K` and column `m % K`, is its winner. Exactly one
# of the K·K is, in case of a tie too: `argmax` gives the number of *one* largest. `sliding_window_view` gives all windows without copying (notebook 00); reshape the
# two axes of a window into one of K·K, and `max` and `argmax` run along it.

# %% exercise="maxpool.forward"

# %% [markdown]
# ## 2 · Who won?
#
# A layer without weights still has a memory: `forward` has to keep the winners, since `backward` cannot know them from dy. Here is a
# pullover from the embedded Fashion-MNIST, pooled twice. The map on the right counts how often each pixel has won.

# %%
dataset = data.load()
picture = dataset.train_images[np.flatnonzero(dataset.train_labels == 2)[0]][None].astype(np.float64)
pool = mg.MaxPool2d(3, 2)
once = pool.forward(picture)
wins = pool.backward(np.ones_like(once))  # a dy of 1 from every window: the sum counts victories
twice = mg.MaxPool2d(3, 2).forward(once)
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9))
for axis, image, title in zip(axes, (picture, once, twice), ("x", "pooled once", "pooled twice"), strict=False):
    axis.imshow(image[0, :, :, 0], cmap="gray", vmin=0, vmax=255)
    axis.set(title=f"{title}: {image.shape[1]} × {image.shape[2]}", xlabel="column", ylabel="row")
    axis.locator_params(integer=True)
shown = axes[3].imshow(wins[0, :, :, 0], cmap="magma", vmin=0, vmax=4)
axes[3].set(title="windows won", xlabel="column", ylabel="row")
figure.colorbar(shown, ax=axes[3], ticks=range(5), label="windows", shrink=0.65)
plt.show()
print(f"pixels that won nothing: {(wins == 0).mean():.0%};  most windows won by one pixel: {int(wins.max())}")

# %% [markdown]
# Bright pixels win several windows, most win none. In the black background all nine are tied, and the winner is the first in row-major order:
# top left.
#
# If a winner changes by δ, y changes by δ. If a loser changes a little, nothing happens. So:
#
# $$dx_p = \sum_{\text{windows } w \text{ that } p \text{ won}} dy_w$$
#
# This is a **scatter-add**: each dy is sent to one pixel, and a pixel adds up what arrives.
#
# **Predict.** In the worked example above, dy = [[1, 10], [100, 1000]]. The 9 in the middle, at row 2, column 2, is in all four windows. What
# does it get?

# %%
pool = mg.MaxPool2d(3, 2)
pool.forward(x)
print(pool.backward(np.array([[1.0, 10.0], [100.0, 1000.0]])[None, :, :, None])[0, :, :, 0].astype(int))

# %% [markdown]
# Not 1111. There is a 9 at row 1, column 0, which comes first in the first window: it took the 1. The 9 in the middle comes before the one at
# row 2, column 4: it takes 10, 100 and 1000.
#
# ### Mend a bug
#
# Somebody wrote the scatter in one line, with an index array. It looks right. **Read** it, **predict** which pixels are wrong, look at the
# report, then **mend** the marked line and run the cell again.
#
# The checker can be told of a suspect: a layer with a mistake that is known, and a sentence for it. If all gradients are exactly the suspect's, the report says so.


# %%
class OneLineScatter(mg.MaxPool2d):
    """Max-pooling whose backward has a mistake."""

    def forward(self, x):
        self.x = x
        return super().forward(x)

    def backward(self, dy):
        K, S, (N, OH, OW, C) = self.kernel_size, self.stride, dy.shape
        windows = np.lib.stride_tricks.sliding_window_view(self.x, (K, K), axis=(1, 2))[:, ::S, ::S].reshape(N, OH, OW, C, K * K)
        i, j = np.divmod(windows.argmax(axis=-1), K)
        n, r, q, c = np.indices(dy.shape)
        dx = np.zeros_like(self.x)
        dx[n, r * S + i, q * S + j, c] += dy  # mend this line
        return dx


class LastWindow(OneLineScatter):
    """A suspect: of all windows that a pixel won, only the last one is heard."""

    def backward(self, dy):
        dx, K, S = np.zeros_like(self.x), self.kernel_size, self.stride
        for n, r, q, c in np.ndindex(dy.shape):
            i, j = np.divmod(self.x[n, r * S : r * S + K, q * S : q * S + K, c].argmax(), K)
            dx[n, r * S + i, q * S + j, c] = dy[n, r, q, c]
        return dx


suspect = ("a pixel that won several windows gets the dy of the last one alone; it should get the sum", LastWindow)
print(check_layer(OneLineScatter, (3, 7, 6, 2), title="a scatter in one line", suspects=[suspect]))

# %% [markdown]
# `dx[index] += dy` reads, adds and writes *once* for each index, also where an index occurs twice: the last one wins. `np.add.at(dx, index, dy)`
# adds every time. On a GPU the same mistake is a race between threads; minigrad's kernel `layers/pool.cu` turns the question round: each *pixel*
# asks the windows around it whether it won, so no two threads write to one place.
#
# ### Exercise: winners receive
#
# Without index arrays: number m of all windows at once is one slice of the image, with step S. So K·K slices, each added.

# %% exercise="maxpool.backward"

# %% [markdown] mistakes="maxpool.forward maxpool.backward"
# **What goes wrong**

# %% [markdown]
# ## 3 · A tie is a kink
#
# Two equal numbers in a window: raise the first and y rises; lower it and nothing happens, since the other one is there. The left slope is 0,
# the right one 1. As with ReLU at 0 there is no derivative, and any share between is right, if the shares of a tie **add up to one dy**.
#
# **Predict** which of these four pass the checker on an image full of ties.


# %%
class Tied(plain.MaxPool2d):
    """Max-pooling with a rule for ties."""

    def __init__(self, rule):
        super().__init__(3, 2)
        self.rule = rule

    def forward(self, x):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2]
        windows = windows.reshape(*windows.shape[:4], 9)
        best = windows == windows.max(axis=-1, keepdims=True)
        if self.rule == "first":
            best &= best.cumsum(axis=-1) == 1
        elif self.rule == "last":
            best &= best[..., ::-1].cumsum(axis=-1)[..., ::-1] == 1
        elif self.rule == "shared":
            best = best / best.sum(axis=-1, keepdims=True)
        self.won, self.x_shape = best, x.shape
        return windows.max(axis=-1)


tied = np.round(2 * rng.standard_normal((3, 7, 6, 2))) / 2
for rule in ("first", "last", "shared", "every maximum gets dy"):
    report = check_layer(lambda rule=rule: Tied(rule), tied)
    print(f"{rule:22s} {report.status:7s} {report.kinks} elements at kinks")

# %% [markdown]
# The last one is the only wrong one, and the hardest to see: every single element lies between its two slopes. The checker moves tied numbers
# *together*. A tie stays a tie on the way, so that slope is no matter of convention, and there the shares add up to too much.
#
# Does overlap help? The paper measured 0.4 and 0.3 points less error (top-1 and top-5) than with 2 × 2 windows. A later careful repetition found the
# opposite (Mishkin, Sergievskiy and Matas 2017: accuracy 48.4 % without overlap, 47.1 % with). Nobody knows before it is tried.
#
# ## 4 · Local response normalisation
#
# In the brain an excited neuron quietens its neighbours. The paper does it across **channels**, at one place of the image (§3.3): each number is
# divided by a power of the energy around it.
#
# $$s_i = k + \alpha \sum_{j=\max(0,\,i-n/2)}^{\min(C-1,\,i+n/2)} x_j^2 \qquad\qquad y_i = x_i \, s_i^{-\beta}$$
#
# with n = 5, α = 0.0001, β = 0.75, k = 2. What does that do to a number?

# %%
norm = mg.LocalResponseNorm()
print(norm)
strength = np.linspace(0, 400, 200)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4))
for active, style in ((1, "-"), (3, "--"), (5, ":")):
    x = np.zeros((len(strength), 5))
    x[:, 2 - active // 2 : 3 + active // 2] = strength[:, None]
    axes[0].plot(strength, norm.forward(x)[:, 2], style, label=f"{active} of 5 channels equally strong")
axes[0].set(xlabel="response x", ylabel="normalised y", title="Strong responses are held down, more so in company")
axes[0].legend(fontsize=8)
for own, style in ((10, "-"), (100, "--"), (300, ":")):
    x = np.zeros((len(strength), 5))
    x[:, 2], x[:, 3] = own, strength
    y = norm.forward(x)[:, 2]
    axes[1].plot(strength, y / y[0], style, label=f"x = {own}")
axes[1].set(
    xlabel="response of one neighbour", ylabel="y, as a fraction of y beside a silent one", title="A loud neighbour makes you quieter"
)
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# Small responses only lose the factor 2^(−0.75) = 0.59. Near 100 the sum begins to matter, and from x = 200 on a lonely response even *falls*, since
# 2β > 1. (Where y is largest: set dy/dx = 0.) On responses of unit size the paper's constants do almost nothing.
#
# **Predict.** Seven channels, all equal to 100. Which come out *largest*, those in the middle or those at the ends?

# %%
for value in (1.0, 10.0, 100.0):
    print(f"x = {value:5.0f}:", norm.forward(np.full((1, 7), value))[0].round(4))

# %% [markdown]
# The ends: they have fewer neighbours. The window is cut off at the first and the last channel, it does not wrap around.
#
# ### Exercise: normalisation, forward
#
# x may have any number of axes; channels are the last. `_window_sum(a, size)` is given: it sums over a window of channels, with zeros beyond the first and the
# last. Keep x and s for backward.

# %% exercise="lrn.forward"

# %% [markdown]
# ## 5 · The cross term
#
# Now backward. $x_i$ stands in $y_i$ twice, before the power and inside $s_i$. And it stands in its neighbours' $s_j$:
#
# $$\frac{\partial y_j}{\partial x_i} = [i = j] \, s_i^{-\beta} \;-\; 2\alpha\beta \, x_i \, x_j \, s_j^{-\beta-1} \quad \text{if } |i - j| \le n/2$$
#
# Multiply by $dy_j$ and sum over j:
#
# $$dx_i = dy_i \, s_i^{-\beta} - 2\alpha\beta \, x_i \sum_{j \text{ near } i} dy_j \, x_j \, s_j^{-\beta-1}$$
#
# "j near i" is the same as "i near j", so backward sums over the same windows as forward. The matrix ∂y/∂x of nine channels, once measured by
# differences, once by the first term alone:

# %%
strong = mg.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=1.0)
x = kink_free((1, 9), rng)
jacobian = np.stack([numerical_gradient(strong.forward, x, row[None])[0] for row in np.eye(9)])
s = 1 + 0.5 * np.array([np.sum(x[0, max(0, i - 2) : i + 3] ** 2) for i in range(9)])
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5))
limit = np.abs(jacobian).max()
for axis, matrix, title in zip(axes, (jacobian, np.diag(s**-0.75)), ("measured by differences", "first term alone"), strict=True):
    shown = axis.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
    axis.set(title=title, xlabel="channel i of x", ylabel="channel j of y")
    for j, i in np.ndindex(9, 9):
        if matrix[j, i] < -0.005:
            axis.text(i, j, "−", ha="center", va="center", fontsize=9)
        elif matrix[j, i] > 0.005:
            axis.text(i, j, "+", ha="center", va="center", fontsize=9)
figure.colorbar(shown, ax=axes, label="∂y / ∂x")
plt.show()

# %% [markdown]
# Five diagonals, not one. (α = 0.5 here, so that they can be seen.)
#
# ### Exercise: normalisation, backward
#
# The same `_window_sum` serves; of what is the sum this time?

# %% exercise="lrn.backward"

# %% [markdown]
# ## 6 · A mistake that passes
#
# Leave out the cross term, keep the paper's constants, and compare with differences. **Predict**: would a checker with a tolerance of a
# thousandth notice?


# %%
class NoCrossTerm(plain.LocalResponseNorm):
    """Normalisation whose backward forgets that numbers enter their neighbours' sums."""

    def backward(self, dy):
        own = 2 * self.alpha * self.beta * self.x**2 * dy * self.s ** -(self.beta + 1)
        return dy * self.s**-self.beta - own


alphas, x, dy = np.logspace(-6, 0, 13), kink_free((2, 3, 3, 9), rng), rng.standard_normal((2, 3, 3, 9))
errors = {"without": [], "with": []}
for alpha in alphas:
    for name, layer in (("without", NoCrossTerm(5, alpha)), ("with", mg.LocalResponseNorm(5, alpha))):
        expected = numerical_gradient(layer.forward, x, dy)
        layer.forward(x)
        errors[name].append(np.abs(layer.backward(dy) - expected).max() / np.abs(expected).max())
figure, axis = plt.subplots(figsize=(7, 3.6))
axis.loglog(alphas, errors["without"], "o-", label="without the cross term")
axis.loglog(alphas, errors["with"], "s--", label="with it")
for tolerance in (1e-3, 1e-6):
    axis.axhline(tolerance, color="0.4", linestyle=":", linewidth=1)
    axis.text(2, tolerance * 1.3, f"tolerance {tolerance:g}", fontsize=8, ha="right")
axis.axvline(1e-4, color="0.6", linestyle="--", linewidth=1)
axis.text(1.2e-4, 1e-8, "the paper's α", fontsize=8)
axis.set(xlabel="α", ylabel="largest error / largest gradient", title="The same mistake, seen at different α, |x| ≤ 2", ylim=(1e-12, 3))
axis.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.2))
plt.show()
print(f"without the cross term at α = 1e-4: {errors['without'][4]:.1e}, at α = 0.3: {errors['without'][11]:.1e}")

# %% [markdown]
# At the paper's α and |x| ≤ 2 the mistake is smaller than a thousandth, and it passes. That is why gradients of this layer are tested at α = 0.5. The lesson
# is general: **test a layer where each of its terms matters.**

# %% [markdown] mistakes="lrn.forward lrn.backward"
# **What goes wrong**

# %% [markdown]
# ## 7 · Five meanings of alpha
#
# The same formula, different constants: most copies of AlexNet do not have its normalisation.
#
# | system | what is written there | in minigrad's words |
# |---|---|---|
# | paper §3.3, Chainer, minigrad | α · sum, k = 2, α = 1e-4 | `LocalResponseNorm(5, 1e-4, 0.75, 2.0)` |
# | the program of 2012, its run 145 | `scale=0.0001`, divided by the size | `alpha=2e-5, k=2.0` |
# | Caffe's AlexNet | α/n · sum, k = 1 | `alpha=2e-5, k=1.0` |
# | PyTorch `LocalResponseNorm(5)` | α/n · sum, k = 1 | `alpha=2e-5, k=1.0` |
# | TensorFlow's default | radius 5 (so size 11), α = 1, β = 0.5, k = 1 | `size=11, alpha=1.0, beta=0.5, k=1.0` |
#
# The published network was trained with 2e-5, though the paper prints 1e-4. How one knows: in 2025 the Computer History Museum published the original program
# (`AlexNet-Source-Code`), with about 150 settings of the network, numbered, and the author's notes on what each gave. Number 145 (`layers/layers-145.cfg` and
# `layer-params-145.cfg`) is the paper's network: its notes end with 40.664 and 18.210 % error, the "1 CNN" of the paper's Table 2. minigrad keeps the paper's words. In PyTorch our default is
# `LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)`.
#
# And **whose** channels? The channels of one tower. One layer over all 96 is another function. **Predict** in which channels.

# %%
x = rng.uniform(0, 150, (1, 4, 4, 96)).astype(np.float32)
one = mg.LocalResponseNorm().forward(x)
two = np.concatenate([mg.LocalResponseNorm().forward(half) for half in np.split(x, 2, axis=-1)], axis=-1)
difference = np.abs(one - two).max(axis=(0, 1, 2)) / np.abs(one).max()
figure, axis = plt.subplots(figsize=(8, 2.6))
axis.bar(range(96), 100 * difference, width=0.9)
axis.axvline(47.5, color="0.4", linestyle="--", linewidth=1)
axis.text(44, axis.get_ylim()[1] * 0.9, "tower 0", ha="right", fontsize=9)
axis.text(51, axis.get_ylim()[1] * 0.9, "tower 1", fontsize=9)
axis.set(
    xlabel="channel", ylabel="difference in % of max |y|", title="One normalisation over 96 channels against two over 48", xlim=(-1, 96)
)
plt.show()
print("they differ in channels", np.flatnonzero(difference).tolist())
assert np.flatnonzero(difference).tolist() == [46, 47, 48, 49]

# %% [markdown]
# Four channels of 96. A network with imported weights still works with the wrong one, only a little worse: such a mistake lives for years.
#
# Does normalisation help? The paper: 1.4 and 1.2 points. Among the numbered runs of the same program, 148 is the network without any normalisation: 42.03 and
# 19.36 % error, 1.37 and 1.15 points worse than 145. But 167, with the first one alone, has 40.49 and 18.12 % and loses nothing. Mishkin, Sergievskiy and Matas (2017,
# "Systematic evaluation of convolution neural network advances on the ImageNet") measured 47.1 % accuracy without, 47.0 % with.
#
# ## 8 · Four rituals
#
# For both layers, as asserts. First, forward against a loop that anybody can read.

# %%
x = rng.standard_normal((2, 7, 6, 7))
y = mg.MaxPool2d(3, 2).forward(x)
for n, r, q, c in np.ndindex(y.shape):
    assert y[n, r, q, c] == max(x[n, 2 * r + i, 2 * q + j, c] for i in range(3) for j in range(3))
y = strong.forward(x)
for n, r, q, i in np.ndindex(y.shape):
    energy = sum(x[n, r, q, j] ** 2 for j in range(max(0, i - 2), min(6, i + 2) + 1))
    assert np.isclose(y[n, r, q, i], x[n, r, q, i] * (1 + 0.5 * energy) ** -0.75, rtol=1e-12)
print("1 · forward equals the loop")

# %%
for make in (lambda: mg.MaxPool2d(3, 2), lambda: mg.LocalResponseNorm(5, alpha=0.5, beta=0.75, k=1.0)):
    report = check_layer(make, (3, 7, 6, 7))
    assert report.ok and report.kinks == 0, report
    print(
        f"2 · {make()}: gradients right in {report.evaluations} evaluations, worst error {max(e.worst_error for e in report.entries):.1e}"
    )

# %%
x = rng.standard_normal((8, 27, 27, 48)).astype(np.float32)
for fast, slow in ((mg.MaxPool2d(3, 2), plain.MaxPool2d(3, 2)), (mg.LocalResponseNorm(), plain.LocalResponseNorm())):
    assert np.allclose(fast.forward(x), slow.forward(x), rtol=1e-5, atol=1e-6)
    dy = rng.standard_normal(slow.forward(x).shape).astype(np.float32)
    assert np.allclose(fast.backward(dy), slow.backward(dy), rtol=1e-5, atol=1e-6)
print("3 · the fast layers equal the plain ones")

# %%
few, labels = dataset.train_images[:16].astype(np.float32) - 128, dataset.train_labels[:16]
net = mg.Sequential(
    conv1=mg.Conv2d(1, 8, 5, rng=rng),
    relu1=mg.ReLU(),
    norm1=mg.LocalResponseNorm(),
    pool1=mg.MaxPool2d(3, 2),
    flatten=mg.Flatten(),
    fc=mg.Linear(11 * 11 * 8, 10, rng=rng),
)
loss, optimizer = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), lr=1e-3)
for _ in range(60):
    value = loss.forward(net.forward(few), labels)
    net.backward(loss.backward())
    optimizer.step()
right = (net.forward(few).argmax(axis=1) == labels).mean()
print(f"4 · after 60 steps the loss is {value:.4f}, {right:.0%} of {len(few)} images are right: overfitted, as they should be")
assert right == 1

# %% [markdown]
# ## Recap
#
# | layer | x | y | kept for backward | dx |
# |---|---|---|---|---|
# | `MaxPool2d(3, 2)` | (N, H, W, C) | (N, (H−3)//2+1, (W−3)//2+1, C) | who won, shaped as y | the sum of dy over the windows won |
# | `LocalResponseNorm()` | (N, H, W, C) | the same | x and s | dy s^(−β) − 2αβ x · window sum of dy y / s |
#
# In AlexNet: 55 × 55 × 48 → norm1 → pool1 → 27 × 27 × 48, and 27 × 27 × 128 → norm2 → pool2 → 13 × 13 × 128, in each tower. Neither has a parameter.
#
# **Explain**, in three sentences: why does pooling's backward need `+=`, and why does normalisation's need a sum over neighbours, although
# both belong to layers in which every output is computed on its own?
#
# *(your answer)*
#
# In the library: `minigrad/layers/pool.py` takes columns first, then rows, so a 3 × 3 window costs 4 comparisons instead of 8;
# `minigrad/layers/lrn.py` replaces s^0.75 by two square roots. Beside each lie its CUDA kernels. Next:
# [06 · The recipe of 2012](06_training_recipe.ipynb).
