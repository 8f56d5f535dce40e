"""Standard output and standard error as a command finds them: closed, full, a terminal that is gone, an encoding that lacks letters."""

import os
import sys
from contextlib import contextmanager, suppress


class Answers:
    """Standard output, for what was asked for: an error says which file could not be written."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        with named():
            return self.stream.write(text)

    def flush(self):
        with named():
            self.stream.flush()


@contextmanager
def named():
    try:
        yield
    except OSError as error:
        error.filename = "Standard output"
        raise


class Patient:
    """Standard error, for what is good to know: where it cannot be written, the command goes on without."""

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        with suppress(OSError, ValueError):  # full, or closed
            return self.stream.write(text)
        return len(text)

    def flush(self):
        with suppress(OSError, ValueError):
            self.stream.flush()


@contextmanager
def usable_streams():
    """While entered, whatever is printed does no harm: to a stream that was closed before the program began it goes nowhere; what an
    encoding lacks comes as an escape; and standard error may fail."""
    out, err = sys.stdout, sys.stderr
    with suppress(OSError):  # the first files that are opened must not be taken for the streams that are missing
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    nowhere = None
    if out is None or err is None:
        nowhere = open(os.devnull, "w", encoding="utf-8")
    errors = getattr(out, "errors", None)
    sys.stdout, sys.stderr = Answers(nowhere if out is None else out), Patient(nowhere if err is None else err)
    if errors == "strict" and hasattr(out, "reconfigure"):
        out.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        if errors == "strict" and hasattr(out, "reconfigure"):
            with suppress(OSError, ValueError):
                out.reconfigure(errors=errors)
        if out is not None and err is not None:
            sys.stdout, sys.stderr = out, err


def let_go_of_output():
    """What is left of standard output goes nowhere; else Python would try again when it ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
