# %% [markdown]
# # 11 · A network of your own
#
# **The question.** All that you have seen (training, resuming, ten crops, figures, export, a benchmark) belongs to AlexNet. What does it take to have it for
# another network, an old one, or one that nobody has built before?
#
# **You will** read LeNet-5 in some thirty lines, train it on a folder of pictures from the command line, check its gradients, and then build a network of your
# own and race it against LeNet. About 45 minutes. No checker here says *right*: the validation error does.
#
# Before: [10 · Make it fast](10_make_it_fast.ipynb). Next: [12 · What the web gets wrong](12_what_the_web_gets_wrong.ipynb).

# %%
import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display
from PIL import Image as Picture

from minigrad import data
from minigrad.gradcheck import check_layer

plt.style.use("minigrad.plots.minigrad")
FAST = os.environ.get("MINIGRAD_FAST") == "1"
SEED = 11
rng = np.random.default_rng(SEED)
print(f"seed {SEED}")
temporary = tempfile.TemporaryDirectory()  # everything is written here, and goes when the notebook ends
folder = Path(temporary.name)


def python(*words):
    """Run a program in the folder, as on the command line, and print what it says."""
    print("python", *words)
    done = subprocess.run([sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True)
    print(done.stdout + done.stderr.replace("\r", "\n"))
    assert done.returncode == 0, "the program has failed; what it says stands above"


# %% [markdown]
# ## 1 · Thirty lines
#
# LeNet-5 read the amounts on bank cheques (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998, Figure 2): two
# convolutions with pooling, three connected layers, tanh. A network is a subclass of `Network`. It names its **variants**; each has a function that lists the
# layers of a tower, stage by stage (one stage here: there is one tower and nothing to exchange), the size of its images, and the defaults of a training run. `nn`
# has the layers and gives them their starting weights; `inits` says which (notebook 06).

# %%
LENET = '''
"""LeNet-5 of 1998, as it is taught today: max-pooling for its trained averages, logits at its end."""

from minigrad.commands import main
from minigrad.network import Init, Network, Variant


def lenet5(nn, classes):
    return [
        nn.Sequential(
            c1=nn.Conv2d(3, 6, 5, padding=2),  # 28 x 28 x 6
            tanh1=nn.Tanh(),
            s2=nn.MaxPool2d(2, stride=2),  # 14 x 14 x 6
            c3=nn.Conv2d(6, 16, 5),  # 10 x 10 x 16
            tanh3=nn.Tanh(),
            s4=nn.MaxPool2d(2, stride=2),  # 5 x 5 x 16
            flatten=nn.Flatten(),  # 400
            c5=nn.Linear(400, 120),
            tanh5=nn.Tanh(),
            f6=nn.Linear(120, 84),
            tanh6=nn.Tanh(),
            out=nn.Linear(84, classes),
        )
    ]


class LeNet(Network):
    """LeNet-5, for images of 28 pixels."""

    variants = {"lenet-5": Variant(lenet5, image_size=28, epochs=3, batch_size=16, lr=0.02)}
    inits = {"he": Init(input_scale=1 / 58)}


if __name__ == "__main__":
    main(LeNet)
'''
(folder / "lenet.py").write_text(LENET, encoding="utf-8")
print(len(LENET.strip().splitlines()), "lines")

# %% [markdown]
# The last line hands the class to the command line: the same one that `alexnet.py` ends with. **Predict** the number of parameters before you run the cell. (A layer
# has K·K·C·CO + CO, or in · out + out. All images have three channels here; grey ones are repeated.)

# %%
python("lenet.py", "summary")

# %%
by_hand = {"c1": 5 * 5 * 3 * 6 + 6, "c3": 5 * 5 * 6 * 16 + 16, "c5": 400 * 120 + 120, "f6": 120 * 84 + 84, "out": 84 * 10 + 10}
print(by_hand, "together", f"{sum(by_hand.values()):,}")
assert sum(by_hand.values()) == 62_006  # with grey images, one channel, it is the 61,706 of the books

# %% [markdown]
# ## 2 · A folder of pictures
#
# Data are a folder, with a folder for each class in it: `train/<class>/…` and `val/<class>/…`. Any pictures will do, also your own. We take some of Fashion-MNIST
# and write them as PNG files.

# %%
fashion = data.load()
sets = (
    ("train", fashion.train_images, fashion.train_labels, 30 if FAST else 300),
    ("val", fashion.val_images, fashion.val_labels, 10 if FAST else 50),
)
for part, images, labels, count in sets:
    for k, name in enumerate(fashion.classes):
        (folder / "pictures" / part / name.replace("/", " or ")).mkdir(parents=True)
        for i in np.flatnonzero(labels == k)[:count]:
            Picture.fromarray(images[i, ..., 0]).save(folder / "pictures" / part / name.replace("/", " or ") / f"{i}.png")
files = sorted((folder / "pictures" / "val").glob("*/*.png"))
print(len(list((folder / "pictures" / "train").glob("*/*.png"))), "pictures to train with,", len(files), "to validate with")
figure, axes = plt.subplots(1, 6, figsize=(9, 1.8))
shown = [files[i] for i in rng.choice(len(files), 6, replace=False)]
for axis, file in zip(axes, shown, strict=True):
    axis.imshow(Picture.open(file), cmap="gray")
    axis.set_title(file.parent.name, fontsize=9)
    axis.axis("off")
plt.show()

# %% [markdown]
# ## 3 · Train, judge, look
#
# **Predict**: how good is a network of 1998 on pictures of clothes, after a few epochs on so few of them? Guessing is wrong in 90 % of the cases.

# %%
python("lenet.py", "--data", "pictures", "--epochs", "2" if FAST else "6", "--output", "lenet", "--seed", SEED)

# %%
display(Image((folder / "lenet" / "curves.png").read_bytes()))

# %%
python("lenet.py", "evaluate", "--checkpoint", "lenet", "--data", "pictures")

# %%
python("lenet.py", "predict", "--checkpoint", "lenet", *(file.relative_to(folder) for file in shown[:2]))

# %%
display(Image((folder / "lenet" / "filters.png").read_bytes()))

# %% [markdown]
# The pictures are grey, so the three channels of a kernel get the same gradient: the colours that you see are those of the random start, and what is learned is
# grey. There is more: `figures`, `export`, `benchmark`, `--resume`; `python lenet.py --help` lists it.
#
# ## 4 · Are its gradients right?
#
# You have written no `backward`: every layer brings its own. What a network of your own *can* get wrong is the wiring; the checker takes it as it takes a layer.

# %%
sys.path.insert(0, str(folder))
from lenet import LeNet  # noqa: E402

report = check_layer(
    lambda: LeNet(num_classes=3, seed=SEED),
    rng.standard_normal((2, 28, 28, 3)),
    wrt_x=False,
    budget=200,
    checks=("values",),
    title="LeNet-5",
)
print(f"{report.status}: {report.evaluations} evaluations, worst error {max(e.worst_error for e in report.entries):.0e}")
assert report.ok, report

# %% [markdown]
# ## 5 · Yours
#
# The rules of the race: the same pictures, the same number of epochs, **at most as many parameters as LeNet**. Change the cell below. Ideas, each with the question to
# decide before you measure:
#
# | change | the question |
# |---|---|
# | ReLU for tanh | does the best learning rate change with it? |
# | 3 × 3 kernels, two in a row, for 5 × 5 | the same field of view: with how many weights? |
# | overlapping pools, 3 / 2 | what are the sizes then? |
# | more kernels, fewer connected units | where are LeNet's 62,006 parameters? |
# | `nn.Dropout()` before the last layer | for so few epochs? |
# | `augment=True` in `Variant` | is a mirrored shoe a shoe? a mirrored digit a digit? |

# %%
MINE = '''
"""A network of my own."""

from minigrad.commands import main
from minigrad.network import Init, Network, Variant


def mine(nn, classes):
    return [
        nn.Sequential(
            conv1=nn.Conv2d(3, 16, 3, padding=1),  # 28 x 28 x 16
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, stride=2),  # 13 x 13 x 16
            conv2=nn.Conv2d(16, 32, 3, padding=1),  # 13 x 13 x 32
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(3, stride=2),  # 6 x 6 x 32
            flatten=nn.Flatten(),  # 1152
            fc3=nn.Linear(1152, 48),
            relu3=nn.ReLU(),
            fc4=nn.Linear(48, classes),
        )
    ]


class Mine(Network):
    """A network of my own, for images of 28 pixels."""

    variants = {"mine": Variant(mine, image_size=28, epochs=3, batch_size=16, lr=0.01)}
    inits = {"he": Init(input_scale=1 / 58)}


if __name__ == "__main__":
    main(Mine)
'''
(folder / "mine.py").write_text(MINE, encoding="utf-8")
python("mine.py", "summary")

# %%
python("mine.py", "--data", "pictures", "--epochs", "2" if FAST else "6", "--output", "mine", "--seed", SEED)

# %%
runs = {}
for name in ("lenet", "mine"):
    with open(folder / name / "history.csv", encoding="utf-8") as file:
        runs[name] = list(csv.DictReader(file))
figure, axis = plt.subplots(figsize=(7, 3.6))
for (name, rows), style in zip(runs.items(), ("o-", "s--"), strict=True):
    axis.plot([int(row["epoch"]) for row in rows], [100 * float(row["val_top1_error"]) for row in rows], style, label=name)
axis.locator_params(axis="x", integer=True)
axis.set(xlabel="epoch", ylabel="validation top-1 error, %", title="LeNet-5 and mine, the same pictures", ylim=(0, None))
axis.legend(loc="lower left")
plt.show()
print({name: f"{100 * float(rows[-1]['val_top1_error']):.1f} %" for name, rows in runs.items()})

# %% [markdown]
# One run each says little. With n pictures to validate with and an error of e, chance alone moves the error by about √(e (1 − e) / n):

# %%
for name, rows in runs.items():
    e = float(rows[-1]["val_top1_error"])
    print(f"{name}: {100 * e:.1f} ± {100 * np.sqrt(e * (1 - e) / len(files)):.1f} %")

# %% [markdown]
# If the two intervals overlap, run other seeds (`--seed`) before you say that one network is better. And a network that was chosen because its validation error is the
# lowest of many looks better than it is: keep pictures that no choice has seen.
#
# ## 6 · What goes wrong
#
# | what was done | what one sees |
# |---|---|
# | the number of inputs of the first connected layer guessed | a sentence that names the layer and both numbers; `summary` shows the sizes |
# | pixels from 0 to 255 with weights for unit pixels | a loss far above ln 10, or nan: `input_scale` belongs to the `Init` |
# | a learning rate for another activation | a loss that stays at ln 10 = 2.30 |
# | twice the parameters, "a better network" | it may only be a larger one: compare at equal size |
#
# ## Recap
#
# | | |
# |---|---|
# | a network | a subclass of `Network`: variants, inits |
# | a variant | a function `(nn, classes) -> [Sequential, …]`, one for each stage; image size; training defaults |
# | the command line | `main(Class)`: train, evaluate, predict, figures, export, summary, benchmark |
#
# **Explain**: what did you expect of your network before you trained it, and what does the measurement say about the expectation?
#
# *(your answer)*
#
# In the library: `minigrad/network.py`, `minigrad/commands/`; `alexnet.py` is built in the same way, with two towers. Next:
# [12 · What the web gets wrong](12_what_the_web_gets_wrong.ipynb).
