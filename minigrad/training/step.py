"""One step of training: what a network learns from one batch."""

from itertools import pairwise

import numpy as np

from minigrad.interrupts import Whole
from minigrad.training.arrays import to_host
from minigrad.training.metrics import top_k_errors


def train_on_batch(net, loss, optimizer, x, labels, inspect=None):
    """Forward, loss, backward, update on images `x` and labels (N,); returns the loss (a float) and the logits (N, K).

    inspect(value, logits), if given, is called before backward and returns the logits to hand out. On a GPU that is the moment to copy
    them, since the host has just waited for the loss. If it raises, gradients and weights are as they were. Whatever is raised before the
    update, the number of the network's step is as it was, too; Ctrl-C waits for the end of the step (see `Whole`)."""
    step = getattr(net, "step", None)
    with Whole():
        try:
            logits = net.forward(x)
            value = loss.forward(logits, labels)
            if inspect is not None:
                logits = inspect(value, logits)
            net.backward(loss.backward())
        except BaseException:
            if step is not None:
                net.step = step
            raise
        optimizer.step()
    return value, logits


def train_in_parts(net, loss, optimizer, x, labels, parts, inspect=None):
    """`train_on_batch` for a batch that does not fit into memory at once: its images go through the network in `parts` portions, one after
    the other, whose gradients are added up before the update. Dropout's masks are those of the whole batch, so the weights come out the
    same, up to the rounding of sums.

    inspect(value, logits), if given, is called before the update, on the mean loss and the logits (N, K) of all images, a host array."""
    N, step, value, logits, sums = len(labels), net.step, 0.0, [], None
    edges = sorted({N * i // parts for i in range(parts + 1)})
    parameters = list(net.parameters())
    with Whole():
        try:
            for start, end in pairwise(edges):
                net.step, net.first_image = step, start
                z = net.forward(x[start:end])
                value += loss.forward(z, labels[start:end]) * ((end - start) / N)
                logits.append(to_host(z))
                with loss.device:
                    dlogits = loss.backward() * z.dtype.type((end - start) / N)  # of the mean over all images
                net.backward(dlogits)
                sums = [add(p, total) for p, total in zip(parameters, sums or [None] * len(parameters), strict=True)]
            logits = np.concatenate(logits)
            if inspect is not None:
                logits = inspect(value, logits)
            for p, total in zip(parameters, sums, strict=True):
                p.grad = total
        except BaseException:
            net.step = step
            raise
        finally:
            net.first_image = 0
        optimizer.step()
    return value, logits


def add(p, total):
    """The gradient of a parameter added to the sum so far, in place; None is the sum of none."""
    with p.device:
        if total is None:
            return p.grad.copy()
        total += p.grad
        return total


def train_on_share(net, loss, optimizer, x, labels, ranks, inspect, late=0.0):
    """The same step of one of several ranks: `x` holds its share of the images, of which there may be none, `labels` (N,) are all.

    Gradients are summed while backward goes on, and all ranks make the same update. inspect(value), the mean loss over all N, is called
    before it. Returns the loss, the top-1 and the top-5 errors among all N, and `late`, a number, summed over all ranks."""
    N, mine, step = len(labels), ranks.share(len(labels)), net.step
    with Whole():
        try:
            net.first_image = mine.start
            if len(x):
                logits = net.forward(x)
                value = loss.forward(logits, labels[mine])
                found = (value * len(x) / N, *top_k_errors(logits, labels[mine]))
                with loss.device:
                    dlogits = loss.backward() * logits.dtype.type(len(x) / N)  # of the mean over all images
                net.backward(dlogits, ranks.add)
            else:
                found = (0, 0, 0)
                net.without_images(ranks.add)
            value, top1, top5, late = ranks.sum(*found, late)
            inspect(value)
        except BaseException:
            net.step = step
            raise
        optimizer.step()
    return value, top1, top5, late
