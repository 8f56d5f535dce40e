"""The network without each of the paper's parts in turn: normalisation, overlapping pooling, dropout, augmentation, the second tower."""

import statistics
import sys
from dataclasses import replace

from minigrad import data, training
from minigrad.layers import Dropout, LocalResponseNorm, MaxPool2d, SoftmaxCrossEntropy
from minigrad.optim import SGD, ByEpoch

# Change: points of top-1 error that it cost in the paper (sections 3.3, 3.4, 4.2, 4.1, 3.2), and in CaffeNet (Mishkin et al. 2017).
CLAIMS = {
    "full": ("", ""),
    "no LRN": ("+1.4", "-0.1"),
    "pooling 2/2": ("+0.4", "-1.3"),
    "no dropout": ("much overfitting", ""),
    "no augmentation": ("much overfitting", ""),
    "one tower": ("+1.7", ""),  # with half of the kernels
}


def changed(Network, variant, num_classes, change, seed):
    """The network with one of `CLAIMS` come true, or None if it lacks the part in question. Its starting weights are those of "he"
    where the class has them, and what is left of the full network has the same ones."""
    kind = Network.variants[variant]
    if change == "one tower":
        if kind.halved is None:
            return None

        class Halved(Network):
            variants = {variant: replace(kind, tower=kind.halved, towers=1)}

        Network = Halved
    net = Network(variant, num_classes=num_classes, init="he" if "he" in Network.inits else None, seed=seed)
    found = [without(change, tower) for stage in net.towers.stages for tower in stage]
    return net if any(found) or change in ("full", "no augmentation", "one tower") else None


def without(change, tower):
    """Take the part out of a `Sequential`; returns how often it was there."""
    found = 0
    for name, layer in list(tower.layers.items()):
        if change == "no LRN" and isinstance(layer, LocalResponseNorm):
            del tower.layers[name]
        elif change == "pooling 2/2" and isinstance(layer, MaxPool2d) and layer.stride < layer.kernel_size:
            tower.layers[name] = MaxPool2d(2, 2)
        elif change == "no dropout" and isinstance(layer, Dropout):
            layer.p = 0.0
        else:
            continue
        found += 1
    return found


def ablations(make, dataset, *, epochs=8, seeds=3, lr=0.02, batch_size=64, workers=1, out=None):
    """Validation top-1 errors (fractions) of the network with each change: {change: [one for each seed]}.

    make(change, seed) returns a network, or None to leave the change out. All are trained alike, `epochs` epochs with lr divided by 10
    after 3/4 and 11/12 of them, on random crops and flips but for "no augmentation"."""
    out = sys.stderr if out is None else out
    mean, results = data.mean_image(dataset.train_images), {}
    for seed in range(seeds):
        for change in CLAIMS:
            net = make(change, seed)
            if net is None:
                continue
            size = min(net.image_size, *dataset.train_images[0].shape[:2])
            common = {"mean": mean, "size": size, "seed": seed, "workers": workers, "scale": net.input_scale}
            augment = change != "no augmentation"
            loader = data.Loader(dataset.train_images, dataset.train_labels, batch_size, shuffle=True, augment=augment, **common)
            check = data.Loader(dataset.val_images, dataset.val_labels, 2 * batch_size, **common)
            error = error_after(net, loader, check, epochs, lr)
            results.setdefault(change, []).append(error)
            print(f"seed {seed}, {change}: top-1 error {error:.2%}", file=out, flush=True)
    return results


def error_after(net, loader, check, epochs, lr):
    """The validation top-1 error of `net` after training."""
    loss, optimizer, schedule = SoftmaxCrossEntropy(), SGD(net.parameters(), lr), ByEpoch.in_three_stages(lr, epochs)
    for epoch in range(epochs):
        net.train()
        optimizer.lr = schedule.lr
        for x, labels in loader.batches(epoch):
            training.train_on_batch(net, loss, optimizer, x, labels)
        schedule.epoch_ended(None)
    return training.evaluate(net, loss, check.batches(0))[1]


def ablations_text(results):
    """The table: errors in percent, mean and, of several seeds, spread (standard deviation), and the change in points."""
    seeds, full = len(results["full"]), statistics.fmean(results["full"])
    title = f"top-1 error in percent, {seeds} seed{'s' * (seeds > 1)}"
    lines = [f"{title:36s}  mean  spread  points   paper             later"]
    for change, errors in results.items():
        mean, spread = 100 * statistics.fmean(errors), f"{100 * statistics.stdev(errors):.2f}" if seeds > 1 else "-"
        paper, later = CLAIMS[change]
        points = "" if change == "full" else f"{mean - 100 * full:+.2f}"
        lines.append(f"{change:36s} {mean:5.2f}  {spread:>6s}  {points:>6s}   {paper:16s}  {later}".rstrip())
    return "\n".join(lines)
