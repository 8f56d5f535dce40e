"""Example images beside what the network makes of them: the most probable classes, the most similar images (Figure 4 of the paper)."""

import numpy as np

from minigrad.plots.figure import GREY, PALE, PINK, RED, blank, picture, save, short


def predictions(images, labels, p, classes, path):
    """Draw images with the five most probable classes of each: Figure 4, left.

    images   list of N uint8 images (H, W, 1 or 3); eight fill the figure as in the paper
    labels   their true classes, N integers
    p        probabilities (N, K)
    classes  the names of the K classes

    The bar of the true class is red; bars are as long as the probabilities, from 0 to 1."""
    columns = min(4, len(images))
    rows = -(-len(images) // columns)
    figure = blank(2.3 * columns, 3.5 * rows)
    panels = figure.subplots(2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": [2.1, 1.0] * rows})
    for axes in panels.flat:
        axes.axis("off")
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        above, below = (panels[2 * (i // columns) + k, i % columns] for k in (0, 1))
        picture(above, image)
        above.set_title(short(classes[label], 26), fontsize=10, y=-0.13)
        best = np.argsort(-p[i], kind="stable")[:5]
        colours = [PINK if k == label else PALE for k in best]
        below.barh(range(len(best)), p[i][best], color=colours, height=0.86)
        for row, k in enumerate(best):
            below.text(0.02, row, short(classes[k], 26), fontsize=8, va="center")
        below.set_xlim(0, 1)
        below.set_ylim(4.6, -0.6)
        below.axis("on")
        below.set_xticks([])
        below.set_yticks([])
    save(figure, path)


def neighbours(queries, matches, path, titles=None):
    """Draw test images and, right of a line, the training images nearest to each: Figure 4, right.

    queries  list of uint8 images (H, W, 1 or 3)
    matches  for each query a list of such images, the nearest first
    titles   for each query a list of class names, its own and those of its matches, which are red where they differ"""
    rows, columns = len(queries), 1 + len(matches[0])
    figure = blank(1.25 * columns + 0.3, (1.25 if titles is None else 1.42) * rows)
    widths = [1, 0.12] + [1] * (columns - 1)
    panels = figure.subplots(rows, columns + 1, squeeze=False, gridspec_kw={"width_ratios": widths})
    for row, (query, found) in enumerate(zip(queries, matches, strict=True)):
        panels[row, 1].axis("off")
        panels[row, 1].axvline(0.5, color=GREY, linewidth=1)
        for k, (axes, image) in enumerate(zip(np.delete(panels[row], 1), [query, *found], strict=True)):
            picture(axes, image)
            if titles is not None:
                same = titles[row][k] == titles[row][0]
                axes.set_title(short(titles[row][k], 15), fontsize=7.5, pad=2, color="black" if same else RED)
    save(figure, path)
