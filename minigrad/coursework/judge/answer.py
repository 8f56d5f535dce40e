"""The answer of a judging process, read with caution: a verdict of the right form on the right cases, or nothing."""

import json
import re

LARGEST = 20_000_000  # bytes of an answer
STATUSES = ("passes", "wrong", "not started")
LONGEST_CAUSE, LONGEST_MESSAGE = 400, 20_000  # characters that are kept
ADDRESS = re.compile(r" at 0x[0-9a-f]+", re.IGNORECASE)  # in Python's text of an object


def verdict_in(answer, exercise, cases):
    """The verdict in the last line of an answer (bytes); None if it is none on this exercise and these cases.

    Its status and its points are worked out again from the cases'; its texts are cut, and hold no signs that no console shows."""
    try:
        given = json.loads(answer.decode("utf-8").rstrip().rsplit("\n", 1)[-1])
        if given["exercise"] != exercise.id:
            return None
        checked = [checked_case(row, case) for row, case in zip(given["cases"], cases, strict=True)]
        if not all(checked):
            return None
        said = given["status"], given["earned"]
        texts = {"cause": shown(given["cause"], LONGEST_CAUSE), "output": shown(given["output"], LONGEST_MESSAGE, "\n\t")}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    total = sum(case.weight for case in cases)
    passed = sum(case.weight for case, row in zip(cases, checked, strict=True) if row["status"] == "passes")
    blank = all(row["status"] == "not started" for row in checked)
    status = "not started" if blank else "passes" if passed == total else "wrong"
    earned = round(exercise.points * passed / total, 4) if total and not blank else 0.0
    if status != said[0] or not agrees(said[1], earned):
        return None
    return {"exercise": exercise.id, "status": status, "earned": earned, "possible": exercise.points} | texts | {"cases": checked}


def agrees(given, earned):
    return isinstance(given, (int, float)) and earned - 1e-3 < given < earned + 1e-3


def checked_case(row, case):
    """One of the answer's cases; None if it is not the verdict on this case."""
    if (row["name"], row["kind"]) != (case.name, case.kind) or row["status"] not in STATUSES:
        return None
    cause = shown(row["cause"], LONGEST_CAUSE)
    long = {name: shown(row[name], LONGEST_MESSAGE, "\n\t") for name in ("hint", "message", "ascii")}
    return {"name": case.name, "kind": case.kind, "weight": case.weight, "status": row["status"], "cause": cause} | long


def shown(text, longest, kept=""):
    """A text that any file and console can hold: control characters and lone surrogates become escapes, but for those in `kept`; what lies
    beyond so many characters is cut off and counted. Where an object lies is left out, for it is another place in each run. Raises
    TypeError for what is not a text."""
    if not isinstance(text, str):
        raise TypeError(f"not a text: {type(text).__name__}")
    text = ADDRESS.sub(" at 0x...", text)
    cut = text[:longest]
    if not cut.isprintable():
        cut = "".join(sign if sign.isprintable() or sign in kept or sign == " " else escaped(sign) for sign in cut)[:longest]
    return cut + f" … ({len(text) - longest:,} more characters)" * (len(text) > longest)


def escaped(sign):
    return sign.encode("unicode_escape").decode("ascii")
