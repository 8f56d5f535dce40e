"""What is to be seen in the figures that a test has drawn, and images to draw."""

import numpy as np
from PIL import Image


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def colour(text):
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


def drawn(path, wanted):
    """How many pixels of a picture have a colour."""
    return int((pixels(path) == colour(wanted)).all(axis=-1).sum())


def some_images(n, channels=3):
    return list(np.random.default_rng(0).integers(0, 256, (n, 9, 9, channels), np.uint8))
