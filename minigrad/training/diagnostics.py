"""Warnings about a start that cannot lead anywhere: inputs on the wrong scale, or a signal that dies on its way to the logits."""

import math

import numpy as np

from minigrad.training.arrays import to_host

LOOKED_AT = 16  # images whose logits are compared before the first step


def signal_diagnostic(logits):
    """A warning if the logits (N, K) of untrained weights hardly differ between images, else None.

    The measure is the standard deviation across images, averaged over classes: 0.03 for init 2012 on pixels from 0 to 255, but 0.00006
    for init paper on pixels of unit standard deviation, where the loss has nothing to tell images apart by. The bound is 0.001."""
    logits = to_host(logits)
    N, K = logits.shape
    spread = float(logits.std(axis=0, dtype=np.float64).mean())
    if N < 2 or spread >= 0.001:
        return None
    return (
        f"Before training the logits differ by only {spread:.1g} from image to image, not by about 0.03, so the "
        f"loss may stay at ln {K} = {math.log(K):.2f}: use --init 2012 with pixels from 0 to 255 minus their mean."
    )


def input_diagnostic(x, init):
    """A warning if the images `x` are not on the scale that the preset `init` is meant for, else None.

    "he" is for pixels of unit standard deviation; the others, whose weights have fixed ones, for pixels from 0 to 255 minus their mean.
    The bound, a standard deviation of 10, lies between the two."""
    std = float(to_host(x).std(dtype=np.float64))
    if init == "he" and std > 10:
        return (
            f"The pixels of the first batch have a standard deviation of {std:.3g}, but --init he is meant for one "
            "of about 1: divide the pixels by 58."
        )
    if init != "he" and std < 10:
        return (
            f"The pixels of the first batch have a standard deviation of {std:.3g}, but --init {init} is meant "
            "for pixels from 0 to 255 minus their mean: do not divide them, or use --init he."
        )
    return None


def diagnosed(batches, net, init, out):
    """Yield `batches` of (images, labels); before the first, print to `out` what a look at it warns of. `net` is left in train mode."""
    for number, (x, labels) in enumerate(batches):
        if number == 0 and not len(x):  # of one of several ranks
            net.eval().without_images()
            net.train()
        elif number == 0:
            # In eval mode: dropout masks would differ from image to image and hide a signal that does not.
            warnings = [signal_diagnostic(net.eval().infer(x[:LOOKED_AT]))]
            if init is not None:
                warnings.insert(0, input_diagnostic(x, init))
            net.train()
            for warning in filter(None, warnings):
                print(f"Warning: {warning}", file=out, flush=True)
        yield x, labels
