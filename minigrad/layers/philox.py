"""Random bits as a function of where they are needed, not as a stream: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", 2011) turns a counter and a key into 128 bits. So whoever computes a unit of a dropout mask, in whichever slab, tower or process,
gets the same mask."""

import math

import numpy as np


def philox(a, b, c, d, key0, key1):
    """Philox 4x32-10: four 32-bit counters (numbers or arrays that broadcast) and two 32-bit keys -> four uint64 arrays of 32 bits each."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    a, b, c, d = np.broadcast_arrays(*(np.asarray(v, np.uint64) for v in (a, b, c, d)))
    for _ in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (q >> shift) ^ b ^ np.uint64(key0), q & low, (p >> shift) ^ d ^ np.uint64(key1), p & low
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def random_bits(key, step, first_image, images, first_unit, units):
    """(images, units) uint64, each 32 random bits that depend on (key, step, image, unit) alone."""
    groups = np.arange(first_unit // 4, (first_unit + units - 1) // 4 + 1)
    image = np.arange(first_image, first_image + images)[:, None]
    words = philox(groups, image, step & 0xFFFFFFFF, step >> 32, key & 0xFFFFFFFF, key >> 32)
    return np.stack(words, -1).reshape(images, -1)[:, first_unit % 4 :][:, :units]


class Masks:
    """A generator of numbers for dropout masks, with a method `random` like NumPy's.

    rng: a `numpy.random.Generator`, which gives the key. step: how many masks have been drawn; set it to go on where a run stopped.
    first_unit: the number of the layer's first unit where a larger layer is split over towers."""

    def __init__(self, rng=None, first_unit=0):
        rng = np.random.default_rng() if rng is None else rng
        self.key, self.step, self.first_unit = int(rng.integers(1 << 64, dtype=np.uint64)), 0, first_unit

    def bits(self, step, first_image, images, units):
        """(images, units) uint64, each 32 random bits."""
        return random_bits(self.key, step, first_image, images, self.first_unit, units)

    def random(self, shape):
        """Numbers from 0 to 1 (1 excluded) for a batch of that shape (N, ...), float64; the next call gives others."""
        self.step += 1
        return self.bits(self.step - 1, 0, shape[0], math.prod(shape[1:])).reshape(shape) / 2.0**32
