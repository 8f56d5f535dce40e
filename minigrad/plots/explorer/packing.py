"""Numbers in a text: a float32 takes three bytes, which are four characters of base64.

Its sign, its 8 bits of exponent and the first 15 of its 23 bits of mantissa are kept, rounded to the nearest: a relative error of at most
2^-16, 0.0000153, so that four digits are right (numbers below 1.2e-38 aside); the page shows three. Number i of an array begins at
character 4 i: a page can read any of them without the rest."""

import base64
import math

import numpy as np


class Numbers:
    """Arrays one behind the other."""

    def __init__(self):
        self.parts, self.size = [], 0

    def place(self, array):
        """Add an array; where it lies, as JSON: {"at": its first character, "shape": ..., "bytes": whether it holds uint8}.

        Raises TypeError for what is neither a float32 nor a uint8 array, ValueError for numbers that are not finite."""
        if not isinstance(array, np.ndarray) or array.dtype not in (np.float32, np.uint8):
            raise TypeError(f"a page holds float32 and uint8 arrays, not {type(array).__name__} {getattr(array, 'dtype', '')}")
        place = {"at": self.size, "shape": list(array.shape), "bytes": array.dtype == np.uint8}
        part = base64.b64encode(array.tobytes() + bytes(-array.size % 3) if place["bytes"] else three_bytes(array)).decode("ascii")
        self.parts.append(part)
        self.size += len(part)
        return place

    def text(self):
        return "".join(self.parts)


def three_bytes(array):
    """Each float32 as three bytes, the highest first. Raises ValueError for numbers that are not finite."""
    if not np.isfinite(array).all():
        raise ValueError("a page shows finite numbers only")
    bits = np.ascontiguousarray(array, "<f4").view("<u4").ravel().astype(np.uint64)
    rounded = (bits + 0x7F + ((bits >> 8) & 1)) >> 8  # a half goes to the even one
    largest = np.uint64(0x7F7FFF)
    over = (rounded & 0x7FFFFF) > largest  # the largest numbers of all would be rounded to infinity
    rounded[over] -= np.uint64(1)
    return rounded.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()


def read(text, place):
    """The array at a place in the text, as a page reads it: float32 or uint8."""
    count = math.prod(place["shape"])
    characters = 4 * (-(-count // 3) if place["bytes"] else count)
    content = base64.b64decode(text[place["at"] : place["at"] + characters])
    if place["bytes"]:
        return np.frombuffer(content[:count], np.uint8).reshape(place["shape"])
    bits = np.zeros((count, 4), np.uint8)
    bits[:, :3] = np.frombuffer(content, np.uint8).reshape(-1, 3)
    return bits.view(">f4").astype(np.float32).reshape(place["shape"])
