"""Wrong layers for the tests of the gradient checker: a right one, a text in it, and what stands there instead."""

import functools
import inspect

import gradcheck_layers
from gradcheck_layers import (
    FLAT,
    IMAGES,
    LABELS,
    Exchange,
    LogSumExpLoss,
    PlainDropout,
    PlainFlatten,
    PlainLinear,
    PlainLRN,
    PlainPool,
    PlainReLU,
    TensordotConv,
    kinked,
    rng,
    tied,
)

from minigrad.gradcheck import check_layer, kink_free

source_of = functools.cache(inspect.getsource)


@functools.cache
def plant(cls, old, new):
    """The class with this text in place of that, which occurs once: a bug cannot quietly cease to be one."""
    source = source_of(cls)
    assert source.count(old) == 1, f"{cls.__name__}: {old!r} occurs {source.count(old)} times"
    names = dict(vars(gradcheck_layers))
    exec(source.replace(old, new), names)
    return names[cls.__name__]


# name -> class, text in it, what stands there instead, shape of x, the rule broken, what the cause says, how x is drawn, other arguments
# fmt: off
WRONG = {
    "dW divided by N": (TensordotConv, "((0, 1, 2), (0, 1, 2)))", "((0, 1, 2), (0, 1, 2))) / len(dy)",
        IMAGES, "wrong", r"W: yours = expected × 0\.3333333 = 1/N \(N = 3\)"),
    "db doubled": (TensordotConv, "dy.sum((0, 1, 2))", "2 * dy.sum((0, 1, 2))", IMAGES, "wrong", "b: yours = expected × 2 = 2"),
    "db averaged over places": (TensordotConv, "dy.sum((0, 1, 2))", "dy.mean((1, 2)).sum(0)",
        IMAGES, "wrong", r"=\ 1/\(y\.shape\[1\]\ \*\ y\.shape\[2\]\)\ \(y\.shape\[1\]\ \*\ y\.shape\[2\]\ =\ 6\)"),
    "db keeps an axis": (TensordotConv, "dy.sum((0, 1, 2))", "dy.sum((0, 1))", IMAGES, "shape", r"db has shape \(3, 5\).*b has \(5,\)"),
    "dW accumulates": (TensordotConv, "self.dW = ", "self.dW = getattr(self, 'dW', 0) + ",
        IMAGES, "not-repeatable", "dW: a second backward adds to it"),
    "one weight one percent off": (TensordotConv, "self.db = ", "self.dW[1, 2, 0, 1] *= 1.01; self.db = ",
        IMAGES, "wrong", r"W: only \(1, 2, 0, 1\) is wrong"),
    "one channel of dW": (TensordotConv, "self.db = ", "self.dW[:, :, 1] *= 0.9; self.db = ",
        IMAGES, "wrong", r"W: only index 1 of axis 2 \(the last\) is wrong"),
    "dW as (C, k, k)": (TensordotConv, "self.db = ", "self.dW = self.dW.transpose(2, 0, 1, 3).reshape(self.W.shape); self.db = ",
        IMAGES, "wrong", r"W: .*axes in the order \(2, 0, 1, 3\), filled into the shape"),
    "dW flipped": (TensordotConv, "self.db = ", "self.dW = self.dW[::-1, ::-1]; self.db = ",
        IMAGES, "wrong", "W: yours is the expected array, axis 0 reversed, axis 1 reversed"),
    "stride forgotten": (TensordotConv, "i : i + s * OH : s", "i : i + OH", IMAGES, "wrong", ""),
    "top and left swapped": (TensordotConv, "top : top + H, left : left + W", "left : left + H, top : top + W",
        IMAGES, "shape", r"dx has shape \(3, 4, 4, 2\), but x has \(3, 5, 4, 2\)"),
    "patches of an old batch": (TensordotConv, "padded = np.pad(x,", "padded = np.pad(self.__dict__.setdefault('old', x)[:len(x)],",
        IMAGES, "stale", "y depends on the batch before"),
    "dy ignored": (PlainLinear, "self.x.T @ dy", "self.x.T @ np.ones_like(dy)", FLAT, "ignores-dy", "dW is the same for every dy"),
    "db not summed": (PlainLinear, "dy.sum(0)", "dy", FLAT, "shape", r"db has shape \(3, 4\)"),
    "dW transposed": (PlainLinear, "self.x.T @ dy", "(dy.T @ self.x).reshape(5, 4)",
        FLAT, "wrong", r"W: .*axes in the order \(1, 0\), filled"),
    "sign of dx": (PlainLinear, "return dy @", "return -dy @", FLAT, "wrong", "x: yours = expected × -1: the sign is wrong"),
    "no db": (PlainLinear, "self.dW, self.db = self.x.T @ dy, dy.sum(0)", "self.dW = self.x.T @ dy", FLAT, "missing", "db is None"),
    "db a list": (PlainLinear, "dy.sum(0)", "list(dy.sum(0))", FLAT, "shape", "db is no array of numbers"),
    "dW nan": (PlainLinear, "self.x.T @ dy, dy.sum(0)", "np.sqrt(self.x.T @ dy), dy.sum(0)",
        FLAT, "not-finite", r"dW holds nan, first at \(\d, \d\)"),
    "weights normalised on the way": (PlainLinear, "        self.x = x\n", "        self.x = x\n        self.W /= 2\n",
        FLAT, "writes-parameter", "writes into W; only the optimiser changes parameters"),
    "another array of weights": (PlainLinear, "        self.x = x\n", "        self.x = x\n        self.W = self.W + 0\n",
        FLAT, "parameters", "W is another array after forward"),
    "mask from dy": (PlainReLU, "dy * self.mask", "dy * (dy > 0)", FLAT, "not-linear", "dx is not linear in dy"),
    "mask of an old batch": (PlainReLU, "self.mask = x > 0", "self.mask = self.__dict__.get('mask', x > 0)[:len(x)]",
        FLAT, "stale", "dx depends on the batch before"),
    "mask kept once": (PlainReLU, "self.mask = x > 0", "self.mask = self.__dict__.get('mask', x > 0)",
        FLAT, "stale", "After a batch of another size, backward raises ValueError: operands could not be broadcast"),
    "writes into x": (PlainReLU, "np.maximum(x, 0)", "np.maximum(x, 0, out=x).copy()", FLAT, "writes-x", "forward writes into x"),
    "writes into dy": (PlainReLU, "return dy * self.mask", "dy *= self.mask; return dy.copy()",
        FLAT, "writes-dy", "backward writes into dy"),
    "mask thrown away": (PlainReLU, "dy * self.mask", "dy * self.__dict__.pop('mask')",
        FLAT, "not-repeatable", "After a second backward: backward raises KeyError"),
    "a mask from the start": (PlainReLU, "    def forward", "    mask = 1.0\n\n    def forward",
        FLAT, "order", "backward before forward should raise"),
    "a mask of all instances": (PlainReLU, "self.mask = x > 0", "type(self).mask = x > 0",
        FLAT, "shared-state", "dx changes when another instance is used in between"),
    "a slope of 1.5 at the kink": (PlainReLU, "self.mask = x > 0", "self.mask = np.where(x == 0, 1.5, x > 0).astype(x.dtype)",
        FLAT, "wrong", "x: only", kinked),
    "leak of 0.001": (PlainReLU, "dy * self.mask", "np.where(self.mask, dy, 0.001 * dy)", FLAT, "wrong", "exactly where x is negative"),
    "float64 scalar": (PlainReLU, "dy * self.mask", "dy * self.mask * np.float64(1)", FLAT, "precision", "dx came out as float64"),
    "float32 inside": (PlainReLU, "dy * self.mask", "dy.astype(np.float32) * self.mask",
        FLAT, "precision", "float64 went in, but dx is float32"),
    "half precision inside": (PlainLinear, "return x @ self.W",
        "return x @ (self.W.astype(np.float16).astype(x.dtype) if x.dtype == 'f4' else self.W)",
        FLAT, "rounding", "y differs in float32"),
    "no cross term": (PlainLRN, "* self.x * cross", "* self.x * cross * 0", (3, 2, 1, 7), "wrong", ""),
    "= for +=": (PlainPool, "j] += self", "j] = self", (3, 7, 6, 2), "wrong", ""),
    "every maximum gets dy": (PlainPool, "best & (best.cumsum(-1) == 1)", "best",
        IMAGES, "tie", "x: where values tie, the shares do not add up", tied),
    "the first of a tie gets two": (PlainPool, "best & (best.cumsum(-1) == 1)",
        "(best & (best.cumsum(-1) == 1)) * best.sum(-1, keepdims=True)", (3, 7, 6, 2), "wrong", "", tied),
    "winners of the last image": (PlainPool, "w == w.max", "np.repeat(w[-1:], N, 0) == w[-1:].max",
        IMAGES, "wrong", r"x: only index 2 of axis 0 \(images\) \(the last\) is right"),
    "1/N forgotten": (LogSumExpLoss, "/ len(dlogits)", "", (3, 7), "wrong", r"x: yours = expected × 3 = N \(N = 3\)", kink_free, *LABELS),
    "divided by N C": (LogSumExpLoss, "/ len(dlogits)", "/ dlogits.size",
        (3, 7), "wrong", r"= 1/x\.shape\[1\] \(x\.shape\[1\] = 7\)", kink_free, *LABELS),
    "no one-hot": (LogSumExpLoss, "-= 1", "-= 0", (3, 7), "wrong", "", kink_free, *LABELS),
    "writes into the logits": (LogSumExpLoss, "z = logits - ", "logits -= logits.mean(); z = logits - ",
        (3, 7), "writes-x", "forward writes into x", kink_free, *LABELS),
    "not scaled in backward": (PlainDropout, "dy * self.mask", "dy * (self.mask > 0)", FLAT, "wrong", r"x: yours = expected × 0\.7\."),
    "a new mask in backward": (PlainDropout, "dy * self.mask", "dy * self.draw(dy)", FLAT, "not-repeatable", "another one after a second"),
    "draws from np.random": (PlainDropout, "self.rng.random(", "np.random.random(",
        FLAT, "foreign-randomness", "draws from something that is not its own generator"),
    "the first mask for ever": (PlainDropout, "self.mask = self.draw(x)\n        return x * self.mask",
        "mask = self.draw(x); self.mask = self.__dict__.get('mask', mask)[:len(x)]; return x * mask",
        FLAT, "wrong", ""),
    "memory order": (PlainFlatten, "len(x), -1", "len(x), -1, order='A'", (3, 2, 5, 4), "strides", "y differs for arrays in Fo"),
    "halves swapped": (Exchange, "said.sum(1)", "said.sum(1)[::-1].copy()", (2, 3, 4), "wrong", "expected array, axis 0 reversed"),
    "own half only": (Exchange, "said.sum(1)", "said[np.arange(len(dy)), np.arange(len(dy))].copy()", (2, 3, 4), "wrong", ""),
    "averaged": (Exchange, "said.sum(1)", "said.mean(1)", (2, 3, 4), "wrong", "x: yours = expected × 0.5 = 1/2"),
    "index beyond": (PlainPool, "dx[:, r * s + i,", "dx[:, r * s + 2 * i,",
        IMAGES, "raises", r"backward raises IndexError: index \d+ is out of bounds .* \(line \d+ of <string>, in backward\)"),
}
# fmt: on


def planted(name):
    cls, old, new, *_ = WRONG[name]
    return plant(cls, old, new)


def check_wrong(name, seed=0, **options):
    shape, kind, *args = WRONG[name][3], *(WRONG[name][6:] or [kink_free])
    return check_layer(planted(name), kind(shape, rng(seed)), *args, seed=seed, **options)
