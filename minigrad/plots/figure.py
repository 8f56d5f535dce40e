"""What all figures share: colours, an empty figure that needs no display, pictures in it, and writing it to a file, whole or not at all.

Matplotlib is imported when the first figure is drawn, so that commands without figures need not wait for it."""

from pathlib import Path

from minigrad.files import replacing
from minigrad.plots.words import as_written, legible

# Okabe and Ito's palette (2008): told apart with any kind of colour vision, and in grey.
BLUE, ORANGE = "#0072B2", "#D55E00"
GREY = "#8c8c8c"
RED = "#C8102E"  # of words
PINK, PALE = "#F2776B", "#9ECAE1"  # of bars behind words: the true class, as in the paper, and any other


def blank(width, height, dpi=150, layout="constrained"):
    """An empty Matplotlib figure of width x height inches; layout None where the caller places everything itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout=layout)


def save(figure, path):
    """Write a figure to `path`, as PNG or SVG by its suffix, or both if it has neither suffix. Raises OSError."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    path = Path(path)
    as_written(figure)
    for suffix in [path.suffix] if path.suffix in (".png", ".svg") else [".png", ".svg"]:
        canvas = {".png": FigureCanvasAgg, ".svg": FigureCanvasSVG}[suffix]
        # Without a fixed salt and without a date the same figure would be another file every time.
        with rc_context({"svg.hashsalt": "minigrad"}), replacing(path.with_suffix(suffix)) as temporary:
            canvas(figure)
            metadata = {"Date": None} if suffix == ".svg" else None
            figure.savefig(temporary, format=suffix[1:], dpi=figure.dpi, metadata=metadata)


def picture(axes, image):
    """Show a uint8 image (H, W, 1 or 3), without axes."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255, interpolation="nearest")
    axes.axis("off")


def short(name, most=22):
    """The first of the words for a class, cut if it is longer than `most` characters."""
    name = legible(name.split(",")[0])
    return name if len(name) <= most else name[: most - 1] + "…"
