"""An exception of a solution as one sentence, with the line of the student's own code where it arose."""

import os
import traceback

import numpy as np

HOME = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir, os.pardir))
PACKAGE = HOME if os.path.basename(HOME) == "minigrad" else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIBRARIES = (PACKAGE, os.path.dirname(np.__file__), "<__array_function__", "<frozen", "<model")  # beginnings of file names


def error_sentence(error):
    """The type of an exception, the first line of its message, and the last line of code that belongs to no library."""
    place = place_of(error)
    line = f" (line {place[0]} of {os.path.basename(place[1])}: `{place[2]}`)" if place else ""
    return f"{type(error).__name__}: {words_of(error)}{line}"


def words_of(error):
    """The first line of what an exception says."""
    try:
        return (str(error).strip().splitlines() or ["(no message)"])[0]
    except Exception:
        return "(no message)"


def place_of(error):
    """(number, file, text) of the last line of code that belongs to no library, or None."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(LIBRARIES)]
    return (frames[-1].lineno, frames[-1].filename, frames[-1].line) if frames else None
