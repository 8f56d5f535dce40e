"""Images and labels: data sets, photographs, and the loader that turns them into batches."""

from minigrad.data.datasets import Dataset, load, synthetic
from minigrad.data.images import DataError, Folder, fit, read_image
from minigrad.data.loader import Loader, mean_image

__all__ = ["DataError", "Dataset", "Folder", "Loader", "fit", "load", "mean_image", "read_image", "synthetic"]
