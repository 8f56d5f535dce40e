"""The options of every word. What a network has by default, and which variants there are, comes from its class."""

import argparse
import inspect
from collections import Counter

from minigrad.commands.errors import UsageError
from minigrad.commands.networks import default_variant, program
from minigrad.device import cores

DATA = (
    "fashion-mnist (embedded, the default), fashion-mnist:DIR, cifar10:DIR, a folder made by prepare, "
    "or one with train/<class>/* and val/<class>/*"
)
SCHEDULES = (
    "lr divided by 10 when the validation error stalls, three times (plateau, the paper's), or after 3/4 and 11/12 of the epochs (steps); "
    "falling by the same amount after each epoch (linear)"
)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message[:1].upper()}{message[1:]}; `{self.prog} --help` shows what there is.")


def at_least(low, kind, what):
    """An argparse type: a finite number of at least `low`."""

    def number(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
        return value

    return number


WHOLE = at_least(1, int, "a whole number of at least 1")
NATURAL = at_least(0, int, "a whole number of at least 0")
CLASSES = at_least(2, int, "a whole number of at least 2")
RATE = at_least(0.0, float, "a number of at least 0")


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


def device(p):
    p.add_argument(
        "--device",
        metavar="D",
        help="cpu, 0 (a GPU), auto (two GPUs, or one, or the CPU); cpu,cpu or 0,1 for two towers side by side "
        "(default: cpu; of a run that goes on, its own)",
    )
    p.add_argument("--fp32", action="store_true", help="on GPUs multiply in float32 throughout, not in TF32")


def network(p, Network, default=None):
    sizes = sorted({kind.image_size for kind in Network.variants.values()})
    choice = default or default_variant(Network)
    for size in sizes[1:] if default is None else ():
        choice += f"; {default_variant(Network, size)} for a folder of images of {size} pixels or more"
    p.add_argument("--variant", choices=list(Network.variants), default=default, help=f"which network (default: {choice})")
    device(p)
    p.add_argument("--seed", type=NATURAL, default=None, help="of weights, order, augmentation and dropout (default: 0)")
    inits = list(Network.inits)
    p.add_argument("--init", choices=inits, default=None, help=f"starting weights (default: {inits[0]})")


def workers(p):
    default = max(1, min(8, cores() // 2))
    p.add_argument("--workers", type=WHOLE, default=default, help=f"threads that prepare batches (default: {default} on this machine)")


def skip_bad(p):
    p.add_argument("--skip-bad", action="store_true", help="leave out images that cannot be decoded")


def checkpoint(p):
    p.add_argument("--checkpoint", required=True, metavar="RUN", help="a checkpoint or its run folder")


# ---- the words


def train(p, Network):
    network(p, Network)
    p.add_argument("--plain", action="store_true", default=None, help="with the layers of plain.py: slow, and in the fewest lines")
    p.add_argument("--data", metavar="DATA", help=DATA)
    p.add_argument("--synthetic", action="store_true", default=None, help="random images made up on the spot instead of --data")
    skip_bad(p)
    recipe(p, Network)
    workers(p)
    p.add_argument("--resume", metavar="RUN", help="go on with a checkpoint or its run folder")
    p.add_argument(
        "--checkpoint",
        metavar="RUN",
        help="start from its weights, a tenth of the usual --lr; with other classes the last layer is new (fine-tuning)",
    )
    p.add_argument("--output", metavar="DIR", help="run folder (default: a new one in runs/)")


def recipe(p, Network):
    """How a network learns."""

    def add(flag, help, **more):
        default = by_variant(Network, flag.removeprefix("--").replace("-", "_"))
        p.add_argument(flag, help=f"{help} (default: {default})", **more)

    add("--epochs", "how many passes over the images, those before --resume included", type=WHOLE)
    add("--batch-size", "images in a step", type=WHOLE)
    add("--lr", "learning rate", type=RATE)
    p.add_argument("--momentum", type=RATE, help="(default: 0.9)")
    add("--weight-decay", "what a step takes from each weight, times lr", type=RATE)
    add("--schedule", SCHEDULES, choices=["plateau", "steps", "linear", "constant"])
    add("--augment", "random crops and flips, which pay off in long runs", action=argparse.BooleanOptionalAction, default=None)
    noise = "the colours of each image vary as those of all pixels do, times S; 0.1 is the paper's; without --augment by default 0"
    add("--colour-noise", noise, type=RATE, metavar="S")


def evaluate(p, Network):
    p.add_argument("--checkpoint", nargs="+", required=True, metavar="RUN", help="checkpoints or run folders")
    p.add_argument("--data", metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--crops", type=int, choices=[1, 10], default=1, help="the centre, or the paper's ten crops (default: 1)")
    p.add_argument("--output", metavar="DIR", help="folder for probabilities.npy, confusion.csv and classes.csv")
    device(p)
    p.add_argument("--batch-size", type=WHOLE, default=128, help="crops at a time (default: 128)")
    workers(p)
    skip_bad(p)


def predict(p, Network):
    checkpoint(p)
    p.add_argument("images", nargs="+", metavar="IMAGE")
    device(p)
    p.add_argument("--top", type=WHOLE, default=5, help="how many classes to show (default: 5)")


def prepare(p, Network):
    p.add_argument("--data", required=True, metavar="SRC", help="class folders, or ILSVRC's tar files and its devkit or label file")
    p.add_argument("--out", required=True, metavar="DIR", help="the prepared set; what lies there half done is completed, else checked")
    p.add_argument("--size", type=WHOLE, default=256, help="pixels of the squares (default: 256)")
    p.add_argument("--labels", metavar="FILE", help="what flat validation images show (default: found in SRC)")
    skip_bad(p)
    p.add_argument("--workers", type=WHOLE, help="processes (default: one for each core)")


def figures(p, Network):
    checkpoint(p)
    p.add_argument("--data", metavar="DATA", help="(default: the data of the checkpoint)")
    p.add_argument("--output", metavar="DIR", help="(default: figures in the run folder)")
    p.add_argument("--image", metavar="FILE", help="whose activations are drawn (default: one of the validation images)")
    p.add_argument("--sample", type=WHOLE, default=5000, metavar="N", help="images of each kind to look at, at most (default: 5000)")
    device(p)
    workers(p)
    skip_bad(p)


def experiment(p, Network):
    p.add_argument("which", choices=["relu-vs-tanh", "ablations"], help="Figure 1, or the network without each of its parts in turn")
    p.add_argument("--data", metavar="DATA", default="fashion-mnist", help=DATA)
    p.add_argument("--images", type=WHOLE, metavar="N", help="training images, evenly taken (default: all)")
    p.add_argument("--level", type=WHOLE, default=25, metavar="PERCENT", help="the training error to be reached (default: 25)")
    p.add_argument("--epochs", type=WHOLE, help="relu-vs-tanh: give up after so many (default: 60); ablations: train so many (default: 8)")
    p.add_argument("--seeds", type=WHOLE, default=3, help="how many (default: 3)")
    p.add_argument("--output", metavar="DIR", help="folder for the table, the numbers and the figure (default: in runs/)")
    workers(p)
    skip_bad(p)


def export(p, Network):
    checkpoint(p)
    formats = "onnx: an .onnx file; torch: a .pt2 program for torch.export.load"
    p.add_argument("--to", required=True, choices=["onnx", "torch"], help=formats)
    p.add_argument("--out", required=True, metavar="FILE")


def summary(p, Network):
    network(p, Network, next(iter(Network.variants)))
    p.add_argument("--classes", type=CLASSES, default=Network.num_classes, help=f"(default: {Network.num_classes})")


def benchmark(p, Network):
    summary(p, Network)
    p.add_argument("--batch-size", type=WHOLE, default=64, help="(default: 64)")
    p.add_argument("--steps", type=WHOLE, help="timed steps, after a warm-up (default: 7, on GPUs 20)")
    p.add_argument("--against", choices=["torch"], help="the same network in PyTorch, steps in turn")


WORDS = {
    "train": (train, "train a network (the default word)"),
    "evaluate": (evaluate, "loss, top-1 and top-5 error of checkpoints; several are an ensemble, whose probabilities are averaged"),
    "predict": (predict, "the most probable classes of image files"),
    "prepare": (prepare, "bring all images to one size once: the central square of each, in files that are read without decoding"),
    "figures": (
        figures,
        "the paper's figures of a trained network: filters, predictions, nearest neighbours; curves, activations, confusions",
    ),
    "experiment": (experiment, "what the paper claims of its parts, measured again on small images"),
    "export": (export, "write a trained network for ONNX runtimes or for PyTorch, its preprocessing included"),
    "summary": (summary, "shapes, parameters, multiply-adds, memory, and what towers exchange"),
    "benchmark": (benchmark, "one training step, layer by layer"),
}
