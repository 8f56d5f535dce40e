"""Dropout: in training every unit is silent half of the time, so that none can rely on another (paper §4.2).

The mask is a function, not a stream: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) turns the counter
(unit // 4, image, step) and the layer's key into random bits. Whoever computes a unit, in whichever slab or tower, gets the same mask."""

import math

import numpy as np

from minigrad.device import memory
from minigrad.layers.base import ImageLayer


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


class Dropout(ImageLayer):
    """In training y = x * mask, where each mask element is 0 with probability p.   dx = dy * mask. x (N, ...).

    scale_at "test" (the paper's): outputs times 1 - p at test time. "train" (torch's, "inverted"): the mask is divided by 1 - p, and
    testing does nothing. `step` counts the training forwards, so each has masks of its own; set it to go on where a run stopped.
    `first_unit` is the place of this layer's first unit when a larger layer is split over towers."""

    step = 0
    first_unit = 0

    def __init__(self, p=0.5, *, scale_at="test", rng=None):
        if scale_at not in ("test", "train"):
            raise ValueError(f'Dropout: scale_at must be "test" or "train", not {scale_at!r}')
        self.p, self.scale_at = p, scale_at
        rng = np.random.default_rng() if rng is None else rng
        self.key = int(rng.integers(1 << 64, dtype=np.uint64))

    @property
    def p(self):
        """The probability of silence."""
        return self._p

    @p.setter
    def p(self, p):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be at least 0 and below 1, not {p}")
        self._p = p

    def arguments(self):
        return f'{self.p}, scale_at="{self.scale_at}"'

    def output_shape(self, shape):
        return tuple(shape)

    def begin(self):
        self.this_step = self.step
        if self.training:
            self.step += 1

    def forward_slab(self, x, first):
        y = memory.empty(x.shape, x.dtype)
        scale = x.dtype.type(1 - self.p)
        if not self.training:
            scale = scale if self.scale_at == "test" else x.dtype.type(1)
            return np.multiply(x, scale, out=y), scale
        units = x[0].size
        keep = random_bits(self.key, self.this_step, first, len(x), self.first_unit, units) >= round(self.p * 2**32)
        mask = keep.reshape(x.shape).astype(x.dtype)
        if self.scale_at == "train":
            mask /= scale
        return np.multiply(x, mask, out=y), mask

    def backward_slab(self, dy, mask):
        return dy * mask, ()

    # On a GPU the mask is computed once more in backward: bits are cheaper there than memory.

    def forward_cuda(self, x):
        one, scale, units = x.dtype.type(1), x.dtype.type(1 - self.p), x[0].size
        if not self.training:
            scale = scale if self.scale_at == "test" else one
            return x * scale, scale
        d = {"images": len(x), "units": units, "first_unit": self.first_unit, "threshold": round(self.p * 2**32)}
        for name, number in (("step", self.this_step), ("key", self.key)):
            d |= {f"{name}_low": number & 0xFFFFFFFF, f"{name}_high": number >> 32}
        d["scale"] = one / scale if self.scale_at == "train" else one
        return self.masked(x, d), d

    def backward_cuda(self, dy, kept):
        return self.masked(dy, kept) if isinstance(kept, dict) else dy * kept, ()

    def masked(self, x, d):
        y = self.device.empty(x.shape, x.dtype)
        self.device.launch("dropout", "dropout", x.size, x, y, d, channels=math.gcd(d["units"], d["first_unit"]))
        return y
