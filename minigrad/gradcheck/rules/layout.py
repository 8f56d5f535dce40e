"""Memory layout: the numbers do not depend on the strides of x and dy."""

import numpy as np

from minigrad.gradcheck.interruptions import Raised
from minigrad.gradcheck.report import Finding
from minigrad.gradcheck.rules.agreement import disagreement
from minigrad.gradcheck.rules.first_pass import read_only
from minigrad.gradcheck.subject import gradient_name

TOLERANCE = 1e-10  # of the largest number of an array


def layout(context, draw):
    """Pass x and dy in each layout, up to the first that changes the results."""
    subject = context.subject
    expected = subject.one_pass(subject.fresh(), draw)
    for words, laid_out in LAYOUTS.items():
        try:
            results = subject.one_pass(subject.fresh(), draw, layout=laid_out)
        except Raised as raised:
            yield Finding("layout", "strides", "", f"For arrays {words}, {raised}.")
            return
        words = f"differs for arrays {words}"
        name = disagreement(context, draw, results, expected, TOLERANCE, words)
        if name is not None:
            yield Finding("layout", "strides", name, f"{gradient_name(name)} {words}.")
            return


def negative(array):
    """The same numbers, stored in the other direction along the last axis."""
    return array[..., ::-1].copy()[..., ::-1]


def sliced(array):
    """The same numbers as every other element of a larger array, the rest of which is nan."""
    large = np.full([2 * size + 1 for size in array.shape], np.nan, array.dtype)
    view = large[tuple(slice(1, None, 2) for _ in array.shape)]
    view[...] = array
    return view


LAYOUTS = {"in Fortran order": np.asfortranarray, "with negative strides": negative, "that are slices": sliced, "read-only": read_only}
