"""Training: the loop over epochs, what it measures, and how a run is stopped and goes on.

A network is known here only by `forward`, `backward`, `parameters`, `train`, `eval` and `step`, the number of
training forwards made so far. All that decides the next step is in the checkpoint, so a run that was stopped and
resumed equals one that never was.
"""

import csv
import io
import json
import math
import os
import signal
import sys
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm

from minigrad import plots

CHECKPOINT = "checkpoint.safetensors"
COLUMNS = (
    "epoch",  # counted from 1
    "lr",
    "train_loss",
    "train_top1_error",  # errors are fractions from 0 to 1
    "train_top5_error",
    "val_loss",
    "val_top1_error",
    "val_top5_error",
    "images_per_second",  # while training
    "seconds",  # training and validation
)

_HEADER = "minigrad"  # the entry of a safetensors header that holds our metadata
_VELOCITY = "velocity."
_MEAN = "mean"


class TrainingError(Exception):
    """What went wrong and what would have been right, in one sentence."""


class Interrupted(Exception):
    """The run was stopped by Ctrl-C or SIGTERM; `path` is the checkpoint it goes on from."""

    def __init__(self, path):
        super().__init__(f"Stopped; the run was saved in {path}.")
        self.path = path


# --- checkpoints ---


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on, and all that evaluation needs to know.

    values      arrays by parameter name; velocities  by the same names
    mean        the mean image that was subtracted, or None
    metadata    a dict of JSON types: config, position, schedule and history
    """

    values: dict
    velocities: dict
    mean: np.ndarray | None
    metadata: dict


def save_checkpoint(path, checkpoint):
    """Write `checkpoint` to the safetensors file `path`, whole or not at all.

    The file is complete on the disk before it takes the place of its predecessor, which a failure leaves alone.
    Raises TrainingError with the path and the reason.
    """
    path = Path(path)
    tensors = checkpoint.values | {_VELOCITY + name: v for name, v in checkpoint.velocities.items()}
    if checkpoint.mean is not None:
        tensors[_MEAN] = checkpoint.mean
    tensors = {name: np.ascontiguousarray(to_host(array)) for name, array in tensors.items()}
    metadata = {_HEADER: json.dumps(checkpoint.metadata)}
    try:
        with plots.replacing(path) as temporary:
            with open(temporary, "wb") as file:
                mode = os.fstat(file.fileno()).st_mode
            save_file(tensors, temporary, metadata=metadata)
            os.chmod(temporary, mode)  # safetensors may have made a file that only its owner can read
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        _sync_folder(path.parent)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"Could not write the checkpoint {path}: {_reason(error)}.") from error


def _sync_folder(folder):
    """Make a renaming within `folder` survive a power cut; only POSIX can, and needs to."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load_checkpoint(path):
    """Read the checkpoint at `path`, a file or the folder of a run.

    Raises TrainingError if there is none, or if the file is cut short, no safetensors file or none of ours.
    """
    path = Path(path)
    if path.is_dir():
        path = path / CHECKPOINT
    if not path.is_file():
        raise TrainingError(f"There is no checkpoint at {path}: name a {CHECKPOINT} or the folder of a run.")
    try:
        with safe_open(path, framework="np") as file:
            metadata = _parse(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise TrainingError(f"Could not read the checkpoint {path}: {_reason(error)}.") from error
    except SafetensorError as error:
        raise TrainingError(f"{path} is cut short or is no safetensors file, so it cannot be a checkpoint ({error}).") from error
    mean = tensors.pop(_MEAN, None)
    velocities = {n.removeprefix(_VELOCITY): v for n, v in tensors.items() if n.startswith(_VELOCITY)}
    values = {name: value for name, value in tensors.items() if not name.startswith(_VELOCITY)}
    return Checkpoint(values, velocities, mean, metadata)


def _parse(path, header):
    try:
        metadata = json.loads(header[_HEADER])
        if isinstance(metadata, dict):
            return metadata
    except (KeyError, TypeError, ValueError):
        pass
    raise TrainingError(f"{path} is a safetensors file but no checkpoint of minigrad: its header has no valid '{_HEADER}' entry.")


def restore(checkpoint, net, optimizer=None):
    """Copy the weights of `checkpoint` into `net` and, if `optimizer` is given, its velocities.

    Names and shapes are compared before anything is written. Raises TrainingError with the first that differs.
    """
    pairs = _match(checkpoint, "", checkpoint.values, {p.name: p.value for p in net.parameters()})
    if optimizer is not None:
        names = [parameter.name for parameter in optimizer.parameters]
        velocities = dict(zip(names, optimizer.velocities, strict=True))
        pairs += _match(checkpoint, "the velocity of ", checkpoint.velocities, velocities)
    for target, array in pairs:
        _assign(target, array)


def _match(checkpoint, what, there, here):
    """Pair the arrays of two dicts that must have equal names and shapes: a list of (here, there)."""
    for name in here | there:
        theirs, ours = (d[name].shape if name in d else "missing" for d in (there, here))
        if theirs != ours:
            known = checkpoint.metadata | checkpoint.metadata.get("config", {})
            facts = [f"variant {known['variant']}"] if "variant" in known else []
            facts += [f"{known['num_classes']} classes"] if "num_classes" in known else []
            raise TrainingError(
                f"The checkpoint{' (' + ', '.join(facts) + ')' if facts else ''} does not fit this network: "
                f"{what}{name} is {theirs} in the checkpoint and {ours} in the network."
            )
    return [(here[name], there[name]) for name in here]


def to_host(array):
    """The NumPy array of a NumPy or GPU array."""
    return array.get() if hasattr(array, "get") else np.asarray(array)


def _assign(target, array):
    if hasattr(target, "set"):
        target.set(np.ascontiguousarray(array, dtype=target.dtype))
    else:
        target[...] = array


def _reason(error):
    return getattr(error, "strerror", None) or str(error)


# --- measures ---


def top_k_errors(logits, labels, k=5):
    """Count the rows of `logits` (N, K) whose label is not the largest, and not among the `k` largest: two ints.

    labels (N,) are ints from 0 to K-1. A logit equal to the label's own counts as larger if its index is smaller.
    A NaN counts as larger, so that a network that has blown up gets nothing right.
    """
    logits, labels = to_host(logits), to_host(labels)[:, None]
    own = np.take_along_axis(logits, labels, axis=1)  # (N, 1)
    ties_before = (logits == own) & (np.arange(logits.shape[1]) < labels)
    rank = np.count_nonzero(~(logits <= own) | ties_before, axis=1)
    return int(np.count_nonzero(rank >= 1)), int(np.count_nonzero(rank >= k))


@dataclass
class Tally:
    """Running sums over the images seen so far; kept in checkpoints, where floats survive to the last bit."""

    loss: float = 0.0
    top1: int = 0
    top5: int = 0
    images: int = 0
    seconds: float = 0.0

    def add(self, loss, logits, labels):
        top1, top5 = top_k_errors(logits, labels)
        self.loss += loss * len(labels)
        self.top1 += top1
        self.top5 += top5
        self.images += len(labels)

    def means(self):
        return self.loss / self.images, self.top1 / self.images, self.top5 / self.images


def evaluate(net, loss, batches, bar=None):
    """Mean loss, top-1 and top-5 error (fractions) over `batches` of (images, labels).

    `net` is left in eval mode. `bar.update()` is called after each batch. Raises TrainingError if there is none.
    """
    net.eval()
    tally = Tally()
    for x, labels in batches:
        logits = net.forward(x)
        tally.add(loss.forward(logits, labels), logits, labels)
        if bar is not None:
            bar.update()
    if tally.images == 0:
        raise TrainingError("There is no image to evaluate on: at least one is needed.")
    return tally.means()


def signal_diagnostic(logits):
    """A warning if the logits (N, K) of untrained weights hardly differ between images, else None.

    The measure is the std across images, averaged over classes: 0.03 for init 2012 on pixels from 0 to 255, but
    0.00006 for init paper on pixels of unit std, where the loss has nothing to hold on to. The bound is 0.001.
    """
    logits = to_host(logits)
    N, K = logits.shape
    spread = float(logits.std(axis=0, dtype=np.float64).mean())
    if N < 2 or spread >= 0.001:
        return None
    return (
        f"Before training the logits differ by only {spread:.1g} from image to image, not by about 0.03, so the "
        f"loss may stay at ln {K} = {math.log(K):.2f}: use --init 2012 with pixels from 0 to 255 minus their mean."
    )


def input_diagnostic(x, init):
    """A warning if the images `x` are not on the scale that the preset `init` is meant for, else None.

    "he" is for pixels of unit std; the others, whose stds are fixed, for pixels from 0 to 255 minus their mean. A
    std of 10 lies between the two.
    """
    std = float(to_host(x).std(dtype=np.float64))
    if init == "he" and std > 10:
        return (
            f"The pixels of the first batch have a standard deviation of {std:.3g}, but --init he is meant for one "
            "of about 1: divide the pixels by 58."
        )
    if init != "he" and std < 10:
        return (
            f"The pixels of the first batch have a standard deviation of {std:.3g}, but --init {init} is meant "
            "for pixels from 0 to 255 minus their mean: do not divide them, or use --init he."
        )
    return None


# --- the loop ---


class _Stopped(Exception):
    """A signal asked for the end of the run."""


class _Signals:
    """While entered, the first Ctrl-C or SIGTERM waits for the end of a step; the second interrupts at once.

    Signals belong to the main thread; in any other, nothing is changed.
    """

    def __enter__(self):
        self._received = False
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number, frame):
        if self._received:
            raise KeyboardInterrupt
        self._received = True

    def __exit__(self, *exception):
        for number, handler in self._handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def watch(self, batches):
        """Yield from `batches`, but raise _Stopped before the next step once a signal has come."""
        for batch in batches:
            self._check()
            yield batch
            self._check()

    def _check(self):
        if self._received:
            raise _Stopped


@dataclass
class _Position:
    """Where a run stands: `batch` batches of epoch number `epoch` (from 0) are done, `tally` sums them up."""

    epoch: int
    batch: int
    tally: Tally
    rows: list


def train(
    net,
    loss,
    optimizer,
    schedule,
    train_loader,
    val_loader,
    *,
    epochs,
    output,
    config,
    checkpoint=None,
    mean=None,
    checkpoint_every=300,
    out=None,
):
    """Train `net` up to epoch number `epochs` and return the history: a list of dicts with COLUMNS as keys.

    net, loss     forward, backward, and for net parameters, train, eval and step
    optimizer     parameters, velocities, lr, step()
    schedule      lr, epoch_ended(validation top-1 error), finished, state(), restore(state)
    loaders       len() and batches(epoch, start=0), a generator of (images, labels)
    output        folder for checkpoint.safetensors, history.csv, config.json, curves.png and filters.png
    config        a dict of JSON types, kept in config.json and in the checkpoint; warnings name config["init"]
    checkpoint    a Checkpoint to go on from, bit for bit as if the run had never stopped
    mean          the mean image, kept in the checkpoint
    checkpoint_every   seconds between checkpoints within an epoch
    out           where progress goes, standard error if None: a bar on a terminal, and one line an epoch

    Raises TrainingError if the loss is not finite (before the weights are touched) or a file cannot be written; what a loader
    raises, once all steps before are saved; and Interrupted after Ctrl-C or SIGTERM, once the current step is done and
    saved. A second Ctrl-C interrupts at once.
    """
    out = sys.stderr if out is None else out
    output = Path(output)
    path = output / CHECKPOINT
    if len(train_loader) == 0:
        raise TrainingError("The training set has no batch: it needs at least one.")
    position = _Position(0, 0, Tally(), [])
    if checkpoint is not None:
        restore(checkpoint, net, optimizer)
        position = _resume(checkpoint, net, schedule, len(train_loader))
        mean = checkpoint.mean if mean is None else mean
    _write(output / "config.json", json.dumps(config, indent=2) + "\n")
    _write(output / "history.csv", _as_csv(position.rows))
    if position.epoch >= epochs:
        done = position.epoch
        print(f"All {done} epochs are done: --epochs must be larger than {done} to go on.", file=out)
    elif schedule.finished:
        print(
            f"The learning rate fell for the last time before epoch {position.epoch}: nothing is left.",
            file=out,
        )

    def save():
        metadata = {
            "config": config,
            "epoch": position.epoch,
            "batch": position.batch,
            "batches": len(train_loader),
            "tally": asdict(position.tally),
            "history": position.rows,
            "step": net.step,
            "schedule": schedule.state(),
        }
        values = {parameter.name: parameter.value for parameter in net.parameters()}
        names = [parameter.name for parameter in optimizer.parameters]
        velocities = dict(zip(names, optimizer.velocities, strict=True))
        save_checkpoint(path, Checkpoint(values, velocities, mean, metadata))

    with _Signals() as signals:
        try:
            while position.epoch < epochs and not schedule.finished:
                optimizer.lr = schedule.lr
                name = f"epoch {position.epoch + 1}/{epochs}"
                first = checkpoint is None and position.epoch == 0 and position.batch == 0
                if position.batch < len(train_loader):
                    loaded = train_loader.batches(position.epoch, start=position.batch)
                    with closing(loaded), _bar(name, len(train_loader), position.batch, out) as bar:
                        batches = signals.watch(_or_save(loaded, save))
                        if first:
                            batches = _diagnosed(batches, net, config.get("init"), out)
                        _train_epoch(net, loss, optimizer, batches, position, save, checkpoint_every, bar)
                started = time.perf_counter()
                loaded = val_loader.batches(position.epoch)
                with closing(loaded), _bar(f"{name}: validating", len(val_loader), 0, out) as bar:
                    results = evaluate(net, loss, signals.watch(_or_save(loaded, save)), bar)
                seconds = position.tally.seconds + time.perf_counter() - started
                row = _row(position, optimizer.lr, results, seconds)
                _demand_finite(row["val_loss"], f"validation loss of epoch {row['epoch']}", optimizer.lr)
                position.rows.append(row)
                schedule.epoch_ended(row["val_top1_error"])
                position.epoch, position.batch, position.tally = position.epoch + 1, 0, Tally()
                save()
                _write(output / "history.csv", _as_csv(position.rows))
                _draw(net, mean, position.rows, output)
                print(_sentence(name, row, epochs), file=out, flush=True)
        except _Stopped:
            save()
            raise Interrupted(path) from None
    return position.rows


def _resume(checkpoint, net, schedule, batches):
    """Set `net.step` and `schedule` as they were, and return the position."""
    state = checkpoint.metadata
    if not {"epoch", "batch", "batches", "tally", "history", "step", "schedule"} <= state.keys():
        raise TrainingError("The checkpoint holds weights but no position in a run: it cannot be resumed.")
    if state["batch"] > 0 and state["batches"] != batches:
        raise TrainingError(
            f"The checkpoint stands at batch {state['batch']} of {state['batches']}, but an epoch has {batches} "
            "batches now: resume with the data and the batch size it was made with."
        )
    net.step = state["step"]
    schedule.restore(state["schedule"])
    return _Position(state["epoch"], state["batch"], Tally(**state["tally"]), list(state["history"]))


def _train_epoch(net, loss, optimizer, batches, position, save, checkpoint_every, bar):
    """Train on `batches`, the rest of an epoch, keeping `position` up to date after every step."""
    net.train()
    tally = position.tally
    started = time.perf_counter() - tally.seconds
    saved = time.monotonic()
    for x, labels in batches:
        logits = net.forward(x)
        value = loss.forward(logits, labels)
        _demand_finite(value, f"loss of batch {position.batch + 1} of epoch {position.epoch + 1}", optimizer.lr)
        logits = to_host(logits)  # copied while a GPU is idle; the errors are counted below, while it works
        net.backward(loss.backward())
        optimizer.step()
        tally.add(value, logits, labels)
        tally.seconds = time.perf_counter() - started
        position.batch += 1
        bar.show(tally)
        if time.monotonic() - saved >= checkpoint_every:
            save()
            saved = time.monotonic()


def _or_save(batches, save):
    """Yield `batches`; if one cannot be had, save what was reached before the error goes on its way."""
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception:
            save()
            raise
        yield batch


def _diagnosed(batches, net, init, out):
    """Yield `batches`, but first print what a look at the first one warns of. `net` is left in train mode."""
    for number, (x, labels) in enumerate(batches):
        if number == 0:
            # In eval mode: dropout masks would differ from image to image and hide a signal that does not.
            warnings = [signal_diagnostic(net.eval().forward(x[:16]))]
            if init is not None:
                warnings.insert(0, input_diagnostic(x, init))
            net.train()
            for warning in filter(None, warnings):
                print(f"Warning: {warning}", file=out, flush=True)
        yield x, labels


def _demand_finite(loss, what, lr):
    if not math.isfinite(loss):
        raise TrainingError(f"The {what} is {loss} with lr {lr:g}: try a smaller --lr, such as {lr / 10:g}, or another --init.")


def _row(position, lr, results, seconds):
    tally = position.tally
    speed = tally.images / tally.seconds
    return dict(zip(COLUMNS, (position.epoch + 1, lr, *tally.means(), *results, speed, seconds), strict=True))


def _as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write(path, text):
    """Write `text` to `path`, whole or not at all, making its folder if there is none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with plots.replacing(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"Could not write {path}: {_reason(error)}.") from error


def first_kernels(net, mean):
    """The kernels of conv1 as `plots.filters` takes them, one array for each tower; grey if the mean image is."""
    kernels = [to_host(p.value) for p in net.parameters() if p.name.endswith("conv1.W")]
    if mean is not None and (mean == mean[..., :1]).all():
        # Of grey images a kernel sees the sum of its three colours; how they share it is left over from the start.
        kernels = [W.sum(axis=2, keepdims=True) for W in kernels]
    return kernels


def _draw(net, mean, rows, output):
    kernels = first_kernels(net, mean)
    try:
        plots.curves(rows, output / "curves.png")
        if kernels:
            plots.filters(kernels, output / "filters.png")
    except OSError as error:
        raise TrainingError(f"Could not write the figures in {output}: {_reason(error)}.") from error


# --- progress ---


class _Bar(tqdm):
    def show(self, tally):
        """Move on by one batch and show the means so far."""
        loss, top1, top5 = tally.means()
        speed = tally.images / tally.seconds
        self.set_postfix_str(f"loss {loss:.3f}, top-1 {top1:.1%}, top-5 {top5:.1%}, {_rate(speed)} images/s", refresh=False)
        self.update()


def _bar(name, total, done, out):
    return _Bar(
        desc=name,
        total=total,
        initial=done,
        file=out,
        disable=not out.isatty(),
        leave=False,
        dynamic_ncols=True,
        bar_format="{desc}{postfix}, {remaining} left |{bar}|",
    )


def _rate(speed):
    """Images per second to three figures and no exponent."""
    return f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"


def _sentence(name, row, epochs):
    left = (epochs - row["epoch"]) * row["seconds"]
    return (
        f"{name}: train loss {row['train_loss']:.4f}, top-1 error {row['train_top1_error']:.1%}, "
        f"top-5 {row['train_top5_error']:.1%}; val loss {row['val_loss']:.4f}, top-1 error "
        f"{row['val_top1_error']:.1%}, top-5 {row['val_top5_error']:.1%}; "
        f"{_rate(row['images_per_second'])} images/s, {tqdm.format_interval(left)} left"
    )
