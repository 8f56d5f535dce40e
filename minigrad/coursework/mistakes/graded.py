"""Mistakes in the exercises for graded work (variants.py)."""

from minigrad.coursework.mistakes.neighbours import LRN_BACKWARD
from minigrad.coursework.source import Mistake

_DILATED_DX = "dx[self.seen(i, j, OH, OW)] += dy @ self.W[i, j].T"

DILATED_FORWARD = (
    Mistake("not dilated", "top, left = i * self.D, j * self.D", "top, left = i, j", "Tap (i, j) reads D·i rows and D·j columns further."),
    Mistake("bias forgotten", "return y + self.b", "return y", "Every output gets b of its channel."),
)

DILATED_BACKWARD = (
    Mistake("= for +=", _DILATED_DX, _DILATED_DX.replace("+=", "="), "A pixel is read by several taps: add.", overwrites=True),
    Mistake("kernel flipped in backward", _DILATED_DX, _DILATED_DX.replace("W[i, j]", "W[-1 - i, -1 - j]"),
            "dx gets back W[i, j]·dy where tap (i, j) read."),
    Mistake("dW averaged", "self.dW, self.db = dW,", "self.dW, self.db = dW / len(dy),", "Layers sum; only the loss divides by N."),
)  # fmt: skip

_CIRCULAR_DX = "np.add.at(dx, (slice(None), r[:, None], q), dy @ self.W[i, j].T)"

CIRCULAR_FORWARD = (
    Mistake("shifted", "(np.arange(OH) * self.S + i - self.P) % H, (np.arange(OW) * self.S + j - self.P) % W\n                y",
            "(np.arange(OH) * self.S + i) % H, (np.arange(OW) * self.S + j) % W\n                y",
            "The first window begins P rows before the image, that is, at its end."),
    Mistake("bias forgotten", "return y + self.b", "return y", "Every output gets b of its channel."),
)  # fmt: skip

CIRCULAR_BACKWARD = (
    Mistake("= for +=", _CIRCULAR_DX, "dx[:, r[:, None], q] = dy @ self.W[i, j].T", "A pixel is read by several taps: add.",
            overwrites=True),
    Mistake("what went round is lost", _CIRCULAR_DX,
            f"dy = dy * ((np.arange(OH) * self.S + i >= self.P)[:, None, None])\n                {_CIRCULAR_DX}",
            "What was read round the edge goes back round the edge."),
    Mistake("dW averaged", "self.dW, self.db = dW,", "self.dW, self.db = dW / len(dy),", "Layers sum; only the loss divides by N."),
)  # fmt: skip

AVGPOOL_FORWARD = (
    Mistake("sum", "return y / self.K**2", "return y", "The mean: divide by K²."),
    Mistake("divided by K", "return y / self.K**2", "return y / self.K", "A window has K² numbers."),
)

AVGPOOL_BACKWARD = (
    Mistake("whole dy to everybody", "+= dy / self.K**2", "+= dy", "Each of the K² numbers has a share of 1 / K²."),
    Mistake("= for +=", "+= dy / self.K**2", "= dy / self.K**2", "Windows overlap: add.", overwrites=True),
)

CEILPOOL_FORWARD = (
    Mistake("zeros outside", "y[:, r, q] = x[:, rows, columns].max(axis=(1, 2))",
            "whole = rows.start + self.K <= H and columns.start + self.K <= W\n"
            "            y[:, r, q] = np.maximum(x[:, rows, columns].max(axis=(1, 2)), -np.inf if whole else 0)",
            "What lies outside the image does not count, not even as 0: all the others may be negative."),
)  # fmt: skip

CEILPOOL_BACKWARD = (
    Mistake("= for +=", "dx[:, rows, columns] +=", "dx[:, rows, columns] =", "One pixel can win several windows: add.", overwrites=True),
    Mistake("shared evenly", "(share * dy[:, r, q][:, None])", "(np.ones_like(share) / len(share) * dy[:, r, q][:, None]).astype(dy.dtype)",
            "That is average pooling: only the winner receives."),
)  # fmt: skip

SQUARENORM_FORWARD = (
    Mistake("not squared", "_square_sum(x * x, self.size)", "_square_sum(x, self.size)", "The window sums squares."),
    Mistake("k forgotten", "self.k + self.alpha *", "1 + self.alpha *", "s begins with k, which is not always 1."),
)

SQUARENORM_BACKWARD = tuple(mistake for mistake in LRN_BACKWARD if "_window_sum" not in mistake.old and "roll" not in mistake.new)

CHANNEL_FORWARD = (
    Mistake("every pixel for itself", "self.rng.random((len(x), 1, 1, x.shape[3])) >=", "self.rng.random(x.shape) >=",
            "A channel is dropped as a whole: one draw for all its pixels."),
    Mistake("one mask for all images", "self.rng.random((len(x), 1, 1, x.shape[3])) >=", "self.rng.random((1, 1, 1, x.shape[3])) >=",
            "Every image has a mask of its own."),
    Mistake("not scaled", "/ x.dtype.type(1 - self.p)", "/ x.dtype.type(1)", "What is kept is divided by 1 − p."),
)  # fmt: skip

CHANNEL_BACKWARD = (
    Mistake("not scaled in backward", "return dy * self.mask", "return dy * (self.mask > 0)",
            "forward divided by 1 − p; so must backward."),
    Mistake("passes everything", "return dy * self.mask", "return dy.copy()",
            "What was silent in forward gets no gradient: dx = dy · mask."),
)  # fmt: skip
_AHEAD = "p.value[...] += self.momentum * v - downhill"

NESTEROV_STEP = (
    Mistake("no look ahead", _AHEAD, "p.value[...] += v", "That is the plain rule: w moves by momentum · v − lr · g, with the new v."),
    Mistake("momentum twice", _AHEAD, "p.value[...] += self.momentum**2 * v - downhill", "One factor of momentum: v is the new velocity."),
    Mistake("decay on the biases", "self.bias_decay if bias else self.weight_decay", "self.weight_decay", "Only weights decay."),
)

SMOOTHED_FORWARD = (
    Mistake("not smoothed", "self.eps / C, logits.dtype", "0, logits.dtype", "Every class is wanted with eps / C."),
    Mistake("label gets all", "+= 1 - self.eps", "+= 1", "The label has 1 − eps + eps / C: all together are 1."),
    Mistake("exp without the maximum", "z = logits - logits.max(axis=1, keepdims=True)", "z = logits", "exp(1000) overflows."),
)

SMOOTHED_BACKWARD = (
    Mistake("1/N forgotten", ") / len(self.log_p)", ")", "The loss is a mean over N images."),
    Mistake("one-hot", "np.exp(self.log_p) - self.wanted", "np.exp(self.log_p) - np.round(self.wanted)", "p − what is wanted, smoothed."),
)

RING_FORWARD = (
    Mistake("the other way round", "np.roll(x, 1, axis=0)]", "np.roll(x, -1, axis=0)]", "Tower t hears tower t − 1, not t + 1."),
    Mistake("the other one first", "[x, np.roll(x, 1, axis=0)]", "[np.roll(x, 1, axis=0), x]", "A tower's own channels come first."),
)

RING_BACKWARD = (
    Mistake("own alone", "own + np.roll(before, -1, axis=0)", "own.copy()", "Tower t's channels are used by tower t + 1, too."),
    Mistake("back the wrong way", "np.roll(before, -1, axis=0)", "np.roll(before, 1, axis=0)", "What tower t + 1 says is about tower t."),
    Mistake("averaged", "own + np.roll(before, -1, axis=0)", "(own + np.roll(before, -1, axis=0)) / 2", "The parts are added."),
)
