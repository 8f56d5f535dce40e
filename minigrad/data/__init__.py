"""Images and labels: data sets, photographs, and the loader that turns them into batches."""

from minigrad.data.checks import DataError
from minigrad.data.colour import noise_matrix
from minigrad.data.datasets import Dataset, absolute, load, side, synthetic
from minigrad.data.images import Folder, Some, central_square, evenly_spaced, fit, read_fitted, read_image
from minigrad.data.loader import Loader, colours, mean_image
from minigrad.data.prepare import prepare

__all__ = [
    "DataError",
    "Dataset",
    "Folder",
    "Loader",
    "Some",
    "absolute",
    "central_square",
    "colours",
    "evenly_spaced",
    "fit",
    "load",
    "mean_image",
    "noise_matrix",
    "prepare",
    "read_fitted",
    "read_image",
    "side",
    "synthetic",
]
