# %% [markdown]
# # 09 · Train and look inside
#
# **The question.** The network is right and it learns. Now: how do you get more out of the images you have, how do you say honestly how good it is,
# and what has it actually learned?
#
# **You will** write the paper's two augmentations and its measure, train `small` on Fashion-MNIST, and look at its kernels, its guesses, its doubts and its
# idea of likeness. About 60 minutes.
#
# Before: [08 · Two devices](08_two_devices.ipynb). Next: [10 · Make it fast](10_make_it_fast.ipynb). In the paper: §4.1, §6 and Figures 3 and 4.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

import minigrad as mg
from alexnet import AlexNet
from minigrad import data, optim, plots, training
from minigrad.coursework import tasks
from minigrad.data import colour
from minigrad.training import evaluation

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 9
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")


def show(draw):
    """Let a function of minigrad.plots draw into a file, and show the file."""
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "figure.png")
        display(Image((Path(folder) / "figure.png").read_bytes()))


# %% [markdown]
# ## 1 · More images from the same images
#
# The paper cuts squares of 224 pixels out of images of 256, anywhere, and mirrors half of them (§4.1). What the label says stays true, and the network
# never sees the same numbers twice.
#
# **Predict.** How many different squares of 224 are in an image of 256, mirrors included? The paper says 2048.

# %%
places = 256 - 224 + 1
print(f"offsets 0 to {places - 1}: {places} x {places} x 2 = {places**2 * 2:,};   the paper's 2048 is {places - 1} x {places - 1} x 2")

# %% [markdown]
# The last place counts. Off by one in a paper that everybody has read.
#
# ### Exercise: crops and mirrors
#
# `rng.integers(0, n)` draws one of 0 … n − 1, all equally likely, and `rng.random()` a number from 0 up to 1. `a[::-1]` runs backwards
# through the first axis of a, `a[:, ::-1]` through the second.

# %% exercise="augment.crop_flip"

# %% [markdown]
# An ankle boot, and eight views of it: 24 of its 28 pixels.

# %%
dataset = data.load()
boot = dataset.train_images[np.flatnonzero(dataset.train_labels == 9)[1]]
views = tasks.crop_flip(np.repeat(boot[None], 8, axis=0), 24, rng)
figure, axes = plt.subplots(1, 9, figsize=(10, 1.6))
for axis, image, title in zip(axes, (boot, *views), ("28 × 28", *[f"view {i}" for i in range(1, 9)]), strict=True):
    axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
    axis.set_title(title, fontsize=9)
    axis.axis("off")
figure.supxlabel("columns: 28 of the image, 24 of each view", fontsize=8)
figure.supylabel("rows", fontsize=8)
plt.show()
print(f"{(28 - 24 + 1) ** 2 * 2} different views of one image")

# %% [markdown]
# The second augmentation is **light**. Take all pixels of all training images as points (R, G, B). Their cloud is long in one direction, brightness, and
# thinner in two others. Move *all pixels of an image* a little along these directions:
#
# $$x_{\text{pixel}} \leftarrow x_{\text{pixel}} + V \, (0.1 \cdot \sigma \cdot n), \qquad n \sim N(0, I_3)$$
#
# How are the directions found? The 3 × 3 **covariance matrix** of the cloud says how R, G and B vary together: $C = \text{mean of } (x - \bar x)(x - \bar x)^T$. A
# direction v (of length 1) that C only makes longer or shorter, $C v = \lambda v$, is called an **eigenvector** of C, and λ its **eigenvalue**. There are three, at right
# angles to one another; λ is the variance of the cloud along v, so σ = √λ is its standard deviation. Sorted by size they are the **principal components**. For
# a cloud that we make ourselves, with standard deviations 100, 30 and 10 along known directions:

# %%
known = np.linalg.qr(rng.standard_normal((3, 3)))[0]  # three directions at right angles, as columns
cloud = (rng.standard_normal((100_000, 3)) * [100, 30, 10]) @ known.T
eigenvalues, directions = np.linalg.eigh(np.cov(cloud.T))  # the smallest first
print("eigenvalues", eigenvalues[::-1].round(), "  their roots", np.sqrt(eigenvalues[::-1]).round(1))
print("the directions found against ours (1: the same line):", np.abs((directions[:, ::-1] * known).sum(axis=0)).round(3))

# %% [markdown]
# So σ are the standard deviations along the directions, which are V's columns. These are ImageNet's:

# %%
sigma, V = colour.IMAGENET
print("σ =", sigma)
print("V =", V, sep="\n")
print("standard deviation of the noise in R, G, B:", np.sqrt(((V * 0.1 * sigma) ** 2).sum(axis=1)).round(2), "grey levels")

# %% [markdown]
# The paper says that the noise is proportional to the *eigenvalues*. They are σ². **Predict** what images look like then. And a set of constants
# that everybody copies, (0.2175, 0.0188, 0.0045), are eigenvalues of pixels from 0 to 1, used as if they were σ. Too weak, or too strong?

# %%
grey = np.repeat(dataset.train_images[np.flatnonzero(dataset.train_labels == 2)[0]][None], 3, axis=-1).repeat(6, axis=0).astype(np.float32)
copied = 255 * np.array([0.2175, 0.0188, 0.0045])
figure, axes = plt.subplots(3, 6, figsize=(9, 5))
for row, (scale, label) in zip(axes, ((sigma, "σ"), (sigma**2, "eigenvalues σ²"), (copied, "copied constants")), strict=True):
    shifted = tasks.colour_noise(grey, scale, V, np.random.default_rng(SEED))
    for axis, image in zip(row, shifted, strict=True):
        axis.imshow(np.clip(image, 0, 255).astype(np.uint8))
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(True)
    row[0].set_ylabel(f"{label}\nstd {0.1 * scale[0]:,.1f}", fontsize=9)
figure.suptitle("Six draws of colour noise; std: of the noise along the first direction, in grey levels", fontsize=10)
plt.show()

# %% [markdown]
# ### Exercise: colour noise
#
# `rng.standard_normal(shape)` draws from N(0, 1). The formula is for one image and its n, a column; with a row for each image, `V @ v` becomes `rows @ V.T`.

# %% exercise="augment.colour_noise"

# %% [markdown]
# ### Mend a bug
#
# This version passes a glance: right size, right mean. **Read** it, **predict** what is wrong with its images, then mend it and run it again.


# %%
def noisy(images, sigma, V, rng):
    """Colour noise with a mistake."""
    n = rng.standard_normal((*images.shape[:-1], 3))  # mend this line
    return images + ((0.1 * sigma * n) @ V.T).astype(images.dtype)


shifts = noisy(np.zeros((2, 4, 4, 3), np.float32), sigma, V, np.random.default_rng(SEED))
print("shifts of one image's pixels differ by", np.ptp(shifts[0].reshape(-1, 3), axis=0).round(1), "grey levels; they should all be equal")

# %% [markdown]
# ## 2 · How wrong is it?
#
# ImageNet's images often show several things, with one label. So the paper counts twice: **top-1 error**, the first guess is wrong; **top-5 error**, the label
# is not among the first five.
#
# **Predict** both for a network that guesses, with 10 classes and with 1000.

# %%
for classes in (10, 1000):
    guesses, truth = rng.random((20_000, classes)), rng.integers(0, classes, 20_000)
    print(
        f"{classes:5d} classes: top-1 error {tasks.top_k_error(guesses, truth, 1):.1%}, top-5 error {tasks.top_k_error(guesses, truth, 5):.1%}"
    )

# %% [markdown]
# ### Exercise: the top-k error
#
# `np.argsort(a, axis=1)` gives for each row the places of its numbers, the smallest number's first.

# %% exercise="metrics.top_k"

# %% [markdown] mistakes="augment.crop_flip augment.colour_noise metrics.top_k"
# **What goes wrong**

# %% [markdown]
# ## 3 · Training
#
# All of it in one cell: a loader that makes batches while the network works on the one before, the loop of notebook 02, the recipe of notebook 06. The
# images to validate with are never trained on. **Predict** the top-1 error after the first epoch, and after the last.

# %%
count, checks, epochs = (1500, 400, 3) if FAST else (10_000, 2_000, 4)
recipe = AlexNet.variants["small"]
mean = data.mean_image(dataset.train_images)
common = {"mean": mean, "size": 28, "seed": SEED}
train_loader = data.Loader(dataset.train_images[:count], dataset.train_labels[:count], recipe.batch_size, shuffle=True, **common)
val_images, val_labels = dataset.val_images[:checks], dataset.val_labels[:checks]
val_loader = data.Loader(val_images, val_labels, 128, **common)
net = AlexNet("small", num_classes=10, seed=SEED)
start = training.first_kernels(net, None)
start = [W.copy() for W in start]
loss, optimizer = mg.SoftmaxCrossEntropy(), mg.SGD(net.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
schedule, rows = optim.LinearDecay(recipe.lr, epochs), []
for epoch in range(epochs):
    net.train()
    optimizer.lr, tally = schedule.lr, training.Tally()
    for x, labels in train_loader.batches(epoch):
        logits = net.forward(x)
        value = loss.forward(logits, labels)
        net.backward(loss.backward())
        optimizer.step()
        tally.add(value, logits, labels)
    measured = tally.means(), training.evaluate(net, loss, val_loader.batches(0))
    row = {"epoch": epoch + 1, "lr": optimizer.lr}
    for name, (value, top1, top5) in zip(("train", "val"), measured, strict=True):
        row |= {f"{name}_loss": value, f"{name}_top1_error": top1, f"{name}_top5_error": top5}
    rows.append(row)
    schedule.epoch_ended(row["val_top1_error"])
    print(f"epoch {epoch + 1}: loss {measured[0][0]:.3f}, validation top-1 error {measured[1][1]:.1%}, top-5 error {measured[1][2]:.1%}")

# %%
show(lambda path: plots.curves(rows, path))

# %% [markdown]
# Is the training error *above* that of validation? That is dropout: while training, half of fc6 and fc7 is silent, and the number is a mean over an epoch
# in which the network was still worse. The whole run, 12 epochs, is `python alexnet.py`.
#
# The paper makes ten predictions for each image, of its four corners, its centre, and their mirrors, and averages the probabilities (§4.1). **Predict**: does that
# help a network that was trained without crops?

# %%
ten_loader = data.Loader(val_images, val_labels, 32, crops=10, **common)
one, ten = evaluation.probabilities(net, val_loader), evaluation.probabilities(net, ten_loader)
for name, p in (("one view", one), ("ten views", ten)):
    value, top1, top5 = evaluation.errors(p, val_labels)
    print(f"{name:9s} loss {value:.3f}, top-1 error {top1:.1%}, top-5 error {top5:.1%}")

# %% [markdown]
# Views at test time belong to the views of training. (The paper's network, trained with crops: 39.0 % with one view, 37.5 % with ten.)
#
# ## 4 · What conv1 looks for
#
# Figure 3 of the paper shows the 96 kernels of conv1: those of one GPU are mostly grey and oriented, those of the other coloured, in every run, though nobody
# asked for it. Our images are grey and the kernels 3 × 3. **Predict**: edges? Do the two towers differ?

# %%
show(lambda path: plots.filters(training.first_kernels(net, mean), path))

# %%
for t, (before, after) in enumerate(zip(start, training.first_kernels(net, None), strict=True)):
    change = np.linalg.norm(after - before) / np.linalg.norm(before)
    summed = after.sum(axis=2)
    print(
        f"tower {t}: kernels moved by {change:.0%} of their length; mean of a kernel over its spread {np.abs(summed.mean((0, 1)) / summed.std((0, 1))).mean():.2f}"
    )

# %% [markdown]
# Light and dark side by side is an edge; light in the middle, a dot. With grey images there is no colour to specialise in, and no reason for the towers to
# differ but their seeds.
#
# ## 5 · What it says, and how sure it is
#
# Figure 4, left: images that the network has not seen, the label beneath, and its five best guesses. **Look for** a wrong guess that you find excusable.

# %%
chosen = evaluation.one_of_each(val_labels, 8, SEED)
show(lambda path: plots.predictions([val_images[i] for i in chosen], val_labels[chosen], one[chosen], dataset.classes, path))

# %% [markdown]
# Is it *right* to be sure? If a network says 80 %, it should be right in 80 of 100 cases.

# %%
sure, right = one.max(axis=1), one.argmax(axis=1) == val_labels
edges = np.linspace(0, 1, 11)
figure, axis = plt.subplots(figsize=(5, 3.6))
for low, high in zip(edges[:-1], edges[1:], strict=True):
    inside = (sure > low) & (sure <= high)
    if inside.sum() >= 10:
        axis.plot(sure[inside].mean(), right[inside].mean(), "o", color="C0", markersize=3 + 12 * np.sqrt(inside.mean()))
axis.plot([0, 1], [0, 1], "--", color="0.5", linewidth=1)
axis.set(
    xlabel="probability of the best guess",
    ylabel="fraction that is right",
    title="Does it know what it knows?",
    xlim=(0, 1.03),
    ylim=(0, 1.03),
)
plt.show()
print(f"mean probability of the best guess {sure.mean():.1%}, right {right.mean():.1%}")

# %% [markdown]
# Above the line it is too modest, below too sure. The size of a dot says how many images there are.
#
# Which classes does it confuse?

# %%
show(lambda path: plots.confusion(evaluation.confusion(one, val_labels), dataset.classes, path))

# %% [markdown]
# ## 6 · What it finds alike
#
# Figure 4, right. The last hidden layer, fc7, turns an image into 512 numbers (4096 in the paper), of both towers. Two images are alike if these numbers are. In
# pixels, a shirt that is moved by two columns is another shirt. **Predict**: of six nearest neighbours, how many have the class of the image they belong to? With pixels,
# with fc7 before training, with fc7 after it?

# %%
known = min(count, 2000)


def features(network, images):
    """What fc7 makes of images, both towers."""
    return evaluation.outputs(network.up_to("relu7"), data.Loader(images, np.zeros(len(images), int), 128, **common))


queries, library = val_images[:200], dataset.train_images[:known]
untrained = AlexNet("small", num_classes=10, seed=SEED)
pixels = [images.reshape(len(images), -1).astype(np.float32) for images in (queries, library)]
found = {
    "pixels": evaluation.nearest(*pixels),
    "fc7, untrained": evaluation.nearest(features(untrained, queries), features(untrained, library)),
    "fc7, trained": evaluation.nearest(features(net, queries), features(net, library)),
}
for name, numbers in found.items():
    same = (dataset.train_labels[numbers] == val_labels[:200, None]).mean()
    print(f"{name:15s} {same:.0%} of the six nearest are of the same class")

# %%
rows_of = evaluation.one_of_each(val_labels[:200], 5, SEED + 1)
matches = found["fc7, trained"][rows_of]
titles = [
    [dataset.classes[val_labels[i]], *(dataset.classes[dataset.train_labels[k]] for k in near)]
    for i, near in zip(rows_of, matches, strict=True)
]
show(lambda path: plots.neighbours([val_images[i] for i in rows_of], [[library[k] for k in near] for near in matches], path, titles))

# %% [markdown]
# Even untrained weights see something, since nearby images have nearby outputs; and pixels are a strong opponent where all things are centred and of one size.
# Training brings together what has one label: after all epochs on all images fc7 should be well ahead, after a very short training it may not be.
#
# ## 7 · Four rituals
#
# There is no gradient here; so what is tested is the arithmetic, and the honesty of what was measured.

# %%
images = rng.integers(0, 256, (40, 9, 8, 2), np.uint8)
for image, crop in zip(images, tasks.crop_flip(images, 6, rng), strict=True):
    windows = [image[r : r + 6, q : q + 6] for r in range(4) for q in range(3)]
    assert any(np.array_equal(crop, view) for window in windows for view in (window, window[:, ::-1]))
print("1 · every crop is one of the windows of its image, or its mirror")

# %%
logits, truth = rng.standard_normal((500, 10)), rng.integers(0, 10, 500)
for k in (1, 3, 5):
    by_loop = np.mean([sum(row > row[label]) >= k for row, label in zip(logits, truth, strict=True)])
    assert np.isclose(tasks.top_k_error(logits, truth, k), by_loop)
print("2 · the error equals a loop: how many logits are larger than the label's?")

# %%
top1, top5 = training.top_k_errors(logits, truth)
assert np.isclose(top1 / 500, tasks.top_k_error(logits, truth, 1)) and np.isclose(top5 / 500, tasks.top_k_error(logits, truth, 5))
assert np.allclose(data.noise_matrix(colour.IMAGENET), V * (0.1 * sigma))
print("3 · the library's measure and noise equal the plain ones")

# %%
assert rows[-1]["val_top5_error"] <= rows[-1]["val_top1_error"] < 0.5 and np.isfinite(rows[-1]["val_loss"])
assert not set(map(bytes, val_images)) & set(map(bytes, dataset.train_images[:count])), "an image to validate with was trained on"
print("4 · it has learned, and on other images than those it is judged by")

# %% [markdown]
# ## Recap
#
# | | shapes |
# |---|---|
# | crops and mirrors, per image and epoch | (N, 256, 256, 3) → (N, 224, 224, 3): 33 · 33 · 2 views |
# | colour noise, one draw for an image | V (3, 3) · (0.1 σ n) (3,), added to all its pixels |
# | ten crops | (N, 10, 224, 224, 3) → mean of ten softmax outputs (N, 1000) |
# | top-k error | logits (N, classes), labels (N,) → a fraction |
# | features | fc7 after ReLU, both towers: (N, 4096); here (N, 512) |
#
# **Explain**: somebody shows you a network with 2 % training error and 30 % validation error, and one with 25 % and 26 %. Which would you rather go on with,
# and what would you change in each?
#
# *(your answer)*
#
# In the library: `minigrad/data/loader.py`, `minigrad/training/evaluation.py`, `minigrad/plots/`. From the command line: `python alexnet.py`, then
# `python alexnet.py figures --checkpoint runs/small-fashion-mnist`. Next: [10 · Make it fast](10_make_it_fast.ipynb).
