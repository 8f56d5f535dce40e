"""The options of every word. What a network has by default, and which variants there are, comes from its class."""

import argparse
import inspect
from collections import Counter

from minigrad.commands.benchmark.peers import NEEDS
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import default_variant, program
from minigrad.device import cores
from minigrad.training import fields

DATA = (
    "fashion-mnist (embedded, the default), fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, a folder made by prepare, "
    "or one with train/<class>/* and val/<class>/*"
)
SCHEDULES = (
    "lr divided by 10 when the validation error stalls, three times (plateau, the paper's), or after 3/4 and 11/12 of the epochs (steps); "
    "falling by the same amount after each epoch (linear)"
)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message[:1].upper()}{message[1:]}; `{self.prog} --help` shows what there is.")


def number_from(low, most, kind, what):
    """An argparse type: a number from `low` to `most`, as checkpoints keep them (training/fields.py): what they refuse could not go on."""

    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return number


def named(text):
    """An argparse type: a path or the name of data. An empty one is an unset variable of a shell script, not a wish for the default."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


MANY = 1 << 31
WHOLE = number_from(1, MANY, int, f"a whole number from 1 to {MANY}")
NATURAL = number_from(0, fields.LARGEST, int, f"a whole number from 0 to {fields.LARGEST}")
CLASSES = number_from(2, 1 << 24, int, f"a whole number from 2 to {1 << 24}")
POSITIVE = number_from(1e-9, 1e300, float, "a number above 0, up to 1e300")
RATE = number_from(0.0, 1e300, float, "a number from 0 to 1e300")
SHARE = number_from(1e-9, 1 - 1e-9, float, "a number between 0 and 1")


def command_line(Network):
    """The parser of all words for that class of networks."""
    about = inspect.cleandoc(Network.__doc__ or f"The network {Network.__name__}.")
    parser = Parser(prog=program(Network), description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(dest="word", metavar="WORD", parser_class=Parser)
    for word, (add_options, help) in WORDS.items():
        add_options(words.add_parser(word, help=help, description=help), Network)
    return parser


# ---- what several words share


def by_variant(Network, attribute):
    """What the variants have by default, such as "12 for small, else 90"."""
    names = {True: "yes", False: "no"}
    values = {name: getattr(kind, attribute) for name, kind in Network.variants.items()}
    values = {name: names[value] if isinstance(value, bool) else f"{value}" for name, value in values.items()}
    usual = Counter(values.values()).most_common(1)[0][0]
    others = [f"{value} for {name}" for name, value in values.items() if value != usual]
    return ", ".join([*others, f"else {usual}"]) if others else usual


def device(p, default="cpu"):
    what = "cpu, 0 (a GPU), auto (two GPUs, or one, or the CPU); cpu,cpu or 0,1 for two towers side by side"
    p.add_argument("--device", type=named, metavar="D", help=f"{what} (default: {default})")
    precision = p.add_mutually_exclusive_group()
    precision.add_argument("--fp32", action="store_true", help="on GPUs multiply in float32 throughout, not in TF32")
    precision.add_argument("--bf16", action="store_true", help="on GPUs convolutions multiply in bfloat16: half of the bytes, less exact")


def network(p, Network, default=None):
    sizes = sorted({kind.image_size for kind in Network.variants.values()})
    choice = default or default_variant(Network)
    for size in sizes[1:] if default is None else ():
        choice += f"; {default_variant(Network, size)} for a folder of images of {size} pixels or more"
    p.add_argument("--variant", choices=list(Network.variants), default=default, help=f"which network (default: {choice})")
    device(p, "cpu; of a run that goes on, its own" if default is None else "cpu")
    p.add_argument("--seed", type=NATURAL, default=None, help="of weights, order, augmentation and dropout (default: 0)")
    inits = list(Network.inits)
    p.add_argument("--init", choices=inits, default=None, help=f"starting weights (default: {inits[0]})")


def workers(p):
    default = max(1, min(8, cores() // 2))
    p.add_argument("--workers", type=WHOLE, default=default, help=f"threads that prepare batches (default: {default} on this machine)")


def hybrid(p):
    p.add_argument(
        "--hybrid",
        type=WHOLE,
        nargs="?",
        const=0,
        metavar="N",
        help="processes of mpirun share the fully connected layers, N of them (default: all), each with some of their columns: for large "
        "layers and small batches less has to travel; the numbers are the same",
    )


def graph(p):
    what = "on GPUs record a training step as CUDA graphs, and launch it whole from then on: less work for the host, the same numbers"
    p.add_argument("--graph", action="store_true", help=what)


def skip_bad(p):
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")


def checkpoint(p):
    p.add_argument("--checkpoint", type=named, required=True, metavar="RUN", help="a checkpoint or its run folder")


# ---- the words


def train(p, Network):
    network(p, Network)
    p.add_argument("--plain", action="store_true", default=None, help="with the layers of plain.py: slow, and in the fewest lines")
    p.add_argument("--data", type=named, metavar="DATA", help=DATA)
    p.add_argument("--synthetic", action="store_true", default=None, help="random images made up on the spot instead of --data")
    p.add_argument(
        "--val-share",
        type=SHARE,
        metavar="S",
        help="validate with that share of each class's training images, such as 0.1, drawn by --seed, instead of the data's own validation "
        "images; class folders may then lie in DIR itself",
    )
    skip_bad(p)
    recipe(p, Network)
    hybrid(p)
    graph(p)
    workers(p)
    p.add_argument("--resume", type=named, metavar="RUN", help="go on with a checkpoint or its run folder")
    p.add_argument(
        "--checkpoint",
        type=named,
        metavar="RUN",
        help="start from its weights, a tenth of the usual --lr; with other classes the last layer is new (fine-tuning)",
    )
    p.add_argument("--output", type=named, metavar="DIR", help="run folder (default: a new one in runs/)")


def recipe(p, Network):
    """How a network learns."""

    def add(flag, help, **more):
        default = by_variant(Network, flag.removeprefix("--").replace("-", "_"))
        p.add_argument(flag, help=f"{help} (default: {default})", **more)

    add("--epochs", "how many passes over the images, those before --resume included", type=WHOLE)
    p.add_argument("--patience", type=WHOLE, metavar="N", help="stop after N epochs without a lower validation error (default: never)")
    add("--batch-size", "images in a step", type=WHOLE)
    p.add_argument(
        "--accumulate",
        type=WHOLE,
        metavar="N",
        help="put each batch through the network in N parts and add up their gradients: the same training in less memory (default: 1)",
    )
    add("--lr", "learning rate", type=RATE)
    p.add_argument("--scale-lr", action="store_true", default=None, help="times the batch size over the one that --lr is meant for")
    p.add_argument("--warmup", type=RATE, metavar="E", help="epochs in which lr grows from 0, step by step (default: 0; fractions count)")
    p.add_argument("--momentum", type=RATE, help="(default: 0.9)")
    add("--weight-decay", "what a step takes from each weight, times lr", type=RATE)
    lars = "lars: each layer has a rate of its own, for large batches; --lr 10 moves it by about a hundredth of its length (default: sgd)"
    p.add_argument("--optimizer", choices=["sgd", "lars"], help=lars)
    p.add_argument("--trust", type=RATE, help="of lars: how far a layer may move in a step, as a part of its length (default: 0.001)")
    add("--schedule", SCHEDULES, choices=["plateau", "steps", "linear", "constant"])
    add("--augment", "random crops and flips, which pay off in long runs", action=argparse.BooleanOptionalAction, default=None)
    noise = "the colours of each image vary as those of all pixels do, times S; 0.1 is the paper's; without --augment by default 0"
    add("--colour-noise", noise, type=RATE, metavar="S")


def evaluate(p, Network):
    p.add_argument("--checkpoint", type=named, nargs="+", required=True, metavar="RUN", help="checkpoints or run folders")
    p.add_argument("--data", type=named, metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--crops", type=int, choices=[1, 10], default=1, help="the centre, or the paper's ten crops (default: 1)")
    p.add_argument("--output", type=named, metavar="DIR", help="folder for probabilities.npy, confusion.csv and classes.csv")
    device(p)
    p.add_argument("--batch-size", type=WHOLE, default=128, help="crops at a time (default: 128)")
    workers(p)
    skip_bad(p)


def predict(p, Network):
    checkpoint(p)
    p.add_argument("images", type=named, nargs="+", metavar="IMAGE", help="image files, and folders of them")
    p.add_argument("--csv", type=named, metavar="FILE", help="write the classes and their probabilities there, a row for each image")
    device(p)
    p.add_argument("--top", type=WHOLE, default=5, help="how many classes to show (default: 5)")


def prepare(p, Network):
    p.add_argument(
        "--data", type=named, required=True, metavar="SRC", help="class folders, or ILSVRC's tar files and its devkit or label file"
    )
    p.add_argument(
        "--out", type=named, required=True, metavar="DIR", help="the prepared set; what lies there half done is completed, else checked"
    )
    p.add_argument("--size", type=WHOLE, default=256, help="pixels of the squares (default: 256)")
    p.add_argument("--labels", type=named, metavar="FILE", help="what flat validation images show (default: found in SRC)")
    skip_bad(p)
    p.add_argument("--workers", type=WHOLE, help="processes (default: one for each core)")


def figures(p, Network):
    checkpoint(p)
    p.add_argument("--data", type=named, metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--output", type=named, metavar="DIR", help="(default: figures in the run folder)")
    p.add_argument("--image", type=named, metavar="FILE", help="whose activations are drawn (default: one of the validation images)")
    p.add_argument("--sample", type=WHOLE, default=5000, metavar="N", help="images of each kind to look at, at most (default: 5000)")
    device(p)
    workers(p)
    skip_bad(p)


def explore(p, Network):
    checkpoint(p)
    p.add_argument("images", type=named, nargs="+", metavar="IMAGE")
    p.add_argument("--out", type=named, metavar="FILE", help="(default: explore.html in the run folder)")
    p.add_argument(
        "--channels",
        type=WHOLE,
        metavar="N",
        help="every map is in the file; the weights of the N channels of a layer and tower that respond most strongly are, too "
        "(default: of all in networks of at most a million parameters, else of 40)",
    )


def experiment(p, Network):
    choices = {
        "relu-vs-tanh": "Figure 1",
        "ablations": "the network without each of its parts in turn",
        "lr-range": "its loss while the learning rate grows",
    }
    p.add_argument("which", choices=list(choices), help="; ".join(f"{name}: {what}" for name, what in choices.items()))
    p.add_argument("--data", type=named, metavar="DATA", default="fashion-mnist", help=DATA)
    p.add_argument("--images", type=WHOLE, metavar="N", help="training images, evenly taken (default: all)")
    p.add_argument("--level", type=WHOLE, default=25, metavar="PERCENT", help="relu-vs-tanh: until this training error (default: 25)")
    p.add_argument(
        "--epochs",
        type=WHOLE,
        help="relu-vs-tanh: give up after so many (default: 60); ablations (default: 8), lr-range (default: 1): train so many",
    )
    p.add_argument("--seeds", type=WHOLE, default=3, help="how many (default: 3)")
    p.add_argument("--output", type=named, metavar="DIR", help="folder for the table, the numbers and the figure (default: in runs/)")
    workers(p)
    skip_bad(p)


def export(p, Network):
    checkpoint(p)
    formats = "onnx: an .onnx file; torch: a .pt2 program for torch.export.load"
    p.add_argument("--to", required=True, choices=["onnx", "torch"], help=formats)
    p.add_argument("--out", type=named, required=True, metavar="FILE")


def summary(p, Network):
    network(p, Network, next(iter(Network.variants)))
    p.add_argument("--classes", type=CLASSES, default=Network.num_classes, help=f"(default: {Network.num_classes})")


def benchmark(p, Network):
    summary(p, Network)
    p.add_argument("--inference", action="store_true", help="a forward alone instead of a training step")
    p.add_argument("--batch-size", type=WHOLE, nargs="+", metavar="N", help="(default: 64; of --inference 1 16 128; of --sweep 8 to 512)")
    p.add_argument("--steps", type=WHOLE, help="timed steps, after a warm-up (default: 7, with --sweep 3, on GPUs 20)")
    p.add_argument(
        "--against",
        choices=list(NEEDS),
        nargs="+",
        metavar="PEER",
        help=f"the same network elsewhere, steps in turn, each in a process of its own: {', '.join(NEEDS)}",
    )
    hybrid(p)
    graph(p)
    p.add_argument("--sweep", action="store_true", help="how time and memory grow with the batch and the threads, with a picture")
    p.add_argument("--output", type=named, metavar="FILE", default="benchmark.png", help="the picture of --sweep (default: benchmark.png)")


def scale(p, Network):
    p.add_argument("--step", type=POSITIVE, required=True, metavar="S", help="seconds of a training step of one GPU, as `benchmark` says")
    p.add_argument("--batch-size", type=WHOLE, default=128, help="images in that step (default: 128)")
    p.add_argument("--bandwidth", type=POSITIVE, required=True, metavar="G", help="Gbit/s that a GPU sends to other machines")
    p.add_argument("--inside", type=POSITIVE, default=3600.0, metavar="G", help="the same within a machine (default: 3600, as NVLink 4)")
    p.add_argument("--machine", type=WHOLE, default=8, metavar="N", help="GPUs of a machine, a power of two (default: 8)")
    p.add_argument("--images", type=WHOLE, default=1_281_167, help="of an epoch (default: ImageNet's 1,281,167)")
    p.add_argument("--epochs", type=WHOLE, default=90, help="(default: 90)")
    first = next(iter(Network.variants))
    p.add_argument("--variant", choices=list(Network.variants), default=first, help=f"which network (default: {first})")
    p.add_argument("--classes", type=CLASSES, default=Network.num_classes, help=f"(default: {Network.num_classes})")


WORDS = {
    "train": (train, "train a network (the default word)"),
    "evaluate": (evaluate, "loss, top-1 and top-5 error of checkpoints; several are an ensemble, whose probabilities are averaged"),
    "predict": (predict, "the most probable classes of image files, and of those in folders"),
    "prepare": (prepare, "bring all images to one size once: the central square of each, in files that are read without decoding"),
    "figures": (
        figures,
        "the paper's figures of a trained network: filters, predictions, nearest neighbours; curves, activations, confusions",
    ),
    "explore": (explore, "one HTML file: every map and every number of the network on photographs, forward and backward"),
    "experiment": (experiment, "what the paper claims of its parts, measured again on small images; and which learning rates to try"),
    "export": (export, "write a trained network for ONNX runtimes or for PyTorch, its preprocessing included"),
    "summary": (summary, "shapes, parameters, multiply-adds, memory, and what towers exchange"),
    "benchmark": (benchmark, "one training step, layer by layer"),
    "scale": (scale, "what many machines would bring, calculated from a measured step and a given network"),
}
