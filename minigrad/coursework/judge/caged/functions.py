"""Functions whose slopes a solution takes, by name."""

import numpy as np


class ReusesBuffer:
    """t -> sin(t) * (1, 2, 3, ...), always returned in the same buffer."""

    def __init__(self):
        self.buffer = np.empty(100)

    def __call__(self, t):
        self.y = self.buffer[: t.size]
        self.y[...] = np.sin(t.ravel()) * np.arange(1, t.size + 1)
        return self.y


def mixing(t):
    """t -> three numbers, each of which depends on several of t."""
    s = t.ravel()
    return np.array([(s**3).sum(), s.prod() + s.sum(), np.exp(0.3 * s[0]) * s[-1]])


FUNCTIONS = {"cubes": lambda t: t**3, "mixing": mixing, "reuses": ReusesBuffer()}
