"""The loop over epochs: train, validate, record; and stop or fail without losing a step.

All that decides the next step is in the checkpoint, so a run that was stopped and resumed equals one that never was."""

import json
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from minigrad import files
from minigrad.ranks import ALONE, Ranks
from minigrad.training import fields
from minigrad.training.arrays import to_host
from minigrad.training.checkpoint import BEST, CHECKPOINT, Checkpoint, check_sum, restore, save_checkpoint, velocities_of
from minigrad.training.diagnostics import diagnosed
from minigrad.training.errors import Interrupted, TrainingError, demand_finite
from minigrad.training.history import CURVES, Pictures, row_of, write_config, write_history
from minigrad.training.metrics import Tally, evaluate
from minigrad.training.progress import Pace, progress_bar, sentence
from minigrad.training.signals import Signals, Stopped
from minigrad.training.step import train_in_parts, train_on_batch, train_on_share


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
    patience=None,
    checkpoint_every=300,
    out=None,
    warmup=0.0,
    accumulate=1,
    ranks=ALONE,
    step=train_on_batch,
):
    """Train `net` up to epoch number `epochs` and return the history: a list of dicts with COLUMNS as keys.

    net, loss     forward, backward, and for net parameters, train, eval and step; with several ranks first_image and without_images
    optimizer     parameters, velocities, lr, step()
    schedule      lr, epoch_ended(validation top-1 error), finished, state(), restore(state)
    loaders       len() and batches(epoch, start=0), a generator of (images, labels)
    output        folder for checkpoint.safetensors, history.csv, config.json, curves.png and filters.png; and for best.safetensors, the
                  weights with the lowest validation top-1 error
    config        a dict of JSON types, kept in config.json and in the checkpoint; warnings name config["init"]
    checkpoint    a Checkpoint to resume, bit for bit as if the run had never stopped
    mean          the mean image, kept in the checkpoint
    patience      how many epochs without a lower validation top-1 error end the training; None for any number
    checkpoint_every   seconds between checkpoints within an epoch
    out           where progress goes, standard error if None: a bar on a terminal, else a line every 10 s; and one line an epoch
    warmup        epochs (fractions count) in which lr grows from 0 to the schedule's, by the same amount in each step
    accumulate    in how many parts, one after the other, a batch goes through the network; for a single rank
    ranks         which train together, each with its `share` of the loaders' batches; rank 0 alone writes files
    step          what trains on a batch: `train_on_batch`, or the same in another way, for a single rank and accumulate 1

    Raises TrainingError if the loss is not finite (before the weights are touched) or the checkpoint cannot be written; what a loader
    raises, once all steps before are saved; and Interrupted after Ctrl-C, SIGTERM or SIGHUP, once the current step is done and saved. All
    ranks raise what befell one of them. A second Ctrl-C interrupts at once. A history or picture that cannot be written is a warning on
    `out`."""
    out = sys.stderr if out is None else out
    given = (net, loss, optimizer, schedule, train_loader, val_loader, epochs, Path(output), config, mean, patience, checkpoint_every, out)
    run = Run(*given, warmup, accumulate, ranks, step)
    run.begin(checkpoint)
    with Signals() as signals:
        try:
            while not run.done and not run.stalled:
                run.train_epoch(signals)
                run.end_epoch(*run.validate(signals))
        except Stopped:
            run.save()
            ranks.told(run.draw_last)
            raise Interrupted(run.path) from None
    return run.rows


@dataclass
class Run:
    """What `train` was given, and how far the run has come: `batch` batches of epoch number `epoch` (from 0) are done."""

    net: Any
    loss: Any
    optimizer: Any
    schedule: Any
    train_loader: Any
    val_loader: Any
    epochs: int
    output: Path
    config: dict
    mean: np.ndarray | None
    patience: int | None
    checkpoint_every: float
    out: TextIO
    warmup: float
    accumulate: int
    ranks: Ranks
    step: Any
    epoch: int = 0
    batch: int = 0
    tally: Tally = field(default_factory=Tally)  # of these batches
    rows: list = field(default_factory=list)  # of the epochs that have ended
    pace: Pace = field(default_factory=Pace)  # of the lines that are printed within an epoch
    pictures: Pictures = field(default_factory=Pictures)
    fresh: bool = True  # starting weights, which are worth a diagnosis

    @property
    def path(self):
        return self.output / CHECKPOINT

    @property
    def name(self):
        return f"epoch {self.epoch + 1}/{self.epochs}"

    @property
    def best(self):
        """The row of the epoch with the lowest validation top-1 error, the first of equals."""
        return min(self.rows, key=lambda row: row["val_top1_error"])

    @property
    def done(self):
        return self.epoch >= self.epochs or self.schedule.finished

    @property
    def stalled(self):
        """Whether `patience` epochs have not lowered the validation error."""
        return self.patience is not None and bool(self.rows) and self.epoch - self.best["epoch"] >= self.patience

    def begin(self, checkpoint):
        """Go to where the checkpoint stands, if there is one; write the files of the run; say so if nothing is left to do."""
        if len(self.train_loader) == 0:
            raise TrainingError("The training set has no batch: it needs at least one.")
        try:
            fields.CONFIG(json.loads(json.dumps(self.config)), "config")  # as its checkpoints have it, which shall be loaded again
        except fields.FieldError as error:
            raise TrainingError(f"A run with this config could not be resumed: {error}.") from None
        if checkpoint is not None:
            self.resume(checkpoint)
        self.ranks.same("weights", self.sums_of_weights())
        self.ranks.told(self.write_first_files)
        if self.epoch >= self.epochs:
            print(f"All {self.epoch} epochs are done: --epochs must be larger than {self.epoch} to go on.", file=self.out)
        elif self.schedule.finished:
            print(f"The learning rate fell for the last time before epoch {self.epoch}: nothing is left.", file=self.out)
        elif self.stalled:
            self.say_stalled()

    def write_first_files(self):
        write_config(self.output, self.config)
        files.sweep(self.output)
        self.try_to(write_history, self.rows)
        if self.done and not (self.output / CURVES).exists():  # it was killed between its checkpoint and its pictures
            self.draw_last()

    def sums_of_weights(self):
        """Check sums of all weights, where there is somebody to compare them with: of those that all ranks have, and from each rank of a
        team of those that it has alone."""
        if self.ranks.size == 1:
            return None
        common = columns = 0
        for p in self.net.parameters():
            array = np.ascontiguousarray(to_host(p.value))
            if p.owned is None:
                common = check_sum(array, common)
            else:
                columns = check_sum(array, columns)
        return common, self.ranks.team and self.ranks.team.all(columns)

    def resume(self, checkpoint):
        """Set net, optimizer, schedule and position as they were. Raises TrainingError for a checkpoint that does not fit."""
        state, batches = checkpoint.metadata, len(self.train_loader)
        if not state.keys() & {"epoch", "schedule"}:
            raise TrainingError(
                "The checkpoint holds weights but no position in a run, so it cannot be resumed: start a new run from its weights with "
                "--checkpoint."
            )
        restore(checkpoint, self.net, self.optimizer)
        try:
            fields.position(state, self.schedule.state())
        except fields.FieldError as error:
            raise TrainingError(f"The checkpoint cannot be resumed: {error}.") from None
        if state["batch"] > 0 and state["batches"] != batches:
            raise TrainingError(
                f"The checkpoint stands at batch {state['batch']} of {state['batches']}, but an epoch has {batches} "
                "batches now: resume with the data and the batch size it was made with, or start a new run from its weights with "
                "--checkpoint."
            )
        self.net.step = state["step"]
        self.schedule.restore(state["schedule"])
        self.epoch, self.batch, self.tally, self.rows = state["epoch"], state["batch"], Tally(**state["tally"]), list(state["history"])
        self.mean = checkpoint.mean if self.mean is None else self.mean
        self.fresh = False

    def save(self):
        """Write the checkpoint of the run as it stands; all ranks wait until it is there."""
        arrays = self.arrays()
        self.ranks.told(lambda: self.write_checkpoint(*arrays))

    def arrays(self):
        """The weights and the velocities, {parameter's name: array} each, whole on rank 0."""
        parameters, velocities = list(self.net.parameters()), velocities_of(self.optimizer)
        names = [p.name for p in parameters]
        values = self.ranks.whole(parameters, [p.value for p in parameters])
        velocities = self.ranks.whole(parameters, [velocities[name] for name in names])
        return dict(zip(names, values, strict=True)), dict(zip(names, velocities, strict=True))

    def write_checkpoint(self, values, velocities):
        metadata = {
            "config": self.config,
            "epoch": self.epoch,
            "batch": self.batch,
            "batches": len(self.train_loader),
            "tally": asdict(self.tally),
            "history": self.rows,
            "step": self.net.step,
            "schedule": self.schedule.state(),
        }
        save_checkpoint(self.path, Checkpoint(values, velocities, self.mean, metadata))

    def train_epoch(self, signals):
        """Train on what is left of the epoch."""
        self.optimizer.lr = self.schedule.lr * self.warm()
        if self.batch >= len(self.train_loader):
            return
        loaded = self.train_loader.batches(self.epoch, start=self.batch)
        with closing(loaded), progress_bar(self.name, len(self.train_loader), self.batch, self.out, self.pace) as bar:
            batches = self.agreed(loaded, signals)
            if self.fresh:
                batches = diagnosed(batches, self.net, self.config.get("init"), self.out)
            self.train_on(batches, bar)
        self.fresh = False

    def train_on(self, batches, bar):
        """Train on `batches`, keeping the position up to date after every step."""
        self.net.train()
        started = time.perf_counter() - self.tally.seconds
        saved = time.monotonic()
        for x, labels in batches:
            self.optimizer.lr = self.schedule.lr * self.warm()
            late = time.monotonic() - saved >= self.checkpoint_every
            given = self.net, self.loss, self.optimizer, x, labels
            if self.ranks.size == 1:
                parts = self.accumulate
                value, logits = train_in_parts(*given, parts, self.inspect) if parts > 1 else self.step(*given, self.inspect)
                self.tally.add(value, logits, labels)  # while a GPU is at work on the step
            else:  # which have different clocks, and save together
                value, top1, top5, late = train_on_share(*given, self.ranks, self.demand_finite, late)
                self.tally.count(value, top1, top5, len(labels))
            self.tally.seconds = time.perf_counter() - started
            self.batch += 1
            bar.show(self.tally)
            if late:
                self.save()
                saved = time.monotonic()

    def warm(self):
        """What part of the learning rate the next step of the epoch has, or had its last one: less than 1 while the run warms up."""
        batches = len(self.train_loader)
        number, steps = self.epoch * batches + min(self.batch + 1, batches), self.warmup * batches
        return min(1.0, number / steps) if steps > 0 else 1.0

    def inspect(self, value, logits):
        """Before backward: refuse a loss that is not finite, and copy the logits while a GPU is idle."""
        self.demand_finite(value)
        return to_host(logits)

    def demand_finite(self, value):
        demand_finite(value, f"loss of batch {self.batch + 1} of epoch {self.epoch + 1}", self.optimizer.lr)

    def validate(self, signals):
        """Mean loss, top-1 and top-5 error on the validation images, and the seconds that this took."""
        started = time.perf_counter()
        loaded = self.val_loader.batches(self.epoch)
        with closing(loaded), progress_bar(f"{self.name}: validating", len(self.val_loader), 0, self.out, self.pace) as bar:
            results = evaluate(self.net, self.loss, self.agreed(loaded, signals), bar, self.ranks)
        return results, time.perf_counter() - started

    def end_epoch(self, results, seconds):
        """Record the epoch, tell the schedule its error, and save the run at the start of the next one."""
        name, row = self.name, row_of(self.epoch + 1, self.optimizer.lr, self.tally, results, self.tally.seconds + seconds)
        demand_finite(row["val_loss"], f"validation loss of epoch {row['epoch']}", self.optimizer.lr)
        self.rows.append(row)
        self.schedule.epoch_ended(row["val_top1_error"])
        self.epoch, self.batch, self.tally = self.epoch + 1, 0, Tally()
        self.ranks.same(f"weights after epoch {self.epoch}", self.sums_of_weights())
        arrays = self.arrays()
        self.ranks.told(lambda: self.write_files(*arrays))
        print(sentence(name, row, self.epochs), file=self.out, flush=True)
        self.pace.said()
        if self.stalled and not self.done:
            self.say_stalled()

    def write_best(self, folder, values):
        metadata = {"config": self.config, "history": self.rows}
        save_checkpoint(folder / BEST, Checkpoint(values, {}, self.mean, metadata))

    def say_stalled(self):
        best, epochs = self.best, "1 epoch" if self.patience == 1 else f"{self.patience} epochs"
        text = f"The validation error has not fallen below the {best['val_top1_error']:.2%} of epoch {best['epoch']} for {epochs}: "
        print(text + "training ends here; a larger --patience goes on.", file=self.out, flush=True)

    def write_files(self, values, velocities):
        if self.best is self.rows[-1]:  # before the checkpoint, which says that this epoch is done
            self.try_to(self.write_best, values)
        self.write_checkpoint(values, velocities)
        self.try_to(write_history, self.rows)
        self.try_to(self.pictures.draw, self.rows, self.net, self.mean, self.done or self.stalled)

    def draw_last(self):
        self.try_to(self.pictures.draw, self.rows, self.net, self.mean, True)

    def try_to(self, write, *what):
        """Write a file beside the checkpoint. Only the checkpoint may end a run: if this fails, a warning says so."""
        try:
            write(self.output, *what)
        except TrainingError as error:
            print(f"Warning: {error}", file=self.out, flush=True)

    def agreed(self, batches, signals):
        """Yield `batches` as long as no rank was sent a signal and all have theirs. If one cannot be loaded, save what was reached before
        the error goes on its way, on all ranks."""
        while True:
            batch = error = None
            try:
                signals.check()
                batch = next(batches, None)
                signals.check()
            except Exception as e:
                error = e
            error = self.ranks.first(error)
            if error is not None:
                if not isinstance(error, Stopped):  # which `train` answers
                    self.save()
                raise error
            if batch is None:
                return
            yield batch
