"""One value of a solution beside the expected one: are they the same, and if not, what is the sentence?"""

from dataclasses import dataclass

import numpy as np

NOTHING = {"y": "forward returns None", "dx": "backward returns None", "the result": "None is returned"}  # by the name of the value


@dataclass(frozen=True)
class Value:
    """One thing to compare. name: what the sentence calls it. yours, expected: arrays or numbers; anything else is compared with ==.

    tolerance: relative to the largest expected number. if_wrong: the sentence for a wrong value; "": one is made. if_none: the sentence
    where yours is None. reason: the hint of a known mistake that a wrong value proves. alike: how close the values of a known mistake
    must come, relative to the largest number."""

    name: str
    yours: object
    expected: object
    tolerance: float = 1e-10
    if_wrong: str = ""
    if_none: str = ""
    reason: str = ""
    alike: float = 1e-9

    def sentence(self):
        """What is wrong, in one sentence, or ""."""
        if self.yours is None and self.expected is not None:
            return self.if_none or f"{NOTHING.get(self.name, f'{self.name} is None')}: is a `return` missing?"
        difference = self.difference()
        return difference and (self.if_wrong or difference)

    def difference(self):
        """What is wrong as the values tell it, or ""."""
        if not is_numeric(self.expected) or not is_numeric(self.yours):
            same = type(self.yours) is type(self.expected) and self.yours == self.expected
            return "" if same else f"{self.name}: yours {', expected '.join(apart(self.yours, self.expected))}."
        yours, expected = np.asarray(self.yours), np.asarray(self.expected)
        if yours.shape != expected.shape:
            return f"{self.name} has shape {yours.shape}, expected {expected.shape}."
        if yours.dtype == object or not np.isfinite(yours.astype(np.float64)).all() and np.isfinite(expected.astype(np.float64)).all():
            return f"{self.name} holds a nan or an infinity."
        error = abs(yours.astype(np.float64) - expected)
        wrong = ~(error <= self.tolerance * np.abs(expected).max(initial=0.0))
        if not wrong.any():
            return ""
        if yours.ndim and yours.dtype.kind in "iub" and expected.dtype.kind == "f":
            return (
                f"{self.name} is an array of whole numbers ({yours.dtype}), which cut off what follows the point: give it the dtype of x."
            )
        return self.if_wrong or self.worst(yours, expected, wrong, error)  # with a sentence given, nothing needs to be formatted

    def worst(self, yours, expected, wrong, error):
        """Where the largest error is, and how many numbers are wrong. All four are arrays of one shape; wrong: booleans."""
        i = tuple(int(v) for v in np.unravel_index(np.argmax(np.where(wrong, error, -1)), error.shape))
        index = f"[{', '.join(map(str, i))}]" if i else ""
        count = f"; {wrong.sum()} of {wrong.size} numbers are wrong" if wrong.size > 1 else ""
        ratio = float((yours * expected).sum() / ((expected * expected).sum() or 1))
        scaled = wrong.sum() > 1 and abs(yours - ratio * expected).max() <= 1e-9 * abs(yours).max(initial=0)
        factor = f", all by the factor {ratio:.7g}" if scaled and ratio else ""
        return f"{self.name}{index}: yours {yours[i]:.7g}, expected {expected[i]:.7g}{count}{factor}."

    def equals(self, other):
        """Whether another `Value` has the same name and the same `yours`, numbers to `alike`; whole numbers in an array are no floats, and
        those that are too large for any dtype equal nothing."""
        if self.name != other.name or is_numeric(self.yours) != is_numeric(other.yours):
            return False
        if not is_numeric(self.yours):
            return type(self.yours) is type(other.yours) and self.yours == other.yours
        a, b = np.asarray(self.yours), np.asarray(other.yours)
        if a.shape != b.shape or "O" in (a.dtype.kind, b.dtype.kind) or a.ndim and (a.dtype.kind == "f") != (b.dtype.kind == "f"):
            return False
        with np.errstate(all="ignore"):
            close = np.isfinite(a).all() and np.isfinite(b).all() and (abs(a - b) <= self.alike * abs(b).max(initial=0)).all()
            return bool(close) or np.array_equal(a, b, equal_nan=True)


def is_numeric(value):
    """Whether a value is compared as numbers: an array, a NumPy scalar, a float or an int, but no bool."""
    return isinstance(value, (np.ndarray, np.generic, float, int)) and not isinstance(value, bool)


def short(value):
    """repr(value), at most 100 characters."""
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."


def apart(yours, expected):
    """Two values as texts of at most 100 characters; long ones begin shortly before the place where they differ."""
    texts = repr(yours), repr(expected)
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), min(map(len, texts)))
    if same < 80:
        return short(yours), short(expected)
    start = max(texts[0].rfind(" ", 0, same - 20), 0) + 1
    return tuple(f"...{text[start : start + 90]}{'...' * (len(text) > start + 90)}" for text in texts)


def copied(value):
    """A copy of an array, which a later call cannot change; any other value as it is."""
    return value.copy() if isinstance(value, np.ndarray) else value


def dtype_value(y, dtype, if_wrong, name="dtype of y"):
    """The dtype of y, an array or a number, beside the expected one. "{}" in the sentence stands for the dtype that was found."""
    found = np.asarray(y).dtype
    return Value(name, found.name, np.dtype(dtype).name, if_wrong=if_wrong.format(found))
