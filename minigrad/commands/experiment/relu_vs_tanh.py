"""Figure 1 of the paper, measured again on small images: how many epochs ReLU and tanh take to the same training error."""

import math
import statistics
import sys

import numpy as np

from minigrad import data, training
from minigrad.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, SoftmaxCrossEntropy, Tanh
from minigrad.optim import SGD

GRID = tuple(10 ** (k / 2) for k in range(-8, -3))  # learning rates, 1e-4 to 1e-2 by factors of the root of 10


def four_layers(activation, size, classes, seed):
    """A network of three convolutions and a linear layer, cuda-convnet's of 2011 that reached 19 % on CIFAR-10 without crops, with
    max-pooling throughout. size: of the square images, in pixels. The weights follow from the seed, whatever the activation."""
    rng = np.random.default_rng(seed)

    def conv(inputs, outputs, std):
        return Conv2d(inputs, outputs, 5, padding=2, std=std, rng=rng)

    pixels = size
    for _ in range(3):
        pixels = (pixels - 3) // 2 + 1
    net = Sequential(
        conv1=conv(3, 32, 1e-4),
        act1=activation(),
        pool1=MaxPool2d(3, 2),
        conv2=conv(32, 32, 0.01),
        act2=activation(),
        pool2=MaxPool2d(3, 2),
        conv3=conv(32, 64, 0.01),
        act3=activation(),
        pool3=MaxPool2d(3, 2),
        flatten=Flatten(),
        fc=Linear(64 * pixels**2, classes, std=0.01, rng=rng),
    )
    net["conv1"].input_gradient = False
    return net


def race(net, loader, lr, level, limit):
    """Train until the error of an epoch, measured while training, is at most `level` (a fraction), or for `limit` epochs.

    The learning rate stays, nothing decays (Figure 1). Returns the errors of the epochs; an error of 1 means that the loss blew up."""
    loss, optimizer, errors = SoftmaxCrossEntropy(), SGD(net.parameters(), lr, weight_decay=0), []
    while len(errors) < limit and (not errors or errors[-1] > level):
        tally = training.Tally()
        for x, labels in loader.batches(len(errors)):
            value, logits = training.train_on_batch(net, loss, optimizer, x, labels)
            if not math.isfinite(value):
                return [*errors, 1.0]
            tally.add(value, logits, labels)
        errors.append(tally.means()[1])
    return errors


def epochs_to(errors, level):
    """After how many epochs the error was `level`, between two epochs in proportion; infinity if it never was."""
    if not errors or errors[-1] > level:
        return math.inf
    before = errors[-2] if len(errors) > 1 else 1.0
    return len(errors) - 1 + (before - level) / (before - errors[-1])


def tune(run, limit, grid=GRID):
    """The learning rate with which `run(lr, limit)` -> epochs needed is done first, and all that were tried: lr, {lr: epochs}.

    From the middle of the grid outwards; a run is given up when it needs more epochs than the best so far. While the best lies at
    the grid's edge, the grid grows there."""
    tried, best = {}, None
    waiting = sorted(grid, key=lambda lr: abs(math.log(lr / grid[len(grid) // 2])))
    while waiting:
        lr = waiting.pop(0)
        tried[lr] = run(lr, limit if best is None else min(limit, math.ceil(tried[best])))
        if math.isfinite(tried[lr]) and (best is None or tried[lr] < tried[best]):
            best = lr
        if not waiting and best is not None and len(tried) < 3 * len(grid):
            step = grid[1] / grid[0]
            waiting = [lr for lr in (best / step, best * step) if not any(math.isclose(lr, other, rel_tol=1e-6) for other in tried)]
    return best, tried


def relu_vs_tanh(dataset, *, level=0.25, seeds=3, limit=60, batch_size=128, workers=1, out=None):
    """How many epochs ReLU and tanh take to a training error of `level`, each with the learning rate that is best for it.

    Returns {"relu": {"lr", "tried", "epochs", "errors"}, "tanh": ...}: epochs and errors are lists, one entry for each seed.
    Raises TrainingError if no learning rate gets there within `limit` epochs."""
    out = sys.stderr if out is None else out
    size = min(32, min(dataset.train_images[0].shape[:2]))
    mean = data.mean_image(dataset.train_images)
    results = {}
    for name, activation in (("relu", ReLU), ("tanh", Tanh)):
        curves = {}

        def run(lr, most, seed=0, name=name, activation=activation, curves=curves):
            loader = data.Loader(
                dataset.train_images, dataset.train_labels, batch_size, mean=mean, size=size, shuffle=True, seed=seed, workers=workers
            )
            net = four_layers(activation, size, len(dataset.classes), seed)
            curves[lr, seed] = race(net, loader, lr, level, most)
            needed = epochs_to(curves[lr, seed], level)
            last = curves[lr, seed][-1]
            state = f"{needed:.1f} epochs" if math.isfinite(needed) else f"given up after {len(curves[lr, seed])} epochs at {last:.1%}"
            print(f"{name}, lr {lr:.2g}, seed {seed}: {state}", file=out, flush=True)
            return needed

        lr, tried = tune(run, limit)
        if lr is None:
            raise training.TrainingError(f"With {name} no learning rate reached {level:.0%} in {limit} epochs: try more --epochs.")
        epochs = [tried[lr], *(run(lr, 2 * limit, seed) for seed in range(1, seeds))]
        results[name] = {"lr": lr, "tried": tried, "epochs": epochs, "errors": [curves[lr, seed] for seed in range(seeds)]}
    return results


def ratio(results):
    """tanh's epochs over ReLU's, a list: of the seeds with which both reached the level."""
    pairs = zip(results["relu"]["epochs"], results["tanh"]["epochs"], strict=True)
    return [t / r for r, t in pairs if math.isfinite(t) and math.isfinite(r)]


def relu_vs_tanh_text(results, level):
    """The outcome in a few lines."""
    seeds = len(results["relu"]["epochs"])
    lines = [f"epochs to {level:.0%} training error, " + (f"mean of {seeds} seeds (from - to)" if seeds > 1 else "1 seed")]
    for name, result in results.items():
        reached = [epochs for epochs in result["epochs"] if math.isfinite(epochs)]
        never = f"; not reached with {seeds - len(reached)} of {seeds} seeds" * (len(reached) < seeds)
        lines.append(f"  {name}, lr {result['lr']:.2g}: {mean_of(reached)}{never}")
    lines.append(f"  tanh / relu: {mean_of(ratio(results))}; paper, Figure 1: 6")
    return "\n".join(lines)


def mean_of(numbers):
    """ "3.0 (2.0 - 4.0)", without what lies between if there is one number; "-" if there is none."""
    if not numbers:
        return "-"
    return f"{statistics.fmean(numbers):.1f}" + f" ({min(numbers):.1f} - {max(numbers):.1f})" * (len(numbers) > 1)
