"""What a training run is made of: its config, where it begins, the plan of its learning rate, and its folder."""

import json
import shlex
import sys
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from minigrad import data, files, training
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import default_variant, known_config
from minigrad.data.datasets import parts
from minigrad.optim import ByEpoch, Constant, LinearDecay, Plateau

RECIPE = ("epochs", "batch_size", "lr", "weight_decay", "schedule", "augment")  # what a variant has defaults for
FIXED = (  # what a run that goes on cannot change
    "variant",
    "init",
    "seed",
    "data",
    "synthetic",
    "batch_size",
    "lr",
    "momentum",
    "weight_decay",
    "optimizer",
    "trust",
    "scale_lr",
    "warmup",
    "schedule",
    "augment",
    "colour_noise",
    "plain",
    "val_share",
)
CHANGEABLE = ("patience", "accumulate")  # what it can, and keeps if nothing else is said


# ---- the config


def new_config(Network, arguments, start=None):
    """What a new run is made with: what was asked for, what the checkpoint it starts from fixes, and the variant's defaults."""
    config = {key: getattr(arguments, key) for key in FIXED if getattr(arguments, key) is not None}
    if "data" in config and config.get("synthetic"):
        raise UsageError("--synthetic makes images up instead of --data: give one of them.")
    if start is not None:
        for key in ("variant", "init"):
            there = start.metadata["config"][key]
            if config.setdefault(key, there) != there:
                raise UsageError(f"{arguments.checkpoint} has the {key} {there}, so training cannot start there with {config[key]}.")
        if start.metadata["config"].get("adapted"):
            config["adapted"] = start.metadata["config"]["adapted"]
    side = data.side(config["data"]) if "data" in config and not config.get("synthetic") else None
    config.setdefault("variant", default_variant(Network, side))
    kind = Network.variants.get(config["variant"])
    if kind is None:
        raise UsageError(f"{arguments.checkpoint} is of the variant {config['variant']}, but there are {', '.join(Network.variants)}.")
    defaults = {key: getattr(kind, key) for key in RECIPE} | {"init": next(iter(Network.inits))}
    if start is not None:
        defaults["lr"] /= 10  # as in the last stage of the paper's pre-trained networks
    more = {"seed": 0, "data": "fashion-mnist", "synthetic": False, "momentum": 0.9, "plain": False}
    more |= {"optimizer": "sgd", "trust": 0.001, "scale_lr": False, "warmup": 0.0}
    config = {**more, **defaults, **config}
    if config["scale_lr"]:
        config["lr"] *= config["batch_size"] / kind.batch_size
    config["data"] = data.absolute(config["data"])
    config.setdefault("colour_noise", kind.colour_noise if config["augment"] else 0.0)
    config["epochs"] = arguments.epochs or defaults["epochs"]
    for key in CHANGEABLE:
        if getattr(arguments, key) is not None:
            config[key] = getattr(arguments, key)
    config["device"], config["skip_bad"] = arguments.device or "cpu", arguments.skip_bad
    config["fp32"], config["bf16"] = arguments.fp32, arguments.bf16
    return config


def resumed_config(arguments, checkpoint):
    """What a run that goes on was made with."""
    config = dict(known_config(arguments.resume, checkpoint))
    for key in FIXED:
        value, there = getattr(arguments, key), config.get(key)
        if key == "data" and value is not None and not config.get("synthetic"):
            config["data"] = moved(config.get("data", ""), data.absolute(value))
            continue
        if value is not None and value != there:
            flag = "--" + key.replace("_", "-")
            made = f"without {flag}" if there is None or value is True and not there else f"with {flag} {there}"
            raise UsageError(f"The run was made {made}, so it cannot go on with {flag if value is True else value}; leave {flag} out.")
    missing = [
        key for key in ("data", "batch_size", "lr", "momentum", "weight_decay", "schedule", "augment", "epochs") if key not in config
    ]
    if missing:
        raise UsageError(
            f"{arguments.resume} does not say with which {', '.join(missing)} it was trained, so it cannot go on: start a new run from its "
            "weights with --checkpoint."
        )
    config["epochs"] = arguments.epochs or config["epochs"]
    for key in CHANGEABLE:
        if getattr(arguments, key) is not None:
            config[key] = getattr(arguments, key)
    config["device"] = arguments.device or config.get("device", "cpu")
    for key in ("fp32", "bf16", "skip_bad"):
        config[key] = getattr(arguments, key) or config.get(key, False)
    if config["fp32"] and config["bf16"]:
        made, asked = ("fp32", "bf16") if arguments.bf16 else ("bf16", "fp32")
        raise UsageError(f"The run was made with --{made}, so it cannot go on with --{asked}; leave --{asked} out.")
    return config


def moved(there, here):
    """Where the data of a run lies now: `here` instead of `there`. Raises UsageError for data of another kind; whether it is the same data
    is seen when it is read (`same_data`)."""

    def kind(spec):
        return spec.partition(":")[0] if spec == "fashion-mnist" or parts(spec)[0] else "a folder"

    if kind(there) != kind(here):
        raise UsageError(f"The run was made with --data {there}, so it cannot go on with {here}; leave --data out.")
    return here


def same_data(config, dataset, path):
    """Note in the config how many images there are, and a check sum of their labels. With others a run that goes on is no longer the same:
    a warning says so where images may be left out, else UsageError is raised. Older runs do not know theirs."""
    now = [len(dataset.train_labels), len(dataset.val_labels)]
    before, config["images"] = config.get("images", now), now
    labels = zlib.crc32(dataset.val_labels.tobytes(), zlib.crc32(dataset.train_labels.tobytes()))
    labels_before, config["labels"] = config.get("labels", labels), labels
    if (before, labels_before) == (now, labels):
        return
    made = f"The run was made with {before[0]:,} images to train and {before[1]:,} to validate"
    here = f"{now[0]:,} and {now[1]:,}" if before != now else "as many of other classes"
    if not config["skip_bad"]:
        raise UsageError(
            f"{made}, but {dataset.name} has {here}: bring them back, or start a new run from its weights with "
            f"--checkpoint {shlex.quote(str(path))}."
        )
    print(f"Warning: {made}; from here on there are {here}.", file=sys.stderr)


# ---- the learning rate


def plan(rule, lr, epochs):
    """The learning-rate rule of that name."""
    if rule == "plateau":
        return Plateau(lr)
    if rule == "steps":
        return ByEpoch.in_three_stages(lr, epochs)
    if rule == "linear":
        return LinearDecay(lr, epochs)
    return Constant(lr)


def replanned(checkpoint, config):
    """The checkpoint of a run that goes on; if to another number of epochs than before, with the learning rate's plan for that number, as
    if the run had been made with it. Says so on stderr."""
    before, epochs, done = checkpoint.metadata["config"].get("epochs"), config["epochs"], checkpoint.metadata.get("epoch", 0)
    planned = config["schedule"] in ("linear", "steps") and "schedule" in checkpoint.metadata
    if not planned or epochs == before or epochs <= done:
        return checkpoint
    rule = plan(config["schedule"], config["lr"], epochs)
    for _ in range(done):
        rule.epoch_ended(None)  # these rules do not look at the error
    print(
        f"From here on the learning rate follows the plan of {epochs} epochs ({config['schedule']}), not that of {before}: "
        f"it is {rule.lr:.3g} now.",
        file=sys.stderr,
    )
    return replace(checkpoint, metadata={**checkpoint.metadata, "schedule": rule.state()})


# ---- the folder


CONFIG, HISTORY = "config.json", "history.csv"


@contextmanager
def held(folder):
    """A run folder for this command alone. Raises UsageError if another one is at work there, or if it cannot be opened."""
    try:
        with files.locked(folder):
            yield
    except BlockingIOError as error:
        if error.filename != str(folder):
            raise
        raise UsageError(f"Another command is at work in {folder}: wait until it has ended, or name another --output.") from None


def holds_a_run(folder):
    """Whether a folder holds anything of a run that is worth keeping. A run that ended before its first checkpoint has left its config and
    a history without rows, and can be started again in its folder."""
    if (folder / training.CHECKPOINT).exists():
        return True
    history, config = folder / HISTORY, folder / CONFIG
    if any(path.exists() and not path.is_file() for path in (history, config)):  # a pipe would be waited for without end
        return True
    try:
        if history.exists() and history.read_text(encoding="utf-8").strip() != ",".join(training.COLUMNS):
            return True
        return config.exists() and "variant" not in json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return True


def ended_early(path):
    """Raises UsageError, which says what can be done, if `path` is the folder of a run that ended before its first checkpoint."""
    folder = Path(path)
    if folder.is_dir() and (folder / CONFIG).exists() and not holds_a_run(folder):
        raise UsageError(
            f"The run in {folder} ended before its first checkpoint, so there is nothing to go on with: start it again, with the options "
            f"it was made with (they are in its {CONFIG}) and --output {shlex.quote(str(folder))}."
        )


class Folder:
    """Where a new run goes: the folder that was asked for, or the first of runs/NAME, runs/NAME-2, ... that does not exist. No run is ever
    overwritten, and no two runs share a folder, also if they start together.

    Raises UsageError if the folder asked for holds a run."""

    def __init__(self, asked):
        self.asked = Path(asked) if asked else None
        self.existed = self.asked is not None and self.asked.is_dir()
        if self.existed and holds_a_run(self.asked):
            raise self.taken()

    def taken(self):
        if not (self.asked / training.CHECKPOINT).is_file():
            return UsageError(f"{self.asked} holds a run already, one without a checkpoint to go on with: name another --output.")
        return UsageError(
            f"{self.asked} holds a run already: go on with it by --resume {shlex.quote(str(self.asked))}, or name another --output."
        )

    def make(self, name):
        """Make the folder and return it. Raises UsageError if it cannot be made, or if it was made by another run meanwhile."""
        folder, n = self.asked or Path("runs") / name, 1
        while True:
            try:
                folder.mkdir(parents=True, exist_ok=self.existed)
                return folder
            except FileExistsError as error:
                if self.asked is None:
                    n += 1
                    folder = Path("runs") / f"{name}-{n}"
                elif folder.is_dir():
                    raise self.taken() from None
                else:
                    raise self.cannot_be_made(folder, error) from None
            except OSError as error:
                raise self.cannot_be_made(folder, error) from None

    def cannot_be_made(self, folder, error):
        return UsageError(f"The run folder {folder} cannot be made: {error.strerror}; name another --output.")
