"""The images and labels that a command works on, and how they fit the network."""

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
    if config.get("synthetic"):
        if size < 64:
            return data.synthetic(size, 10, MADE_UP // size**2, config["seed"])
        side = size * 256 // 224  # as crops are cut from photographs
        return data.synthetic(side, 10, 8 * MADE_UP // side**2, config["seed"])
    return data.load(config["data"], size=size, skip_bad=skip_bad)


def of_checkpoint(Network, config, arguments):
    """The data set that the options name; without --data that of the checkpoint with this config."""
    if arguments.data:
        return load_data(Network, {**config, "data": arguments.data, "synthetic": False}, arguments.skip_bad)
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
