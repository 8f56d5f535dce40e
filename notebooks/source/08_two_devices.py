# %% [markdown]
# # 08 · Two devices
#
# **The question.** In 2012 the network did not fit into one GPU: 3 GB of memory. So it was cut into two **towers**, each on a GPU of its own. What must
# cross from one to the other, what must not, and how can you be sure that two devices compute the same network as one?
#
# **You will** write the exchange between towers, forward and backward, count its bytes, watch both devices work, and learn to read the symptoms
# of the mistakes that everybody makes here. About 50 minutes, on two halves of one CPU; a GPU is not needed.
#
# Before: [07 · AlexNet put together](07_alexnet.ipynb). Next: [09 · Train and look inside](09_train_and_look_inside.ipynb).
# In the paper: §3.2, §3.5 and Figure 2.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

import minigrad as mg
from alexnet import AlexNet
from minigrad import data
from minigrad.commands.summary import describe
from minigrad.coursework import tasks
from minigrad.cuda import count
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 8
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")
print(f"GPUs that can be used: {count()}" + ("" if count() else "; two halves of the CPU stand in for them"))

# %% [markdown]
# ## 1 · Two columns and four exchanges
#
# A network is a list of **stages**; a stage is one column of layers for each tower. Inside a stage a tower is alone. Between stages every tower
# gets the channels of all. That is the whole idea, and it is `minigrad/towers.py`:
#
# ```python
# Towers([[first_half, second_half],       # stage 0: conv1 and conv2
#         [first_half, second_half],       # stage 1: conv3, conv4, conv5, which see both halves of stage 0
#         ...], devices="0,1")             # or "cpu,cpu", or "0,0", or "cpu": the same program
# ```
#
# Here is the paper's network. (60,965,224 parameters: building it takes a moment.)

# %%
net = AlexNet("paper", "cpu,cpu", seed=SEED)
net.eval()
rows = describe(net)
ends = [row for row, after in zip(rows, [*rows[1:], None], strict=True) if after is None or after["stage"] > row["stage"]]
sends = [row["memory"] // row["towers"] for row in ends]
for row, bytes_sent in zip(ends, sends, strict=True):
    print(f"stage {row['stage']} ends with {row['name']:5s} {row['shape']!s:14s} of each tower: {bytes_sent:7,} bytes for each image")

# %% [markdown]
# **Predict.** Which of these numbers do not have to cross at all, and which only in one direction? How many bytes cross for one image, forward,
# both directions together?

# %%
image = rng.normal(0, 58, (1, 224, 224, 3)).astype(np.float32)
net.forward(image)
forward = net.towers.bytes_forward
net.backward(np.ones((1, 1000), np.float32))
print(f"counted while it ran: forward {forward:,} bytes, backward {net.towers.bytes_backward:,} bytes")
assert forward == net.towers.bytes_backward == 2 * sum(sends[:4]) + sends[4]

# %% [markdown]
# Four exchanges in both directions, and at the end the second tower's half of the logits goes to the device that computes the loss. Backward the
# same way back, number for number.

# %%
figure, axis = plt.subplots(figsize=(8, 7))
columns, height, gap = (0.0, 5.4), 1.0, 0.95
contents = [[row["name"] for row in rows if row["stage"] == s] for s in range(len(ends))]
for s, (end, names) in enumerate(zip(ends, contents, strict=True)):
    top = -s * (height + gap)
    for t, left in enumerate(columns):
        face = "#cfe3f1" if t == 0 else "#fbe0cd"
        box = FancyBboxPatch((left, top), 3.4, height, boxstyle="round,pad=0.02", facecolor=face, edgecolor="0.3")
        axis.add_patch(box)
        words = [name for name in names if name.startswith(("conv", "norm", "pool", "fc", "drop"))]
        axis.text(left + 1.7, top + 0.66, " · ".join(words), ha="center", va="center", fontsize=8 if len(words) > 4 else 9)
        shape = " × ".join(map(str, end["shape"]))
        axis.text(left + 1.7, top + 0.27, f"out: {shape}", ha="center", va="center", fontsize=9, color="0.3")
    if s < len(ends) - 1:
        for x in (1.7, 7.1):
            axis.annotate("", (x, top - gap + 0.06), (x, top - 0.06), arrowprops={"arrowstyle": "-|>", "color": "0.3"})
        for start, end_at in ((2.3, 6.5), (6.5, 2.3)):
            axis.annotate(
                "", (end_at, top - gap + 0.06), (start, top - 0.06), arrowprops={"arrowstyle": "-|>", "color": "#D55E00", "lw": 1.8}
            )
        axis.text(4.4, top + 0.12, f"{sends[s]:,} bytes\neach way", ha="center", va="center", fontsize=9, color="#9c4300")
    else:
        axis.annotate("", (3.45, top + 0.5), (5.35, top + 0.5), arrowprops={"arrowstyle": "-|>", "color": "#D55E00", "lw": 1.8})
        axis.text(4.4, top + 0.67, f"{sends[s]:,} bytes", ha="center", va="center", fontsize=9, color="#9c4300")
axis.text(1.7, 1.25, "tower 0", ha="center", fontsize=11)
axis.text(7.1, 1.25, "tower 1", ha="center", fontsize=11)
axis.set(xlim=(-0.3, 9.1), ylim=(-4 * (height + gap) - 0.2, 1.6), title="What crosses between the towers for one image, forward")
axis.axis("off")
plt.show()
print(f"each tower sends {sum(sends[:4]):,} bytes; tower 1 {sends[4]:,} more")

# %% [markdown]
# This is Figure 2 of the paper. What does **not** cross: weights, their gradients, velocities, masks, normalisation, pooling. Each device steps its
# own parameters. The images go to both (224 · 224 · 3 · 4 = 602,112 bytes each).
#
# ## 2 · The exchange
#
# Forward a copy: tower u sees the channels of all towers t, side by side, in the same order everywhere (an *all-gather*). Let $x_t$ be what tower t has:
#
# $$y_u = [\,x_0, x_1, \dots\,] \qquad\text{for every } u$$
#
# **Predict** backward. L depends on $x_0$ through what tower 0 does with it *and* through what tower 1 does with it. Tower 1 knows its part of the
# gradient; tower 0 knows its own. How are they combined: a mean, a sum, or is only one of them needed?
#
# $$dx_t = \sum_u \; (\text{the part of } dy_u \text{ that belongs to tower } t)$$
#
# A sum (a *reduce-scatter*): there is one loss, and both roads lead to it.
#
# ### Exercise: the exchange
#
# As a layer on one stacked array: x (T, N, H, W, C) → y (T, N, H, W, T·C), the first axis counts towers.

# %% exercise="exchange.forward exchange.backward"

# %% [markdown] mistakes="exchange.forward exchange.backward"
# **What goes wrong**

# %% [markdown]
# ## 3 · Reading the symptoms
#
# These mistakes do not crash. The loss even falls. Here are two of them, in the real program: `scatter` gives each tower a list of what all towers
# say about its channels, and backward sums it up.


# %%
class OwnHalf(mg.Towers):
    """Towers that forget what the others say."""

    def scatter(self, partials, widths):
        return [[said[min(t, len(said) - 1)]] for t, said in enumerate(super().scatter(partials, widths))]


class Averaged(mg.Towers):
    """Towers that take the mean of what all say."""

    def scatter(self, partials, widths):
        return [[part / len(said) for part in said] for said in super().scatter(partials, widths)]


def gradients(towers, images, dlogits):
    """Every gradient by name, after one forward and one backward."""
    towers.forward(images)
    towers.backward(dlogits)
    return {p.name: p.grad.copy() for p in towers.parameters()}


few = rng.normal(0, 58, (4, 28, 28, 3))
dlogits = rng.standard_normal((4, 10)) / 4
small = AlexNet("small", "cpu", num_classes=10, seed=SEED).eval().astype(np.float64)
right = gradients(small.towers, few, dlogits)

# %% [markdown]
# **Predict** for each: which layers get right gradients, which wrong ones, and by how much?

# %%
names = [name for name in right if name.startswith("tower0") and name.endswith("W")]
labels = [name.split(".")[1] for name in names]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for axis, kind, title in zip(axes, (OwnHalf, Averaged), ("Own half only", "Averaged"), strict=True):
    wrong = gradients(kind(small.towers.stages), few, dlogits)
    size = [np.linalg.norm(wrong[name]) / np.linalg.norm(right[name]) for name in names]
    angle = [np.sum(wrong[name] * right[name]) / np.linalg.norm(wrong[name]) / np.linalg.norm(right[name]) for name in names]
    axis.plot(labels, size, "o-", label="length: |wrong| / |right|")
    axis.plot(labels, angle, "s--", label="direction: cosine of the angle")
    axis.set(title=title, xlabel="layer", ylim=(-0.05, 1.15))
    axis.tick_params(axis="x", labelrotation=45)
    print(f"{title:14s} length", np.round(size, 4))
axes[0].set_ylabel("wrong gradient against right one")
axes[0].legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# **Averaged**: the direction is right, the length is halved at every exchange: 1, ½, ¼, ⅛, and 1/16 for conv1 and conv2. It trains, only
# with a learning rate sixteen times too small in the first layers. **Own half**: below fc8 the direction is
# wrong as well, in every layer. In both cases fc8 is right, so a test of the last layer alone sees nothing. A gradient check of the whole network names the layer at which it begins.
#
# ### Mend a bug
#
# A third one, in the exchange itself. **Read** it, **predict** which numbers of the gradient are wrong, look at the report, then **mend** the marked line and run
# the cell again.


# %%
class Hasty(tasks.Exchange):
    """An exchange whose backward has a mistake."""

    def backward(self, dy):
        T, C = len(dy), dy.shape[-1] // len(dy)
        return np.stack([dy.sum(axis=0)[..., t::T][..., :C] for t in range(T)])  # mend this line


print(check_layer(Hasty, (2, 3, 4, 3, 2), title="a hasty exchange"))

# %% [markdown]
# `t::T` takes every T-th channel; tower t owns a *run* of them, `t * C : (t + 1) * C`.
#
# Two more symptoms worth knowing. If each tower computes a softmax over *its* half of the logits, the first loss is
# ln 500 = 6.21 instead of ln 1000 = 6.91. If both towers draw from the same seed, they are twins and never specialise:

# %%
towers = {p.name: p.value for p in small.parameters()}
assert not np.array_equal(towers["tower0.conv1.W"], towers["tower1.conv1.W"])
loss = mg.SoftmaxCrossEntropy()
labels_few = np.array([1, 4, 2, 3])
print(f"first loss over all 10 logits {loss.forward(small.forward(few), labels_few):.2f}, ln 10 = {np.log(10):.2f}")
print(f"over one tower's 5 logits     {loss.forward(small.forward(few)[:, :5], labels_few):.2f}, ln 5  = {np.log(5):.2f}")

# %% [markdown]
# Dropout has to be thought about too. Its mask is a function of layer, step, image and unit, not a stream of numbers, so each tower can draw its
# own units' masks, and side by side they are those of one wide layer:

# %%
ones = np.ones((2, 16), np.float32)
whole = mg.Dropout(0.5, rng=np.random.default_rng(SEED))
halves = [mg.Dropout(0.5, rng=np.random.default_rng(SEED)) for _ in range(2)]
halves[1].first_unit = 8
joined = np.concatenate([half.forward(ones[:, :8]) for half in halves], axis=1)
print(joined.astype(int))
assert np.array_equal(whole.forward(ones), joined)

# %% [markdown]
# ## 4 · Two towers are one with zeros
#
# Notebook 04 put two kernels on the diagonal of a larger one. Now a whole network: conv1 sees the image, so both towers' kernels lie side by side;
# conv2 sees its own tower, so W has two blocks and zeros. **Predict**: does the gradient of the large W have zeros where W has?

# %%
parts = [mg.Sequential(conv1=mg.Conv2d(3, 4, 3, std=0.3, rng=rng), relu1=mg.ReLU(), pool1=mg.MaxPool2d(3, 2)) for _ in range(2)]
for part in parts:
    part.layers["conv2"] = mg.Conv2d(4, 5, 3, std=0.3, rng=rng)
two = mg.Towers([parts]).astype(np.float64)
one = mg.Sequential(conv1=mg.Conv2d(3, 8, 3), relu1=mg.ReLU(), pool1=mg.MaxPool2d(3, 2), conv2=mg.Conv2d(8, 10, 3)).astype(np.float64)
one["conv1"].W[...] = np.concatenate([part["conv1"].W for part in parts], axis=-1)
one["conv2"].W[...] = tasks.block_weights([part["conv2"].W for part in parts])
for name in ("conv1", "conv2"):
    one[name].b[...] = np.concatenate([part[name].b for part in parts])
x = rng.standard_normal((3, 13, 11, 3))
y = two.forward(x)
dy = rng.standard_normal(y.shape)
assert np.allclose(one.forward(x), y, rtol=1e-12, atol=1e-12)
assert np.allclose(one.backward(dy), two.backward(dy), rtol=1e-12, atol=1e-12)
dW = one["conv2"].dW
for t, part in enumerate(parts):
    assert np.allclose(dW[:, :, 4 * t : 4 * t + 4, 5 * t : 5 * t + 5], part["conv2"].dW, rtol=1e-12, atol=1e-12)
print("forward and backward agree to 1e-12")
print(f"gradient where W is zero: |dW| up to {np.abs(dW[:, :, :4, 5:]).max():.2f}")

# %% [markdown]
# It does not. The large network *could* learn connections between the towers: it has twice the weights in conv2. The split is not only a way to save
# memory, it is another network. (The paper: two towers are 1.7 and 1.2 points better than a single tower with half of the kernels, §3.2.)
#
# ## 5 · `cpu,cpu` equals `cpu`
#
# To the last bit. The tasks that a device cuts its work into depend on the batch, never on how many threads or devices there are, and sums are always
# taken in the same order. So a run is repeatable on any machine, and a difference is a bug. Three training steps, dropout and all:

# %%
dataset = data.load()
N = 32
mean = dataset.train_images.mean(axis=0)
images = np.repeat(dataset.train_images[:N] - mean, 3, axis=-1).astype(np.float32)
labels = dataset.train_labels[:N]


def trained(device, steps):
    """The network `small` after a few steps on the same images, and its losses."""
    network = AlexNet("small", device, num_classes=10, seed=SEED)
    loss, optimizer, losses = mg.SoftmaxCrossEntropy().to(network.device), mg.SGD(network.parameters(), lr=0.01), []
    for _ in range(steps):
        losses.append(loss.forward(network.forward(images), labels))
        network.backward(loss.backward())
        optimizer.step()
    return network, losses


first, losses = trained("cpu", 3)
second, others = trained("cpu,cpu", 3)
print("cpu    ", losses)
print("cpu,cpu", others)
assert losses == others
assert all(np.array_equal(p.value, q.value) for p, q in zip(first.parameters(), second.parameters(), strict=True))

# %% [markdown]
# On a GPU the same program runs with `"0,0"` (both towers on one) or `"0,1"`. Sums are then taken in another order, and with fewer digits where the
# GPU multiplies in TF32, so the losses agree but are not equal.

# %%
if count():
    device = "0,1" if count() > 1 else "0,0"
    _, there = trained(device, 3)
    print(device, there)
    assert np.allclose(losses, there, rtol=1e-2)

# %% [markdown]
# ## 6 · Watching both devices
#
# When does a device wait? We note when each tower begins and ends each stage. **Predict** where the gaps are: an exchange cannot begin before *both*
# are done.

# %%
N = 2 if FAST else 8
photographs = rng.normal(0, 58, (N, 224, 224, 3)).astype(np.float32)
notes = []


def noted(function, tower, stage, direction):
    """The function, with its start and end noted."""

    def call(x):
        start = time.perf_counter()
        y = function(x)
        notes.append((tower, stage, direction, start, time.perf_counter()))
        return y

    return call


for s, stage in enumerate(net.towers.stages):
    for t, tower in enumerate(stage):
        tower.forward = noted(tower.forward, t, s, "forward")
        tower.backward = noted(tower.backward, t, s, "backward")
for _ in range(2):  # the first time, memory is asked for
    notes.clear()
    net.forward(photographs)
    net.backward(np.ones((N, 1000), np.float32))

# %%
names = ("conv1, conv2", "conv3–5", "fc6", "fc7", "fc8")
zero = min(start for *_, start, _ in notes)
figure, axis = plt.subplots(figsize=(10, 2.9))
for tower, s, direction, start, end in notes:
    colour, hatch = f"C{s}", "" if direction == "forward" else "///"
    axis.barh(1 - tower, 1e3 * (end - start), left=1e3 * (start - zero), color=colour, hatch=hatch, edgecolor="white", height=0.6)
for s, name in enumerate(names):
    axis.barh(0, 0, color=f"C{s}", label=name)
axis.barh(0, 0, color="0.7", hatch="///", edgecolor="white", label="backward")
axis.set(
    yticks=(0, 1), yticklabels=("tower 1", "tower 0"), xlabel="milliseconds", ylabel="device", title=f"One forward and backward, {N} images"
)
axis.legend(ncols=6, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.28))
plt.show()
last = max(end for *_, end in notes)
for t in (0, 1):
    busy = sum(end - start for tower, _, _, start, end in notes if tower == t)
    print(f"tower {t} worked {busy / (last - zero):.0%} of the time")

# %% [markdown]
# What is left is waiting for the slower tower, and copying. The towers have the same amount of work, so they end almost together, unless something else
# runs on your machine. fc6 is quick forward and slow backward: it writes a dW of 18,874,368 · 4 bytes, 75 MB in each tower, whatever the batch.
#
# ## 7 · The other way to use two devices
#
# **Data parallelism** gives each device the whole network and half of the images. After backward, gradients are added: each device sends as many bytes as
# there are parameters, whatever the batch. Towers send activations: bytes grow with the batch.

# %%
gradient_bytes = 4 * net.num_parameters()
activation_bytes = 2 * sum(sends[:4])  # for each image: forward and backward, one direction
image_bytes = 224 * 224 * 3 * 4 // 2  # half of the images go to a device that data parallelism would not send them to
crossing = gradient_bytes / activation_bytes
batch = np.logspace(0, 4, 50)
figure, axis = plt.subplots(figsize=(7, 3.6))
axis.loglog(batch, batch * activation_bytes / 1e6, label="towers: activations and their gradients")
axis.loglog(batch, batch * (activation_bytes + image_bytes) / 1e6, ":", color="C0", label="… and the images sent to both")
axis.loglog(batch, np.full_like(batch, gradient_bytes / 1e6), "--", label="data parallelism: gradients of all parameters")
axis.axvline(128, color="0.6", linewidth=1)
axis.text(135, 0.3, "the paper's batch, 128", fontsize=8)
axis.set(xlabel="images in a batch", ylabel="megabytes a device, a step", title="Traffic of one training step")
axis.legend(fontsize=8, loc="upper left")
plt.show()
print(f"at batch 128: towers {128 * activation_bytes / 1e6:.1f} MB, data parallelism {gradient_bytes / 1e6:.1f} MB a device")
print(f"equal at {crossing:,.0f} images")
connected = sum(row["parameters"] for row in rows if row["name"].startswith("fc"))
print(f"{connected / net.num_parameters():.0%} of the parameters are in fc6, fc7 and fc8")

# %% [markdown]
# That explains both decisions. In 2012, with 128 images, towers were the cheap way. Today, with thousands of images on many devices, gradients
# are. And since nearly all parameters are in the fully connected layers, Krizhevsky proposed in 2014 to cut convolutions by images and connected layers by
# units ("One weird trick"): notebook [13](13_many_machines.ipynb) does it.
#
# ## 8 · Four rituals

# %%
x = rng.standard_normal((2, 3, 4, 5, 6))
y = tasks.Exchange().forward(x)
for u, n, h, w, t, c in np.ndindex(2, 3, 4, 5, 2, 6):
    assert y[u, n, h, w, 6 * t + c] == x[t, n, h, w, c]
print("1 · the exchange equals the loop")

# %%
report = check_layer(tasks.Exchange, (2, 3, 4, 3, 2))
assert report.ok, report


def two_towers():
    """A tiny network with one exchange."""
    rng = np.random.default_rng(SEED)
    stages = [
        [mg.Sequential(conv=mg.Conv2d(2, 3, 3, rng=rng), tanh=mg.Tanh()) for _ in range(2)],
        [mg.Sequential(flatten=mg.Flatten(), fc=mg.Linear(24, 2, rng=rng)) for _ in range(2)],
    ]
    return mg.Towers(stages)


report = check_layer(two_towers, (3, 4, 4, 2), title="two towers, one exchange")
assert report.ok, report
print(f"2 · {report}")

# %%
x = [rng.standard_normal((3, 4, 4, 2)) for _ in range(2)]
tiny = two_towers().astype(np.float64)
gathered, crossed = tiny.gather(x, 2)
assert all(np.array_equal(whole, expected) for whole, expected in zip(gathered, tasks.Exchange().forward(np.stack(x)), strict=True))
exchange, dy = tasks.Exchange(), rng.standard_normal((2, 3, 4, 4, 4))
exchange.forward(np.stack(x))
summed = [sum(said) for said in tiny.scatter(list(dy), [2, 2])]
assert np.allclose(summed, exchange.backward(dy), rtol=1e-12)
assert crossed == sum(part.nbytes for part in x)
print("3 · the program's gather and scatter equal the plain exchange, and count what crosses")

# %%
network, losses = trained("cpu,cpu", 60)
right = (network.eval().forward(images).argmax(axis=1) == labels).mean()
print(f"4 · two towers on two devices: loss {losses[0]:.2f} to {losses[-1]:.2f}, overfitted: {right:.0%} of {len(images)} images right")
assert right > 0.9

# %% [markdown]
# ## Recap
#
# | | forward | backward |
# |---|---|---|
# | exchange | x_t (N, H, W, C) of each tower → (N, H, W, T·C) for each: *gather* | the parts of all towers are cut out, sent home and **added**: *scatter* |
# | crosses, an image, each way | 86,528 + 18,432 + 8,192 + 8,192 = 121,344 bytes | the same |
# | logits | 2,000 bytes to the device with the loss | dlogits cut in two |
# | never crosses | weights, normalisation, pooling | gradients of weights, velocities |
#
# **Explain**: a colleague says "I averaged the gradients, as everybody does with several GPUs". When is that right, and why not here?
#
# *(your answer)*
#
# In the library: `minigrad/towers.py`, `alexnet.py` (`paper`), `tests/test_towers.py`. From the command line:
# `python alexnet.py summary` prints the bytes, `python alexnet.py --device cpu,cpu` trains so. Next: [09 · Train and look inside](09_train_and_look_inside.ipynb).
