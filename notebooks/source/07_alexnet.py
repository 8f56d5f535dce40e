# %% [markdown]
# # 07 · AlexNet put together
#
# **The question.** Eight layers with weights, sixty million numbers. Where are they, what do they cost, and how do you find out that twenty parts have
# been put together *right*, before a week of training tells you that they have not?
#
# **You will** work out every shape, write the network stage by stage, account for its parameters, its arithmetic and its memory, and check the
# whole of it with a handful of evaluations. About 50 minutes.
#
# Before: [06 · The recipe of 2012](06_training_recipe.ipynb). Next: [08 · Two devices](08_two_devices.ipynb). In the paper: §3.5 and Figure 2.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from alexnet import OVERHANG, AlexNet
from minigrad import data, plain
from minigrad.commands.summary import describe, summary
from minigrad.coursework import tasks
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 7
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · 224 pixels that should be 227
#
# The paper says: images of 224 × 224, kernels of 11 × 11, stride 4, and 55 × 55 outputs. **Predict** with the formula of notebook 03,
# $(H - K)/S + 1$: what comes out of 224? What size would give 55?

# %%
for H in (224, 227):
    print(f"H = {H}: (H - 11) / 4 + 1 = {(H - 11) / 4 + 1}")

# %% [markdown]
# Many call 224 a typo. It is none: the program of 2012 rounded **up**, so its last window hangs three pixels over the right and the lower edge,
# and reads zeros there. Zeros after the mean is subtracted: mean grey. In minigrad that is `padding=(0, 3, 0, 3)`, in the order top, bottom, left,
# right.

# %%
figure, axis = plt.subplots(figsize=(9, 2.5))
axis.axvspan(199.5, 223.5, color="0.92")
axis.axvspan(223.5, 226.5, color="#f3c6a5")
for w in range(50, 55):
    axis.plot([4 * w - 0.4, 4 * w + 10.4], [w, w], linewidth=6, solid_capstyle="butt", color="C0" if w < 54 else "C1")
axis.text(211, 54.6, "image", ha="center", fontsize=9)
axis.text(225, 50.1, "three\nzeros", ha="center", fontsize=9)
axis.set(xlim=(199.5, 227.5), ylim=(49.3, 55.3), xlabel="column of the image", ylabel="window", title="The last five of conv1's 55 windows")
axis.set(xticks=range(200, 228, 3), yticks=range(50, 55))
plt.show()
image = rng.standard_normal((1, 224, 224, 3)).astype(np.float32)
conv1 = mg.Conv2d(3, 48, 11, stride=4, padding=OVERHANG, rng=rng)
larger = mg.Conv2d(3, 48, 11, stride=4)
larger.W[...], larger.b[...] = conv1.W, conv1.b
assert np.array_equal(conv1.forward(image), larger.forward(np.pad(image, ((0, 0), (0, 3), (0, 3), (0, 0)))))
print("conv1:", conv1.forward(image).shape)

# %% [markdown]
# ### Exercise: what comes out of each layer
#
# `image` is (H, W, C); `layers` a list of `("conv", K, S, (top, bottom, left, right), CO)` and `("pool", K, S)`.

# %% exercise="alexnet.shapes"

# %% [markdown] mistakes="alexnet.shapes"
# **What goes wrong**

# %% [markdown]
# One tower of the paper's network, with the library's own version:

# %%
one_tower = [
    ("conv", 11, 4, OVERHANG, 48),
    ("pool", 3, 2),
    ("conv", 5, 1, (2, 2, 2, 2), 128),
    ("pool", 3, 2),
    ("conv", 3, 1, (1, 1, 1, 1), 192),
    ("conv", 3, 1, (1, 1, 1, 1), 192),
    ("conv", 3, 1, (1, 1, 1, 1), 128),
    ("pool", 3, 2),
]
for layer, shape in zip(one_tower, tasks.shapes((224, 224, 3), one_tower), strict=True):
    print(f"{layer[0]} {layer[1]} x {layer[1]}, stride {layer[2]}: {' x '.join(map(str, shape))}")

# %% [markdown]
# (Between pool2 and the third convolution the towers exchange, so it *sees* 13 × 13 × 256. That changes its weights, not its output.)
#
# ## 2 · Sixty million
#
# **Predict.** Which layer has the most parameters? Which does the most arithmetic? Which keeps the most memory? A convolution has
# K·K·C·CO weights and uses each at every output pixel; a fully connected layer uses each of its weights once.

# %%
net = AlexNet("paper", seed=SEED)
summary(net)

# %%
rows = [row for row in describe(net) if row["parameters"]]
names = [row["name"] for row in rows]
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True)
kinds = (
    ("parameters", 1e6, "parameters, millions"),
    ("macs", 1e6, "multiply-adds an image, millions"),
    ("memory", 1e3, "output, kB an image"),
)
for axis, (key, unit, label) in zip(axes, kinds, strict=True):
    values = [row[key] / unit for row in rows]
    bars = axis.barh(names, values, color=["C0" if name.startswith("conv") else "C1" for name in names])
    axis.bar_label(bars, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in values], fontsize=8, padding=2)
    axis.set(xlabel=label, title=key if key != "macs" else "arithmetic", xlim=(0, 1.2 * max(values)))
axes[0].set_ylabel("layer, both towers")
axes[0].invert_yaxis()
plt.show()
connected = sum(row["parameters"] for row in rows if row["name"].startswith("fc"))
arithmetic = sum(row["macs"] for row in rows if row["name"].startswith("fc")) / sum(row["macs"] for row in rows)
print(f"fully connected: {connected / net.num_parameters():.0%} of the parameters, {arithmetic:.0%} of the arithmetic")

# %% [markdown]
# Two networks in one: convolutions are *arithmetic* without parameters, connected layers are *parameters* without arithmetic. That is why the
# first are slow and the second overfit (they learn the training images by heart and fail on others), and why dropout stands behind fc6 and fc7 only.
#
# **Find the slip.** A much-copied total is 62,369,155. The list printed above says where it comes from. Check two of its lines by hand:

# %%
weights_and_biases = {
    "conv2 in towers": 2 * (5 * 5 * 48 * 128 + 128),
    "conv2 in one": 5 * 5 * 96 * 256 + 256,
    "fc6": 6 * 6 * 256 * 4096 + 4096,
    "fc7": 4096 * 4096 + 4096,
    "fc8": 4096 * 1000 + 1000,
}
for name, number in weights_and_biases.items():
    print(f"{name:16s} {number:11,}")
assert weights_and_biases["conv2 in towers"] == next(row["parameters"] for row in rows if row["name"] == "conv2")
assert net.num_parameters() == 60_965_224
assert sum(p.value.size for p in net.parameters() if p.name.startswith("tower0")) == 30_482_612

# %% [markdown]
# ## 3 · Why two GPUs
#
# A training step needs each parameter three times (value, gradient, velocity) and, for backward, the outputs of the layers for each image.
# **Predict**: at the paper's batch of 128, which of the two is more? The GPUs of 2012 had 3 GB each.

# %%
parameters, outputs = 3 * 4 * net.num_parameters(), sum(row["memory"] for row in describe(net))
batch = np.arange(0, 513, 8)
figure, axis = plt.subplots(figsize=(7, 3.4))
axis.stackplot(
    batch,
    np.full(len(batch), parameters / 1e9),
    batch * outputs / 1e9,
    batch * outputs / 1e9,
    labels=["parameters, gradients, velocities", "outputs, kept for backward", "their gradients, if all were kept"],
    colors=["#0072B2", "#E69F00", "#f5d58f"],
)
axis.axhline(3, color="black", linestyle="--", linewidth=1)
axis.text(5, 3.12, "one GPU of 2012: 3 GB", fontsize=8)
axis.plot([128, 128], [0, 3], color="0.3", linewidth=1)
axis.text(132, 0.1, "batch 128", fontsize=8, color="white")
axis.set(xlabel="images in a batch", ylabel="memory, GB", title="What a training step holds, both towers", xlim=(0, 512))
axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.88))
plt.show()
print(f"parameters {parameters / 1e9:.2f} GB; outputs {128 * outputs / 1e9:.2f} GB at batch 128, {outputs / 1e6:.2f} MB an image")

# %% [markdown]
# At batch 128 that is just below the line, and it leaves nothing for the rest: two batches of images, and above all
# the patches of the convolutions, if somebody makes the matrix for a whole batch: conv1's alone has 363 · 3025 numbers for
# each image and tower. (minigrad makes patches for a few images at a time, notebook 10.)
#
# ## 4 · Written as stages
#
# Layers in a row are a `Sequential`; columns side by side are a stage; stages with exchanges between them are `Towers`.
#
# ### Exercise: a small AlexNet
#
# Two towers, two convolutions, two connected layers. The docstring says exactly what stands where. **Before you write**: which layers see the channels of
# both towers, and how many inputs do they have?

# %% exercise="alexnet.stages"

# %% [markdown] mistakes="alexnet.stages"
# **What goes wrong**

# %% [markdown]
# ### Mend a bug
#
# Two towers, quickly written: `[column] * 2`. All shapes are right, the number of parameters looks right, the loss falls. **Predict** what is wrong, look at what
# is printed, and **mend** the marked line.


# %%
def column():
    """A small tower."""
    return mg.Sequential(conv=mg.Conv2d(3, 4, 3, rng=rng), relu=mg.ReLU())


towers = mg.Towers([[column()] * 2])  # mend this line
y = towers.forward(rng.standard_normal((2, 9, 9, 3)))
print(f"output {y.shape}; the towers' halves are equal: {np.array_equal(y[..., :4], y[..., 4:])}")
print(f"{len({id(p.layer) for p in towers.parameters()})} layers with weights hold {len(list(towers.parameters()))} parameters")

# %% [markdown]
# `[x] * 2` is a list that holds one object twice. One tower with two names: half of the network is missing. Two *calls* make two towers.
#
# In the library the same thing for the whole network is `paper` in `alexnet.py`: 40 lines that follow §3.5 of the paper.
#
# What is often said of this network, and what is right:
#
# | said | right |
# |---|---|
# | conv2 has kernels of 5 × 5 × 96 | 5 × 5 × 48 in each tower; conv4 and conv5 see their own tower, too |
# | normalisation comes before ReLU | after it (the program of 2012 had it before, in layer 1 alone) |
# | weights N(0, 0.01) in every layer | the program had 0.03 in conv3–5 (notebook 06) |
# | 2,048 crops | offsets 0 … 32: 33² · 2 = 2,178 (notebook 09) |
# | PyTorch's AlexNet is AlexNet | 2014's widths, no normalisation, one tower, other padding: 61,100,840 parameters, here `variant="owt"` |
#
# ## 5 · Is it wired right? First glance: ln 1000
#
# An untrained network knows nothing. If all classes are equally likely, the loss is −ln(1/1000) = ln 1000. **Predict** it, and what a loss of 0.1, or of
# 50, would tell you.

# %%
dataset = data.load()
mean = dataset.train_images.mean(axis=0)
N = 4 if FAST else 16
large = (dataset.train_images[:N] - mean).repeat(8, axis=1).repeat(8, axis=2).repeat(3, axis=3).astype(np.float32)  # 28 · 8 = 224
loss = mg.SoftmaxCrossEntropy()
value = loss.forward(net.forward(large), rng.integers(0, 1000, N))
print(f"first loss {value:.3f}, ln 1000 = {np.log(1000):.3f}")

# %% [markdown]
# Far below: the labels have leaked in. Far above: the logits are huge, since the images have not lost their mean, or the weights are too large. ln 500: each
# tower has a softmax of its own.
#
# ## 6 · The whole network, by directions
#
# A gradient check of single elements needs two evaluations for each of 60 million. But one number is enough to test a whole tensor: go
# a small step along a random **direction** D, all elements at once.
#
# $$\frac{L(W + hD) - L(W - hD)}{2h} \;\approx\; \sum dW \cdot D$$
#
# One wrong element of dW, and the two sides disagree, unless D happens to be blind to it. Two evaluations a tensor, whatever its size. On the network `small`
# (28-pixel images, float64):

# %%
small = AlexNet("small", num_classes=10, seed=SEED).eval().astype(np.float64)
images = np.repeat(dataset.train_images[:4] - mean, 3, axis=-1)
dlogits = rng.standard_normal((4, 10))


def by_directions(network, rng, planted=None):
    """|slope - dW · D| / |slope| of each parameter, along one random direction. planted: a name whose dW gets a mistake."""
    network.forward(images)
    network.backward(dlogits)
    if planted is not None:
        wrong = next(p for p in network.parameters() if p.name == planted)
        wrong.grad[:, :, :, 0] *= 1.01  # the kernel of one output channel, 1 % off
    errors = {}
    for p in network.parameters():
        D, start = rng.standard_normal(p.value.shape), p.value.copy()
        h = 1e-6 * np.abs(start).max() or 1e-6
        p.value[...] = start + h * D
        up = np.sum(dlogits * network.forward(images))
        p.value[...] = start - h * D
        down = np.sum(dlogits * network.forward(images))
        p.value[...] = start
        slope = (up - down) / (2 * h)
        errors[p.name] = abs(slope - np.sum(p.grad * D)) / max(abs(slope), 0.01 * np.linalg.norm(p.grad))
    return errors


# %% [markdown]
# **Predict.** We plant a mistake in conv3 of tower 1: the gradient of *one* of its 48 kernels is 1 % too large. Will a single direction see it? How far
# will it stand out?

# %%
right = by_directions(small, np.random.default_rng(SEED))
wrong = by_directions(small, np.random.default_rng(SEED), planted="tower1.conv3.W")
figure, axis = plt.subplots(figsize=(10, 3.6))
axis.semilogy(
    range(len(right)), list(wrong.values()), "o", markersize=8, markerfacecolor="none", color="C1", label="one kernel's gradient 1 % off"
)
axis.semilogy(range(len(right)), list(right.values()), ".", color="C0", label="the network as it is")
axis.axhline(1e-6, color="0.5", linestyle=":")
axis.set(
    xlabel="parameter",
    ylabel="relative error of the slope",
    title=f"{small.num_parameters():,} parameters checked with {2 * len(right)} evaluations",
)
axis.set_xticks(range(len(right)), [name.replace("tower", "t") for name in right], rotation=90, fontsize=7)
axis.legend(fontsize=8, loc="upper left")
plt.show()
print(f"as it is: at most {max(right.values()):.0e}; tower1.conv3.W with the mistake: {wrong['tower1.conv3.W']:.0e}")
assert max(right.values()) < 1e-5 < wrong["tower1.conv3.W"]

# %% [markdown]
# minigrad's checker goes on from there: eight directions, and where they disagree it halves the set of elements until one is left. So it names the
# element (notebook 01). Here it checks a tiny network of your exercise's kind, in training mode, dropout and all:


# %%
def tiny():
    """A small network of two towers whose dropout masks are the same in every run."""
    network = mg.Towers(tasks.stages((4, 6), 32, 4, 2))
    for t, tower in enumerate(network.stages[2]):
        tower["drop3"].masks.key = SEED + t
    return network


report = check_layer(tiny, (3, 11, 12, 3), wrt_x=False, title="a tiny AlexNet", budget=300)
print(f"{report.status}: {len({e.tensor for e in report.entries})} parameters, {report.evaluations} evaluations, {report.seconds:.1f} s")
assert report.ok, report

# %% [markdown]
# ## 7 · Do the gradients reach conv1?
#
# Right is not enough; they should also be *of a size*. If |dW| / |W| falls by ten with each layer, conv1 hardly learns. **Predict** which of these
# settings is in trouble (notebook 06 shows why).

# %%
few, labels = np.repeat(dataset.train_images[:32] - mean, 3, axis=-1).astype(np.float32), dataset.train_labels[:32]
figure, axis = plt.subplots(figsize=(7, 3.6))
for init, style in (("2012", "o-"), ("paper", "s--"), ("he", "^:")):
    start = AlexNet("small", num_classes=10, init=init, seed=SEED)
    loss.forward(start.forward(few * np.float32(start.input_scale)), labels)
    start.backward(loss.backward())
    ratios = [np.linalg.norm(p.grad) / np.linalg.norm(p.value) for p in start.parameters() if p.name.endswith("W") and "tower0" in p.name]
    axis.semilogy(names, ratios, style, label=f'init="{init}"')
axis.set(xlabel="layer", ylabel="|dW| / |W|", title="Gradients of the first step, network small, tower 0")
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# With 0.01 everywhere, as the paper says it, the first layers get the smallest share; the program's 0.03 in conv3–5 mends that.
#
# ## 8 · Overfit thirty-two images
#
# The last test before training: a network that cannot **overfit** 32 images, learn them by heart, will not learn 1.2 million. Dropout is switched off for it.
# **Predict** the shape of the curve.

# %%
steps = 60 if FAST else 150
learner = AlexNet("small", num_classes=10, seed=SEED)
for _, _, _, layer in learner.layers():
    if isinstance(layer, mg.Dropout):
        layer.p = 0.0
optimizer, losses = mg.SGD(learner.parameters(), lr=0.01), []
for _ in range(steps):
    losses.append(loss.forward(learner.forward(few), labels))
    learner.backward(loss.backward())
    optimizer.step()
figure, axis = plt.subplots(figsize=(7, 3.2))
axis.semilogy(losses)
axis.axhline(np.log(10), color="0.5", linestyle=":", linewidth=1)
axis.text(steps, np.log(10) * 1.1, "ln 10", fontsize=8, ha="right")
axis.set(xlabel="step", ylabel="loss", title="The network small overfits 32 images")
plt.show()
known = (learner.eval().forward(few).argmax(axis=1) == labels).mean()
print(f"loss {losses[0]:.2f}, at most {max(losses):.2f}, at the end {losses[-1]:.4f}; {known:.0%} right")

# %% [markdown]
# First it rises: with momentum 0.9 and no warm-up the first steps go too far. Then it falls below ln 10, and once it is there it does not stop.
#
# ## 9 · Four rituals
#
# The network against the same network of plain layers, stage by stage, with the exchange written out.


# %%
def twin(layer):
    """The plain layer that should do the same."""
    if isinstance(layer, mg.Conv2d):
        copy = plain.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
    elif isinstance(layer, mg.Linear):
        copy = plain.Linear(layer.in_features, layer.out_features)
    elif isinstance(layer, mg.MaxPool2d):
        copy = plain.MaxPool2d(layer.kernel_size, layer.stride)
    elif isinstance(layer, mg.LocalResponseNorm):
        copy = plain.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)
    elif isinstance(layer, mg.Dropout):
        copy = plain.Dropout(layer.p, scale_at=layer.scale_at).eval()
    else:
        copy = {mg.ReLU: plain.ReLU, mg.Flatten: plain.Flatten}[type(layer)]()
    for p, q in zip(copy.parameters(), layer.parameters(), strict=True):
        p.value = q.value
    return copy


twins = [[[twin(layer) for layer in tower.layers.values()] for tower in stage] for stage in small.towers.stages]
x = images
for stage in twins:
    parts = []
    for tower in stage:
        h = x
        for layer in tower:
            h = layer.forward(h)
        parts.append(h)
    x = np.concatenate(parts, axis=-1)
assert np.allclose(small.forward(images), x, rtol=1e-10)
print("1 · forward equals the plain layers")

# %%
assert max(right.values()) < 1e-5 and report.ok
print("2 · gradients right, along directions and one by one")

# %%
small.backward(dlogits)
dy = dlogits
for stage in reversed(twins):
    partials = []
    for tower, part in zip(stage, np.split(dy, 2, axis=-1), strict=True):
        for layer in reversed(tower):
            part = layer.backward(part)
        partials.append(part)
    dy = sum(partials)
for stage, copies in zip(small.towers.stages, twins, strict=True):
    for tower, copy in zip(stage, copies, strict=True):
        for layer, other in zip(tower.layers.values(), copy, strict=True):
            assert all(
                np.allclose(p.grad, q.grad, rtol=1e-8, atol=1e-12) for p, q in zip(layer.parameters(), other.parameters(), strict=True)
            )
print("3 · and so do all gradients, fast against plain")

# %%
assert known == 1 and losses[-1] < 0.05
print("4 · it overfits 32 images")

# %% [markdown]
# ## Recap
#
# | layer (one tower) | sees | gives | weights |
# |---|---|---|---|
# | conv1 11 × 11 / 4, norm1, pool1 | 224 × 224 × 3 | 55 × 55 × 48 → 27 × 27 × 48 | 17,424 |
# | conv2 5 × 5, norm2, pool2 | 27 × 27 × 48 | 27 × 27 × 128 → 13 × 13 × 128 | 153,600 |
# | conv3 3 × 3, *sees both* | 13 × 13 × 256 | 13 × 13 × 192 | 442,368 |
# | conv4 3 × 3 | 13 × 13 × 192 | 13 × 13 × 192 | 331,776 |
# | conv5 3 × 3, pool5 | 13 × 13 × 192 | 13 × 13 × 128 → 6 × 6 × 128 | 221,184 |
# | fc6, drop6, *sees both* | 9216 | 2048 | 18,874,368 |
# | fc7, drop7, *sees both* | 4096 | 2048 | 8,388,608 |
# | fc8, *sees both* | 4096 | 500 | 2,048,000 |
#
# **Explain**: somebody's network has the right number of parameters, and its first loss is 6.9. What can still be wrong, and which of the tests above
# would find it?
#
# *(your answer)*
#
# In the library: `alexnet.py`; from the command line `python alexnet.py summary --variant one-tower` (or `owt`, `half`, `small`). Next:
# [08 · Two devices](08_two_devices.ipynb).
