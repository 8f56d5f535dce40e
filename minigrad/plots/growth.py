"""How time and memory grow with the batch."""

import numpy as np

from minigrad.plots.figure import blank, save

MARKS = "os^Dv<>"


def draw(lines, fits, title, path):
    """lines: {label: [(batch size, seconds, bytes or None), ...]}; fits: {label: ((a, b) or None, (a, b) or None)}, the straight lines
    a + b N of seconds and bytes. For the time both axes are logarithmic. Raises OSError."""
    from matplotlib.ticker import LogLocator  # late, as in figure.py

    figure = blank(11, 4.6)
    times, memories = figure.subplots(1, 2)
    for i, (label, points) in enumerate(lines.items()):
        N, seconds, memory = (np.array(values, float) for values in zip(*points, strict=True))
        along = np.linspace(N.min(), N.max(), 200)
        for axes, y, line in ((times, seconds, fits[label][0]), (memories, memory / 1e6, fits[label][1])):
            axes.plot(N, y, MARKS[i % len(MARKS)], color=f"C{i}", label=label)
            if line:
                scale = 1 if axes is times else 1e6
                axes.plot(along, (line[0] + line[1] * along) / scale, color=f"C{i}", linewidth=1)
    times.set(xscale="log", yscale="log", xlabel="images in the batch", ylabel="seconds", title=title)
    memories.set(xlabel="images in the batch", ylabel="MB", title="largest memory of the process", ylim=(0, None))
    sizes = sorted({n for points in lines.values() for n, *_ in points})
    times.set_xticks(sizes, [str(n) for n in sizes])
    times.minorticks_off()
    times.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # its own choice, powers of ten, may be a single number
    times.yaxis.set_major_formatter(lambda second, _: f"{second:g}")  # figures are saved with their text as it is written, without powers
    for axes in (times, memories):
        axes.grid(alpha=0.3)
    times.legend(fontsize=8)
    save(figure, path)
