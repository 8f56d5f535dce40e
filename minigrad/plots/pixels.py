"""Which pixels speak for a class: images beside what `minigrad.visualise` finds when it goes back from the class to them."""

import numpy as np

from minigrad.plots.figure import blank, picture, save, short

METHODS = ("saliency", "deconvnet", "guided backpropagation", "Grad-CAM")


def backwards(images, names, explanation, path):
    """Draw images, a row for each, and what the score of a class of each hangs on.

    images       list of N uint8 images (H, W, 1 or 3), as the network sees them
    names        of the N classes
    explanation  of the N images and classes: a `visualise.Explanation`, or any object with its arrays

    Each picture has a scale of its own. Saliency: bright counts much. Deconvnet and guided backpropagation: grey is 0. Grad-CAM: over the
    image, bright where the maps respond that count for the class; left out in a network without convolutions."""
    methods = METHODS if explanation.cam is not None else METHODS[:3]
    figure = blank(1.5 * (1 + len(methods)), 1.5 * len(images) + 0.3)
    panels = figure.subplots(len(images), 1 + len(methods), squeeze=False)
    for axes, title in zip(panels[0], ("", *methods), strict=True):
        axes.set_title(title, fontsize=9, pad=5)
    for n, (image, name) in enumerate(zip(images, names, strict=True)):
        for axes in panels[n]:
            axes.axis("off")
        picture(panels[n, 0], image)
        panels[n, 0].text(-0.06, 0.5, short(name, 18), transform=panels[n, 0].transAxes, rotation=90, fontsize=8, va="center", ha="right")
        most = highest(explanation.saliency[n])
        panels[n, 1].imshow(explanation.saliency[n], cmap="viridis", vmin=0, vmax=most, interpolation="nearest")
        for axes, signed in zip(panels[n, 2:4], (explanation.deconvnet[n], explanation.guided[n]), strict=True):
            shades = np.clip(0.5 + 0.5 * signed / highest(np.abs(signed)), 0, 1)
            axes.imshow(shades, cmap="gray", vmin=0, vmax=1, interpolation="nearest")  # three numbers are a colour, one is a grey
        if explanation.cam is not None:
            over(panels[n, 4], image, explanation.cam[n])
    save(figure, path)


def over(axes, image, cam):
    """A map (h, w) of at least 0, smoothed, over an image (H, W, 1 or 3) in grey."""
    H, W = image.shape[:2]
    extent = (-0.5, W - 0.5, H - 0.5, -0.5)
    axes.imshow(image.mean(axis=-1), cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")
    axes.imshow(cam, cmap="viridis", vmin=0, vmax=float(cam.max()) or 1.0, alpha=0.6, extent=extent, interpolation="bilinear")


def highest(magnitudes):
    """The number that is brightest: one in 200 may be larger, so that a few do not darken all others."""
    return float(np.quantile(magnitudes, 0.995)) or float(magnitudes.max()) or 1.0
