"""Running the command line within a test, and looking at what a run left behind."""

import csv

import numpy as np

from alexnet import AlexNet
from minigrad.commands import run
from minigrad.training import load_checkpoint

FLAGS = ["--batch-size", "8", "--lr", "0.001"]


def alexnet(*argv):
    """The exit code of `python alexnet.py argv`."""
    return run(AlexNet, [str(a) for a in argv])


def refusal(capsys, *argv, Network=AlexNet):
    """The one sentence that a mistake is answered with."""
    capsys.readouterr()
    assert run(Network, [str(a) for a in argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "Traceback" not in err
    return err


def rows(output):
    """The history of a run, without what depends on the clock."""
    with open(output / "history.csv") as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second")} for row in csv.DictReader(file)]


def same(one, other):
    """Whether two checkpoints hold the same weights and velocities, bit for bit."""
    a, b = load_checkpoint(one), load_checkpoint(other)
    return all(
        np.array_equal(x[name], y[name]) for x, y in ((a.values, b.values), (a.velocities, b.velocities)) for name in x.keys() | y.keys()
    )
