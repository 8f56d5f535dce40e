"""What the text of a checkpoint may say: each field's type and range, in one place. Files come from anywhere and are trusted in nothing.

A kind is a function of a value and the name of its field: it returns the value, or raises FieldError, which names both."""

import math

from minigrad.training.errors import TrainingError

LARGEST = 2**53  # of whole numbers: what JSON keeps exactly everywhere


class FieldError(TrainingError):
    """Which field is wrong, what it says and what it should be; half a sentence."""

    def __init__(self, name, value, wanted):
        shown = ascii(value)
        super().__init__(f"{name} is {shown if len(shown) <= 40 else shown[:37] + '...'}, not {wanted}")


# ---- kinds


def whole(least=0, most=LARGEST):
    """A whole number from `least` to `most`."""

    def kind(value, name):
        if type(value) is not int or not least <= value <= most:
            raise FieldError(name, value, f"a whole number from {least} to {most}")
        return value

    return kind


def number(least=-math.inf, most=math.inf):
    """A finite number from `least` to `most`."""

    def kind(value, name):
        if type(value) not in (int, float) or not least <= value <= most or abs(value) > 1e300 or value != value:
            raise FieldError(name, value, "a finite number" if most == math.inf else f"a number from {least} to {most}")
        return value

    return kind


def text(value, name):
    """A text; without NUL characters, which no path can hold."""
    if type(value) is not str or "\0" in value:
        raise FieldError(name, value, "a text")
    return value


def boolean(value, name):
    if type(value) is not bool:
        raise FieldError(name, value, "true or false")
    return value


def anything(value, name):
    return value


def one_of(*values):
    """One of these texts."""

    def kind(value, name):
        if value not in values:
            raise FieldError(name, value, f"one of {', '.join(values)}")
        return value

    return kind


def optional(other):
    """null, or a value of the other kind."""
    return lambda value, name: value if value is None else other(value, name)


def list_of(other, length=None):
    """A list of values of one kind; of that length if one is given."""

    def kind(value, name):
        if type(value) is not list or length not in (None, len(value)):
            raise FieldError(name, value, "a list" if length is None else f"a list of {length}")
        for i, item in enumerate(value):
            other(item, f"{name}[{i}]")
        return value

    return kind


def record(fields, needed=(), others=True):
    """A dict of these fields, {name: kind}, of which those in `needed` must be there. Others are left to whoever put them there, or, with
    others=False, refused."""

    def kind(value, name):
        if type(value) is not dict:
            raise FieldError(name, value, "an object with fields")
        prefix = f"{name}." if name else ""
        for key in needed:
            if key not in value:
                raise FieldError(prefix + key, "missing", "there")
        for key, item in value.items():
            if key not in fields and not others:
                raise FieldError(prefix + key, item, "a field of it")
            fields.get(key, anything)(item, prefix + key)
        return value

    return kind


# ---- what a checkpoint says

FRACTION = number(0, 1)
LENGTH = whole(1, 2**31)  # of the options, too (commands/options.py)

ADAPTED = record(  # what weights from elsewhere need of the network (commands/imported.py)
    {
        "image_size": whole(1, 1024),
        "conv1_padding": list_of(whole(0, 64), 4),
        "lrn": lambda value, name: LRN(list_of(number(0, 1e6), 4)(value, name), name),
    }
)


def LRN(value, name):
    """size, alpha, beta, k of local response normalisation: a window of whole channels, and a k that keeps the sum above 0."""
    whole(1, 1024)(value[0], f"{name}[0]")
    number(1e-6, 1e6)(value[3], f"{name}[3]")
    return value


CONFIG = record(
    {
        "variant": text,
        "init": text,
        "seed": whole(),
        "num_classes": whole(2, 2**24),
        "classes": list_of(text),
        "data": text,
        "images": list_of(whole(), 2),
        "labels": whole(0, 2**32 - 1),
        "synthetic": boolean,
        "epochs": LENGTH,
        "patience": LENGTH,
        "accumulate": LENGTH,
        "batch_size": LENGTH,
        "lr": number(0),
        "momentum": FRACTION,
        "weight_decay": number(0),
        "optimizer": one_of("sgd", "lars"),
        "trust": number(0),
        "scale_lr": boolean,
        "warmup": number(0),
        "schedule": one_of("plateau", "steps", "linear", "constant"),
        "augment": boolean,
        "colour_noise": number(0),
        "colours": record(
            {"std": list_of(number(0), 3), "directions": list_of(list_of(number(-1.001, 1.001), 3), 3)}, ("std", "directions")
        ),
        "plain": boolean,
        "device": text,
        "arithmetic": text,
        "fp32": boolean,
        "bf16": boolean,
        "skip_bad": boolean,
        "val_share": FRACTION,
        "adapted": ADAPTED,
        "imported": text,
    }
)
TALLY = record(
    {"loss": number(), "top1": whole(), "top5": whole(), "images": whole(), "seconds": number(0)},
    ("loss", "top1", "top5", "images", "seconds"),
    others=False,
)
ROW = {
    "epoch": whole(1),
    "lr": number(0),
    "train_loss": number(),
    "train_top1_error": FRACTION,
    "train_top5_error": FRACTION,
    "val_loss": number(),
    "val_top1_error": FRACTION,
    "val_top5_error": FRACTION,
    "images_per_second": number(0),
    "seconds": number(0),
}
SCHEDULE = {  # of all rules in optim.py; a rule knows which of them it has
    "lr": number(0),
    "first": number(0),
    "milestones": list_of(whole()),
    "factor": FRACTION,
    "epoch": whole(),
    "epochs": whole(1),
    "patience": whole(1),
    "threshold": FRACTION,
    "times": whole(),
    "best": optional(FRACTION),
    "waited": whole(),
    "reductions": whole(),
    "finished": boolean,
}
METADATA = record(
    {
        "config": CONFIG,
        "epoch": whole(),
        "batch": whole(),
        "batches": whole(1),
        "step": whole(),
        "tally": TALLY,
        "history": list_of(record(ROW, tuple(ROW), others=False)),
        "schedule": record(SCHEDULE),
    }
)
POSITION = ("epoch", "batch", "batches", "tally", "history", "step", "schedule")  # what a checkpoint must hold of a run to resume it


def position(metadata, schedule):
    """Check what a run goes on from, whose learning rate follows a rule with the state `schedule`. Raises FieldError, also for fields
    that contradict each other."""
    record({}, POSITION)(metadata, "")
    if metadata["schedule"].keys() != schedule.keys():
        raise FieldError("schedule", sorted(metadata["schedule"]), f"a rule with {', '.join(schedule)}")
    epochs = [row["epoch"] for row in metadata["history"]]
    if epochs != list(range(1, metadata["epoch"] + 1)):
        raise FieldError("history", epochs, f"that of the {metadata['epoch']} epochs that are done")
    whole(metadata["epoch"], metadata["epoch"])(metadata["schedule"].get("epoch", metadata["epoch"]), "schedule.epoch")
    tally = metadata["tally"]
    whole(0, metadata["batches"])(metadata["batch"], "batch")
    whole(metadata["batch"])(tally["images"], "tally.images")
    if metadata["batch"]:
        number(1e-9)(tally["seconds"], "tally.seconds")  # by which images are divided
    whole(0, tally["images"])(tally["top1"], "tally.top1")
    whole(0, tally["top1"])(tally["top5"], "tally.top5")
