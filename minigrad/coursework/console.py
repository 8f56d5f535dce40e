"""The console: printing what it can show, and the error for wrong use of the command line."""

import sys

MARKS = {"passes": "✓", "wrong": "✗", "not started": "○"}
ASCII_MARKS = {"passes": "ok", "wrong": "WRONG", "not started": "todo"}


class UsageError(Exception):
    """The command line was used wrongly: one sentence."""


def say(text):
    """Print a text; signs that this console does not know become question marks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def shows_marks():
    """Whether this console can print MARKS."""
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
