"""The images and labels that a command works on, and how they fit the network."""

import zlib

import numpy as np

from minigrad import data
from minigrad.commands.errors import UsageError
from minigrad.names import one_name

MADE_UP = 1 << 22  # pixels of the made-up images of a small network; of a large one eight times as many


def load_data(Network, config, skip_bad=False):
    """The data set that a config names. Raises UsageError if it names none, DataError for what is missing or broken."""
    if "data" not in config:
        raise UsageError("The checkpoint comes from elsewhere and names no data: add --data.")
    size = Network.variants[config["variant"]].image_size
    share = config.get("val_share")
    if config.get("synthetic"):
        if share is not None:
            raise UsageError("--synthetic makes up images to validate with: leave out --val-share.")
        if size < 64:
            return data.synthetic(size, 10, MADE_UP // size**2, config["seed"])
        side = size * 256 // 224  # as crops are cut from photographs
        return data.synthetic(side, 10, 8 * MADE_UP // side**2, config["seed"])
    return data.load(config["data"], size=size, skip_bad=skip_bad, val_share=share, seed=config.get("seed", 0))


def summary(dataset):
    """What tells that ranks have found the same data: its name, how many images and classes, and a check sum of classes and labels."""
    total, counts = zlib.crc32("\0".join(dataset.classes).encode(errors="backslashreplace")), []
    for labels in (dataset.train_labels, dataset.val_labels):
        total = zlib.crc32(np.ascontiguousarray(labels, np.int64), total)
        counts.append(f"{len(labels):,}")
    return f"{dataset.name} with {' and '.join(counts)} images in {len(dataset.classes)} classes (check sum {total:08x})"


def of_checkpoint(Network, config, arguments):
    """The data set that the options name; without --data that of the checkpoint with this config.

    A data set with validation images of its own is not split as the run split its own; class folders alone are."""
    if arguments.data:
        share = config.get("val_share") if data.only_classes(arguments.data) else None
        return load_data(Network, {**config, "data": arguments.data, "synthetic": False, "val_share": share}, arguments.skip_bad)
    return load_data(Network, config, arguments.skip_bad or config.get("skip_bad", False))


def image_size(Network, config, dataset):
    """Pixels of a side of what the network is fed: its own size, or smaller images that it takes as they are. Raises UsageError for images
    that do not fit it."""
    kind, there = Network.variants[config["variant"]], min(dataset.train_images[0].shape[:2])
    size = config.get("adapted", {}).get("image_size", kind.image_size)
    least, most = kind.smallest or size, kind.largest or float("inf")
    if not least <= there <= most:
        wanted = f"{least} to {most}" if kind.largest else f"at least {least}"
        raise UsageError(f"The images of {dataset.name} have {there} pixels; --variant {config['variant']} needs {wanted}.")
    return min(size, there)


def same_classes(config, dataset):
    """Raises UsageError unless the network with this config tells apart what the data set holds."""
    count, classes = config["num_classes"], config["classes"] or dataset.classes  # weights from elsewhere have no names
    classes = [one_name(name) for name in classes]  # older checkpoints have them as they were found
    if count != len(dataset.classes) or list(dataset.classes) != classes:
        raise UsageError(
            f"The checkpoint knows {count} classes ({classes[0]}, ...), but {dataset.name} has {len(dataset.classes)} "
            f"({dataset.classes[0]}, ...)."
        )


def evenly(images, labels, count):
    """At most `count` of the images, evenly spaced, and their labels."""
    if count >= len(labels):
        return images, labels
    numbers = data.evenly_spaced(len(labels), count)
    return images[numbers] if isinstance(images, np.ndarray) else data.Some(images, numbers), labels[numbers]


def seen(images, size):
    """What a network that is fed squares of `size` pixels sees of images: uint8 (N, size, size, 3), the centre of each."""
    loader = data.Loader(images, np.zeros(len(images), int), len(images), mean=np.zeros((size, size, 3)), size=size)
    return next(loader.batches(0))[0].astype(np.uint8)
