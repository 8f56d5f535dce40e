"""While a solution runs: what it prints is collected, its warnings become notes, and nothing global that it changes stays changed."""

import contextlib
import io
import os
import random
import warnings

import numpy as np

from minigrad.coursework.judge.caged.errors import LIBRARIES

LONGEST_OUTPUT = 10_000  # characters; what is printed beyond them is counted, not kept


class Output(io.TextIOBase):
    """A text stream that keeps the beginning of what is written to it."""

    def __init__(self):
        self.pieces, self.length = [], 0

    def writable(self):
        return True

    def write(self, text):
        if self.length < LONGEST_OUTPUT:
            self.pieces.append(text[: LONGEST_OUTPUT - self.length])
        self.length += len(text)
        return len(text)

    def getvalue(self):
        more = f"\n… and {self.length - LONGEST_OUTPUT:,} more characters\n" if self.length > LONGEST_OUTPUT else ""
        return "".join(self.pieces) + more


@contextlib.contextmanager
def captured(notes):
    """Yields the `Output` that collects stdout and stderr; warnings in its lines are appended to the list `notes`, each as a sentence.

    Afterwards the random states of Python and NumPy, the warning filters and NumPy's error handling are what they were."""
    numpy_state, python_state, output = np.random.get_state(), random.getstate(), Output()

    def note(message, category, filename, lineno, file=None, line=None):
        if not filename.startswith(LIBRARIES):  # models with a mistake warn, too
            notes.append(f"warning: {message} (line {lineno} of {os.path.basename(filename)})")

    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), np.errstate(all="warn", under="ignore"):
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.showwarning = note
                yield output
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
