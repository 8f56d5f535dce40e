"""Random bits as a function of where they are needed, not as a stream: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as
1, 2, 3", 2011) turns a counter and a key into 128 bits. So whoever computes a unit of a dropout mask, in whichever slab, tower or process,
gets the same mask."""

import math

import numpy as np


def philox(a, b, c, d, key0, key1):
    """Philox 4x32-10: four 32-bit counters (numbers or arrays that broadcast) and two 32-bit keys -> four uint64 arrays of 32 bits each."""
    a, b, c, d = np.broadcast_arrays(*(np.asarray(v, np.uint64) for v in (a, b, c, d)))
    # Two at a time: a and c, which are multiplied, and b and d. The products of one change places with those of the other.
    ac, bd, product = np.array([a, c]), np.array([b, d]), np.empty((2, *a.shape), np.uint64)
    axes = (2,) + (1,) * a.ndim
    multipliers = np.array([0xD2511F53, 0xCD9E8D57], np.uint64).reshape(axes)
    for _ in range(10):
        np.multiply(ac, multipliers, out=product)
        np.right_shift(product[::-1], np.uint64(32), out=ac)
        ac ^= bd
        ac ^= np.array([key0, key1], np.uint64).reshape(axes)
        np.bitwise_and(product[::-1], np.uint64(0xFFFFFFFF), out=bd)
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return ac[0], bd[0], ac[1], bd[1]


def random_bits(key, step, first_image, images, first_unit, units):
    """(images, units) uint64, each 32 random bits that depend on (key, step, image, unit) alone."""
    groups = np.arange(first_unit // 4, (first_unit + units - 1) // 4 + 1)
    image = np.arange(first_image, first_image + images)[:, None]
    words = philox(groups, image, step & 0xFFFFFFFF, step >> 32, key & 0xFFFFFFFF, key >> 32)
    return np.stack(words, -1).reshape(images, -1)[:, first_unit % 4 :][:, :units]


class Masks:
    """A generator of numbers for dropout masks, with a method `random` like NumPy's.

    rng: a `numpy.random.Generator`, which gives the key. step: how many masks have been drawn; set it to go on where a run stopped.
    first_unit: the number of the layer's first unit where a larger layer is split over towers. first_image: that of the first image where
    a larger batch comes in parts."""

    first_image = 0

    def __init__(self, rng=None, first_unit=0):
        rng = np.random.default_rng() if rng is None else rng
        self.key, self.step, self.first_unit = int(rng.integers(1 << 64, dtype=np.uint64)), 0, first_unit

    def bits(self, step, first_image, images, units):
        """(images, units) uint64, each 32 random bits, from the image of that number on."""
        return random_bits(self.key, step, self.first_image + first_image, images, self.first_unit, units)

    def random(self, shape):
        """Numbers from 0 to 1 (1 excluded) for a batch of that shape (N, ...), float64; the next call gives others."""
        self.step += 1
        return self.bits(self.step - 1, 0, shape[0], math.prod(shape[1:])).reshape(shape) / 2.0**32
