# %% [markdown]
# # 06 · The recipe of 2012
#
# **The question.** A correct network is not yet a network that learns. What else did it take: silence half of the units, start from the right noise,
# move with momentum, replace one curve by another? Which of it is essential, and which is habit?
#
# **You will** write dropout in both of its conventions, the update rule of 2012, and tanh; see a signal die on its way through eight layers; and
# repeat Figure 1 of the paper. About 60 minutes.
#
# Before: [05 · Pooling and normalisation](05_pooling_and_lrn.ipynb). Next: [07 · AlexNet put together](07_alexnet.ipynb).
# In the paper: §3.1, §4.2 and §5.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from alexnet import INITS, AlexNet
from minigrad import data, optim, plain, training
from minigrad.commands.experiment.relu_vs_tanh import epochs_to, race, tune
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 6
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · Dropout: silence
#
# In training every hidden unit of fc6 and fc7 is switched off with probability p = ½, anew for each image and step. No unit can rely on a certain other
# one; each has to be useful in many companies (§4.2).
#
# $$y = x \cdot m, \quad m \in \{0, 1\}, \; P(m = 0) = p \qquad\qquad dx = dy \cdot m$$
#
# At test time nothing is random. But then twice as many units speak, and the next layer hears twice the sum. There are two ways to make up for it:
#
# | `scale_at` | training | test | who |
# |---|---|---|---|
# | `"test"` | y = x · m | y = x · (1 − p) | the paper, and minigrad's default |
# | `"train"` ("inverted") | y = x · m / (1 − p) | y = x | Caffe, PyTorch, Keras |
#
# **Predict** the means of the four outputs for x = 1 and p = 0.5.

# %%
x = np.ones((4, 10_000), np.float32)
for scale_at in ("test", "train"):
    layer = mg.Dropout(0.5, scale_at=scale_at, rng=rng)
    print(f'scale_at="{scale_at}": training {layer.train().forward(x).mean():.3f}, test {layer.eval().forward(x).mean():.3f}')

# %% [markdown]
# What the next layer hears is a sum of many units. Here is one unit of it: its sum over 2,000 masks in training, and the one sum at test time,
# with the factor and without.

# %%
inputs, weights = np.maximum(rng.standard_normal(512), 0).astype(np.float32), rng.normal(0.02, 0.05, 512).astype(np.float32)
layer = mg.Dropout(0.5, rng=rng)
sums = layer.forward(np.tile(inputs, (2000, 1))) @ weights
figure, axis = plt.subplots(figsize=(7, 3.2))
axis.hist(sums, bins=50, color="C5", label="training: one sum for each mask")
axis.axvline(layer.eval().forward(inputs[None])[0] @ weights, color="C0", label="test, outputs halved")
axis.axvline(inputs @ weights, color="C1", linestyle="--", label="test, factor forgotten")
axis.set(xlabel="sum that the next unit hears", ylabel="masks", title="The factor 1 − p keeps the mean")
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# A network that was trained with one convention and is run with the other is not broken visibly. It is only worse. Moving weights from "test" to "train"
# means: halve W of the layer *behind* each dropout.
#
# ### Exercise: dropout
#
# In training a number is kept where `self.rng.random(x.shape)` is at least p.

# %% exercise="dropout.forward dropout.backward"

# %% [markdown] mistakes="dropout.forward dropout.backward"
# **What goes wrong**

# %% [markdown]
# The library's own masks do not come from a stream of random numbers. They are a **function** of seed, layer, step, image and unit (a *counter-based*
# generator, Philox). Whoever computes a unit gets the same mask, in whatever order, on whichever device:

# %%
layer = mg.Dropout(0.5, rng=np.random.default_rng(SEED))
whole = layer.forward(np.ones((6, 12), np.float32))
again = mg.Dropout(0.5, rng=np.random.default_rng(SEED)).forward(np.ones((6, 12), np.float32))
other = layer.forward(np.ones((6, 12), np.float32))
print("the same seed and step: equal:", np.array_equal(whole, again), "  the next step: equal:", np.array_equal(whole, other))
print(whole.astype(int))

# %% [markdown]
# ## 2 · Where to start
#
# Weights start as noise, N(0, std). Which std? The **fan-in** of a unit is the number of inputs it adds up: `in` of a connected layer, K·K·C of a
# convolution. A sum of n random terms has a spread of √n times that of one, and ReLU passes half of the energy. So each layer multiplies the spread of what
# it is given by about std · √(fan-in / 2). Below 1, and eight layers later nothing is left that tells one image from another; above 1, it explodes.
#
# At std = √(2 / fan-in) the factor is just 1: **He's rule** (Kaiming He and others, "Delving deep into rectifiers", 2015), `he` below, three years too late for
# AlexNet. The paper says: 0.01 in every layer, biases 1 in conv2, conv4, conv5, fc6 and fc7. The *program* of 2012, which the Computer History Museum published in
# 2025 (`AlexNet-Source-Code`, `layers/layers-145.cfg`), has 0.03 in conv3–5:

# %%
layers = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
print(f"{'':8s}", *(f"{name:>7s}" for name in layers))
for name, init in INITS.items():
    print(f"{name:8s}", *(f"{'√(2/n)' if std is None else std:>7}" for std in init.stds), f'  std;  dropout "{init.scale_at}"')
    print(f"{'':8s}", *(f"{bias:>7}" for bias in init.biases), "  bias")

# %% [markdown]
# A number that shows whether a signal survives, the **variation** of a layer: the standard deviation of its outputs *across images*, over their mean size.
# At 0 all images look alike.
#
# **Predict**: which of these four presets keeps the most? And what happens to `2012` if somebody "normalises" the pixels to unit spread first, as
# everybody does today?

# %%
dataset = data.load()
mean = dataset.train_images.mean(axis=0)
images = np.repeat(dataset.train_images[:32] - mean, 3, axis=-1).astype(np.float32)
labels = dataset.train_labels[:32]


def variation(init, scale):
    """Variation of every layer of the untrained network `small`, and the logits' spread across images."""
    net = AlexNet("small", num_classes=10, init=init, seed=SEED).eval()
    places = [f"relu{i}" for i in range(1, 8)] + ["fc8"]
    outputs = [net.up_to(place).forward(images * np.float32(scale)) for place in places]
    return [float(y.std(axis=0).mean() / np.abs(y).mean()) for y in outputs], outputs[-1]


figure, axis = plt.subplots(figsize=(8, 3.8))
for (init, scale, label), style in zip(
    (
        ("2012", 1, "2012, pixels 0–255"),
        ("he", 1 / 58, "he, unit pixels"),
        ("caffe", 1, "caffe, pixels 0–255"),
        ("paper", 1, "paper, pixels 0–255"),
        ("2012", 1 / 58, "2012, unit pixels: a mistake"),
        ("paper", 1 / 58, "paper, unit pixels: a mistake"),
    ),
    ("o-", "^:", "D-.", "s--", "o-", "s--"),
    strict=True,
):
    values, logits = variation(init, scale)
    mistake = "mistake" in label
    axis.semilogy(layers, values, style, label=label, markerfacecolor="white" if mistake else None, alpha=0.75 if mistake else 1)
    seen = {"the pixels": training.input_diagnostic(images * scale, init), "the logits": training.signal_diagnostic(logits)}
    warned = [what for what, warning in seen.items() if warning]
    print(f"{label:30s} logits differ by {logits.std(axis=0).mean():.1e}; minigrad warns of: {', '.join(warned) or 'nothing'}")
axis.set(xlabel="layer (after ReLU)", ylabel="variation", title="What is left of the difference between images, before training")
axis.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# In `small` the stds are enlarged for its smaller fan-ins, so that the picture is that of the paper's network. `2012` and `he` carry the signal through.
# `paper` has lost much of it at fc7, and no run with it is known. And stds that are fixed belong to pixels of a fixed scale: unit pixels with
# fixed stds are a common reason for a loss that stays at ln C. minigrad looks at the first pixels and at the first logits, and warns of either. (What it cannot
# see: `paper` with the right pixels passes both looks. No warning is no promise.) The first of them in full:

# %%
print(training.input_diagnostic(images / 58, "2012"))

# %% [markdown]
# ## 3 · Momentum, decay, and a velocity that remembers
#
# The update of 2012, for weights w with gradient g:
#
# $$v \leftarrow 0.9\, v - \mathrm{lr} \cdot (g + 0.0005\, w) \qquad\qquad w \leftarrow w + v$$
#
# Biases have twice the learning rate and no decay. **Predict** v and w after two steps from w = 1 with g = 0.5 throughout and lr = 0.01.

# %%
parameter = mg.Parameter("W", np.array([1.0]), np.array([0.5]))
optimizer = mg.SGD([parameter], lr=0.01)
for _ in range(2):
    optimizer.step()
    print(f"v = {optimizer.velocities[0][0]:.12f}   w = {parameter.value[0]:.12f}")
assert np.isclose(parameter.value[0], 0.985485525025, rtol=1e-12)

# %% [markdown]
# Why momentum? In a long valley the gradient points across it. Steps across change their sign and cancel in v; steps along it add up.

# %%
steep = np.array([1.0, 0.01])  # curvature across and along the valley
figure, axis = plt.subplots(figsize=(8, 3.2))
X, Y = np.meshgrid(np.linspace(-11, 3, 80), np.linspace(-2.2, 2.2, 60))
axis.contour(X, Y, steep[1] * X**2 / 2 + steep[0] * Y**2 / 2, levels=12, colors="0.8", linewidths=0.8)
for momentum, lr, style in ((0.0, 1.8, "o-"), (0.9, 0.5, "s--")):
    point = mg.Parameter("W", np.array([1.8, -10.0]))
    descent, path = mg.SGD([point], lr, momentum, weight_decay=0), [point.value.copy()]
    for _ in range(60):
        point.grad = steep * point.value
        descent.step()
        path.append(point.value.copy())
    y, x = np.array(path).T
    axis.plot(x, y, style, markersize=3, linewidth=1, label=f"momentum {momentum}, lr {lr}: {np.hypot(x[-1], y[-1]):.2f} from the minimum")
axis.plot(0, 0, "k+", markersize=12)
axis.set(xlabel="along the valley", ylabel="across", title="Sixty steps in a valley a hundred times as steep across as along")
axis.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# ### Exercise: the step
#
# A parameter p has a name, `p.name`, such as "W" or "tower0.conv1.b"; its numbers, `p.value`; and its gradient, `p.grad`. Work in place: `p.value[...]` is the
# live array of a layer, and v is kept from step to step.

# %% exercise="sgd.step"

# %% [markdown] mistakes="sgd.step"
# **What goes wrong**

# %% [markdown]
# ### Mend a bug
#
# Somebody wrote the step shorter. The loss falls, and nothing crashes. **Predict** what is wrong, look at the two lines printed, then **mend** the marked line and
# run the cell again.


# %%
class Short(mg.SGD):
    """The rule of 2012, with a mistake."""

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            v = self.momentum * v - self.lr * (p.grad + self.weight_decay * p.value)  # mend this line
            p.value[...] += v


for rule in (mg.SGD, Short):
    p = mg.Parameter("W", np.array([1.0]), np.array([0.5]))
    optimizer = rule([p], lr=0.01)
    for _ in range(30):
        optimizer.step()
    print(f"{rule.__name__:6s} after 30 steps: w = {p.value[0]:.4f}, the velocity it kept {optimizer.velocities[0][0]:.4f}")

# %% [markdown]
# `v = …` gives a new array a name, and the one that is kept stays 0: no momentum at all, a tenth of the speed in the long run.
#
# ### Read: two rules that are the same, almost
#
# Here is the rule as PyTorch has it. **Read** both. As long as lr is constant they make the same steps. **Predict** what happens when lr falls
# from 0.01 to 0.001.


# %%
class LrOutside(mg.SGD):
    """v <- momentum v + g + decay w,   w <- w - lr v."""

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            v[...] = self.momentum * v + p.grad + self.weight_decay * p.value
            p.value[...] -= self.lr * v


figure, axis = plt.subplots(figsize=(7, 3.2))
for rule, style, label in ((mg.SGD, "-", "2012: v holds the lr it was made with"), (LrOutside, "--", "torch: all of v gets the new lr")):
    p = mg.Parameter("W", np.array([1.0]), np.array([0.5]))
    optimizer, moved = rule([p], lr=0.01), []
    for step in range(60):
        optimizer.lr = 0.01 if step < 30 else 0.001
        before = p.value[0]
        optimizer.step()
        moved.append(before - p.value[0])
    axis.semilogy(moved, style, label=label)
axis.axvline(29.5, color="0.6", linewidth=1)
axis.text(30.5, 0.045, "lr ÷ 10", fontsize=8)
axis.set(xlabel="step", ylabel="how far w moves in a step", title="A constant gradient, and a learning rate that falls")
axis.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# The velocity of 2012 remembers: after the drop it coasts for some twenty steps.
#
# **How strong is a decay of 0.0005?** Alone, without any gradient, each step takes lr · decay / (1 − momentum) of a weight in the long run. **Guess** how
# many steps it takes to halve it at lr = 0.01.

# %%
print(
    f"{np.log(0.5) / np.log(1 - 0.01 * 5e-4 / (1 - 0.9)):,.0f} steps; an epoch of ImageNet has {1_281_167 / 128:,.0f} steps of 128 images"
)

# %% [markdown]
# Weak, and yet the paper says that it is not merely a regulariser: with it the *training* error was lower, too (§5).
#
# **The learning rate** falls in three steps, by hand: "divide by 10 when the validation error stops improving". As a rule that a program can follow:

# %%
rule = optim.Plateau(0.01, patience=2)
for epoch, error in enumerate((0.9, 0.7, 0.6, 0.6, 0.61, 0.5, 0.5, 0.51, 0.49, 0.49, 0.5), 1):
    before = rule.lr
    rule.epoch_ended(error)
    print(f"epoch {epoch:2d}, validation error {error:.2f}, lr {before:g}", f"-> {rule.lr:g}" if rule.lr != before else "")

# %% [markdown]
# ## 4 · How far do weights move?
#
# A gradient has no natural size, and neither has a learning rate. What can be compared is the size of a *step* with the size of the weights. For
# the network `small`, first steps, dropout and all. **Predict**: are the ratios of all layers equal?

# %%
net = AlexNet("small", num_classes=10, seed=SEED)
loss, optimizer = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), lr=0.005)
followed = [p for p in net.parameters() if p.name in ("tower0.conv1.W", "tower0.conv3.W", "tower0.fc6.W", "tower0.fc8.W")]
ratios = {p.name: [] for p in followed}
for _ in range(40 if FAST else 150):
    some = rng.choice(2000, 32, replace=False)
    batch = np.repeat(dataset.train_images[some] - mean, 3, axis=-1).astype(np.float32)
    loss.forward(net.forward(batch), dataset.train_labels[some])
    net.backward(loss.backward())
    before = [p.value.copy() for p in followed]
    optimizer.step()
    for p, old in zip(followed, before, strict=True):
        ratios[p.name].append(np.linalg.norm(p.value - old) / np.linalg.norm(old))
figure, axis = plt.subplots(figsize=(7, 3.4))
for (name, values), style in zip(ratios.items(), ("-", "--", ":", "-."), strict=True):
    axis.semilogy(values, style, label=name)
axis.set(xlabel="step", ylabel="|step| / |W|", title="How far the weights of a layer move in a step")
axis.legend(fontsize=8, ncols=2)
plt.show()

# %% [markdown]
# They lie within two powers of ten or so, and in the beginning fc8 moves most. If such a curve is at 1, the layer forgets in every step what it
# knew; at a millionth it stands still.
#
# ## 5 · ReLU against tanh
#
# Before 2012 the curve was tanh: smooth, bounded, and flat where it matters. Where |x| > 2, its slope is below 0.071: a unit that is saturated learns
# next to nothing. ReLU has slope 1 wherever it is on (§3.1).
#
# ### Exercise: tanh
#
# tanh is (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ), and NumPy has it: `np.tanh`. Its slope, by the quotient rule, is 1 − tanh²: what forward has computed is all that backward
# needs.

# %% exercise="tanh.forward tanh.backward"

# %% [markdown] mistakes="tanh.forward tanh.backward"
# **What goes wrong**

# %% [markdown]
# **Figure 1 of the paper** says: on CIFAR-10, a four-layer network with ReLU reached 25 % training error six times sooner than with tanh, "the learning rates
# for each chosen independently to make training as fast as possible". Network and start are not given.
#
# We race on Fashion-MNIST, with a network that a laptop trains in seconds. The rules that make it fair: the same images, the same first weights, no
# dropout, no decay; **each** curve gets its own best rate from a grid, and a best rate at the grid's edge makes the grid grow.
# A run that takes longer than the best so far is given up.
#
# **Predict** the ratio before you run it.


# %%
def network(activation, seed):
    """Two convolutions and a linear layer for 28-pixel images."""
    rng = np.random.default_rng(seed)
    return mg.Sequential(
        conv1=mg.Conv2d(3, 16, 5, stride=2, std=(2 / 75) ** 0.5, rng=rng),
        act1=activation(),
        pool1=mg.MaxPool2d(3, 2),
        conv2=mg.Conv2d(16, 32, 5, padding=2, std=(2 / 400) ** 0.5, rng=rng),
        act2=activation(),
        pool2=mg.MaxPool2d(3, 2),
        flatten=mg.Flatten(),
        fc=mg.Linear(2 * 2 * 32, 10, std=0.01, rng=rng),
    )


count, level, limit = (600, 0.3, 8) if FAST else (4000, 0.15, 40)
results = {}
for name, activation in (("relu", mg.ReLU), ("tanh", mg.Tanh)):
    curves = {}

    def run(lr, most, activation=activation, curves=curves):
        """Epochs until the training error is at `level`."""
        loader = data.Loader(
            dataset.train_images[:count], dataset.train_labels[:count], 64, mean=mean, size=28, scale=1 / 58, shuffle=True, seed=SEED
        )
        curves[lr] = race(network(activation, SEED), loader, lr, level, most)
        return epochs_to(curves[lr], level)

    best, tried = tune(run, limit, grid=[10 ** (k / 2) for k in (-5, -4, -3)])
    results[name] = (best, tried[best], curves[best])
    print(
        f"{name}: "
        + ", ".join(f"lr {lr:.2g} {f'{e:.1f} epochs' if np.isfinite(e) else 'given up'}" for lr, e in sorted(tried.items()))
        + f"; best {best:.2g}"
    )

# %%
figure, axis = plt.subplots(figsize=(7, 3.6))
for (name, (lr, _, errors)), style in zip(results.items(), ("o-", "s--"), strict=True):
    axis.plot(range(1, len(errors) + 1), 100 * np.array(errors), style, label=f"{name}, lr {lr:.2g}")
axis.axhline(100 * level, color="0.5", linestyle=":")
axis.text(1, 100 * level + 1, f"{level:.0%}", fontsize=8)
axis.locator_params(axis="x", integer=True)
axis.set(xlabel="epochs", ylabel="training error, %", title=f"ReLU against tanh, {count:,} images of Fashion-MNIST", ylim=(0, None))
axis.legend()
plt.show()
print(f"tanh needs {results['tanh'][1] / results['relu'][1]:.1f} times as many epochs here; in the paper's figure 6")

# %% [markdown]
# Believe what you measured, not the six. The paper's own caption says that the size of the effect varies with the network, and this one is small and
# starts well: the deeper the network, the more slopes below 1 are multiplied. The whole protocol, with a deeper network and three seeds, is
# `python alexnet.py experiment relu-vs-tanh`.
#
# ## 6 · Four rituals

# %%
x = rng.standard_normal((200, 300))
for scale_at in ("test", "train"):
    layer = mg.Dropout(0.3, scale_at=scale_at, rng=rng)
    y = layer.forward(x)
    kept = 1.0 if scale_at == "test" else 1 / 0.7
    assert all(value == 0 or np.isclose(value, kept * number) for value, number in zip(y.ravel(), x.ravel(), strict=True))
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / x.size)  # five standard deviations
    assert np.allclose(layer.backward(x), y)  # the same mask, both ways
print("1 · every number is silent or kept, and as many are silent as should be")

# %%
for make in (
    lambda: mg.Dropout(0.3, rng=np.random.default_rng(SEED)),
    lambda: mg.Dropout(0.3, scale_at="train", rng=np.random.default_rng(SEED)),
    lambda: mg.Dropout().eval(),
    mg.Tanh,
):
    report = check_layer(make, (3, 4, 7))
    assert report.ok, report
    print(f"2 · {make()}: gradients right, worst error {max(e.worst_error for e in report.entries):.0e}")

# %%
start, gradients = (
    [rng.standard_normal(shape) for shape in ((5, 7), (7,))],
    [[rng.standard_normal(s) for s in ((5, 7), (7,))] for _ in range(6)],
)
ends = []
for rule in (mg.SGD, plain.SGD):
    parameters = [mg.Parameter(name, value.copy()) for name, value in zip("Wb", start, strict=True)]
    optimizer = rule(parameters, lr=0.01)
    for step, given in enumerate(gradients):
        for p, g in zip(parameters, given, strict=True):
            p.grad = g
        optimizer.lr = 0.01 if step < 3 else 0.001
        optimizer.step()
    ends.append([p.value for p in parameters])
assert all(np.allclose(fast, slow, rtol=1e-12) for fast, slow in zip(*ends, strict=True))
halved = mg.Linear(6, 4, rng=rng).astype(np.float64)
x, W = rng.standard_normal((3, 6)), halved.W.copy()
before = halved.forward(mg.Dropout(0.5).eval().forward(x))
halved.W[...] = W / 2
assert np.allclose(halved.forward(mg.Dropout(0.5, scale_at="train").eval().forward(x)), before)
print('3 · SGD equals the plain one over a falling lr; "test" is "train" with the next W halved')

# %%
net = mg.Sequential(
    flatten=mg.Flatten(),
    fc1=mg.Linear(784, 256, std=0.05, rng=rng),
    relu1=mg.ReLU(),
    drop1=mg.Dropout(rng=rng),
    fc2=mg.Linear(256, 10, rng=rng),
)
few, optimizer = ((dataset.train_images[:32] - mean) / 58).astype(np.float32), mg.SGD(net.parameters(), lr=0.05)
for _ in range(100):
    loss.forward(net.train().forward(few), labels)
    net.backward(loss.backward())
    optimizer.step()
right = (net.eval().forward(few).argmax(axis=1) == labels).mean()
print(f"4 · with dropout, too, a network overfits 32 images: {right:.0%} right")
assert right == 1

# %% [markdown]
# ## Recap
#
# | | forward | backward | shapes |
# |---|---|---|---|
# | `Dropout(p, scale_at="test")` | x · m; at test time x · (1 − p) | dy · m; dy · (1 − p) | any, (N, …) |
# | `Dropout(p, scale_at="train")` | x · m / (1 − p); at test time x | dy · m / (1 − p); dy | any, (N, …) |
# | `Tanh()` | tanh x | dy · (1 − y²) | any |
# | `SGD` | v ← 0.9 v − lr (g + 0.0005 w), w ← w + v | | v like w |
#
# | 2012's recipe | |
# |---|---|
# | batch 128, momentum 0.9, decay 0.0005 | paper §5 |
# | lr 0.01, three times ÷ 10; about 90 epochs | paper §5 |
# | weights N(0, 0.01), in conv3–5 N(0, 0.03); biases 1 in conv2, 4, 5, fc6, fc7 | the program of 2012; the paper says 0.01 everywhere |
# | biases learn twice as fast and do not decay | the program of 2012 |
#
# **Explain**: your colleague's loss stays at 2.303 for an epoch, on ten classes. Name three things in this notebook that could be the cause, and for each
# the one number you would look at first.
#
# *(your answer)*
#
# In the library: `minigrad/layers/dropout.py`, `minigrad/optim.py`, `INITS` in `alexnet.py`, `signal_diagnostic` in `minigrad/training/`. Next:
# [07 · AlexNet put together](07_alexnet.ipynb).
