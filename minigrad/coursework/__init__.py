"""Coursework: exercises cut from the layers themselves, checked by the gradient checker.

    python -m minigrad.coursework new conv2d        begin
    python -m minigrad.coursework check conv2d      see how far it is

In a notebook: `from minigrad.coursework import check; check("conv2d.backward", Conv2d)`. COURSEWORK.md is the teacher's page."""

from minigrad.coursework.notebook import CheckFailed, check, score
from minigrad.layers.base import Layer, Parameter
from minigrad.plain import col2im, four_sides, im2col, output_size

__all__ = ["CheckFailed", "Layer", "Parameter", "check", "col2im", "four_sides", "im2col", "output_size", "score"]
