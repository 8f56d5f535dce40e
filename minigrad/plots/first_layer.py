"""What the first layer has learned to look for: the kernels of conv1 as images (Figure 3 of the paper)."""

import numpy as np

from minigrad.plots.figure import blank, save


def filters(kernels, path):
    """Draw the kernels of conv1 as images: Figure 3.

    kernels: one array (k, k, 3, n) per tower, or (k, k, 1, n) to be drawn in grey. One scale, from the smallest weight of all towers to
    the largest, serves all kernels, so that weak kernels look weak. A row holds 16 kernels, as in the paper, or the 12 or fewer of a
    small tower. Every weight is a square of whole pixels."""
    low = min(float(W.min()) for W in kernels)
    span = max(float(W.max()) for W in kernels) - low
    pixels = max(2, round(64 / kernels[0].shape[0]))  # the side of one weight
    blocks = [mosaic((W - low) / (span or 1.0), pixels) for W in kernels]

    margin, title, dpi = 16, 30, 100
    width = max(block.shape[1] for block in blocks) + 2 * margin
    height = sum(block.shape[0] + title for block in blocks) + margin
    figure = blank(width / dpi, height / dpi, dpi, layout=None)
    y = height
    for tower, block in enumerate(blocks):
        y -= title
        figure.text(margin / width, (y + 8) / height, f"tower {tower}", fontsize=10, va="bottom")
        y -= block.shape[0]
        figure.figimage(block, margin, y, origin="upper")
    save(figure, path)


def mosaic(W, pixels):
    """Kernels (k, k, 3 or 1, n) in [0, 1] as one colour image (height, width, 3), each weight `pixels` wide, white gaps between kernels."""
    k, _, _, n = W.shape
    columns = 16 if n > 12 else 12
    rows = -(-n // columns)
    side, gap = k * pixels, 4
    image = np.ones((rows * (side + gap) - gap, min(n, columns) * (side + gap) - gap, 3))
    for i in range(n):
        top, left = i // columns * (side + gap), i % columns * (side + gap)
        image[top : top + side, left : left + side] = W[..., i].repeat(pixels, axis=0).repeat(pixels, axis=1)
    return image
