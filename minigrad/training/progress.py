"""What a run tells its user: a progress bar while an epoch lasts, and one sentence when it has ended."""

from tqdm import tqdm


class Bar(tqdm):
    def show(self, tally):
        """Move on by one batch and show the means so far."""
        loss, top1, top5 = tally.means()
        speed = tally.images / tally.seconds
        self.set_postfix_str(f"loss {loss:.3f}, top-1 {top1:.1%}, top-5 {top5:.1%}, {rate(speed)} images/s", refresh=False)
        self.update()


def progress_bar(name, total, done, out):
    """A bar over `total` batches, of which `done` are done, on the stream `out`; nothing is shown unless that is a terminal."""
    return Bar(
        desc=name,
        total=total,
        initial=done,
        file=out,
        disable=not out.isatty(),
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc}{postfix}, {remaining} left |{bar}|",
    )


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
