"""One step of training: what a network learns from one batch."""

from minigrad.interrupts import Whole


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
