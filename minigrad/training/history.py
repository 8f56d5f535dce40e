"""The files of a run besides its checkpoint: config.json, history.csv with a row for each epoch, and two figures."""

import csv
import io
import json
import time

from minigrad import files, plots
from minigrad.training.arrays import to_host
from minigrad.training.errors import TrainingError, reason

CURVES, FILTERS = "curves.png", "filters.png"
PAUSE = 30.0  # seconds from one drawing to the next
COLUMNS = (
    "epoch",  # counted from 1
    "lr",
    "train_loss",
    "train_top1_error",  # errors are fractions from 0 to 1
    "train_top5_error",
    "val_loss",
    "val_top1_error",
    "val_top5_error",
    "images_per_second",  # while training
    "seconds",  # training and validation
)


def row_of(epoch, lr, tally, results, seconds):
    """The row of an epoch, counted from 1: a dict with COLUMNS as keys.

    tally: of its training; results: mean loss, top-1 and top-5 error of its validation; seconds: of both."""
    speed = tally.images / tally.seconds
    return dict(zip(COLUMNS, (epoch, lr, *tally.means(), *results, speed, seconds), strict=True))


def write_config(folder, config):
    """Write the dict `config` to config.json in `folder`, making the folder if there is none. Raises TrainingError."""
    write(folder / "config.json", json.dumps(config, indent=2) + "\n")


def write_history(folder, rows):
    """Write `rows`, dicts with COLUMNS as keys, to history.csv in `folder`. Raises TrainingError."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(folder / "history.csv", text.getvalue())


def write(path, text):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    except OSError as error:
        raise TrainingError(f"Could not write {path}: {reason(error)}.") from error


class Pictures:
    """The figures of a run, which are drawn again after an epoch unless the last ones are younger than `PAUSE` seconds: where epochs are
    short, drawing would take a good part of them."""

    def __init__(self):
        self.due, self.drawn = 0.0, 0  # when the next ones are, and of how many epochs the last ones were

    def draw(self, folder, rows, net, mean, last=False):
        """Draw what is due; as the last ones of a run all that has come since. Raises TrainingError."""
        if len(rows) > self.drawn and (last or time.monotonic() >= self.due):
            self.due, self.drawn = time.monotonic() + PAUSE, len(rows)
            draw(folder, rows, net, mean)


def draw(folder, rows, net, mean):
    """Draw curves.png, and filters.png if `net` has a convolution, into `folder`. Raises TrainingError."""
    kernels = first_kernels(net, mean)
    try:
        plots.curves(rows, folder / CURVES)
        if kernels:
            plots.filters(kernels, folder / FILTERS)
    except Exception as error:  # a library draws them, with files and fonts of its own: it fails in many ways
        raise TrainingError(f"Could not write the figures in {folder}: {reason(error)}.") from error


def is_grey(mean):
    """Whether a mean image (H, W, 3) is that of grey images: its three channels are equal."""
    return bool((mean == mean[..., :1]).all())


def first_kernels(net, mean):
    """The kernels of the first convolution as `plots.filters` takes them: an array for each tower, (k, k, 3, n), or (k, k, 1, n) if `mean`
    is grey. An empty list if there is none.

    mean: the mean image (H, W, 3), or None."""
    kernels = [p.value for p in net.parameters() if p.value.ndim == 4]
    kernels = [to_host(W) for W in kernels if W.shape == kernels[0].shape]  # no later convolution sees three channels
    if mean is not None and is_grey(mean):
        # On grey images only the sum of a kernel's three colours matters; how they share it is left over from the starting weights.
        kernels = [W.sum(axis=2, keepdims=True) for W in kernels]
    return kernels
