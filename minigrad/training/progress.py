"""What a run tells its user: a progress bar while an epoch lasts, or a line every 10 s where there is no terminal, and a sentence when it
has ended."""

import time

from tqdm import tqdm

FIRST, PAUSE = 1.0, 10.0  # seconds until the first line of a run, and from any line to the next


class Pace:
    """When the next line is due where there is no terminal."""

    def __init__(self):
        self.due = time.monotonic() + FIRST

    def said(self):
        """Something was just printed."""
        self.due = time.monotonic() + PAUSE


class Bar(tqdm):
    pace, text = None, ""

    def show(self, tally):
        """Move on by one batch and show the means so far."""
        loss, top1, top5 = tally.means()
        speed = tally.images / tally.seconds
        self.text = f"loss {loss:.3f}, top-1 {top1:.1%}, top-5 {top5:.1%}, {rate(speed)} images/s"
        if not self.disable:
            self.set_postfix_str(self.text, refresh=False)
        self.update()

    def update(self, n=1):
        """Move on by n batches. tqdm does nothing where there is no terminal: there a line is printed if one is due."""
        if not self.disable:
            return super().update(n)
        self.n += n
        if self.pace is not None and time.monotonic() >= self.pace.due:
            print(f"{self.name}, batch {self.n}/{self.total}{': ' * bool(self.text)}{self.text}", file=self.out, flush=True)
            self.pace.said()
        return None


def progress_bar(name, total, done, out, pace=None):
    """A bar over `total` batches, of which `done` are done, on the stream `out`. Unless that is a terminal, `Bar.update` prints a line when
    `pace` says that one is due."""
    bar = Bar(
        desc=name,
        total=total,
        initial=done,
        file=out,
        disable=not out.isatty(),
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc}{postfix}, {remaining} left |{bar}|",
    )
    bar.name, bar.out, bar.pace = name, out, pace
    return bar


def rate(speed):
    """Images per second to three figures and without an exponent."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"


def sentence(name, row, epochs):
    """The line that ends an epoch: its errors, its speed, and the time that the epochs left will take."""
    left = (epochs - row["epoch"]) * row["seconds"]
    return (
        f"{name}: train loss {row['train_loss']:.4f}, top-1 error {row['train_top1_error']:.1%}, "
        f"top-5 {row['train_top5_error']:.1%}; val loss {row['val_loss']:.4f}, top-1 error "
        f"{row['val_top1_error']:.1%}, top-5 {row['val_top5_error']:.1%}; "
        f"{rate(row['images_per_second'])} images/s, {tqdm.format_interval(left)} left"
    )
