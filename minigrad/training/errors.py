"""What can end a run before its time: an error that the user can put right, or a signal."""

import math


class TrainingError(Exception):
    """What went wrong and what would have been right, in one sentence."""


class Interrupted(Exception):
    """The run was stopped by Ctrl-C, SIGTERM or SIGHUP; `path` is the checkpoint to resume it from."""

    def __init__(self, path):
        super().__init__(f"Stopped; the run was saved in {path}.")
        self.path = path


def reason(error):
    """Why the system or a library refused, without the name of the file."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def demand_finite(loss, what, lr):
    if not math.isfinite(loss):
        raise TrainingError(f"The {what} is {loss} with lr {lr:g}: try a smaller --lr, such as {lr / 10:g}, or another --init.")
