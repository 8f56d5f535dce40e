"""predict: the most probable classes of image files."""

import numpy as np

from minigrad import data
from minigrad.commands.networks import load_network
from minigrad.training import evaluation


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint, arguments.device, arguments.fp32)
    mean, classes = checkpoint.mean, checkpoint.metadata["config"]["classes"] or [f"class {i}" for i in range(net.num_classes)]
    images = [data.fit(data.read_image(path), *mean.shape[:2]) for path in arguments.images]
    size = min(net.image_size, *mean.shape[:2])
    loader = data.Loader(images, np.zeros(len(images), int), 16, mean=mean, size=size, scale=net.input_scale, device=net.device)
    for path, p in zip(arguments.images, evaluation.probabilities(net, loader), strict=True):
        print(path)
        for i in np.argsort(-p, kind="stable")[: arguments.top]:
            print(f"  {p[i]:6.1%}  {classes[i]}")
    return 0
