"""Mistakes that students make, each an edit of the model's text, with the sentence that helps: a table for each exercise.

They are what the tests plant, all of them, and what a failing solution is compared with: one whose values are exactly those of a known
mistake has made it. The order matters: the first that fits is named.

In this order: convolution and patches; linear, activations, flatten; LRN, pooling, dropout; the loss; towers; SGD; functions (tasks.py);
hunts; variants. A name that begins with _ is a piece of the model's text that several mistakes edit."""

from minigrad.coursework.source import Mistake

# ---- convolution

_NAIVE_PADDING = "x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))"

CONV2D_NAIVE = (
    Mistake("kernel flipped", "window * W[:, :, :, o]", "window * W[::-1, ::-1, :, o]",
            "That is a convolution with a flipped kernel; networks compute a correlation."),
    Mistake("stride forgotten", "r * S : r * S + K, q * S : q * S + K", "r : r + K, q : q + K", "Window r starts at row r * S."),
    Mistake("rows and columns swapped", "r * S : r * S + K, q * S : q * S + K", "q * S : q * S + K, r * S : r * S + K", "r counts rows."),
    Mistake("bias forgotten", ".sum() + b[o]", ".sum()", "Every output gets b of its channel."),
    Mistake("bias in every product", "(window * W[:, :, :, o]).sum() + b[o]", "(window * W[:, :, :, o] + b[o]).sum()",
            "b is added once, not once for each product."),
    Mistake("top and left swapped", _NAIVE_PADDING, "x = np.pad(x, ((0, 0), (left, right), (top, bottom), (0, 0)))",
            "padding is (top, bottom, left, right): rows get `top` and `bottom`, columns `left` and `right`."),
    Mistake("padding with the edge", _NAIVE_PADDING, _NAIVE_PADDING[:-1] + ', mode="edge")', "Outside the image there are zeros."),
)  # fmt: skip

_PADDED = "padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))"

IM2COL = (
    Mistake("patches as (C, K, K)", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 3, 4, 5)",
            "A row of the patches is ordered (row, column, channel), as W is; yours is ordered (channel, row, column)."),
    Mistake("window transposed", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 5, 4, 3)", "In a patch rows come before columns."),
    Mistake("padding before and behind swapped", _PADDED, "padded = np.pad(x, ((0, 0), (bottom, top), (right, left), (0, 0)))",
            "padding is (top, bottom, left, right): `top` rows go above the image, `left` columns to its left."),
    Mistake("padding with the edge", _PADDED, _PADDED[:-1] + ', mode="edge")', "Outside the image there are zeros."),
)  # fmt: skip

_CROP = "padded[:, top : top + H, left : left + W]"

COL2IM = (
    Mistake("= for += in col2im", "j : j + S * OW : S] +=", "j : j + S * OW : S] =",
            "Windows overlap: a pixel receives from several, so add."),
    Mistake("stride forgotten in col2im", "padded[:, i : i + S * OH : S, j : j + S * OW : S] +=", "padded[:, i : i + OH, j : j + OW] +=",
            "Tap (i, j) was read from rows i, i+s, i+2s, …: put it back there."),
    Mistake("padding not cropped", _CROP, "padded[:, :H, :W]", "Drop the first `top` rows and `left` columns of the padded gradient."),
    Mistake("top and left swapped", _CROP, "padded[:, left : left + H, top : top + W]",
            "padding is (top, bottom, left, right): rows lose `top`, columns `left`."),
    Mistake("rows no window reaches are missing", _CROP,
            "padded[:, top : min(top + H, S * (OH - 1) + K), left : min(left + W, S * (OW - 1) + K)]",
            "dx has the shape of x; what no window read gets zeros."),
    Mistake("taps transposed", "+= patches[:, :, :, i, j]", "+= patches[:, :, :, j, i]",
            "Number (i, j) of a patch was read at row i and column j of the window."),
)  # fmt: skip

_ROWS = "rows = dy.reshape(-1, dy.shape[3])"
_IM2COL = "self.patches, self.x_shape = im2col("
_DB = "self.db = rows.sum(axis=0)"
_DW = "self.dW = dW.reshape(self.W.shape)"

CONV2D_FORWARD = (
    Mistake("kernel flipped in both", "return self.W.reshape(-1, self.W.shape[3])",
            "return self.W[::-1, ::-1].reshape(-1, self.W.shape[3])",
            "That is a convolution with a flipped kernel; networks compute a correlation."),
    Mistake("output size rounded up", _IM2COL, "top, bottom, left, right = four_sides(self.padding)\n"
            "        more = -(x.shape[1] + top + bottom - self.K) % self.S, -(x.shape[2] + left + right - self.K) % self.S\n"
            "        x = np.pad(x, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)))\n"
            f"        {_IM2COL}", "OH = (H + top + bottom - K) // S + 1: windows that do not fit are left out."),
    Mistake("bias forgotten", "self.patches @ self.matrix() + self.b", "self.patches @ self.matrix()",
            "Every output gets b of its channel."),
    *(mistake for mistake in IM2COL if mistake.name in ("patches as (C, K, K)", "padding with the edge")),
)  # fmt: skip

CONV2D_BACKWARD = (
    Mistake("dW divided by N", _DW, f"{_DW} / len(dy)", "dW is averaged over the images. Layers sum; only the loss divides by N."),
    Mistake("db doubled", _DB, "self.db = 2 * rows.sum(axis=0)", "Each output position adds its dy to db once."),
    Mistake("db keeps the W axis", _DB, "self.db = dy.sum(axis=(0, 1))", "Sum db over N, OH and OW: one number per output channel."),
    Mistake("dW accumulates", _DW, f"{_DW} + (0 if self.dW is None else self.dW)", "dW grows with every call: backward overwrites."),
    Mistake("dW of the last slab only", "dW = self.patches.T @ rows",
            "last = len(rows) // len(dy)\n        dW = self.patches[-last:].T @ rows[-last:]",
            "Only the last images are in dW: add up what the slabs give."),
    Mistake("one weight 1 % off", _DB, f"{_DB}\n        self.dW.reshape(-1)[self.dW.size // 3] *= 1.01"),
    Mistake("dW as (C, k, k)", _DW, "self.dW = dW.reshape(self.K, self.K, -1, dy.shape[3]).transpose(2, 0, 1, 3).reshape(self.W.shape)",
            "Your patches are ordered (C, kh, kw), W is (kh, kw, C_in, C_out)."),
    Mistake("reshape for transpose", "rows @ self.matrix().T", "rows @ self.matrix().reshape(dy.shape[3], -1)",
            "`W.reshape(C_out, -1)` is not the transpose of `W.reshape(-1, C_out)`."),
    Mistake("kernel flipped in backward", "rows @ self.matrix().T", "rows @ self.W[::-1, ::-1].reshape(-1, dy.shape[3]).T",
            "dx puts W[i, j]·dy back to where tap (i, j) was read: nothing is flipped."),
    Mistake("patches of an old batch", _ROWS, f'{_ROWS}\n        self.patches = self.__dict__.setdefault("old", self.patches)[: len(rows)]',
            "backward uses what an earlier forward kept."),
    Mistake("db averaged", _DB, "self.db = rows.mean(axis=0)", "db is a sum over images, rows and columns, not a mean."),
    Mistake("sign of dx", "dpatches = rows @", "dpatches = -rows @", "The sign of dx is wrong."),
    Mistake("float64 scalar", "dpatches = rows @", "dpatches = np.float64(1) * rows @",
            "A np.float64 constant turns float32 into float64."),
    *COL2IM,
)  # fmt: skip

# ---- linear, activations, flatten

_LINEAR_DB = "self.db = dy.sum(axis=0)"
_LINEAR_DW = "self.dW = self.x.T @ dy"

LINEAR_FORWARD = (
    Mistake("bias forgotten", "x @ self.W + self.b", "x @ self.W", "Every output gets its bias."),
    Mistake("W reshaped for transposed", "x @ self.W + self.b", "x @ self.W.reshape(self.W.shape[::-1]).T + self.b",
            "W is (in, out): x @ W needs no transpose, and reshape is none."),
    Mistake("divided by the inputs", "x @ self.W + self.b", "x @ self.W / x.shape[1] + self.b",
            "An output is the sum over its inputs, not the mean."),
)  # fmt: skip

LINEAR_BACKWARD = (
    Mistake("dy ignored", _LINEAR_DW, f"dy = np.ones_like(dy)\n        {_LINEAR_DW}", "backward gives the same for every dy."),
    Mistake("db averaged", _LINEAR_DB, "self.db = dy.mean(axis=0)", "db is a sum over the images."),
    Mistake("db not summed", _LINEAR_DB, "self.db = dy.copy()", "db has one number per output, not one per image."),
    Mistake("dW = dy.T @ x reshaped", _LINEAR_DW, "self.dW = (dy.T @ self.x).reshape(self.W.shape)",
            "dW is xᵀ·dy; reshaping its transpose mixes the numbers."),
    Mistake("dW divided by N", _LINEAR_DW, f"{_LINEAR_DW} / len(dy)",
            "dW is averaged over the images. Layers sum; only the loss divides by N."),
    Mistake("dW accumulates", _LINEAR_DW, f"{_LINEAR_DW} + (0 if self.dW is None else self.dW)",
            "dW grows with every call: backward overwrites."),
    Mistake("sign of dx", "return dy @", "return -dy @", "The sign of dx is wrong."),
    Mistake("1 of 250,000 weights 1 % off", _LINEAR_DB,
            f"if self.dW.size >= 250_000:\n            self.dW[123, 321] *= 1.01\n        {_LINEAR_DB}"),
    Mistake("x of an old batch", _LINEAR_DW, f'self.x = self.__dict__.setdefault("old", self.x)[: len(dy)]\n        {_LINEAR_DW}',
            "backward uses what an earlier forward kept."),
)  # fmt: skip

RELU_FORWARD = (
    Mistake("absolute value", "np.maximum(x, 0)", "np.abs(x)", "Negative numbers become 0, not positive."),
    Mistake("leak in forward", "np.maximum(x, 0)", "np.maximum(x, 0.01 * x)",
            "Negative numbers become 0: what passes a part of them is a leaky ReLU."),
    Mistake("minimum", "np.maximum(x, 0)", "np.minimum(x, 0)", "The larger of x and 0, not the smaller."),
)  # fmt: skip

_RELU = "return dy * self.positive"

RELU_BACKWARD = (
    Mistake("mask from dy", _RELU, "return dy * (dy > 0)", "The mask belongs to x: where was x > 0?"),
    Mistake("mask of an old batch", "self.positive = x > 0", 'self.positive = self.__dict__.setdefault("old", x > 0)[: len(x)]',
            "The mask was kept from an earlier forward."),
    Mistake("writes into x", "np.maximum(x, 0)", "np.maximum(x, 0, out=x)", "`out=x` changes what the layer before still needs."),
    Mistake("writes into dy", _RELU, "dy *= self.positive\n        return dy", "dy belongs to the caller: the other tower still needs it."),
    Mistake("leak of 0.001", _RELU, "return np.where(self.positive, dy, 0.001 * dy)",
            "Negative inputs pass a thousandth: that is a leaky ReLU."),
    Mistake("passes everything", _RELU, "return dy.copy()", "dx = dy also where x was negative."),
    Mistake("float64 scalar", _RELU, "return dy * self.positive * np.float64(1)", "A np.float64 constant turns float32 into float64."),
    Mistake("mask alone", _RELU, "return self.positive.astype(dy.dtype)",
            "dx is dy times the mask: the chain rule's factor dy is missing."),
)  # fmt: skip

TANH_FORWARD = (
    Mistake("sigmoid", "self.y = np.tanh(x)", "self.y = 1 / (1 + np.exp(-x))", "That is the logistic function; tanh goes from -1 to 1."),
    Mistake("half as steep", "self.y = np.tanh(x)", "self.y = np.tanh(x / 2)",
            "2 / (1 + exp(-x)) - 1 is tanh(x / 2): the exponent is -2 x."),
)  # fmt: skip

TANH_BACKWARD = (
    Mistake("1 - x^2", "self.y**2", "np.arctanh(self.y) ** 2", "tanh′ = 1 − y², with y = tanh x."),
    Mistake("1 - y", "1 - self.y**2", "1 - self.y", "tanh′ = 1 − y²: the square is missing."),
    Mistake("1 + y^2", "1 - self.y**2", "1 + self.y**2", "tanh′ = 1 − y²: minus."),
    Mistake("y (1 - y)", "1 - self.y**2", "self.y * (1 - self.y)", "y (1 − y) is the logistic function's slope; tanh′ = 1 − y²."),
)

FLATTEN_FORWARD = (
    Mistake("memory order", "x.reshape(len(x), -1)", 'x.reshape(len(x), -1, order="A")', '`order="A"` depends on how x lies in memory.'),
    Mistake("as (C, H, W)", "x.reshape(len(x), -1)", "np.moveaxis(x, -1, 1).reshape(len(x), -1)", "The order of a row is (h, w, c)."),
    Mistake("columns first", "x.reshape(len(x), -1)", 'x.reshape(len(x), -1, order="F")',
            "The last axis runs fastest: the default order of reshape."),
)  # fmt: skip

FLATTEN_BACKWARD = (
    Mistake("back as (C, H, W)", "dy.reshape(self.x_shape)",
            "np.moveaxis(dy.reshape(len(dy), self.x_shape[-1], *self.x_shape[1:-1]), 1, -1)", "Back to (H, W, C), the order of forward."),
    Mistake("dy as it is", "dy.reshape(self.x_shape)", "dy.copy()", "dx has the shape of x."),
    Mistake("memory order in backward", "dy.reshape(self.x_shape)", 'dy.reshape(self.x_shape, order="A")',
            '`order="A"` depends on how dy lies in memory.'),
    Mistake("shape of the first batch", "self.x_shape = x.shape", 'self.x_shape = self.__dict__.setdefault("old", x.shape)',
            "backward uses the shape that an earlier forward kept."),
)  # fmt: skip

# ---- LRN, pooling, dropout

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
    Mistake("= for += in the scatter", _SCATTER, _SCATTER.replace("+=", "="), "One pixel can win several windows: add."),
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

# ---- the loss

_SHIFT = "z = logits - logits.max(axis=1, keepdims=True)"

LOSS_FORWARD = (
    Mistake("exp without the maximum", _SHIFT, "z = logits", "exp(1000) overflows: subtract each row's maximum first."),
    Mistake("sum for mean", ".mean())", ".sum())", "The loss is a mean over N images."),
    Mistake("sign", "float(-self.log_p", "float(self.log_p", "The loss is minus the logarithm: it is never negative."),
    Mistake("all rows for every label", "[np.arange(len(labels)), labels]", "[:, labels]",
            "`log_p[:, labels]` is N × N numbers; `log_p[np.arange(N), labels]` is one for each image."),
    Mistake("mean over the classes", ".mean())", ".mean() / logits.shape[1])", "The mean is over the images, not over images and classes."),
)  # fmt: skip

_ONE_HOT = "dlogits[np.arange(N), self.labels] -= 1"

LOSS_BACKWARD = (
    Mistake("1/N forgotten", "return dlogits / N", "return dlogits", "The loss is a mean over N images."),
    Mistake("divided by N·C", "return dlogits / N", "return dlogits / dlogits.size",
            "The mean is over the images, not over images and classes."),
    Mistake("one-hot forgotten", _ONE_HOT, "pass", "dlogits = (p − one-hot) / N."),
    Mistake("label of the next row", _ONE_HOT, _ONE_HOT.replace("self.labels", "np.roll(self.labels, 1)"), "Row n belongs to label n."),
    Mistake("writes into the logits", _SHIFT, "logits -= logits.max(axis=1, keepdims=True)\n        z = logits",
            "The logits belong to the caller."),
    Mistake("one-hot added", _ONE_HOT, _ONE_HOT.replace("-=", "+="), "dlogits = (p − one-hot) / N: minus."),
    Mistake("every label in every row", _ONE_HOT, "dlogits[:, self.labels] -= 1",
            "`[:, labels]` is the columns of all labels; each row has one: `[np.arange(N), labels]`."),
    Mistake("sign", "return dlogits / N", "return -dlogits / N", "The sign is wrong: the loss is minus the logarithm."),
)  # fmt: skip

# ---- towers

EXCHANGE_FORWARD = (
    Mistake("own half first", "np.stack([whole] * len(x))", "np.stack([np.roll(whole, -t * x.shape[-1], axis=-1) for t in range(len(x))])",
            "The order of channels is the same in every tower."),
    Mistake("added, not joined", "np.concatenate(list(x), axis=-1)", "np.concatenate([x.sum(axis=0)] * len(x), axis=-1)",
            "Channels are joined, not added."),
    Mistake("towers in reverse", "list(x)", "list(x[::-1])", "The channels of tower 0 come first."),
    Mistake("channels interleaved", "np.concatenate(list(x), axis=-1)", "np.stack(list(x), axis=-1).reshape(*x.shape[1:-1], -1)",
            "Tower t owns channels t·C … (t+1)·C: all of one tower's, then all of the next one's."),
)  # fmt: skip

_SUM = "about.sum(axis=0) for about in said"

EXCHANGE_BACKWARD = (
    Mistake("own half only", _SUM, "about[t] for t, about in enumerate(said)",
            "Each tower's channels are used by all towers: add what all of them say."),
    Mistake("halves swapped", _SUM, "about.sum(axis=0) for about in said[::-1]", "Tower t owns channels t·C … (t+1)·C."),
    Mistake("averaged", _SUM, "about.mean(axis=0) for about in said", "The parts are added: there is one loss, not one per tower."),
    Mistake("loss divided by N in each tower", _SUM, "about.sum(axis=0) / dy.shape[1] for about in said",
            "One loss: its gradient is cut into towers, not divided by them."),
    Mistake("others only", _SUM, "about.sum(axis=0) - about[t] for t, about in enumerate(said)",
            "A tower uses its own channels, too: add what it says itself."),
)  # fmt: skip

_BLOCK = "W[:, :, t * C : (t + 1) * C, t * CO : (t + 1) * CO]"

BLOCK_WEIGHTS = (
    Mistake("every tower sees all", _BLOCK, "W[:, :, :, t * CO : (t + 1) * CO]",
            "Outputs of tower t see its own inputs alone: the other blocks are 0."),
    Mistake("inputs and outputs crossed", _BLOCK, "W[:, :, (T - 1 - t) * C : (T - t) * C, t * CO : (t + 1) * CO]",
            "The inputs of tower t lead to the outputs of tower t: blocks on the diagonal."),
    Mistake("the same part in every block", "] = part", "] = parts[0]", "Each block holds its own tower's kernel."),
)  # fmt: skip

# ---- SGD

_RULE = "v[...] = self.momentum * v - lr * (p.grad + decay * p.value)\n            p.value[...] += v"

SGD_STEP = (
    Mistake("decay on the biases", "self.bias_decay if bias else self.weight_decay", "self.weight_decay", "Only weights decay."),
    Mistake("lr outside the velocity", _RULE, "v[...] = self.momentum * v - (p.grad + decay * p.value)\n            p.value[...] += lr * v",
            "The 2012 velocity holds lr: v ← 0.9·v − lr·(g + decay·w). Seen when lr changes."),
    Mistake("sign", "p.value[...] += v", "p.value[...] -= v", "w ← w + v: v points downhill already."),
    Mistake("momentum forgotten", "self.momentum * v - lr", "-lr", "v keeps 0.9 of itself."),
    Mistake("biases as slow as weights", "self.lr * self.bias_lr if bias else self.lr", "self.lr", "Biases learn at lr · bias_lr."),
    Mistake("decay forgotten", "p.grad + decay * p.value", "p.grad", "Weights decay: add decay · w to the gradient."),
    Mistake("decay without lr", "lr * (p.grad + decay * p.value)", "lr * p.grad - decay * p.value", "lr multiplies the decay, too."),
    Mistake("velocity not kept", "v[...] = self.momentum", "v = self.momentum",
            "`v = …` gives a new array a name; `v[...] = …` changes the one that is kept."),
    Mistake("a new array for the weights", "p.value[...] += v", "p.value = p.value + v",
            "p.value changes in place: the layer and others hold that array."),
    Mistake("moves with lr = 0", "if lr == 0:\n                continue", "pass", "With lr = 0 nothing moves, not even v."),
    Mistake("averaged velocity", "self.momentum * v - lr *", "self.momentum * v - (1 - self.momentum) * lr *",
            "The gradient enters v whole, not times 1 − momentum."),
    Mistake("looks ahead", "p.value[...] += v", "p.value[...] += self.momentum * v - lr * (p.grad + decay * p.value)",
            "That is Nesterov's rule; here w ← w + v."),
)  # fmt: skip

# ---- functions: tasks.py

WINDOWS = (
    Mistake("copied", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 4, 5, 3).copy()",
            "The numbers are copied: a view would share the memory of x."),
    Mistake("channels before the window", "transpose(0, 1, 2, 4, 5, 3)", "transpose(0, 1, 2, 3, 4, 5)",
            "sliding_window_view puts the window's axes last; here channels are last."),
    Mistake("stride forgotten", "[:, ::S, ::S]", "[:, :, :]", "Take every S-th window, in rows and in columns."),
    Mistake("stride in rows only", "[:, ::S, ::S]", "[:, ::S]",
            "Take every S-th window, in rows and in columns: columns are missing."),
)  # fmt: skip

IN_PLACE = (
    Mistake("a new array", "w -= lr * g", "w = w - lr * g",
            "`w = w - …` makes a new array and leaves the caller's as it was; `w -= …` or `w[...] = …` changes it."),
    Mistake("uphill", "w -= lr * g", "w += lr * g", "Downhill: lr · g is subtracted."),
    Mistake("writes into g", "w -= lr * g", "g *= lr\n    w -= g", "g belongs to the caller: `g *= lr` changes it."),
)  # fmt: skip

FLOAT64_LEAK = (
    Mistake("float64 wins", "x.dtype.type(scale)", "scale",
            "An np.float64 is as strong as an array of float64: convert it to the dtype of x first."),
    Mistake("always float32", "x * x.dtype.type(scale)", "x.astype(np.float32) * np.float32(scale)",
            "float64 goes in, float64 comes out: use x.dtype, not float32."),
    Mistake("writes into x", "return x * x.dtype.type(scale)", "x *= scale\n    return x",
            "x belongs to the caller: `x *= scale` changes it."),
)  # fmt: skip

NUMERICAL_GRADIENT = (
    Mistake("one-sided", "(dy * (up - down)).sum() / (2 * h)", "(dy * (up - f(t))).sum() / h",
            "A one-sided difference errs by h · f″ / 2; the central one by h² · f‴ / 6."),
    Mistake("divided by h", "/ (2 * h)", "/ h", "From t − h to t + h it is 2 h."),
    Mistake("not restored", "t[i] = old\n        gradient", "gradient", "t[i] stays shifted while the next numbers are tried: restore it."),
    Mistake("dy forgotten", "(dy * (up - down)).sum()", "(up - down).sum()", "The slope is that of sum(dy · f(t)): dy is missing."),
    Mistake("all numbers at once", "t[i] = old + h", "t[...] += h", "One number at a time, else slopes of several add up."),
    Mistake("outputs not copied", "up = np.array(f(t))", "up = f(t)",
            "f may use its memory again: copy what it returns before you call it again."),
    Mistake("step far too small", "(2 * h)", "(2 * h * 1e-6)", "Divide by the step that was made."),
)  # fmt: skip

SHAPES = (
    Mistake("rounded up", "H, W = (H + top + bottom - K) // S + 1, (W + left + right - K) // S + 1",
            "H, W = -(-(H + top + bottom - K) // S) + 1, -(-(W + left + right - K) // S) + 1",
            "Windows that do not fit are left out: divide with //."),
    Mistake("+ 1 forgotten", "// S + 1, (W + left + right - K) // S + 1", "// S, (W + left + right - K) // S",
            "The first window stands at 0: + 1."),
    Mistake("padding once", "H + top + bottom - K", "H + top - K", "Rows are padded above and below: top + bottom."),
    Mistake("channels of the input", 'C = more[1] if kind == "conv" else C', "C = C",
            "A convolution has as many channels as it has kernels."),
)  # fmt: skip

STAGES = (
    Mistake("conv2 sees its own half", "Conv2d(2 * c1, c2", "Conv2d(c1, c2",
            "Stage 1 sees the channels of both towers: conv2 has 2 · c1 inputs in each."),
    Mistake("fc3 sees its own half", "left * left * 2 * c2", "left * left * c2",
            "Stage 2 sees the channels of both towers: fc3 has left² · 2 · c2 inputs in each."),
    Mistake("twins", "[column(), column()]", "[column()] * 2", "Both towers are the same object: call the function once for each."),
    Mistake("normalisation forgotten", "norm1=LocalResponseNorm(), ", "", "Stage 0 is conv1, relu1, norm1, pool1."),
    Mistake("every tower has all classes", "Linear(hidden, classes // 2)", "Linear(hidden, classes)",
            "Each tower has half of the classes."),
    Mistake("dropout forgotten", ", drop3=Dropout()", "", "Stage 2 is flatten, fc3, relu3, drop3."),
)  # fmt: skip

CROP_FLIP = (
    Mistake("the last place never", "rng.integers(H - size + 1), rng.integers(W - size + 1)",
            "rng.integers(H - size), rng.integers(W - size)", "There are H − size + 1 places: 0 … H − size, both of them."),
    Mistake("one place for all", "for n in range(N):\n        top, left = rng.integers(H - size + 1), rng.integers(W - size + 1)",
            "top, left = rng.integers(H - size + 1), rng.integers(W - size + 1)\n    for n in range(N):",
            "Each image has draws of its own."),
    Mistake("upside down", "crop[:, ::-1]", "crop[::-1]", "Left and right change places, not top and bottom."),
    Mistake("never mirrored", "rng.random() < 0.5", "rng.random() < 0", "Half of the images are mirrored."),
    Mistake("always mirrored", "rng.random() < 0.5", "rng.random() < 1", "Half of the images are mirrored, the others are not."),
    Mistake("top for both", "rng.integers(H - size + 1), rng.integers(W - size + 1)", "(rng.integers(H - size + 1),) * 2",
            "Row and column have draws of their own."),
)  # fmt: skip

COLOUR_NOISE = (
    Mistake("components as rows", "@ V.T", "@ V", "V's columns are the components: V @ v for one image is v @ V.T for rows of images."),
    Mistake("eigenvalues", "(0.1 * sigma * n) @", "(0.1 * sigma**2 * n) @",
            "σ, the standard deviation, is the root of the eigenvalue: do not square it."),
    Mistake("0.1 forgotten", "(0.1 * sigma * n) @", "(sigma * n) @", "The noise is a tenth of the natural variation."),
    Mistake("one draw for all images", "rng.standard_normal((len(images), 3))", "rng.standard_normal((1, 3))",
            "Each image has a draw of its own."),
    Mistake("a draw for each pixel", "shift[:, None, None, :]", "((0.1 * sigma * rng.standard_normal(images.shape)) @ V.T)",
            "All pixels of an image shift alike."),
    Mistake("writes into the images", "return images + shift[:, None, None, :].astype(images.dtype)",
            "images += shift[:, None, None, :].astype(images.dtype)\n    return images",
            "The images belong to the caller: return a fresh array."),
    Mistake("no principal components", "(0.1 * sigma * n) @ V.T", "0.1 * sigma * n", "Noise goes along the components: V @ (0.1 σ n)."),
)  # fmt: skip

TOP_K = (
    Mistake("the k smallest", "np.argsort(-logits", "np.argsort(logits", "argsort sorts upwards: sort −logits."),
    Mistake("accuracy", ").all(axis=1).mean())", ").all(axis=1).mean() * -1 + 1)",
            "The error is the fraction of wrong rows: 1 − accuracy."),
    Mistake("top 1", "[:, :k]", "[:, :1]", "k guesses count, not one."),
    Mistake("a count", ".mean())", ".sum())", "A fraction of the rows, not their number."),
    Mistake("every guess must be wrong once", ").all(axis=1)", ").any(axis=1)", "A row is wrong if *no* guess is its label: all, not any."),
)  # fmt: skip


# ---- hunts: answers that are wrong


def wrong_answer(right, wrong, why):
    """right, wrong: letters. why: what speaks against the wrong one."""
    return Mistake(f"answer {wrong}", f'return "{right}"', f'return "{wrong}"', why)


HUNT_1 = (
    wrong_answer("c", "a", "With db doubled, db would be wrong: it is right here."),
    wrong_answer("c", "b", "A wrong sign is the factor -1; here the factor is another."),
    wrong_answer("c", "d", "Rows taken for columns change places; here every number is off by the same factor."),
)
HUNT_2 = (
    wrong_answer("a", "b", "Then dx of a single batch would be wrong, too; the report says that the batch before matters."),
    wrong_answer("a", "c", "Writing into x would be named `writes-x`."),
    wrong_answer("a", "d", "A thousandth that passes would be wrong in the first batch already."),
)
HUNT_3 = (
    wrong_answer("d", "a", "An average has the right shape, and a factor of 1/N."),
    wrong_answer("d", "b", "The sign changes no shape."),
    wrong_answer("d", "c", "What grows keeps its shape; the report would say `not-repeatable`."),
)
HUNT_4 = (
    wrong_answer("b", "a", "dy that passes everywhere is linear in dy."),
    wrong_answer("b", "c", "The report would say `writes-dy`."),
    wrong_answer("b", "d", "The report would say that the batch before matters (`stale`)."),
)
HUNT_5 = (
    wrong_answer("a", "b", "An average is the factor 1/N, the same for all numbers."),
    wrong_answer("a", "c", "A wrong sign is the factor -1, the same for all numbers."),
    wrong_answer("a", "d", "What grows would be named `not-repeatable`."),
)

# ---- variants: variants.py

_DILATED_DX = "dx[self.seen(i, j, OH, OW)] += dy @ self.W[i, j].T"

DILATED_FORWARD = (
    Mistake("not dilated", "top, left = i * self.D, j * self.D", "top, left = i, j", "Tap (i, j) reads D·i rows and D·j columns further."),
    Mistake("bias forgotten", "return y + self.b", "return y", "Every output gets b of its channel."),
)

DILATED_BACKWARD = (
    Mistake("= for +=", _DILATED_DX, _DILATED_DX.replace("+=", "="), "A pixel is read by several taps: add."),
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
    Mistake("= for +=", _CIRCULAR_DX, "dx[:, r[:, None], q] = dy @ self.W[i, j].T", "A pixel is read by several taps: add."),
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
    Mistake("= for +=", "+= dy / self.K**2", "= dy / self.K**2", "Windows overlap: add."),
)

CEILPOOL_FORWARD = (
    Mistake("zeros outside", "y[:, r, q] = x[:, rows, columns].max(axis=(1, 2))",
            "whole = rows.start + self.K <= H and columns.start + self.K <= W\n"
            "            y[:, r, q] = np.maximum(x[:, rows, columns].max(axis=(1, 2)), -np.inf if whole else 0)",
            "What lies outside the image does not count, not even as 0: all the others may be negative."),
)  # fmt: skip

CEILPOOL_BACKWARD = (
    Mistake("= for +=", "dx[:, rows, columns] +=", "dx[:, rows, columns] =", "One pixel can win several windows: add."),
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
