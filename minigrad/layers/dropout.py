"""Dropout: in training every unit is silent half of the time, so that none can rely on another (paper section 4.2).

The mask depends on the counter (unit // 4, image, step) and the layer's key alone (philox.py)."""

import math
from functools import lru_cache

import numpy as np

from minigrad.cuda.kernels import Fields
from minigrad.engine import memory
from minigrad.engine.masks import masked
from minigrad.layers.base import ImageLayer
from minigrad.layers.philox import Masks


class Dropout(ImageLayer):
    """In training y = x * mask, where each mask element is 0 with probability p.   dx = dy * mask. x (N, ...).

    scale_at "test" (the paper's): outputs times 1 - p at test time. "train" (torch's, "inverted"): the mask is divided by 1 - p, and
    testing does nothing. rng: a `numpy.random.Generator`, from which the masks' key is drawn, or `Masks`.
    `step` counts the training forwards, so each has masks of its own; set it to go on where a run stopped. `first_unit` is the number
    of this layer's first unit when a larger layer is split over towers. Raises ValueError for another p or scale_at."""

    takes_relu = True

    def __init__(self, p=0.5, *, scale_at="test", rng=None):
        if scale_at not in ("test", "train"):
            raise ValueError(f'Dropout: scale_at must be "test" or "train", not {scale_at!r}')
        self.p, self.scale_at = p, scale_at
        self.masks = rng if isinstance(rng, Masks) else Masks(rng)

    @property
    def key(self):
        return self.masks.key

    @property
    def step(self):
        return self.masks.step

    @step.setter
    def step(self, step):
        self.masks.step = step

    @property
    def first_unit(self):
        return self.masks.first_unit

    @first_unit.setter
    def first_unit(self, unit):
        self.masks.first_unit = unit

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

    def begin(self, x_shape, y_shape, dtype):
        self.this_step = self.step
        if self.training:
            self.step += 1

    def forward_slab(self, x, first):
        scale = x.dtype.type(1 - self.p)
        if not self.training:
            scale = scale if self.scale_at == "test" else x.dtype.type(1)
            return np.multiply(x, scale, out=memory.empty(x.shape, x.dtype)), scale
        keep = self.masks.bits(self.this_step, first, len(x), x[0].size) >= round(self.p * 2**32)
        mask = keep.reshape(x.shape).astype(x.dtype)
        if self.scale_at == "train":
            mask /= scale
        return masked(x, mask), mask

    def backward_slab(self, dy, mask):
        return (masked(dy, mask) if isinstance(mask, np.ndarray) else dy * mask), ()

    # On a GPU the mask is computed once more in backward: bits are cheaper there than memory.

    def forward_cuda(self, x):
        p, scaled = (self.p, self.scale_at == "train") if self.training else (0, self.scale_at == "test")
        one, keeps = x.dtype.type(1), x.dtype.type(1 - self.p)
        scale = float(one if not scaled else one / keeps if self.training else keeps)
        masks, N = self.masks, len(x)
        at = self.device.changing.get("step", 0)
        d = fields(N, masks.first_image, x.size // N, masks.first_unit, self.relu, masks.key, round(p * 2**32), scale, at)
        return self.masked(x, x, d, self.this_step), (x if self.relu else None, d, self.this_step)

    def backward_cuda(self, dy, kept):
        z, d, step = kept
        return self.masked(dy, dy if z is None else z, d, step), ()

    def masked(self, x, z, d, step):
        y = self.device.empty(x.shape, x.dtype)
        self.device.launch("dropout", "dropout", x.size, x, z, y, d, step, channels=math.gcd(d["units"], d["first_unit"]))
        return y


@lru_cache(1024)
def fields(images, first_image, units, first_unit, relu, key, threshold, scale, at):
    """The struct `Dropout` of dropout.cu."""
    low, high = key & 0xFFFFFFFF, key >> 32
    place = {"images": images, "first_image": first_image, "units": units, "first_unit": first_unit}
    return Fields(**place, relu=relu, key_low=low, key_high=high, threshold=threshold, scale=scale, at=at)
