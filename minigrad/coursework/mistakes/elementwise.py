"""Mistakes in layers without neighbours, linear, ReLU, tanh, flatten, and in the loss."""

from minigrad.coursework.source import Mistake

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

# ---- the loss

_SHIFT = "z = logits - logits.max(axis=1, keepdims=True)"

LOSS_FORWARD = (
    Mistake("exp without the maximum", _SHIFT, "z = logits", "exp(1000) overflows: subtract each row's maximum first."),
    Mistake("sum for mean", ".mean())", ".sum())", "The loss is a mean over N images."),
    Mistake("sign", "float(-self.log_p", "float(self.log_p", "The loss is minus the logarithm: it is never negative."),
    Mistake("logarithm of the probabilities", "self.log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))",
            "self.log_p = np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))",
            "The probability of a class far below the others is 0, its logarithm -inf: log p is z − log Σ exp(z)."),
    Mistake("one maximum for all rows", _SHIFT, "z = logits - logits.max()",
            "Subtract from each row its own maximum: in a row far below the largest of all every exp is 0."),
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
