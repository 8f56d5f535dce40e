"""Data sets and the loader that feeds them to a network."""

from minigrad.data.datasets import DataError, Dataset, Folder, fit, load, read_image, synthetic
from minigrad.data.loader import Loader, mean_image

__all__ = ["DataError", "Dataset", "Folder", "Loader", "fit", "load", "mean_image", "read_image", "synthetic"]
