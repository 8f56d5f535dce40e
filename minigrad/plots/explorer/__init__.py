"""The page of `explore`: a network's inside on photographs, in one HTML file that needs nothing else.

What is shown comes as dicts, lists, texts, numbers and arrays. They are written as JSON; its arrays are places in one long text of base64
(packing.py). The browser does the rest: page.html says what is where, page.css how it looks, and the scripts, in the order of SCRIPTS, draw
it."""

import html
import json
import re
from importlib import resources

import numpy as np

from minigrad.plots.explorer.maxima import without_maxima
from minigrad.plots.explorer.packing import Numbers
from minigrad.plots.pixels import highest

__all__ = ["SCRIPTS", "around_grey", "page", "shades", "without_maxima"]

SCRIPTS = (
    "data.js",
    "colours.js",
    "dom.js",
    "maps.js",
    "overview.js",
    "sums.js",
    "explainers.js",
    "inspector.js",
    "backwards.js",
    "main.js",
)


def page(content, title):
    """The HTML of a page, a text. content: JSON's types and float32 or uint8 arrays."""
    numbers = Numbers()
    description = json.dumps(content, default=numbers.place, allow_nan=False)
    parts = {
        "title": html.escape(title),
        "style": text_of("page.css"),
        "script": "\n".join(text_of(name) for name in SCRIPTS),
        "description": description.replace("<", "\\u003c"),  # no text of ours or others' can end its element
        "numbers": numbers.text(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], text_of("page.html"))


def text_of(name):
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def shades(magnitudes):
    """Numbers of at least 0 as a picture, and the number that is brightest: uint8 of the same shape, float. One in 200 may be larger, so
    that a few do not darken all others."""
    most = highest(magnitudes)
    return np.clip(np.rint(magnitudes * (255 / most)), 0, 255).astype(np.uint8), most


def around_grey(signed):
    """Numbers with signs as a picture in which 0 is grey, 128, and the number that is 255; see `shades`."""
    most = highest(np.abs(signed))
    return np.clip(np.rint(128 + signed * (127 / most)), 1, 255).astype(np.uint8), most
