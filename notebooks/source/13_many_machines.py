# %% [markdown]
# # 13 · Many machines
#
# **The question.** Two towers end at two devices. Whoever has eight, or a thousand, gives each the whole network and a part of the images. Then all need the same sum of their
# gradients, 61 million numbers, in every step. How do they get it, what does it cost, and why is the answer of 2014 to cut the last three layers otherwise than the first five?
#
# **You will** write all-reduce twice, around a ring and up and down a tree, on threads that stand for machines; predict bytes and seconds with a formula of
# two terms, and count them; and see which layers are the problem. About 70 minutes.
#
# Before: [08 · Two devices](08_two_devices.ipynb) and [12 · What the web gets wrong](12_what_the_web_gets_wrong.ipynb). Start again: [00 · Arrays](00_arrays.ipynb).
#
# **The sources.** *One weird trick*: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014. *Rings*: Patarasuk and Yuan, "Bandwidth optimal
# all-reduce algorithms for clusters of workstations", 2009.

# %%
import os
import time

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from alexnet import AlexNet
from minigrad import data
from minigrad.commands import scale, traffic
from minigrad.commands.benchmark.cpu import Ours, batch
from minigrad.coursework import AllReduce, tasks
from minigrad.coursework.threads import Deadlock
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 13
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · The sum of parts
#
# A **rank** is a process with a number, 0 to R − 1, on one machine or on many. Each has the whole network, with the same weights, and takes its part of every batch. The loss is a mean over
# *all* N images:
#
# $$L = \frac1N\sum_{n} \ell_n \qquad\Rightarrow\qquad \frac{\partial L}{\partial W} = \sum_{r}\Big(\frac1N\sum_{n \text{ of rank } r} \frac{\partial\ell_n}{\partial W}\Big)$$
#
# **Predict**: a colleague lets each rank divide by the number of its *own* images and takes the mean of the gradients. When is that the same, and when not?

# %%
fashion = data.load()
N = 12
images = np.repeat(fashion.train_images[:N] - fashion.train_images.mean(axis=0), 3, axis=-1).astype(np.float64)
labels = fashion.train_labels[:N]


def gradient(images, labels, divisor):
    """The gradient of fc8's weights in a network without dropout, the loss divided by `divisor`."""
    net = AlexNet("small", num_classes=10, seed=SEED).eval().astype(np.float64)
    loss = mg.SoftmaxCrossEntropy()
    loss.forward(net.forward(images), labels)
    net.backward(loss.backward() * len(images) / divisor)
    return {p.name: p.grad for p in net.parameters()}["tower0.fc8.W"]


whole = gradient(images, labels, N)
for name, ends in (("3 ranks of 4", (0, 4, 8, 12)), ("ranks of 5, 5 and 2", (0, 5, 10, 12))):
    parts = [slice(a, b) for a, b in zip(ends, ends[1:], strict=False)]
    summed = sum(gradient(images[part], labels[part], N) for part in parts)
    mean = np.mean([gradient(images[part], labels[part], part.stop - part.start) for part in parts], axis=0)
    errors = [np.abs(found - whole).max() / np.abs(whole).max() for found in (summed, mean)]
    print(f"{name:20s} sum of parts divided by N: {errors[0]:.0e}    mean of means: {errors[1]:.0e}")

# %% [markdown]
# With equal parts both are right; with a last batch that does not divide only the sum is. So ranks divide by the N of all, and what they need is a **sum**: *all-reduce*.
#
# ## 2 · Ranks that send
#
# Machines share no memory. A rank knows its number and can do two things. Here ranks are threads, and `comm` is what each holds in its hands:
#
# | | |
# |---|---|
# | `comm.rank`, `comm.size` | its number; how many there are |
# | `comm.send(numbers, to)` | puts a *copy* of an array on its way; does not wait |
# | `comm.receive(source)` | waits for the next array from that rank |
#
# The simplest program: everybody sends its numbers to everybody. All ranks run the same text.


# %%
class Everybody(AllReduce):
    """All-reduce without a plan."""

    def all_reduce(self, comm, x):
        others = [r for r in range(comm.size) if r != comm.rank]
        for other in others:
            comm.send(x, other)
        received = {other: comm.receive(other) for other in others} | {comm.rank: x}
        return np.sum([received[r] for r in sorted(received)], axis=0)  # the same order, so the same bits


x = rng.standard_normal((4, 6))  # a row for each rank
everybody = Everybody()
y = everybody.forward(x)
assert np.allclose(y, x.sum(axis=0))
print(y.round(3))
print("bytes that each rank has sent:", everybody.sent, "in", everybody.messages[0], "messages each")

# %% [markdown]
# `forward` starts a thread for each row of x, and stacks what they return. It also counts. **Read** the next program and **predict** what it prints: every rank first waits for its left neighbour, and
# then sends to its right one.


# %%
class Polite(AllReduce):
    """After you!"""

    def all_reduce(self, comm, x):
        heard = comm.receive((comm.rank - 1) % comm.size)
        comm.send(x, (comm.rank + 1) % comm.size)
        return x + heard


try:
    Polite().forward(x)
except Deadlock as error:
    print("Deadlock:", error)

# %% [markdown]
# A **deadlock**. Real ranks would sit there until somebody notices; threads in one process can see that nobody will ever go on, and say so. Send first, then receive. (With MPI even *that* may wait:
# a large message is only taken when its receiver asks for it. There one calls both at once, `Sendrecv`.)
#
# ## 3 · Around a ring
#
# `Everybody` sends all n numbers to all others: (R − 1) · n. That grows with R, and is more than needed. The idea of the ring: cut x into **R chunks**, and let every rank send *one chunk a step* to its right
# neighbour.
#
# - **First half.** Think of one chunk, say number 2. It starts at rank 2, with that rank's numbers. Its right neighbour *adds* its own chunk 2 and passes the result on. After R − 1 steps it has seen everybody: it is
#   finished, at one rank. All R chunks travel at once, each from another start.
# - **Second half.** The finished chunks go round once more. Now what comes *takes the place* of what is there.
#
# The figure shows four ranks (rows) with four chunks each (columns): how many ranks' numbers are in each.

# %%
R = 4
figure, axes = plt.subplots(1, 2 * R - 1, figsize=(11, 2.3))
rank, chunk = np.mgrid[:R, :R]
for step, axis in enumerate(axes):
    way = (rank - chunk) % R  # how far a chunk's road has been when it passes this rank
    inside = np.where(way <= min(step, R - 1), way + 1, 1)
    inside = np.where((rank - chunk + 1) % R <= step - (R - 1), R, inside)
    axis.imshow(inside, cmap="cividis", vmin=0, vmax=R)
    for r, c in np.ndindex(R, R):
        axis.text(c, r, inside[r, c], ha="center", va="center", color="white" if inside[r, c] < 3 else "black", fontsize=9)
    half = "start" if step == 0 else f"1st half, {step}" if step < R else f"2nd half, {step - R + 1}"
    axis.set(title=half, xticks=range(R), yticks=range(R), xlabel="chunk")
    axis.title.set_fontsize(10)
axes[0].set_ylabel("rank")
figure.suptitle("How many ranks' numbers a chunk holds, after each step")
plt.show()

# %% [markdown]
# **Predict**, with the figure: which chunk does rank r send in the first step, and which one does it receive? In step s? Which one is finished at rank r after the first half? Everything is
# counted modulo R: Python's `%` gives −1 % 4 = 3, as it should be here.
#
# On paper, three ranks with (1, 2, 3), (10, 20, 30), (100, 200, 300):
#
# | | rank 0 | rank 1 | rank 2 |
# |---|---|---|---|
# | start | 1, 2, 3 | 10, 20, 30 | 100, 200, 300 |
# | step 1 | 1, 2, **303** | **11**, 20, 30 | 100, **220**, 300 |
# | step 2 | 1, **222**, 303 | 11, 20, **333** | **111**, 220, 300 |
#
# Each rank now has one finished number. Two more steps hand them on.
#
# n need not be divisible by R: `np.array_split` cuts 7 numbers into chunks of 3, 2 and 2. `np.array_split(x, R)` gives *views* of x, so write into a copy of x: the caller still needs its own. And n may be less than R:
# then some chunks are empty, and are sent all the same.
#
# ### Exercise: the ring

# %% exercise="allreduce.ring"

# %% [markdown] mistakes="allreduce.ring"
# **What goes wrong**

# %% [markdown]
# ## 4 · Bytes
#
# Each rank sends 2 (R − 1) chunks of n / R numbers:
#
# $$\text{bytes} = 2\,\frac{R-1}{R}\; n \cdot 4 \qquad\text{(float32)}$$
#
# **Predict**: how much more does a rank of a ring of 1,000 send than one of a ring of 10? The next cell counts what the threads really send.

# %%
n, sizes = 840, [1, 2, 3, 4, 5, 6, 7, 8]
ways = {"everybody": Everybody(), "ring": tasks.RingAllReduce()}
counted = {name: [] for name in ways}
for R in sizes:
    numbers = rng.standard_normal((R, n)).astype(np.float32)
    for name, way in ways.items():
        assert np.allclose(way.forward(numbers), numbers.sum(axis=0), atol=1e-5)
        counted[name].append(max(way.sent))
assert counted["ring"] == [round(2 * (R - 1) / R * n * 4) for R in sizes]  # 840 can be divided by all of them
assert counted["everybody"] == [(R - 1) * n * 4 for R in sizes]
figure, axis = plt.subplots(figsize=(7, 3.2))
many = np.linspace(1, 8, 100)
axis.plot(many, (many - 1) * n * 4 / 1e3, "--", color="C1", linewidth=1)
axis.plot(many, 2 * (many - 1) / many * n * 4 / 1e3, "-", color="C0", linewidth=1)
for (name, found), marker, colour in zip(counted.items(), "so", ("C1", "C0"), strict=True):
    axis.plot(sizes, [bytes_sent / 1e3 for bytes_sent in found], marker, color=colour, label=f"{name}: counted; line: formula")
axis.axhline(2 * n * 4 / 1e3, color="0.6", linewidth=1, linestyle=":")
axis.text(1, 2.06 * n * 4 / 1e3, "twice the data", fontsize=8)
axis.set(xlabel="ranks", ylabel="kilobytes a rank sends", title=f"All-reduce of {n} numbers")
axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.93))
plt.show()
print(f"10 ranks {2 * 9 / 10:.2f} n, 1,000 ranks {2 * 999 / 1000:.3f} n")

# %% [markdown]
# Never more than twice the data, however many ranks there are; and nobody can do with less (Patarasuk and Yuan 2009). That is why the ring is everywhere. But it has a price, and bytes do not show it.
#
# ## 5 · Up and down a tree
#
# A message takes time even if it holds one number: the **latency** α, some microseconds between machines. Bytes then come at the **bandwidth** β. A message of b bytes takes
#
# $$\alpha + b / \beta$$
#
# In a ring 2 (R − 1) messages follow one another. A **tree** needs fewer: half of the ranks send all they have to the other half, which adds; then half of those, and so on, until rank 0 has everything. Then the same
# branches back.

# %%
R = 6
figure, axis = plt.subplots(figsize=(7, 2.6))
for level, d in enumerate((1, 2, 4)):
    for r in range(0, R, 2 * d):
        axis.plot([r, r], [level, level + 1], color="0.6", linewidth=1)
        if r + d < R:
            axis.annotate("", (r + 0.08, level + 0.97), (r + d, level), arrowprops={"arrowstyle": "-|>", "color": "C0", "lw": 1.6})
            axis.text(r + d * 0.62 + 0.15, level + 0.5, f"distance {d}", fontsize=8, color="C0")
axis.set(xticks=range(R), xlabel="rank", yticks=range(4), ylabel="messages so far", xlim=(-0.4, R), title="Six ranks, up the tree")
plt.show()

# %% [markdown]
# At distance d = 1, 2, 4, … rank r *sends* if r divided by 2 d leaves d, and *receives* if it leaves 0 **and there is a rank r + d**: six is no power of two, and rank 4 has no partner at distance 2. Who has sent is done, until
# its branch comes down again. **Predict** who sends and who receives at distance 2 among six ranks, and in which order the distances come on the way down.
#
# ### Exercise: the tree

# %% exercise="allreduce.tree"

# %% [markdown] mistakes="allreduce.tree"
# **What goes wrong**

# %% [markdown]
# ## 6 · Seconds
#
# | | messages one after the other | seconds |
# |---|---|---|
# | ring | 2 (R − 1) of n / R numbers | 2 (R − 1) α + 2 (R − 1)/R · 4 n / β |
# | tree | 2 ⌈log₂ R⌉ of n numbers | 2 ⌈log₂ R⌉ (α + 4 n / β) |
#
# Every rank of ours has a **clock**: a message that is sent moves it on by α + b/β, and one that is received is there when the sender's clock says so. No second is really spent, but who waits for whom is
# real. **Predict** for 8 ranks, α = 10 µs and 100 Gbit/s: which is faster for the 96 biases of conv1, which for the 37.7 million weights of fc6? Where do they meet?


# %%
def ring_seconds(R, count, alpha, beta):
    return 2 * (R - 1) * alpha + 2 * (R - 1) / R * 4 * count / beta


def tree_seconds(R, count, alpha, beta):
    return 2 * np.ceil(np.log2(R)) * (alpha + 4 * count / beta)


alpha, beta, R = 10e-6, 100e9 / 8, 8
formulas = {"ring": ring_seconds, "tree": tree_seconds}
clocks = {"ring": tasks.RingAllReduce(alpha, beta), "tree": tasks.TreeAllReduce(alpha, beta)}
counts = [8, 80, 800, 8000, 80_000] + ([] if FAST else [800_000])
measured = {name: [] for name in clocks}
for count in counts:
    numbers = np.ones((R, count), np.float32)
    for name, way in clocks.items():
        way.forward(numbers)
        measured[name].append(way.seconds)
        formula = formulas[name]
        assert np.isclose(way.seconds, formula(R, count, alpha, beta), rtol=1e-9)
figure, axis = plt.subplots(figsize=(7, 3.4))
line = np.logspace(0.8, 8, 100)
for (name, formula), style, marker in zip(formulas.items(), ("-", "--"), "os", strict=True):
    (drawn,) = axis.loglog(line, 1e3 * formula(R, line, alpha, beta), style, label=f"{name}, formula")
    axis.loglog(counts, [1e3 * t for t in measured[name]], marker, color=drawn.get_color(), label=f"{name}, clock of the threads")
for name, count, height in (("biases of conv1", 96, 1.2), ("weights of fc6", 9216 * 4096, 0.6)):
    axis.axvline(count, ymax=0.68, color="0.6", linewidth=1, linestyle=":")
    axis.text(count * 0.85, height, name, rotation=90, ha="right", va="center", fontsize=8)
axis.set(xlabel="numbers to be summed", ylabel="milliseconds", title="Eight ranks, 10 µs and 100 Gbit/s")
axis.legend(fontsize=8, loc="upper left")
plt.show()
meet = (2 * (R - 1) - 2 * 3) * alpha * beta / (4 * (2 * 3 - 2 * (R - 1) / R))
for name, count in (("biases of conv1", 96), ("where they meet", round(meet)), ("weights of fc6", 9216 * 4096)):
    print(
        f"{name:16s} {count:12,} numbers: ring {1e3 * ring_seconds(R, count, alpha, beta):8.3f} ms, tree {1e3 * tree_seconds(R, count, alpha, beta):8.3f} ms"
    )

# %% [markdown]
# Few numbers: latency rules, and the tree wins. Many: bandwidth rules, and the ring does. MPI's libraries and NCCL choose by size. For a network the lesson is: sum *large* pieces, not every bias alone, or pay α for each.
#
# ## 7 · Are they the same run?
#
# Now train with it. Three ranks, a network with dropout, five steps; afterwards the weights beside those of one process. Dropout's mask is a function of (key, step, image, unit), so a rank only has to say which image of the
# batch is its first. **Predict** the largest difference, in float64.

# %%
R, N = 3, 16


class Run(tasks.RingAllReduce):
    """A training run of several ranks. make: a function that gives a network, the same one on every rank."""

    def __init__(self, make, steps):
        super().__init__()
        self.make, self.steps = make, steps

    def all_reduce(self, comm, x):
        """-> what `trained` gives, in a row of the shape of x."""

        def summed(gradient):
            return tasks.RingAllReduce.all_reduce(self, comm, gradient.ravel()).reshape(gradient.shape)

        return trained(self.make(), slice(N * comm.rank // comm.size, N * (comm.rank + 1) // comm.size), summed, self.steps)


def trained(net, part, summed, steps):
    """The weights, in a row, and the last loss on this part of the batch. summed: what is done to each gradient before a step."""
    net.first_image = part.start
    loss, optimizer = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), lr=0.01)
    for _ in range(steps):
        last = loss.forward(net.forward(some[part]), truth[part])
        net.backward(loss.backward() * (part.stop - part.start) / N)
        for p in net.parameters():
            p.grad = summed(p.grad)
        optimizer.step()
    return np.concatenate([*(p.value.ravel() for p in net.parameters()), [last]])


def small():
    return AlexNet("small", num_classes=10, seed=SEED).astype(np.float64)


some = np.repeat(fashion.train_images[:N] - fashion.train_images.mean(axis=0), 3, axis=-1).astype(np.float64)
truth, steps = fashion.train_labels[:N], 3 if FAST else 5
alone = trained(small(), slice(0, N), lambda gradient: gradient, steps)[:-1]
run = Run(small, steps)
ranks = run.forward(np.empty((R, len(alone) + 1)))[:, :-1]
print(f"{R} ranks against one process after {steps} steps: {np.abs(ranks - alone).max() / np.abs(alone).max():.0e}")
print("the ranks among themselves:", "the same bits" if all(np.array_equal(ranks[0], row) for row in ranks) else "different")
print(f"{run.messages[0]:,} messages, {run.sent[0] / steps / 1e6:.1f} MB a step from each rank")
assert np.abs(ranks - alone).max() < 1e-12 * np.abs(alone).max() and (ranks == ranks[0]).all()

# %% [markdown]
# *The same bits on all ranks* is no luxury: nobody ever compares the weights of two ranks again. If their sums differed in the last bit, the networks would drift apart, silently. In a ring every sum is taken once, in one order, and then
# copied; `Everybody` needed `sorted`.
#
# `mpirun -n 3 python alexnet.py …` is this program with processes for threads: `minigrad/ranks`. It does not wait until all gradients are there, either: fc8's are summed while fc7's are still being computed.
#
# ## 8 · Which layers are the problem
#
# **Predict** from notebook 07: which part of the 61 million parameters is in the five convolutions, and which part of the arithmetic?

# %%
net = AlexNet("paper", seed=SEED)
macs, parameters = net.multiply_adds(), {}
for step in net.walk():
    parameters[step.name] = parameters.get(step.name, 0) + sum(p.value.size for p in step.layer.parameters())
names = [name for name in macs if parameters.get(name)]
share = {name: (parameters[name] / net.num_parameters(), macs[name] / sum(macs.values())) for name in names}
figure, axis = plt.subplots(figsize=(7, 3.2))
places = np.arange(len(names))
for offset, i, label, hatch in ((-0.2, 0, "parameters: what travels", ""), (0.2, 1, "multiply-adds: what is computed meanwhile", "///")):
    bars = axis.bar(places + offset, [100 * share[name][i] for name in names], 0.4, label=label, hatch=hatch, edgecolor="white")
    axis.bar_label(bars, [f"{100 * share[name][i]:.0f}" for name in names], fontsize=8)
axis.set(
    xticks=places, xticklabels=names, xlabel="layer", ylabel="% of the network", title="AlexNet: two halves that have little in common"
)
axis.legend(fontsize=8, loc="upper left")
plt.show()
found = traffic.sizes(net)
total = found.convolutions + found.connected
print(f"fully connected: {found.connected:,} of {total:,} parameters, {found.connected / total:.1%}")
print(
    f"                 {4 * found.connected / 1e6:.0f} MB of gradients; the convolutions' {found.convolutions:,} are {4 * found.convolutions / 1e6:.0f} MB"
)
print(f"                 {sum(macs[name] for name in names if name.startswith('fc')) / sum(macs.values()):.1%} of the multiply-adds")

# %% [markdown]
# The convolutions compute for a long time and have little to say; the connected layers are quickly done and have 235 MB of gradients, whatever the batch is. Data parallelism is made for the former.
#
# ## 9 · The trick of 2014
#
# Cut the two halves differently. **Convolutions**: every rank its images, gradients are summed: few bytes. **Connected layers**: every rank its *columns* of W, for the images of *all* ranks. Then no gradient of W ever
# travels; instead what goes in and out does:
#
# | fc layer | forward | backward |
# |---|---|---|
# | in | all ranks send their images' x to all: *gather* | each rank knows dx as far as its columns tell: the parts are *added*, each rank gets that of its images |
# | W[:, columns of r] | y[:, columns of r] of all images | dW[:, columns of r], whole: nothing to send |
#
# That is the exchange of the towers again (notebook 08), with ranks for towers. In numbers, for one layer:

# %%
R, per_rank, wide, out = 3, 4, 10, 6
x, W = rng.standard_normal((R * per_rank, wide)), rng.standard_normal((wide, out))
dy = rng.standard_normal((R * per_rank, out))
columns, rows = np.array_split(np.arange(out), R), np.array_split(np.arange(R * per_rank), R)
parts_y = [x @ W[:, own] for own in columns]  # each rank, after the gather of x
parts_dW = [x.T @ dy[:, own] for own in columns]
parts_dx = [dy[:, own] @ W[:, own].T for own in columns]  # of all images, as far as these columns tell
dx = [sum(part[mine] for part in parts_dx) for mine in rows]
assert np.allclose(np.concatenate(parts_y, axis=1), x @ W) and np.allclose(np.concatenate(parts_dW, axis=1), x.T @ dy)
assert np.allclose(np.concatenate(dx), dy @ W.T)
print("y, dW and dx of the columns are those of the whole layer")
print(f"a rank sends {(R - 1) * per_rank * wide} numbers of x and {(R - 1) * per_rank * wide} of dx; its part of dW has {wide * out // R}")

# %% [markdown]
# With N images for each rank, a rank sends its N · 9,216 numbers behind conv5 to R − 1 others, and gets as many gradients back; the same between fc6 and fc7, and fc7 and fc8; at the end each rank is sent the logits of its own images alone. **Predict**: the all-reduce of
# gradients hardly grows with R. These bytes do: how? So who wins with 2 ranks, and who with 64?

# %%
print(f"numbers for each image, from the network itself: {found.inputs:,} = 9,216 + 2 · 4,096 that come in, {found.logits:,} logits")
each, sizes = 128, np.arange(2, 65)
plain = 4 * 2 * (sizes - 1) / sizes * total
trick = 4 * 2 * (sizes - 1) / sizes * found.convolutions + 4 * 2 * (sizes - 1) * each * (found.inputs + found.logits / sizes)
machines = scale.Machines(step=1, batch=each, between=1, inside=1, group=8)
eights = [8, 16, 32, 64]
in_groups = [scale.hybrid_step(found, machines, R)[0] for R in eights]
figure, axis = plt.subplots(figsize=(7, 3.4))
axis.loglog(sizes, plain / 1e6, label="plain: all gradients are summed")
axis.loglog(sizes, trick / 1e6, "--", label="the trick, over all ranks")
axis.loglog(eights, np.array(in_groups) / 1e6, "o-.", label="the trick in groups of 8, sums between them")
axis.set(xlabel="ranks", ylabel="MB a rank sends in a step", title=f"AlexNet, {each} images for each rank", xticks=[2, 4, 8, 16, 32, 64])
axis.set_xticklabels([2, 4, 8, 16, 32, 64])
axis.minorticks_off()
axis.legend(fontsize=8, loc="lower right")
plt.show()
for R in (2, 4, 8, 64):
    i = R - 2
    print(f"{R:3d} ranks: plain {plain[i] / 1e6:4.0f} MB, {plain[i] / trick[i]:.1f} times the trick's {trick[i] / 1e6:5.0f} MB")
print(f"the trick sends more from {sizes[np.argmax(trick > plain)]} ranks on")
gradients, activations = traffic.sent(found, each, 64, team=8)
print(f"64 ranks in groups of 8: {activations / 1e6:.0f} MB within a machine, {gradients / 1e6:.0f} MB between machines")

# %% [markdown]
# So: the trick inside a machine, where links are fast, and sums between machines: `mpirun -n 64 python alexnet.py --hybrid 8 …`. One thing the bytes do not show: gradients travel *while backward goes on*, and cost nothing as long as they are done in time. Activations are waited
# for, by everybody.
#
# ## 10 · A thousand of them
#
# All of it in one calculation. First the two things that have to be measured: how long a step takes here, and which share of it passes *after* the first gradients are there, so that they can travel meanwhile.

# %%
each = 2 if FAST else 16
photographs, classes = batch(net, each)
training, seconds, behind = Ours(net), [], []
for _ in range(2 if FAST else 4):  # the first asks for memory
    begin, first = time.perf_counter(), []
    training.loss.forward(net.forward(photographs), classes)
    net.backward(training.loss.backward(), lambda parameters, first=first: first.append(time.perf_counter()))
    training.optimizer.step()
    end = time.perf_counter()
    seconds.append(end - begin)
    behind.append((end - first[0]) / (end - begin))
step = min(seconds[1:])
print(f"{each} images take {step:.2f} s on this machine; {np.median(behind[1:]):.0%} of a step passes after fc8's gradients are there")
print(f"(`scale` assumes {scale.BEHIND:.0%})")

# %% [markdown]
# **Predict**: with 100 Gbit/s between machines and 3,600 within a machine of eight, which part of 1,024 of *these* machines would be used? And of 1,024 devices that are a hundred times as fast?

# %%
figure, axis = plt.subplots(figsize=(7, 3.4))
for faster, style in ((1, "-"), (100, "--")):
    machines = scale.Machines(step=step / faster, batch=each, between=100e9 / 8, inside=3600e9 / 8, group=8)
    for name, seconds_of, marker, size in (("plain", scale.plain_step, "o", 8), ("hybrid", scale.hybrid_step, "s", 4)):
        used = [100 * machines.step / seconds_of(found, machines, R)[1] for R in scale.GPUS]
        label = f"{name}, {'this machine' if faster == 1 else f'{faster} times as fast'}"
        axis.semilogx(scale.GPUS, used, marker + style, label=label, color="C0" if name == "plain" else "C1", markersize=size)
axis.set(xlabel="devices", ylabel="% used", title=f"{each} images a device, 100 Gbit/s between machines", ylim=(0, 105))
axis.set_xticks(scale.GPUS, [f"{R:,}" for R in scale.GPUS], fontsize=8)
axis.minorticks_off()
axis.legend(fontsize=8, loc="lower left", handlelength=4)
plt.show()

# %% [markdown]
# The slower the device, the better it scales: an efficiency of 99 % may only mean that nobody computes much. Compare *times*. The same page, for your numbers, with all assumptions and the time of 90 epochs of ImageNet:
#
# `python alexnet.py scale --step SECONDS --batch-size N --bandwidth GBIT`
#
# And the batch of all devices together grows with them: 1,024 times 128 images are 131,072 in each step, for which the learning rate of 2012 is not made. (`--scale-lr`, `--warmup`, `--optimizer lars`.)
#
# ## 11 · Four rituals

# %%
for R, n in ((1, 5), (2, 1), (5, 3), (6, 13)):
    numbers = rng.standard_normal((R, n))
    for way in (tasks.RingAllReduce(), tasks.TreeAllReduce(), Everybody()):
        y = way.forward(numbers)
        for r, i in np.ndindex(R, n):
            assert np.isclose(y[r, i], sum(numbers[other, i] for other in range(R)), rtol=1e-12, atol=1e-12)
        assert (y == y[0]).all() and not way.unread
print("1 · ring, tree and everybody equal the loop, the same bits on all ranks, and nothing is sent in vain")

# %%
for make in (tasks.RingAllReduce, tasks.TreeAllReduce):
    report = check_layer(make, (3, 4), checks=("values",))
    assert report.ok, report
print("2 · the gradient of an all-reduce is an all-reduce of the gradients")

# %%
halves = AlexNet("small", num_classes=10, seed=SEED).eval()
pixels = rng.normal(0, 58, (5, 28, 28, 3)).astype(np.float32)
apart = np.concatenate([halves.forward(pixels[:2]), halves.forward(pixels[2:])])
assert np.allclose(apart, halves.forward(pixels), rtol=1e-4, atol=1e-5)
print("3 · a batch in two parts equals the batch")


# %%
def tiny():
    draw = np.random.default_rng(SEED)
    size = some[0].size
    return mg.Sequential(flat=mg.Flatten(), fc1=mg.Linear(size, 8, rng=draw), relu=mg.ReLU(), fc2=mg.Linear(8, 10, rng=draw)).astype(
        np.float64
    )


R = 3
some /= 58
length = sum(p.value.size for p in tiny().parameters()) + 1
first, last = (Run(tiny, steps).forward(np.empty((R, length)))[:, -1].max() for steps in (1, 30))
print(f"4 · {N} images overfitted by {R} ranks: loss {first:.2f} to {last:.2f}")
assert last < first / 2

# %% [markdown]
# ## Recap
#
# | | a rank sends | one after the other |
# |---|---|---|
# | everybody to everybody | (R − 1) n numbers | R − 1 messages |
# | ring | 2 (R − 1)/R · n | 2 (R − 1) |
# | tree | up to ⌈log₂ R⌉ · n | 2 ⌈log₂ R⌉ |
# | plain data parallelism | 2 (R − 1)/R · 60,965,224, hidden behind backward | |
# | columns of fc6–8 over ranks | 2 (R − 1) · N · (17,408 + 1,000/R) and the sums of 2,334,080, the former waited for | |
#
# **Explain**: your ring of 16 machines takes 30 ms for the gradients of a step of 25 ms, and you may buy either links of twice the bandwidth or memory for twice the images a device. Which one, and what else would you try first?
#
# *(your answer)*
#
# In the library: `minigrad/ranks`, `minigrad/commands/scale.py`, `minigrad/coursework/threads.py`. Start again: [00 · Arrays](00_arrays.ipynb).
