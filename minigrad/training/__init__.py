"""Training: the loop over epochs, what it measures, the checkpoints it leaves, and the evaluation of the network that comes out.

A network is known here only by `forward`, `backward`, `parameters`, `train`, `eval` and `step`, its number of training forwards so far;
where several processes train together, by `first_image` and `without_images`, too."""

from minigrad.training.arrays import to_host
from minigrad.training.checkpoint import CHECKPOINT, FORMAT, Checkpoint, load_checkpoint, restore, save_checkpoint
from minigrad.training.diagnostics import input_diagnostic, signal_diagnostic
from minigrad.training.errors import Interrupted, TrainingError
from minigrad.training.history import COLUMNS, first_kernels, is_grey
from minigrad.training.loop import train
from minigrad.training.metrics import Tally, evaluate, softmax, top_k_errors
from minigrad.training.step import train_on_batch

__all__ = [
    "CHECKPOINT",
    "COLUMNS",
    "FORMAT",
    "Checkpoint",
    "Interrupted",
    "Tally",
    "TrainingError",
    "evaluate",
    "first_kernels",
    "is_grey",
    "input_diagnostic",
    "load_checkpoint",
    "restore",
    "save_checkpoint",
    "signal_diagnostic",
    "softmax",
    "to_host",
    "top_k_errors",
    "train",
    "train_on_batch",
]
