# %% [markdown]
# # 09 · Train, and look inside
#
# **The question.** A network has learned. *What* has it learned? Half a million numbers do not tell; pictures do.
#
# **You will** write the two augmentations of the paper and its measure of error, train the two-tower network on small pictures, and look at its kernels,
# its guesses and its idea of what looks alike. About 60 minutes.
#
# Before: [07 · AlexNet put together](07_alexnet.ipynb) and [08 · Two devices](08_two_devices.ipynb). Next, if you like: [10 · Make it fast](10_make_it_fast.ipynb)

# %%
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display

import minigrad as mg
from alexnet import AlexNet, up_to
from minigrad import data, evaluation, plots, training
from minigrad.coursework import tasks

plt.style.use("minigrad.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 0
rng = np.random.default_rng(SEED)
fashion = data.load("fashion-mnist")
print(f"seed {SEED}; {len(fashion.train_labels):,} pictures to train, {len(fashion.val_labels):,} to test")


def show(draw, *arguments):
    """A figure of minigrad.plots, which draws into files."""
    with tempfile.TemporaryDirectory() as folder:
        draw(*arguments, Path(folder) / "figure.png")
        display(Image(filename=str(Path(folder) / "figure.png")))


# %% [markdown]
# ## 1 · More pictures than there are
#
# AlexNet has 60 million parameters and 1.2 million pictures. Without help it learns them by heart (§4.1). The help costs nothing: a picture that is shifted by
# some pixels, or mirrored, is another picture of the same thing.
#
# From every 256×256 picture the paper takes a random 224×224 square, mirrored half of the time. **Predict**: how many different squares are there? (The
# paper says 2048.)

# %%
print(
    f"33 · 33 · 2 = {33 * 33 * 2} places and mirrors; 32 · 32 · 2 = {32 * 32 * 2}, the paper's number, leaves out the last row and column"
)

# %% [markdown]
# ### Exercise: crops and flips
#
# Every image gets draws of its own. From `size` pixels on an axis of H there are H − size + 1 places: the last one counts, too.

# %% exercise="augment.crop_flip"

# %% [markdown] mistakes="augment.crop_flip"
# **What goes wrong**

# %%
boot = fashion.train_images[:1]
padded = np.pad(boot, ((0, 0), (3, 3), (3, 3), (0, 0)))
figure, axes = plt.subplots(1, 9, figsize=(9, 1.5))
axes[0].imshow(boot[0, ..., 0], cmap="gray")
axes[0].set_title("the picture", fontsize=8)
for axis in axes[1:]:
    axis.imshow(tasks.crop_flip(padded, 28, rng)[0, ..., 0], cmap="gray")
axes[1].set_title("and eight others", fontsize=8)
for axis in axes:
    axis.axis("off")
plt.show()

# %% [markdown]
# ### Exercise: the colour of the light
#
# The second augmentation changes all pixels of a picture alike, in the directions in which the colours of ImageNet vary most: a little more or less light,
# a little warmer or colder. With σ the standard deviations along the principal components V of all pixels' colours, and n three normal numbers drawn for the
# picture (§4.1):
#
# $$x \leftarrow x + V \, (0.1\, \sigma \odot n)$$

# %% exercise="augment.colour_noise"

# %% [markdown] mistakes="augment.colour_noise"
# **What goes wrong**

# %%
# ImageNet's colours: standard deviations in grey levels, and the components as columns. The first is light and dark.
SIGMA = np.array([121.7801, 37.0939, 19.7208])
V = np.array([[-0.56351, -0.71258, 0.41796], [-0.57618, -0.02354, -0.81698], [-0.59200, 0.70120, 0.39731]])
stripes = np.array([[230, 120, 60], [60, 160, 90], [70, 110, 200], [200, 200, 190]], np.float32).repeat(8, axis=0)
picture = np.broadcast_to(stripes[None, :, None], (1, 32, 32, 3))
shown = np.concatenate([picture, tasks.colour_noise(np.repeat(picture, 7, axis=0), 3 * SIGMA, V, rng)])
figure, axes = plt.subplots(1, 8, figsize=(9, 1.5))
for axis, image in zip(axes, shown, strict=True):
    axis.imshow(image.clip(0, 255).astype(np.uint8))
    axis.axis("off")
axes[0].set_title("four colours", fontsize=8)
axes[1].set_title("three times the noise", fontsize=8)
plt.show()

# %% [markdown]
# ## 2 · How wrong?
#
# ImageNet has 1000 classes, among them 120 kinds of dogs, and often two things in one picture. So the paper counts twice: **top-1 error**, the first guess is
# wrong, and **top-5 error**, the right class is not even among the five most probable ones.
#
# ### Exercise

# %% exercise="metrics.top_k"

# %% [markdown] mistakes="metrics.top_k"
# **What goes wrong**

# %% [markdown]
# **Predict**: what are the top-1 and top-5 errors of somebody who guesses at random, with 10 classes? And with 1000?

# %%
for classes in (10, 1000):
    logits, labels = rng.standard_normal((20_000, classes)), rng.integers(0, classes, 20_000)
    print(
        f"{classes:4d} classes, guessing: top-1 {tasks.top_k_error(logits, labels, 1):.3f}, top-5 {tasks.top_k_error(logits, labels, 5):.3f}"
    )

# %% [markdown]
# ## 3 · Training
#
# The network `small`: two towers, as in the paper, for pictures of 28 pixels. The mean picture is subtracted, and nothing else is done to the pixels.
# Every epoch the learning rate falls by the same amount.

# %%
pictures, labels = (fashion.train_images[:1500], fashion.train_labels[:1500]) if FAST else (fashion.train_images, fashion.train_labels)
epochs = 3 if FAST else 6
mean = data.mean_image(pictures)
net = AlexNet("small", num_classes=10, seed=SEED)
loss = mg.SoftmaxCrossEntropy()
optimizer = mg.SGD(net.parameters(), lr=0.015, momentum=0.9, weight_decay=1e-3)
learn = data.Loader(pictures, labels, 64, shuffle=True, mean=mean, size=28, seed=SEED)
test = data.Loader(fashion.val_images, fashion.val_labels, 256, mean=mean, size=28)
before = np.concatenate([p.value.ravel() for p in net.parameters()])

history = []
start = time.perf_counter()
for epoch in range(epochs):
    optimizer.lr = 0.015 * (1 - epoch / epochs)
    net.train()
    sums = np.zeros(2)
    for x, y in learn.batches(epoch):
        logits = net.forward(x)
        sums += loss.forward(logits, y) * len(y), (logits.argmax(axis=1) != y).sum()
        net.backward(loss.backward())
        optimizer.step()
    test_loss, top1, top5 = training.evaluate(net, loss, test.batches(0))
    history.append((*sums / len(labels), test_loss, top1))
    print(
        f"epoch {epoch + 1}: training loss {sums[0] / len(labels):.3f}, test loss {test_loss:.3f}, top-1 error {top1:.1%}, top-5 {top5:.1%}"
    )
print(f"{time.perf_counter() - start:.0f} s")

# %%
curves = np.array(history).T
figure, axes = plt.subplots(1, 2, figsize=(9, 3))
for axis, training_curve, test_curve, name in (
    (axes[0], curves[0], curves[2], "cross-entropy"),
    (axes[1], 100 * curves[1], 100 * curves[3], "top-1 error in percent"),
):
    axis.plot(range(1, epochs + 1), training_curve, "o-", label="training, with dropout")
    axis.plot(range(1, epochs + 1), test_curve, "s-", label="test")
    axis.set(xlabel="epoch", ylabel=name, ylim=(0, None), xticks=range(1, epochs + 1))
axes[0].set_title("Loss")
axes[1].set_title("Error")
axes[0].legend()
plt.show()

# %% [markdown]
# **Why may the test error be below the training error?** While it trains, half of the units of fc6 and fc7 are silent, and the weights of the first batches were
# worse than those of the last. The test comes after the epoch, with all units.
#
# ## 4 · The kernels of conv1
#
# Figure 3 of the paper: one tower's kernels are grey, edges of all directions and widths; the other's are coloured blobs. Nobody told them. It is because the towers
# see each other's work only from conv3 on, so that they share it out between them, every time anew.
#
# Ours are 3×3 pixels and see grey pictures: less to admire. **Predict** what you will see: noise, spots, edges?

# %%
kernels = training.first_kernels(net, mean)
print([kernel.shape for kernel in kernels])
show(plots.filters, kernels)

# %%
now = np.concatenate([p.value.ravel() for p in net.parameters()])
print(f"the weights moved by {np.linalg.norm(now - before) / np.linalg.norm(before):.0%} of their length")

# %% [markdown]
# ## 5 · What it thinks
#
# Figure 4, left: eight test pictures, the five most probable classes of each, the true one in another colour. Look at the wrong ones: would you have known?

# %%
p = evaluation.probabilities(net, test)
wrong = np.flatnonzero(p.argmax(axis=1) != fashion.val_labels)
right = np.flatnonzero(p.argmax(axis=1) == fashion.val_labels)
chosen = np.concatenate([numbers[evaluation.one_of_each(fashion.val_labels[numbers], 4)] for numbers in (right, wrong)])
show(plots.predictions, [fashion.val_images[i] for i in chosen], fashion.val_labels[chosen], p[chosen], fashion.classes)

# %%
table = evaluation.confusion(p, fashion.val_labels)
show(plots.confusion, table, fashion.classes)

# %% [markdown]
# **Read it**: which two classes does it take for one another most often? Does it mix them up in both directions alike?
#
# ## 6 · What it finds alike
#
# Figure 4, right. The last hidden layer, fc7, gives 512 numbers for a picture. Two pictures are alike for the network if these numbers are close. For each picture
# of the left column, the training pictures whose numbers are nearest. They are often far apart as pixels: a shifted or a darker one is near in fc7.

# %%
features = up_to(net, "relu7")
queries = evaluation.one_of_each(fashion.val_labels, 5)
found = evaluation.nearest(
    evaluation.outputs(features, data.Loader(fashion.val_images[queries], fashion.val_labels[queries], 64, mean=mean, size=28)),
    evaluation.outputs(features, data.Loader(pictures[:1500], labels[:1500], 64, mean=mean, size=28)),
)
show(plots.neighbours, [fashion.val_images[i] for i in queries], [[pictures[k] for k in row] for row in found])

# %%
pixels = pictures[:1500].reshape(1500, -1).astype(np.float32)
same = {"fc7": 0.0, "pixels": 0.0}
for i, row in zip(queries, found, strict=True):
    by_pixels = np.argsort(((pixels - fashion.val_images[i].reshape(-1)) ** 2).sum(axis=1))[: len(row)]
    same["fc7"] += (labels[row] == fashion.val_labels[i]).mean() / len(queries)
    same["pixels"] += (labels[by_pixels] == fashion.val_labels[i]).mean() / len(queries)
print(f"neighbours of the same class: {same['fc7']:.0%} in fc7, {same['pixels']:.0%} by pixels")

# %% [markdown]
# ## 7 · The rituals

# %%
# 1: the library's augmentation gives only squares that exist, mirrored or not
small = rng.integers(0, 256, (6, 9, 8, 3), np.uint8)
loader = data.Loader(small, np.zeros(6, int), 6, augment=True, mean=np.zeros((9, 8, 3)), size=7, seed=SEED)
crops, _ = next(loader.batches(0))
for n in range(6):
    squares = [small[n, top : top + 7, left : left + 7] for top in range(3) for left in range(2)]
    assert any(np.array_equal(crops[n], s) or np.array_equal(crops[n], s[:, ::-1]) for s in squares)

# 2: the library's top-5 error against a loop
logits, truth = rng.standard_normal((50, 10)), rng.integers(0, 10, 50)
loop = np.mean([(row > row[label]).sum() >= 5 for row, label in zip(logits, truth, strict=True)])
assert training.top_k_errors(logits, truth, 5)[1] / 50 == loop == tasks.top_k_error(logits, truth, 5)

# 3: the same seed gives the same pictures
assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(learn.batches(2), learn.batches(2), strict=True))
print("squares, errors and seeds are what they should be")

# %% [markdown]
# ## Recap
#
# | | |
# |---|---|
# | crop and flip | a random square of each picture, mirrored half of the time |
# | colour noise | V (0.1 σ ⊙ n): one draw for a picture, added to all its pixels |
# | top-k error | the label is not among the k most probable classes |
# | conv1's kernels | edges, spots; the towers share the work |
# | fc7 | 4096 numbers in the paper, 512 here: near means alike |
#
# **Explain**: why does mirroring help with boots and shirts, and why would it not help to read digits?
#
# *(your answer)*
#
# The same figures for your own run: `python alexnet.py figures --checkpoint RUN`. In the paper: §4.1, §6, §6.1, Figures 3 and 4.
# In the library: `minigrad/data/loader.py`, `minigrad/evaluation.py`, `minigrad/plots.py`.
