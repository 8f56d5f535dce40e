"""Mistakes in local response normalisation, pooling and dropout."""

from minigrad.coursework.source import Mistake

_LRN = "direct - 2 * self.alpha * self.beta * self.x * cross"
_WINDOW = "(size // 2, size // 2)])"

LRN_FORWARD = (
    Mistake("window wraps around", _WINDOW, _WINDOW[:-1] + ', mode="wrap")', "The window ends at the first and last channel."),
    Mistake("window to one side", _WINDOW, "(size - 1, 0)])", "Channel i hears from i − size//2 … i + size//2, on both sides."),
    Mistake("alpha divided by size in both", "= size, alpha, beta, k", "= size, alpha / size, beta, k",
            "That is torch's convention: here α multiplies the plain sum."),
    Mistake("not squared", "_window_sum(x * x, self.size)", "_window_sum(x, self.size)", "The window sums squares."),
    Mistake("k forgotten", "self.k + self.alpha *", "1 + self.alpha *", "s begins with k, which is not always 1."),
    Mistake("beta forgotten", "return x * self.s**-self.beta", "return x / self.s", "y = x · s^(−β): the exponent is missing."),
)  # fmt: skip

LRN_BACKWARD = (
    Mistake("no cross term", _LRN, "direct", "x_j also enters its neighbours' sums: the second term is missing."),
    Mistake("factor 2 lost", _LRN, "direct - self.alpha * self.beta * self.x * cross", "The derivative of x² is 2x."),
    Mistake("window one channel off", _LRN, "direct - 2 * self.alpha * self.beta * self.x * np.roll(cross, 1, axis=-1)",
            "Channel i hears from i − size//2 … i + size//2."),
    Mistake("beta for beta + 1", "self.s ** -(self.beta + 1)", "self.s ** -self.beta",
            "d s^(−β) = −β·s^(−β−1): the exponent falls by one."),
    Mistake("alpha divided by size in backward", _LRN, "direct - 2 * self.alpha / self.size * self.beta * self.x * cross",
            "Forward multiplies the plain sum by α; so must backward."),
    Mistake("dy outside the window sum", "_window_sum(dy * self.x * self.s ** -(self.beta + 1), self.size)",
            "dy * _window_sum(self.x * self.s ** -(self.beta + 1), self.size)",
            "Each neighbour brings its own dy: it belongs inside the sum."),
    Mistake("x outside the window sum", "_window_sum(dy * self.x * self.s ** -(self.beta + 1), self.size)",
            "self.x * _window_sum(dy * self.s ** -(self.beta + 1), self.size)",
            "Each neighbour brings its own y_j: x_j belongs inside the sum."),
    Mistake("sign of the cross term", _LRN, _LRN.replace("-", "+"), "Neighbours make y smaller: the second term is subtracted."),
    Mistake("own term only", "_window_sum(dy * self.x * self.s ** -(self.beta + 1), self.size)",
            "dy * self.x * self.s ** -(self.beta + 1)", "The second term sums over all neighbours j of i, not over i alone."),
    Mistake("beta lost", _LRN, "direct - 2 * self.alpha * self.x * cross", "d s^(−β) = −β·s^(−β−1): the factor β is missing."),
    Mistake("direct term forgotten", _LRN, "-2 * self.alpha * self.beta * self.x * cross",
            "x_i also stands before the power: the term dy_i · s_i^(−β) is missing."),
)  # fmt: skip

_POOL_WINDOWS = "windows = sliding_window_view(x, (self.K"
_SCATTER = "dx[:, i : i + S * OH : S, j : j + S * OW : S] +="

MAXPOOL_FORWARD = (
    Mistake("a last, partial window counted", _POOL_WINDOWS, "more = -(x.shape[1] - self.K) % self.S, -(x.shape[2] - self.K) % self.S\n"
            "        x = np.pad(x, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)), constant_values=-np.inf)\n"
            f"        {_POOL_WINDOWS}", "Windows that do not fit are left out."),
    Mistake("mean for maximum", "windows.max(axis=-1)", "windows.mean(axis=-1)",
            "That is average pooling: y is the largest number of a window."),
    Mistake("maximum of sizes", "windows.max(axis=-1)", "np.abs(windows).max(axis=-1)",
            "The largest number, not the largest absolute value."),
    Mistake("channels together", "windows.max(axis=-1)", "np.repeat(windows.max(axis=(-2, -1))[..., None], x.shape[3], -1)",
            "Each channel has a maximum of its own."),
)  # fmt: skip

MAXPOOL_BACKWARD = (
    Mistake("= for += in the scatter", _SCATTER, _SCATTER.replace("+=", "="), "One pixel can win several windows: add.", overwrites=True),
    Mistake("shared evenly", "dy * self.won[..., m]", "dy / dy.dtype.type(K * K)", "That is average pooling: only the winner receives."),
    Mistake("every maximum gets dy", "windows.argmax(axis=-1)[..., None] == np.arange(self.K**2)",
            "windows == windows.max(axis=-1, keepdims=True)", "The shares of a tie must add up to one dy."),
    Mistake("row and column swapped", "i, j = divmod(m, K)", "j, i = divmod(m, K)", "Winner number m sits at row m // k, column m % k."),
    Mistake("winners of the last image", "self.x_shape = x.shape",
            "self.won = np.repeat(self.won[-1:], len(x), axis=0)\n        self.x_shape = x.shape", "Every image has its own winners."),
    Mistake("stride forgotten", _SCATTER, "dx[:, i : i + OH, j : j + OW] +=", "Window r starts at row r·stride."),
    Mistake("dy ignored", "dy * self.won[..., m]", "self.won[..., m].astype(dy.dtype)", "The winner receives dy, not 1."),
    Mistake("winners of an old batch", _SCATTER, f'self.won = self.__dict__.setdefault("old", self.won)[: len(dy)]\n            {_SCATTER}',
            "backward uses the winners of an earlier forward."),
)  # fmt: skip

_MASK = "return dy * self.mask"
_TEST_MASK = 'self.mask = x.dtype.type(1 - self.p if self.scale_at == "test" else 1)'

DROPOUT_FORWARD = (
    Mistake("scaled by 1/p", "self.mask /= 1 - self.p", "self.mask /= self.p", "Divide by the probability to keep, 1 − p."),
    Mistake("scaled at both times", _TEST_MASK, "self.mask = x.dtype.type(1 - self.p)", "Scale in training or at test time, not in both."),
    Mistake("scaled at no time", _TEST_MASK, "self.mask = x.dtype.type(1)",
            'With scale_at="test" the outputs are multiplied by 1 − p at test time.'),
    Mistake("keeps with probability p", ">= self.p", "< self.p", "p is the probability of silence, not of being kept."),
    Mistake("one mask for all images", "(self.rng.random(x.shape)", "(self.rng.random((1, *x.shape[1:]))",
            "Every image has a mask of its own."),
    Mistake("drops at test time", "if self.training:", "if True:", "In eval mode nothing is dropped."),
    Mistake("never drops", "if self.training:", "if False:", "In training a mask is drawn."),
    Mistake("the same mask again", "(self.rng.random(x.shape)", "(np.random.default_rng(1).random(x.shape)",
            "A generator made anew draws the same mask in every step: use the layer's own."),
)  # fmt: skip

DROPOUT_BACKWARD = (
    Mistake("not scaled in backward", _MASK, "return dy * (self.mask > 0)", "forward divided by 1 − p; so must backward."),
    Mistake("scaled by 1/p in backward", _MASK, "return dy * (self.mask > 0) / dy.dtype.type(self.p)",
            "Divide by the probability to keep, 1 − p."),
    Mistake("a new mask in backward", _MASK, "return dy * (self.rng.random(dy.shape) >= self.p) * self.mask.max()",
            "Use the mask that forward drew."),
    Mistake("draws from np.random", "(self.rng.random(x.shape)", "(np.random.random(x.shape)", "Use the layer's own generator."),
    Mistake("old mask in eval", _TEST_MASK, _TEST_MASK.replace("self.mask =", "return x *"),
            "In eval mode nothing is dropped, in backward neither."),
    Mistake("passes everything", _MASK, "return dy.copy()", "What was silent in forward gets no gradient: dx = dy · mask."),
)  # fmt: skip
