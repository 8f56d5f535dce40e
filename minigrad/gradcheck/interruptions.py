"""The exceptions that end an examination early: a part is not written yet, nothing further would mean anything, the layer raised."""

import copy
import os
import traceback

import numpy as np

from minigrad.gradcheck.report import Finding

# Code that is not the layer's: NumPy's, the checker's own, that of the deep copy, what Python makes up, and model solutions.
HERE = os.path.dirname(__file__)
JUDGE = os.path.join(os.path.dirname(HERE), "coursework", "judge")  # which calls layers that live in another process
FOREIGN = (os.path.dirname(np.__file__), HERE + os.sep, JUDGE, copy.__file__, "<__array_function__", "<frozen", "<model")


class Blank(Exception):
    """A part of the layer is not written yet."""


class Stopped(Exception):
    """A finding that leaves the other rules without meaning. The arguments are those of `Finding`."""

    def __init__(self, *finding):
        self.finding = Finding(*finding)


class Raised(Exception):
    """The layer's own code raised an error. what: the part that was called; error: the exception."""

    def __init__(self, what, error):
        self.what, self.error = what, error

    def __str__(self):
        words = str(self.error).strip().splitlines() or ["(no message)"]
        return f"{self.what} raises {type(self.error).__name__}: {words[0]}{self.source_line()}"

    def source_line(self):
        """The last line of the layer's own code: " (line 7 of student.py: `dx += dy`)", or "" if there is none."""
        frames = [frame for frame in traceback.extract_tb(self.error.__traceback__) if not frame.filename.startswith(FOREIGN)]
        if not frames:
            return ""
        frame = frames[-1]
        text = f": `{frame.line}`" if frame.line else f", in {frame.name}"
        return f" (line {frame.lineno} of {os.path.basename(frame.filename)}{text})"
