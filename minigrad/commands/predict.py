"""predict: the most probable classes of image files, and of those in folders."""

import sys
from pathlib import Path

import numpy as np

from minigrad import data
from minigrad.commands.errors import UsageError, cannot_be_written
from minigrad.commands.networks import load_network, program
from minigrad.names import one_name
from minigrad.training import evaluation

TOGETHER = 64  # images that are decoded, and then held at once


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint, arguments)
    classes = checkpoint.metadata["config"]["classes"] or [f"class {i}" for i in range(net.num_classes)]
    paths = files(arguments.images)
    top, bad = min(arguments.top, len(classes)), []
    found = predictions(net, checkpoint, arguments.checkpoint, paths, top, bad)
    if arguments.csv is None:
        for path, guesses in found:
            print(one_name(path))
            for label, p in guesses:
                print(f"  {p:6.1%}  {one_name(classes[label])}")
    else:
        write(Path(arguments.csv), found, classes, top)
        print(f"{len(paths) - len(bad):,} images: {arguments.csv}", file=sys.stderr)
    for error in bad[:-1]:
        print(f"{program(Network)}: {error}", file=sys.stderr)
    if bad:
        raise bad[-1]
    return 0


def files(names):
    """The files of these names, and in place of each folder the images in it. What it holds besides is said on stderr. Raises DataError."""
    paths, left = [], data.LeftOut()
    for name in names:
        paths += data.images_within(name, left) if Path(name).is_dir() else [name]
    if str(left):
        print(left, file=sys.stderr)
    return paths


def predictions(net, checkpoint, checkpoint_path, paths, top, bad):
    """Yield (path, [(label, probability), ...]) of each image, `top` labels, the most probable first. The errors of those that cannot be
    decoded are added to the list `bad` instead. Raises UsageError if the network's outputs are not finite."""
    mean = checkpoint.mean
    size = min(net.image_size, *mean.shape[:2])
    for start in range(0, len(paths), TOGETHER):
        read, images = [], []
        for path, image in data.read_each(paths[start : start + TOGETHER], *mean.shape[:2]):
            if isinstance(image, data.DataError):
                bad.append(image)
            else:
                read.append(path)
                images.append(image)
        if not images:
            continue
        loader = data.Loader(images, np.zeros(len(images), int), 16, mean=mean, size=size, scale=net.input_scale, device=net.device)
        probabilities = evaluation.probabilities(net, loader)
        if not np.isfinite(probabilities).all():
            raise UsageError(f"The outputs of {checkpoint_path} are not finite numbers: its weights have blown up.")
        for path, p in zip(read, probabilities, strict=True):
            labels = np.argsort(-p, kind="stable")[:top]
            yield path, [(int(label), float(p[label])) for label in labels]


def write(path, found, classes, top):
    """A row for each image: its file, then class and probability of each of the `top` guesses. Raises UsageError."""
    heading = ["file", *(f"{what}_{i}" for i in range(1, top + 1) for what in ("class", "probability"))]
    rows = ([file, *(cell for label, p in guesses for cell in (classes[label], f"{p:.6g}"))] for file, guesses in found)
    try:
        evaluation.write_csv(path, heading, rows)
    except OSError as error:
        raise cannot_be_written(path, error, "--csv") from None
