"""Images and labels: data sets, photographs, and the loader that turns them into batches."""

from minigrad.data.checks import DataError
from minigrad.data.colour import noise_matrix
from minigrad.data.datasets import Dataset, absolute, load, only_classes, side, synthetic
from minigrad.data.folders import LeftOut, images_within
from minigrad.data.images import Folder, Some, central_square, evenly_spaced, fit, read_each, read_fitted, read_image
from minigrad.data.loader import Loader, colours, mean_image
from minigrad.data.prepare import prepare

__all__ = [
    "DataError",
    "Dataset",
    "Folder",
    "LeftOut",
    "Loader",
    "Some",
    "absolute",
    "central_square",
    "colours",
    "evenly_spaced",
    "fit",
    "images_within",
    "load",
    "mean_image",
    "noise_matrix",
    "only_classes",
    "prepare",
    "read_each",
    "read_fitted",
    "read_image",
    "side",
    "synthetic",
]
