# %% [markdown]
# # 02 · A network by hand
#
# **The question.** What does a library do when it "learns"? Nothing that does not fit on two pages: a few products forward, the chain rule
# backward, which is called **backpropagation**, and a step downhill.
#
# **You will** write a fully connected layer, ReLU and softmax cross-entropy with their derivatives, check each, and train a small network made
# of the library's. About 60 minutes.
#
# Before: [01 · Can you trust a derivative?](01_derivatives.ipynb). Next: [03 · Convolution I](03_convolution_1.ipynb)

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from minigrad import data
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · The contract
#
# A layer is an object with two methods.
#
# - `forward(x)` computes y, and keeps what backward will need.
# - `backward(dy)` is handed dL/dy, what the loss L does when y changes. It returns dL/dx, and leaves dL/dW and dL/db in `self.dW` and `self.db`.
#
# Here x, y, W and b are **tensors**, arrays with any number of axes, and in this library `dA` always means dL/dA, a number for every number of A: it has the
# shape of A. A network is a chain of layers: forward from the first to the last, backward
# from the last to the first: each hands its dx, as dy, to the one before. There is no graph and no tape. Four rules keep it simple, and the checker tests them all:
#
# 1. `backward` **overwrites** dW and db. It never adds to what is there.
# 2. Nobody writes into x, dy or the parameters.
# 3. float32 in, float32 out; float64 in, float64 out.
# 4. The batch before leaves no trace.

# %% [markdown]
# ## 2 · Fully connected
#
# Every output looks at every input: $y = xW + b$, with x `(N, in)`, W `(in, out)`, b `(out,)`, y `(N, out)`. In numbers:
#
# $$y_{no} = \sum_i x_{ni} W_{io} + b_o$$
#
# Now the **chain rule of several variables**. If a moves several numbers $y_k$, and each of them moves L, then the effects add up:
#
# $$\frac{\partial L}{\partial a} = \sum_k \frac{\partial L}{\partial y_k} \, \frac{\partial y_k}{\partial a} = \sum_k dy_k \, \frac{\partial y_k}{\partial a}$$
#
# It is the sum of notebook 01, and it is all of backpropagation: for each number a of a layer ask *which outputs hear of it, and how loudly*, multiply by
# their dy, and add.
#
# One tensor at a time. Who hears of $W_{io}$? Output o of every image n, each time multiplied by $x_{ni}$. Who hears of $b_o$? Output o of every image, with
# the factor 1. Who hears of $x_{ni}$? All outputs o of its own image, with the factors $W_{io}$. So
#
# $$dW_{io} = \sum_n x_{ni}\, dy_{no} \qquad db_o = \sum_n dy_{no} \qquad dx_{ni} = \sum_o dy_{no} W_{io}$$
#
# Sums over a common index are matrix products. **Predict**: which of the arrays must be transposed in each? Shapes decide: dW is `(in, out)`, and
# you have x `(N, in)` and dy `(N, out)`.
#
# ### Exercise: fully connected
#
# `forward` keeps what `backward` needs, under the names that the docstrings give: so you can write one, check it, and then the other.

# %% exercise="linear.forward linear.backward"

# %% [markdown] mistakes="linear.forward linear.backward"
# **What goes wrong**

# %% [markdown]
# Layers *sum* over the images. The mean belongs to the loss alone, in one place.
#
# ## 3 · ReLU
#
# $y = \max(x, 0)$. Where x was positive, y moves with it, and dy passes; elsewhere nothing does. The layer must remember where x was positive:
# dy does not tell.
#
# ### Exercise: ReLU, backward

# %% exercise="relu.backward"

# %% [markdown] mistakes="relu.backward"
# **What goes wrong**

# %% [markdown]
# ### Mend a bug
#
# Somebody wanted to save memory, and every number that this ReLU returns is right. **Predict** what the checker has against it; then mend it
# until the report begins with ✓.


# %%
class Thrifty(mg.Layer):
    """y = max(x, 0)."""

    def forward(self, x):
        self.y = np.maximum(x, 0, out=x)
        return self.y

    def backward(self, dy):
        dy *= self.y > 0
        return dy


print(check_layer(Thrifty, (3, 4), title="Thrifty"))

# %% [markdown]
# ## 4 · Softmax and cross-entropy
#
# The last layer gives a **logit** for each class, any number. They are called $z_{nc}$, for image n and class c. Softmax makes probabilities of them, and the loss is minus the logarithm of the
# probability of the right class, averaged over the images:
#
# $$p_{nc} = \frac{e^{z_{nc}}}{\sum_k e^{z_{nk}}} \qquad L = -\frac{1}{N} \sum_n \log p_{n, \text{label}_n}$$
#
# Both together have a derivative that is simpler than either: with $\log p_{nc} = z_{nc} - \log\sum_k e^{z_{nk}}$,
#
# $$\frac{\partial L}{\partial z_{nc}} = \frac{1}{N}\left(p_{nc} - [c = \text{label}_n]\right)$$
#
# The bracket is 1 if what stands in it is true, else 0. Written as an array, a row for each image with a 1 at its label and 0 elsewhere, it is called
# **one-hot**: label 2 of four classes is (0, 0, 1, 0). Where the two terms come from: the label's own $z$ stands in $\log p$ with the factor 1, that is the
# bracket; and the slope of $\log\sum_k e^{z_{nk}}$ is $e^{z_{nc}} / \sum_k e^{z_{nk}} = p_{nc}$.
#
# *What the network thought, minus what is true.* A class that it believed in too much is pushed down, the right one up, and the numbers of a
# row add up to 0.
#
# Two traps. e^1000 is too large for a float: since softmax does not change when the same number is subtracted from a whole row, subtract each
# row's maximum first. And a probability may be so small that it becomes 0 in the computer; then `np.log(p)` is −∞, though its true value is an ordinary
# number such as −2000. So never compute p first and then its logarithm: compute $\log p_{nc} = z_{nc} - \log\sum_k e^{z_{nk}}$ directly, with the z that the
# maximum was subtracted from; at least one term of that sum is 1.

# %%
z = np.array([0.0, -2000.0])
with np.errstate(divide="ignore"):
    print("log of softmax:", np.log(np.exp(z) / np.exp(z).sum()), "   directly:", z - np.log(np.exp(z).sum()))

# %% [markdown]
# ### Exercise: softmax and cross-entropy
#
# For row n, the number of class `labels[n]`: an array can be indexed by two arrays at once, `a[[0, 1, 2], [3, 0, 1]]` is `a[0, 3], a[1, 0], a[2, 1]`. `np.arange(N)`
# numbers the rows. `a.sum(axis=1, keepdims=True)` keeps an axis of length 1, so that the result can be subtracted from a.

# %% exercise="loss.forward loss.backward"

# %% [markdown] mistakes="loss.forward loss.backward"
# **What goes wrong**

# %% [markdown]
# The picture: five images, four classes. **Predict** the colour of the framed squares, the right classes, before you run the cell.

# %%
logits = rng.normal(0, 2, (5, 4))
labels = np.array([2, 0, 3, 3, 1])
loss = mg.SoftmaxCrossEntropy()
value = loss.forward(logits, labels)
dlogits = loss.backward()
p = dlogits * len(labels)
p[np.arange(5), labels] += 1

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4))
for axis, numbers, title, scale in (
    (axes[0], p, "p: what the network thinks", (0, 1, "cividis")),
    (axes[1], dlogits * 5, "N · dlogits = p − one-hot", (-1, 1, "PuOr")),
):
    low, high, colours = scale
    axis.imshow(numbers, vmin=low, vmax=high, cmap=colours)
    for n in range(5):
        for c in range(4):
            dark = numbers[n, c] < 0.5 if colours == "cividis" else abs(numbers[n, c]) > 0.6
            axis.text(c, n, f"{numbers[n, c]:.2f}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
        axis.add_patch(
            plt.Rectangle(
                (labels[n] - 0.47, n - 0.47), 0.94, 0.94, fill=False, linewidth=2, edgecolor="C1" if colours == "cividis" else "black"
            )
        )
    axis.set(title=title, xlabel="class", ylabel="image", xticks=range(4), yticks=range(5))
plt.show()
print(f"loss {value:.3f}; the rows of dlogits add up to {np.abs(dlogits.sum(axis=1)).max():.0e}")

# %% [markdown]
# ## 5 · A step downhill
#
# dL/dw says in which direction L grows; so each weight w takes a small step against it, of ε times its gradient g. ε is the **learning rate**. The paper's rule
# (§5) adds two things: steps build up a *velocity* v (momentum 0.9), and weights shrink a little (weight decay λ):
#
# $$v \leftarrow 0.9\,v - \epsilon\,(g + \lambda w) \qquad w \leftarrow w + v$$
#
# That is `mg.SGD`; in [06](06_training_recipe.ipynb) you write it yourself. Now all parts are there. Three spirals of points in the plane, a
# network of two layers, and what it believes of every place in the plane.


# %%
def spirals(points, rng):
    """Three arms: x (3 points, 2), labels (3 points,)."""
    turn = np.linspace(0.1, 1, points)
    arms = []
    for k in range(3):
        angle = 2 * np.pi * (k / 3 + 0.6 * turn) + rng.normal(0, 0.15, points)
        arms.append(np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1))
    return np.concatenate(arms).astype(np.float32), np.repeat(np.arange(3), points)


def network(hidden, rng):
    return mg.Sequential(
        fc1=mg.Linear(2, hidden, std=1.0, rng=rng),
        relu1=mg.ReLU(),
        fc2=mg.Linear(hidden, 3, std=hidden**-0.5, rng=rng),
    )


x, labels = spirals(100, rng)
net, loss = network(64, np.random.default_rng(SEED)), mg.SoftmaxCrossEntropy()
optimizer = mg.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
history = []
for _ in range(300 if FAST else 1500):
    history.append(loss.forward(net.forward(x), labels))
    net.backward(loss.backward())
    optimizer.step()
wrong = (net.forward(x).argmax(axis=1) != labels).mean()
print(f"loss {history[0]:.3f} → {history[-1]:.3f}; {wrong:.1%} of the points are on the wrong side")

# %%
side = np.linspace(-1.3, 1.3, 200, dtype=np.float32)
plane = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
regions = net.forward(plane).argmax(axis=1).reshape(200, 200)
colours = ["#0072B2", "#D55E00", "#009E73"]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8))
axes[0].contourf(side, side, regions, levels=[-0.5, 0.5, 1.5, 2.5], colors=colours, alpha=0.25)
for k, marker in enumerate("os^"):
    axes[0].scatter(*x[labels == k].T, s=12, color=colours[k], marker=marker, edgecolor="white", linewidth=0.3, label=f"arm {k}")
axes[0].set(title="What it believes of every place", xlabel="first coordinate", ylabel="second coordinate", aspect="equal")
axes[0].legend(fontsize=8, loc="lower right", frameon=True)
axes[1].plot(history)
axes[1].axhline(np.log(3), color="0.5", linestyle="--", linewidth=1)
axes[1].text(len(history) * 0.98, np.log(3) * 1.03, "knowing nothing: log 3", ha="right", fontsize=9)
axes[1].set(title="The loss falls", xlabel="step", ylabel="cross-entropy", ylim=(0, None))
plt.show()

# %% [markdown]
# The borders are made of straight pieces: a network of ReLUs is a linear function on each of many small polygons.
#
# **Try** `network(4, …)` in the cell above: with four hidden units there are not enough pieces.

# %% [markdown]
# ## 6 · The four rituals

# %%
# 1: forward against a loop
fc = mg.Linear(4, 3, std=0.5, bias=0.1, rng=np.random.default_rng(1)).astype(np.float64)
small = rng.standard_normal((2, 4))
by_hand = np.array([[sum(small[n, i] * fc.W[i, o] for i in range(4)) + fc.b[o] for o in range(3)] for n in range(2)])
assert np.allclose(fc.forward(small), by_hand, rtol=1e-12)

# 2: gradient checks, of each layer and of the network
for make, shape, more in (
    (lambda: mg.Linear(5, 4), (3, 5), ()),
    (mg.ReLU, (3, 7), ()),
    (mg.SoftmaxCrossEntropy, (3, 7), (np.array([4, 0, 6]),)),
    (lambda: network(6, np.random.default_rng(1)), (5, 2), ()),
):
    report = check_layer(make, shape, *more)
    assert report.ok, str(report)
    print(str(report).splitlines()[0])

# 3: the library's Linear, which cuts its work into blocks of neurons, against the plain product
wide = mg.Linear(700, 600, rng=np.random.default_rng(1))
many = rng.standard_normal((32, 700)).astype(np.float32)
assert np.allclose(wide.forward(many), many @ wide.W + wide.b, atol=1e-5)

# %%
# 4: overfit 20 real pictures
fashion = data.load("fashion-mnist")
pictures = (fashion.train_images[:20].reshape(20, -1) / np.float32(255)).astype(np.float32)
names = fashion.train_labels[:20]
net = mg.Sequential(
    fc1=mg.Linear(784, 64, std=784**-0.5, rng=np.random.default_rng(SEED)),
    relu1=mg.ReLU(),
    fc2=mg.Linear(64, 10, std=64**-0.5, rng=np.random.default_rng(SEED)),
)
optimizer = mg.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.0)
for _ in range(100):
    value = loss.forward(net.forward(pictures), names)
    net.backward(loss.backward())
    optimizer.step()
assert (net.forward(pictures).argmax(axis=1) == names).all()
print(f"20 pictures learnt by heart, loss {value:.4f}")

# %% [markdown]
# ## Recap
#
# | layer | forward | backward |
# |---|---|---|
# | Linear | x `(N, in)` → y `(N, out)` | dx = dy·Wᵀ, dW = xᵀ·dy, db = sum of dy over images |
# | ReLU | any shape | dx = dy where x > 0 |
# | softmax cross-entropy | logits `(N, classes)`, labels `(N,)` → a number | dlogits = (p − one-hot) / N |
# | SGD | v ← 0.9 v − ε (g + λ w), w ← w + v | |
#
# **Explain**: why does dlogits not depend on how large the other images' losses are?
#
# *(your answer)*
#
# In the library: `minigrad/layers/linear.py`, `activation.py`, `loss.py`, `minigrad/optim.py`. In the paper: §3.1 (ReLU), §5 (the rule).
# Next: [03 · Convolution I](03_convolution_1.ipynb), where a fully connected layer is applied to every patch of an image.
