"""The exercises: what is to be written, with what it is tried, and what usually goes wrong. Tables; `Exercise` explains their columns.

EXERCISES are those of the library, in the order in which they are learnt, in a file for each few notebooks; VARIANTS those for graded work,
which the library has no layer for. Public cases are listed there; hidden ones come from hidden.py. Sizes are odd on purpose: axes that are
equal, and sizes whose ratios are, hide mistakes."""

from minigrad.coursework.exercises.alexnet import ALEXNET
from minigrad.coursework.exercises.basics import BASICS
from minigrad.coursework.exercises.convolution import CONVOLUTION
from minigrad.coursework.exercises.graded import GRADED
from minigrad.coursework.exercises.layers import LAYERS
from minigrad.coursework.exercises.machines import MACHINES
from minigrad.coursework.exercises.network import NETWORK

EXERCISES = BASICS + NETWORK + CONVOLUTION + LAYERS + ALEXNET + MACHINES
VARIANTS = GRADED
ALL = EXERCISES + VARIANTS


def find(ids, among=EXERCISES):
    """The exercises that ids, groups or beginnings of ids ("conv2d") mean, a list in the order of `among`. Raises ValueError for one that
    means none."""
    found = []
    for id in ids:
        meant = [e for e in among if e.id == id] or [e for e in among if e.group == id] or [e for e in among if e.id.startswith(id)]
        if not meant:
            groups = sorted({e.group for e in among})
            raise ValueError(f"there is no exercise {id!r}; exercises begin with {', '.join(groups)}")
        found += [e for e in meant if e not in found]
    return [e for e in among if e in found]
