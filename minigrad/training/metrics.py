"""What is measured of a network's outputs: loss, top-1 and top-5 errors, probabilities.

The top-k error is the fraction of images whose true class is not among the k most probable ones (paper §1)."""

from dataclasses import dataclass

import numpy as np

from minigrad.ranks import ALONE
from minigrad.training.arrays import to_host
from minigrad.training.errors import TrainingError


def softmax(logits):
    """Probabilities (N, K) of logits (N, K): e^z / sum of e^z over the classes.

    The largest logit is subtracted first, which changes no probability and prevents overflow. The loss does the same by itself: it needs
    the sums as well, and layers do not import training."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def top_k_errors(logits, labels, k=5):
    """Count the rows of `logits` (N, K) whose label is not the largest, and not among the `k` largest: two ints.

    labels (N,) are ints from 0 to K-1. A logit equal to the label's own counts as larger if its index is smaller. A NaN counts as
    larger, so that a network whose weights have become NaN gets nothing right."""
    logits, labels = to_host(logits), to_host(labels)[:, None]
    own = np.take_along_axis(logits, labels, axis=1)  # (N, 1)
    ties_before = (logits == own) & (np.arange(logits.shape[1]) < labels)
    rank = np.count_nonzero(~(logits <= own) | ties_before, axis=1)
    return int(np.count_nonzero(rank >= 1)), int(np.count_nonzero(rank >= k))


@dataclass
class Tally:
    """Sums over the images seen so far in an epoch. Checkpoints keep it as JSON, which preserves floats to the last bit.

    loss: sum over the images; top1, top5: number of errors; seconds: time spent."""

    loss: float = 0.0
    top1: int = 0
    top5: int = 0
    images: int = 0
    seconds: float = 0.0

    def add(self, loss, logits, labels):
        """Count a batch: its mean loss, logits (N, K) and labels (N,)."""
        self.count(loss, *top_k_errors(logits, labels), len(labels))

    def count(self, loss, top1, top5, images):
        """Count a batch: its mean loss, its errors, and how many images it has."""
        self.loss += loss * images
        self.top1 += int(top1)
        self.top5 += int(top5)
        self.images += images

    def means(self):
        """Mean loss, top-1 and top-5 error (fractions)."""
        return self.loss / self.images, self.top1 / self.images, self.top5 / self.images


def evaluate(net, loss, batches, bar=None, ranks=ALONE):
    """Mean loss, top-1 and top-5 error (fractions) over `batches` of (images, labels), of which each of `ranks` has its share of the images
    and all labels.

    `net` is left in eval mode. `bar.update()` is called after each batch. Raises TrainingError if there is no image."""
    net.eval()
    tally = Tally()
    for x, labels in batches:
        if len(x):
            labels = labels[ranks.share(len(labels))]
            logits = net.infer(x)
            tally.add(loss.forward(logits, labels), logits, labels)
        else:
            net.without_images()
        if bar is not None:
            bar.update()
    tally.loss, tally.top1, tally.top5, tally.images = ranks.sum(tally.loss, tally.top1, tally.top5, tally.images)
    if tally.images == 0:
        raise TrainingError("There is no image to evaluate on: at least one is needed.")
    return tally.means()
