"""An exception of a solution as one sentence, with the line of the student's own code where it arose."""

import os
import traceback

import numpy as np

import minigrad

LIBRARIES = (os.path.dirname(minigrad.__file__), os.path.dirname(np.__file__), "<__array_function__", "<frozen")  # beginnings of file names


def error_sentence(error):
    """The type of an exception, the first line of its message, and the last line of code that belongs to no library."""
    message = (str(error).strip().splitlines() or ["(no message)"])[0]
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(LIBRARIES)]
    line = f" (line {frames[-1].lineno} of {os.path.basename(frames[-1].filename)}: `{frames[-1].line}`)" if frames else ""
    return f"{type(error).__name__}: {message}{line}"
