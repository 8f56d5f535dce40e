"""evaluate: loss and errors of checkpoints on the validation images. Several are an ensemble, of which one is in memory at a time."""

from pathlib import Path

import numpy as np

from minigrad import data
from minigrad.commands import datasets, imported
from minigrad.commands.errors import cannot_be_written
from minigrad.commands.memory import enough_memory
from minigrad.commands.networks import elsewhere, known_config, load_network, make_network
from minigrad.training import evaluation


def command(Network, arguments):
    paths, ranks = arguments.checkpoint, arguments.ranks
    arguments.device = ranks.deal(arguments.device, 1)
    configs = [checked_config(Network, path, arguments) for path in paths]
    dataset = datasets.of_checkpoint(Network, configs[0], arguments)
    for config in configs:
        datasets.same_classes(config, dataset)
    ranks.same("data", datasets.summary(dataset))
    p = sum(probabilities(Network, path, dataset, arguments) for path in paths) / np.float32(len(paths))
    report(p, dataset, len(paths), arguments.crops)
    if arguments.output:
        try:
            ranks.told(lambda: evaluation.write(Path(arguments.output), p, dataset.val_labels, dataset.classes))
        except OSError as error:
            raise cannot_be_written(arguments.output, error, "--output") from None
        print(f"Probabilities, confusions and the errors by class are in {arguments.output}")
    return 0


def checked_config(Network, path, arguments):
    """The config of a checkpoint. What cannot be read or made is said here, before any image is read; the network is let go."""
    config = known_config(path, arguments.ranks.told(lambda: imported.load(path)))
    make_network(Network, elsewhere(config, arguments), config["num_classes"])
    return config


def probabilities(Network, path, dataset, arguments):
    """What the network of a checkpoint holds the validation images for: float32 (N, classes). The network is let go at the end."""
    net, checkpoint = load_network(Network, path, arguments, arguments.ranks)
    loader = data.Loader(
        dataset.val_images,
        dataset.val_labels,
        max(1, arguments.batch_size // arguments.crops),
        mean=checkpoint.mean,
        size=datasets.image_size(Network, checkpoint.metadata["config"], dataset),
        scale=net.input_scale,
        workers=arguments.workers,
        crops=arguments.crops,
        device=net.device,
        share=arguments.ranks.share,
    )
    with enough_memory(net, arguments.batch_size, training=False):
        return evaluation.probabilities(net, loader, f"evaluating {path}", ranks=arguments.ranks)


def report(p, dataset, networks, crops):
    """Print the errors of probabilities (N, classes), the hardest classes, and the paper's figures beside those of a thousand classes."""
    labels = dataset.val_labels
    value, top1, top5 = evaluation.errors(p, labels)
    ensemble = f"mean of {networks} networks, " * (networks > 1)
    how = f"{ensemble}{crops} crop{'s' * (crops > 1)}"
    print(f"{dataset.name}, {len(labels):,} images: loss {value:.4f}, top-1 error {top1:.2%}, top-5 error {top5:.2%} ({how})")
    for label, count, wrong, _ in evaluation.class_errors(p, labels)[:3]:
        print(f"  hardest: {dataset.classes[label]}, top-1 error {wrong:.1%} of {count:,} images")
    if len(dataset.classes) == 1000:
        print(evaluation.beside_the_paper(dataset.name, networks, crops, top1, top5))
