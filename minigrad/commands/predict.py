"""predict: the most probable classes of image files."""

import sys

import numpy as np

from minigrad import data
from minigrad.commands.errors import UsageError
from minigrad.commands.networks import load_network, program
from minigrad.names import one_name
from minigrad.training import evaluation


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint, arguments.device, arguments.fp32)
    mean = checkpoint.mean
    images, paths, bad = [], [], []
    for path in arguments.images:
        try:
            images.append(data.read_fitted(path, *mean.shape[:2]))
            paths.append(path)
        except data.DataError as error:
            bad.append(error)
    if images:
        show(net, checkpoint, arguments.checkpoint, images, paths, arguments.top)
    for error in bad[:-1]:
        print(f"{program(Network)}: {error}", file=sys.stderr)
    if bad:
        raise bad[-1]
    return 0


def show(net, checkpoint, checkpoint_path, images, paths, top):
    """Print the `top` most probable classes of images that fit the mean image of the checkpoint."""
    mean, classes = checkpoint.mean, checkpoint.metadata["config"]["classes"] or [f"class {i}" for i in range(net.num_classes)]
    size = min(net.image_size, *mean.shape[:2])
    loader = data.Loader(images, np.zeros(len(images), int), 16, mean=mean, size=size, scale=net.input_scale, device=net.device)
    probabilities = evaluation.probabilities(net, loader)
    if not np.isfinite(probabilities).all():
        raise UsageError(f"The outputs of {checkpoint_path} are not finite numbers: its weights have blown up.")
    for path, p in zip(paths, probabilities, strict=True):
        print(one_name(path))
        for i in np.argsort(-p, kind="stable")[:top]:
            print(f"  {p[i]:6.1%}  {one_name(classes[i])}")
