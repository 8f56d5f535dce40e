"""Figures of a run and of a trained network, many of them the paper's.

Each function draws one figure into the file `path`, PNG or SVG by its suffix (without one, both), and raises OSError if it cannot be
written. The notebooks draw in the same style: plt.style.use("minigrad.plots.minigrad")."""

from minigrad.plots.confusions import confusion
from minigrad.plots.examples import neighbours, predictions
from minigrad.plots.experiments import ablations, lr_range, race
from minigrad.plots.figure import BLUE, GREY, ORANGE, PALE, PINK, RED, short
from minigrad.plots.first_layer import filters
from minigrad.plots.learning_curves import curves
from minigrad.plots.pixels import backwards
from minigrad.plots.responses import activations

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "PALE",
    "PINK",
    "RED",
    "ablations",
    "activations",
    "backwards",
    "confusion",
    "curves",
    "filters",
    "neighbours",
    "predictions",
    "lr_range",
    "race",
    "short",
]
