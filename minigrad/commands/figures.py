"""figures: the paper's Figures 3 and 4 of a trained network, its curves, what its layers respond to, which pixels speak for a class, and
which classes are confused."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from minigrad import data, plots, training
from minigrad.commands import datasets
from minigrad.commands.errors import cannot_be_written
from minigrad.commands.networks import last_with_weights, load_network
from minigrad.layers import Conv2d, ReLU, Tanh
from minigrad.training import evaluation
from minigrad.visualise import explain

SHOWN, QUERIES = 8, 5  # images whose predictions, and whose nearest neighbours, are drawn
EXPLAINED = 5  # images whose most probable class is followed back to the pixels


@dataclass
class Sample:
    """Some images (a sequence of uint8 (H, W, C)) and their labels."""

    images: object
    labels: np.ndarray

    def some(self, numbers):
        """Those with these numbers, lists of images and labels."""
        return [self.images[i] for i in numbers], self.labels[numbers]


def command(Network, arguments):
    net, checkpoint = load_network(Network, arguments.checkpoint, arguments)
    config = checkpoint.metadata["config"]
    dataset = datasets.of_checkpoint(Network, config, arguments)
    datasets.same_classes(config, dataset)
    common = {"scale": net.input_scale, "workers": arguments.workers, "device": net.device}
    loader = partial(data.Loader, batch_size=64, mean=checkpoint.mean, size=datasets.image_size(Network, config, dataset), **common)
    shown = Sample(*datasets.evenly(dataset.val_images, dataset.val_labels, arguments.sample))
    known = Sample(*datasets.evenly(dataset.train_images, dataset.train_labels, arguments.sample))
    p = evaluation.probabilities(net, loader(shown.images, shown.labels))
    chosen = evaluation.one_of_each(shown.labels, SHOWN + QUERIES)
    queries = shown.some(chosen[-QUERIES:])
    nearest = neighbours(net, loader, queries, known)
    image = shown.images[chosen[0]]
    if arguments.image is not None:
        image = data.read_fitted(arguments.image, *checkpoint.mean.shape[:2])
    x, _ = next(loader([image], np.zeros(1, int)).batches(0))
    best = p[chosen[:EXPLAINED]].argmax(axis=1)
    fed, _ = next(loader(*shown.some(chosen[:EXPLAINED])).batches(0))
    explanation = explain(net, fed, best, training.is_grey(checkpoint.mean))

    run = Path(arguments.checkpoint)
    folder = Path(arguments.output or (run if run.is_dir() else run.parent) / "figures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if checkpoint.metadata.get("history"):
            plots.curves(checkpoint.metadata["history"], folder / "curves")
        draw_layers(net, checkpoint.mean, image, x, folder)
        pixels = datasets.seen(shown.some(chosen[:EXPLAINED])[0], fed.shape[1])
        plots.backwards(pixels, [dataset.classes[k] for k in best], explanation, folder / "backwards")
        draw_answers(shown, p, chosen[:SHOWN], queries, known, nearest, dataset.classes, folder)
    except OSError as error:
        raise cannot_be_written(folder, error, "--output") from None
    print(f"The figures are in {folder}, as PNG and SVG: {', '.join(sorted(path.stem for path in folder.glob('*.svg')))}")
    return 0


def draw_layers(net, mean, image, x, folder):
    """The first convolution's kernels, and what the convolutions make of an image; x (1, H, W, 3): the image as the network is fed it."""
    if kernels := training.first_kernels(net, mean):
        plots.filters(kernels, folder / "filters")
    if maps := activations(net, x):
        plots.activations(image, maps, folder / "activations")


def draw_answers(shown, p, chosen, queries, known, nearest, classes, folder):
    """What the network says of some images, which training images it finds alike, and which classes it confuses. p (N, classes):
    probabilities of all N images shown; nearest: for each query the numbers of known images."""
    images, labels = shown.some(chosen)
    plots.predictions(images, labels, p[chosen], classes, folder / "predictions")
    matches = [known.some(found) for found in nearest]
    titles = [[classes[k] for k in (label, *found)] for label, (_, found) in zip(queries[1], matches, strict=True)]
    plots.neighbours(queries[0], [images for images, _ in matches], folder / "neighbours", titles)
    plots.confusion(evaluation.confusion(p, shown.labels), classes, folder / "confusion")


def neighbours(net, loader, queries, known):
    """For each query the numbers of the known images whose features are nearest to its own (paper, section 6)."""
    part = net.up_to(features(net))
    near = evaluation.outputs(part, loader(*queries))
    return evaluation.nearest(near, evaluation.outputs(part, loader(known.images, known.labels), "features of training images"))


def features(net):
    """The layer whose outputs the last layer with weights sees: what the network knows of an image before it decides."""
    names = [step.name for step in net.walk() if step.tower == 0]
    return names[names.index(last_with_weights([p.name for p in net.parameters()])) - 1]


def activations(net, x):
    """What the convolutional layers make of one image x (1, H, W, 3), after their activation if there is one:
    {"conv1": [(H, W, C) of each tower], ...}."""
    steps = [step for step in net.walk() if step.tower == 0]
    maps = {}
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step.layer, Conv2d):
            active = after is not None and isinstance(after.layer, (ReLU, Tanh))
            part = net.up_to(after.name if active else step.name)
            maps[step.name] = np.split(net.device.numpy(part.infer(x))[0], len(part.stages[-1]), axis=-1)
    return maps
