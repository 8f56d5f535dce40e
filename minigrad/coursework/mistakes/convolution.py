"""Mistakes in convolution: window by window, patches and back, as one product."""

from minigrad.coursework.source import Mistake

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
            "Windows overlap: a pixel receives from several, so add.", overwrites=True),
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
