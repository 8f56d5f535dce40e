# %% [markdown]
# # 12 · What the web gets wrong about AlexNet
#
# **The question.** The most cited network of all is described in a thousand places. They copy from one another. Which of it is true, and how would you know?
#
# **You will** take nine things that are often said, look at where each comes from, and let a cell decide: by counting, or by building both and comparing. No
# exercise to hand in, only things to predict. About 40 minutes.
#
# Before: [11 · A network of your own](11_your_own_network.ipynb). Next: [13 · Many machines](13_many_machines.ipynb).
#
# **The sources.** The *paper*: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012. The *program of
# 2012*: Computer History Museum, `AlexNet-Source-Code`, 2025; its numbered settings lie in `layers/`, and number 145 is the paper's network (its notes end with the
# error of the paper's Table 2). *One weird trick*: Krizhevsky, arXiv:1404.5997, 2014. *Caffe*: `models/bvlc_alexnet`. *torchvision*: `torchvision/models/alexnet.py`.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import minigrad as mg
from alexnet import OVERHANG, AlexNet
from minigrad import data
from minigrad.data import colour

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 12
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")

# %% [markdown]
# ## 1 · "The input is 227 × 227; 224 is a typo"
#
# The paper says 224 (§3.5, and again in §4.1). (224 − 11) / 4 + 1 is no whole number. The program of 2012 counts windows by rounding **up** (`layer.py`), so that the last
# window hangs three pixels over, and reads zeros there. **Predict** which of four readings give the 55 × 55 of Figure 2.

# %%
readings = (
    ("2012 and minigrad: 224, three zeros right and below", 224, OVERHANG),
    ("Caffe: 227, no zeros", 227, 0),
    ("torchvision: 224, two zeros all round", 224, 2),
    ("seen in courses: 224, one zero all round", 224, 1),
)
for name, size, padding in readings:
    size_out = mg.Conv2d(3, 48, 11, stride=4, padding=padding).output_shape((1, size, size, 3))[1]
    pools = [size_out]
    for _ in range(3):
        pools.append((pools[-1] - 3) // 2 + 1)
    print(f"{name:52s} {' -> '.join(map(str, pools))}")

# %% [markdown]
# Three of them are the same layer on slightly different pixels; with 54 fc6 sees 5 · 5 · 256 = 6,400 numbers in place of 9,216, and it is another network. 224 is no typo.
#
# ## 2 · "62,369,155 parameters"
#
# This total stands in many lists, to the last digit. **Predict**: does it count two towers or one?


# %%
def counts(variant):
    """name of the layer -> (weights, biases), of all towers together."""
    found = {}
    for p in AlexNet(variant, seed=SEED).parameters():
        _, layer, which = p.name.split(".")
        weights, biases = found.get(layer, (0, 0))
        found[layer] = (weights + p.value.size, biases) if which == "W" else (weights, biases + p.value.size)
    return found


one, two = counts("one-tower"), counts("paper")
weights = sum(w for w, _ in one.values())
conv_biases = sum(b for name, (_, b) in one.items() if name.startswith("conv"))
print(f"one tower: {weights:,} weights + {conv_biases:,} biases of convolutions + 3 = {weights + conv_biases + 3:,}")
print(f"with all biases: {sum(w + b for w, b in one.values()):,};   the paper's two towers: {sum(w + b for w, b in two.values()):,}")
assert weights + conv_biases + 3 == 62_369_155

# %% [markdown]
# It is one tower, and each fully connected layer got a single bias instead of one for each unit. Two mistakes in a number of eight digits. The paper's "60 million" is
# right: 60,965,224.
#
# ## 3 · "conv2 has kernels of 5 × 5 × 96"
#
# Paper, §3.5: "The second convolutional layer takes as input the … output of the first … and filters it with 256 kernels of size 5 × 5 × **48**." Each tower sees its own half in
# conv2, conv4 and conv5.

# %%
figure, axis = plt.subplots(figsize=(7, 3.2))
names = [name for name in one if name.startswith("conv")]
places = np.arange(len(names))
for offset, label, found, hatch in ((-0.2, "two towers (the paper)", two, ""), (0.2, "one tower", one, "///")):
    bars = axis.bar(places + offset, [found[name][0] / 1e3 for name in names], 0.4, label=label, hatch=hatch, edgecolor="white")
    axis.bar_label(bars, [f"{found[name][0] / 1e3:,.0f}" for name in names], fontsize=7)
axis.set(xticks=places, xticklabels=names, xlabel="layer", ylabel="thousand weights", title="What the towers leave out", ylim=(0, 1550))
axis.legend(loc="upper left", fontsize=8)
plt.show()
assert two["conv2"][0] == 2 * 5 * 5 * 48 * 128

# %% [markdown]
# ## 4 · Normalisation: left out, before the ReLU, or with other constants
#
# Paper, §3.3: it is applied *after* the ReLU in layers 1 and 2, with k = 2, n = 5, α = 10⁻⁴, β = 0.75. Copies leave it out, put it before, or call TensorFlow's
# `tf.nn.local_response_normalization` without arguments: radius 5 (so 11 channels), bias 1, alpha 1, beta 0.5. **Predict**: by how much is a response of 100 changed in each?

# %%
conv1_out = rng.normal(0, 60, (4, 9, 9, 48)).astype(np.float32)  # about the size of conv1's responses to pixels from 0 to 255
paper, tensorflow = mg.LocalResponseNorm(), mg.LocalResponseNorm(11, alpha=1.0, beta=0.5, k=1.0)
ways = {
    "paper": paper.forward(np.maximum(conv1_out, 0)),
    "left out": np.maximum(conv1_out, 0),
    "before ReLU": np.maximum(paper.forward(conv1_out), 0),
    "TensorFlow's defaults": tensorflow.forward(np.maximum(conv1_out, 0)),
}
figure, axis = plt.subplots(figsize=(7, 3.4))
some = rng.choice(conv1_out.size, 1500, replace=False)
for (name, y), marker in zip(ways.items(), "os^D", strict=True):
    axis.semilogy(conv1_out.ravel()[some], np.maximum(y.ravel()[some], 1e-3), marker, markersize=2.5, label=name, linestyle="none")
axis.set(xlabel="response of conv1", ylabel="after ReLU and normalisation", title="One layer, four ways", xlim=(0, 200), ylim=(0.01, 1000))
axis.legend(fontsize=8, loc="lower right", ncols=2, markerscale=2)
plt.show()
for name, y in ways.items():
    like = np.corrcoef(y.ravel(), ways["paper"].ravel())[0, 1]
    print(f"{name:22s} mean {y.mean():8.4f}   correlation with the paper's {like:.3f}")

# %% [markdown]
# TensorFlow's defaults divide each response by the size of all eleven around it: everything lies below 1, however strong the image was. (The program of 2012
# itself did normalise before the ReLU, but in layer 1 alone, and divided α by 5. The paper's words are what minigrad follows.)
#
# ## 5 · A popular Keras copy, rebuilt
#
# A copy that is often met has `MaxPool2D()` (2 × 2 in place of 3 × 3), two convolutions without an activation, biases of 0, TensorFlow's normalisation, and
# `ZeroPadding2D(((3, 0), (3, 0)))`: its three zeros lie above and on the left. **Predict** which of its shapes are wrong.


# %%
def start(copy):
    """Five convolutions of one tower, as in the paper or as in the copy."""
    draw = np.random.default_rng(SEED)
    pool = (2, 2) if copy else (3, 2)

    def norm():
        return mg.LocalResponseNorm(11, alpha=1.0, beta=0.5, k=1.0) if copy else mg.LocalResponseNorm()

    def conv(*arguments, std, bias, **more):
        return mg.Conv2d(*arguments, std=std, bias=0.0 if copy else bias, rng=draw, **more)

    layers = {"conv1": conv(3, 96, 11, 4, (3, 0, 3, 0) if copy else OVERHANG, std=0.01, bias=0.0), "relu1": mg.ReLU(), "norm1": norm()}
    layers |= {"pool1": mg.MaxPool2d(*pool), "conv2": conv(96, 256, 5, 1, 2, std=0.01, bias=1.0), "relu2": mg.ReLU(), "norm2": norm()}
    layers |= {"pool2": mg.MaxPool2d(*pool), "conv3": conv(256, 384, 3, 1, 1, std=0.03, bias=0.0), "relu3": mg.ReLU()}
    layers |= {"conv4": conv(384, 384, 3, 1, 1, std=0.03, bias=1.0), "relu4": mg.ReLU()}
    layers |= {"conv5": conv(384, 256, 3, 1, 1, std=0.03, bias=1.0), "relu5": mg.ReLU(), "pool5": mg.MaxPool2d(*pool)}
    if copy:
        del layers["relu3"], layers["relu4"]
    return mg.Sequential(**layers)


dataset = data.load()
N = 2 if FAST else 6
pictures = (
    (dataset.train_images[:N] - dataset.train_images.mean(axis=0)).repeat(8, axis=1).repeat(8, axis=2).repeat(3, axis=3).astype(np.float32)
)
seen = {}
for name, copy in (("paper", False), ("copy", True)):
    x, seen[name] = pictures, {}
    for layer_name, layer in start(copy).layers.items():
        x = layer.forward(x)
        if layer_name.startswith(("conv", "pool")):
            seen[name][layer_name] = x.shape[1:], float(x.std(axis=0).mean() / np.abs(x).mean()), float(np.abs(x).mean())
for layer_name, (shape, _, size) in seen["paper"].items():
    other, _, size_there = seen["copy"][layer_name]
    print(f"{layer_name}: {shape!s:15s} mean |y| {size:7.3f}   the copy {other!s:15s} {size_there:.5f}")

# %%
figure, axis = plt.subplots(figsize=(7, 3.2))
for (name, found), style in zip(seen.items(), ("o-", "s--"), strict=True):
    axis.semilogy(list(found), [size for _, _, size in found.values()], style, label=name)
axis.set(xlabel="layer", ylabel="mean size of the outputs", title="The signal in the first five layers, before training")
axis.legend(fontsize=8, loc="lower left")
plt.show()
assert all(seen["paper"][name][0] == seen["copy"][name][0] for name in seen["paper"])

# %% [markdown]
# *Every* shape is right. That is why the copy lives: whoever checks shapes and parameters finds nothing. But convolutions without an activation between them are one linear map:

# %%
first, second = mg.Conv2d(3, 4, 3, std=0.3, rng=rng).astype(np.float64), mg.Conv2d(4, 5, 3, std=0.3, rng=rng).astype(np.float64)
a, b = rng.standard_normal((2, 1, 9, 9, 3))
straight = mg.Sequential(first=first, second=second)
print("without ReLU, f(a + b) = f(a) + f(b):", np.allclose(straight.forward(a + b), straight.forward(a) + straight.forward(b)))
bent = mg.Sequential(first=first, relu=mg.ReLU(), second=second)
print("with ReLU                          :", np.allclose(bent.forward(a + b), bent.forward(a) + bent.forward(b)))
right, wrong = (mg.Conv2d(3, 4, 11, stride=4, padding=p, std=0.01, rng=np.random.default_rng(SEED)) for p in (OVERHANG, (3, 0, 3, 0)))
difference = np.abs(right.forward(pictures) - wrong.forward(pictures)).mean() / np.abs(right.forward(pictures)).mean()
print(f"the zeros on the other side change conv1's outputs by {difference:.0%} on average: every window begins three pixels earlier")

# %% [markdown]
# ## 6 · "PyTorch's AlexNet is AlexNet"
#
# Its own documentation says where it comes from: *One weird trick*, the network of 2014. **Predict** how many of the five convolutions have the kernels of 2012.

# %%
print(f"{'':10s} kernels of conv1 to conv5          parameters   normalisations   towers")
for variant in ("paper", "owt"):
    net = AlexNet(variant, seed=SEED)
    convs, norms = {}, set()
    for _, _, name, layer in net.layers():
        if isinstance(layer, mg.Conv2d):
            convs[name] = convs.get(name, 0) + layer.W.shape[3]
        elif isinstance(layer, mg.LocalResponseNorm):
            norms.add(name)
    print(f"{variant:10s} {list(convs.values())!s:35s} {net.num_parameters():10,}   {len(norms):14d}   {len(net.towers.stages[0]):6d}")

# %% [markdown]
# `owt` is torchvision's: other widths in three of five layers, no normalisation, one tower. A good network, and not the one of the paper.
#
# ## 7 · "Seven networks reached 37.7 %"; "right 62.5 % of the time"
#
# Paper, Table 2: seven CNNs, two of them pre-trained, 36.7 % top-1 error on the validation images of 2012 (and 15.3 % top-5 on the test images, the number that won). Table 1: one
# CNN, 37.5 % on ILSVRC-**2010**. Two slips of the pen, and one subtraction that shows it:

# %%
for what, error in (("7 CNNs, 2012, Table 2", 36.7), ("as often copied", 37.7), ("1 CNN, 2010, Table 1", 37.5)):
    print(f"{what:24s} error {error} %, right in {100 - error:.1f} %")

# %% [markdown]
# 62.5 % is the accuracy of *one* network on another year's images, put beside the seven.
#
# ## 8 · The colour constants that everybody copies
#
# Paper, §4.1: add multiples of the principal components, "with magnitudes proportional to the corresponding eigenvalues times a random variable". The program of 2012 multiplies by
# their **roots**, the standard deviations. fb.resnet.torch wrote down (0.2175, 0.0188, 0.0045), for pixels from 0 to 1, and multiplies by those. **Predict**: eigenvalues or roots?

# %%
copied, (sigma, V) = np.array([0.2175, 0.0188, 0.0045]), colour.IMAGENET
print("σ of ImageNet, grey levels:       ", sigma.round(1))
print("the constants, as deviations:     ", (255 * copied).round(1))
print("their roots, as deviations:       ", (255 * np.sqrt(copied)).round(1))
figure, axis = plt.subplots(figsize=(6, 3))
for offset, label, values, hatch in ((-0.2, "0.1 σ (program of 2012)", sigma, ""), (0.2, "copied constants", 255 * copied, "///")):
    bars = axis.bar(np.arange(3) + offset, 0.1 * values, 0.4, label=label, hatch=hatch, edgecolor="white")
    axis.bar_label(bars, [f"{0.1 * value:.2f}" for value in values], fontsize=8)
axis.set(xticks=range(3), xticklabels=["1", "2", "3"], xlabel="component", ylabel="grey levels", title="Standard deviation of the noise")
axis.legend(fontsize=8)
plt.show()
print("too weak by the factors", (sigma / (255 * copied)).round(1))

# %% [markdown]
# The constants are variances: their roots are ImageNet's σ. Used as deviations they make a noise too weak by 2, 8 and 17.
#
# ## 9 · "650,000 neurons"
#
# This one is the paper's own. The caption of Figure 2 lists 253,440 – 186,624 – 64,896 – 64,896 – 43,264 – 4096 – 4096 – 1000.

# %%
listed = [253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
print(f"the list adds up to {sum(listed):,}")
print(f"its first number: 55 · 48 · 96 = {55 * 48 * 96:,}, but conv1 has 55 · 55 · 96 = {55 * 55 * 96:,}")
print(f"with that: {sum(listed) - 55 * 48 * 96 + 55 * 55 * 96:,}")
assert sum(listed) - 55 * 48 * 96 + 55 * 55 * 96 == 659_272

# %% [markdown]
# So "650,000" is a fair round number, and the list beside it holds a slip that almost nobody has added up.
#
# ## Recap
#
# | said | right | decided by |
# |---|---|---|
# | 227 | 224 and three zeros that hang over | the program of 2012; sizes |
# | 62,369,155 | 60,965,224 | counting |
# | 5 × 5 × 96 | 5 × 5 × 48 in each tower | paper §3.5 |
# | normalisation anywhere, with any constants | after ReLU; k 2, n 5, α 10⁻⁴, β 0.75 | paper §3.3; correlation |
# | "the shapes are right, so it is AlexNet" | shapes do not show what is missing | both built and compared |
# | PyTorch's is the paper's | it is that of 2014 | counting |
# | 37.7 %; right 62.5 % | 36.7 %; 63.3 % | Tables 1 and 2 |
# | (0.2175, 0.0188, 0.0045) are deviations | they are variances | their roots |
# | Figure 2's list | 659,272 | adding it up |
#
# **Explain**: which of the nine could you have found without the network, with pencil and paper alone?
#
# *(your answer)*
#
# In the library: `alexnet.py`; `python alexnet.py summary` prints the totals in circulation. Next: [13 · Many machines](13_many_machines.ipynb).
