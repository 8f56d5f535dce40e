"""What a training run is made of: its config, where it begins, the plan of its learning rate, and its folder."""

import sys
from dataclasses import replace
from pathlib import Path

from minigrad import data, training
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import default_variant, known_config
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
    "schedule",
    "augment",
    "colour_noise",
    "plain",
)


# ---- the config


def new_config(Network, arguments, start=None):
    """What a new run is made with: what was asked for, what the checkpoint it starts from fixes, and the variant's defaults."""
    config = {key: getattr(arguments, key) for key in FIXED if getattr(arguments, key) is not None}
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
    config = {**more, **defaults, **config}
    config["data"] = data.absolute(config["data"])
    config.setdefault("colour_noise", kind.colour_noise if config["augment"] else 0.0)
    config["epochs"] = arguments.epochs or defaults["epochs"]
    config["device"], config["fp32"], config["skip_bad"] = arguments.device or "cpu", arguments.fp32, arguments.skip_bad
    return config


def resumed_config(arguments, checkpoint):
    """What a run that goes on was made with."""
    config = dict(known_config(arguments.resume, checkpoint))
    for key in FIXED:
        value, there = getattr(arguments, key), config.get(key)
        if key == "data" and value is not None and data.absolute(value) == data.absolute(config.get("data", "")):
            continue
        if value is not None and value != there:
            flag = "--" + key.replace("_", "-")
            made = f"without {flag}" if value is True and not there else f"with {flag} {there}"
            raise UsageError(f"The run was made {made}, so it cannot go on with {value}; leave {flag} out.")
    config["epochs"] = arguments.epochs or config["epochs"]
    config["device"] = arguments.device or config["device"]
    for key in ("fp32", "skip_bad"):
        config[key] = getattr(arguments, key) or config.get(key, False)
    return config


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
    if config["schedule"] not in ("linear", "steps") or epochs == before or epochs <= done:
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


class Folder:
    """Where a new run goes: the folder that was asked for, or the first of runs/NAME, runs/NAME-2, ... that does not exist. No run is ever
    overwritten, and no two runs share a folder, also if they start together.

    Raises UsageError if the folder asked for holds a run."""

    def __init__(self, asked):
        self.asked = Path(asked) if asked else None
        self.existed = self.asked is not None and self.asked.is_dir()
        if self.existed and any((self.asked / name).exists() for name in (training.CHECKPOINT, "history.csv", "config.json")):
            raise self.taken()

    def taken(self):
        return UsageError(f"{self.asked} holds a run already: go on with it by --resume {self.asked}, or name another --output.")

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
