"""The learning-rate range test: one short training with a learning rate that grows from step to step. Below the useful range the loss
hardly falls; above it, it blows up. (Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3.)"""

import math
import sys

import numpy as np

from minigrad import data, training
from minigrad.layers import SoftmaxCrossEntropy
from minigrad.optim import SGD

LOWEST, HIGHEST = 1e-5, 10.0  # by equal factors in between
BLOWN_UP = 4  # times the lowest loss: further steps would say nothing
MEMORY = 0.9  # of the smoothed loss, from one step to the next


class BlownUp(Exception):
    """The loss of a step says that the learning rate is far too high."""


def lr_range(make, dataset, *, epochs=1, seeds=3, batch_size=64, weight_decay=5e-4, workers=1, out=None):
    """Train a network made by make(seed), for each seed, `epochs` epochs, the learning rate growing from LOWEST to HIGHEST by the same
    factor at every step; a run ends early when its smoothed loss is not finite or BLOWN_UP times its lowest.

    Returns {"lr": the learning rates of all steps, "losses": the smoothed losses of each seed, a list that may be shorter}."""
    out = sys.stderr if out is None else out
    mean, results = data.mean_image(dataset.train_images), {"lr": [], "losses": []}
    for seed in range(seeds):
        net = make(seed)
        size = min(net.image_size, *dataset.train_images[0].shape[:2])
        loader = data.Loader(
            dataset.train_images,
            dataset.train_labels,
            batch_size,
            mean=mean,
            size=size,
            shuffle=True,
            seed=seed,
            workers=workers,
            scale=net.input_scale,
        )
        results["lr"] = np.geomspace(LOWEST, HIGHEST, max(2, epochs * len(loader))).tolist()
        batches = (batch for epoch in range(epochs) for batch in loader.batches(epoch))
        losses = swept(net, SGD(net.parameters(), LOWEST, weight_decay=weight_decay), batches, results["lr"])
        results["losses"].append(losses)
        print(f"seed {seed}: {said(results['lr'], losses)}", file=out, flush=True)
    return results


def swept(net, optimizer, batches, rates):
    """The smoothed losses of the steps on `batches`, the first with the first of `rates` and so on, until one has blown up."""
    loss, losses, average = SoftmaxCrossEntropy(), [], 0.0

    def inspect(value, logits):
        nonlocal average
        average = MEMORY * average + (1 - MEMORY) * value
        smooth = average / (1 - MEMORY ** (len(losses) + 1))  # the average began at 0, not at a loss
        if not math.isfinite(smooth) or losses and smooth > BLOWN_UP * min(losses):
            raise BlownUp
        losses.append(smooth)
        return logits

    net.train()
    for (x, labels), optimizer.lr in zip(batches, rates, strict=False):
        try:
            training.train_on_batch(net, loss, optimizer, x, labels, inspect)
        except BlownUp:
            break
    return losses


def marks(rates, losses):
    """The learning rates at which the loss falls fastest, per factor of learning rate, at which it is lowest, and up to which it was
    measured; the first over a tenth of the steps, so that no single batch decides."""
    width = max(1, len(losses) // 10)
    falls = [losses[i] - losses[i + width] for i in range(len(losses) - width)] or [0.0]
    steepest = rates[min(int(np.argmax(falls)) + width // 2, len(losses) - 1)]
    return steepest, rates[int(np.argmin(losses))], rates[len(losses) - 1]


def said(rates, losses):
    steepest, lowest, last = marks(rates, losses)
    end = f"blown up at {last:.2g}" if len(losses) < len(rates) else f"measured up to {last:.2g}"
    return f"the loss falls fastest at lr {steepest:.2g}, is lowest ({min(losses):.3f}) at {lowest:.2g}, {end}"


def lr_range_text(results):
    """The outcome in a few lines. The advice is a rule of thumb: a tenth of where the loss is lowest, the geometric mean of the seeds."""
    rates = results["lr"]
    lines = [f"learning rate from {rates[0]:.2g} to {rates[-1]:.2g} in {len(rates)} steps"]
    lines += [f"  seed {seed}: {said(rates, losses)}" for seed, losses in enumerate(results["losses"])]
    lowest = [marks(rates, losses)[1] for losses in results["losses"]]
    advice = math.exp(sum(map(math.log, lowest)) / len(lowest)) / 10
    lines.append(f"  a tenth of where it is lowest, a rule of thumb for the first --lr: {advice:.2g}")
    return "\n".join(lines)
