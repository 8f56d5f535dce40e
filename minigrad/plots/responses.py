"""What the layers respond to: an image and the strongest channels of each layer."""

import numpy as np

from minigrad.plots.figure import blank, picture, save


def activations(image, maps, path, each=6):
    """Draw an image and what each layer makes of it: for each layer a row, for each tower the channels with the largest mean.

    image  uint8 (H, W, 1 or 3)
    maps   {layer's name: list with one array (H, W, C) per tower, not negative}
    each   channels of a tower, twice as many if there is only one

    Bright is strong, on one scale for all channels of a layer."""
    towers = len(next(iter(maps.values())))
    each = each if towers > 1 else 2 * each
    columns, rows = towers * each, len(maps)
    cells, cell, title = columns + towers + 3, 0.72, 0.3  # inches
    width, height = cells * cell, rows * cell + title
    figure = blank(width, height, layout=None)
    grid = figure.add_gridspec(rows, cells, left=0.01, right=0.99, bottom=0.01, top=1 - title / height, wspace=0.06, hspace=0.06)
    axes = figure.add_subplot(grid[: min(rows, 3), :3])
    picture(axes, image)
    for row, (name, parts) in enumerate(maps.items()):
        brightest = max(float(part.max()) for part in parts) or 1.0
        for tower, part in enumerate(parts):
            strongest = np.sort(np.argsort(-part.mean(axis=(0, 1)), kind="stable")[:each])
            for k, channel in enumerate(strongest):
                axes = figure.add_subplot(grid[row, 4 + tower * (each + 1) + k])
                axes.imshow(part[..., channel], cmap="magma", vmin=0, vmax=brightest, interpolation="nearest")
                axes.axis("off")
                if row == 0 and k == 0 and towers > 1:
                    axes.set_title(f"tower {tower}", fontsize=9, loc="left", pad=4)
                if tower == 0 and k == 0:
                    axes.text(-0.12, 0.5, name, transform=axes.transAxes, fontsize=9, ha="right", va="center")
    save(figure, path)
