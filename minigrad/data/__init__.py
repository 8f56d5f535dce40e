"""Images and labels: data sets, photographs, and the loader that turns them into batches."""

from minigrad.data.colour import noise_matrix
from minigrad.data.datasets import Dataset, absolute, load, side, synthetic
from minigrad.data.images import DataError, Folder, Some, fit, read_image
from minigrad.data.loader import Loader, colours, mean_image
from minigrad.data.prepare import prepare

__all__ = [
    "DataError",
    "Dataset",
    "Folder",
    "Loader",
    "Some",
    "absolute",
    "colours",
    "fit",
    "load",
    "mean_image",
    "noise_matrix",
    "prepare",
    "read_image",
    "side",
    "synthetic",
]
