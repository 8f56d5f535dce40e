"""Training stops, goes on and fails as it says."""

import csv
import json
import math
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from fake_run import FakeLoader, FakeLoss, FakeNet, FakeOptimizer, Run, send, timeless

from minigrad import plots
from minigrad.training import Checkpoint, Interrupted, TrainingError, history, load_checkpoint, loop


def test_a_run_writes_its_files(tmp_path):
    run = Run(tmp_path / "runs" / "a")
    rows = run.train(epochs=2, mean=np.ones((3, 3, 3)))
    assert sorted(p.name for p in run.output.iterdir()) == [
        "best.safetensors",
        "checkpoint.safetensors",
        "config.json",
        "curves.png",
        "filters.png",
        "history.csv",
    ]
    assert json.loads((run.output / "config.json").read_text()) == run.config
    lines = (run.output / "history.csv").read_text().splitlines()
    assert lines[0] == (
        "epoch,lr,train_loss,train_top1_error,train_top5_error,val_loss,val_top1_error,val_top5_error,images_per_second,seconds"
    )
    read = list(csv.DictReader(lines))
    assert [{name: float(value) for name, value in row.items()} for row in read] == rows
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["lr"] for row in rows] == [3e-6, 3e-6 * 0.9]
    for row in rows:
        assert 0 <= row["train_top5_error"] <= row["train_top1_error"] <= 1
        assert row["seconds"] > 0 and row["images_per_second"] > 0
    assert run.schedule.errors == [row["val_top1_error"] for row in rows]
    assert run.out.getvalue().count("epoch ") == 2 and "epoch 2/2: train loss" in run.out.getvalue()
    loaded = load_checkpoint(run.output)
    assert loaded.metadata["config"] == run.config and loaded.metadata["history"] == rows
    np.testing.assert_array_equal(loaded.mean, np.ones((3, 3, 3)))
    assert run.train_loader.closed == 2 and run.val_loader.closed == 2


@pytest.mark.parametrize("stop", [1, 3, 5, 6, 10, 14])
def test_a_run_stopped_after_any_step_and_resumed_is_the_run_that_never_stopped(tmp_path, monkeypatch, stop):
    monkeypatch.setattr(plots, "curves", lambda rows, path: None)  # drawing takes longer than all the rest
    monkeypatch.setattr(plots, "filters", lambda kernels, path: None)
    whole = Run(tmp_path / "whole")
    rows = whole.train(mean=np.full((3, 3, 3), 4.5))

    first = Run(tmp_path / "parts", send(signal.SIGINT, stop))
    with pytest.raises(Interrupted) as interrupted:
        first.train(mean=np.full((3, 3, 3), 4.5))
    assert first.optimizer.steps == stop
    assert interrupted.value.path == tmp_path / "parts" / "checkpoint.safetensors"

    second = Run(tmp_path / "parts")
    second.net = FakeNet(seed=99)
    second.optimizer = FakeOptimizer(second.net)
    resumed = second.train(checkpoint=load_checkpoint(interrupted.value.path))
    assert timeless(resumed) == timeless(rows)
    assert second.optimizer.steps == whole.optimizer.steps - stop
    assert second.net.step == whole.net.step
    there, here = load_checkpoint(tmp_path / "parts"), load_checkpoint(tmp_path / "whole")
    np.testing.assert_array_equal(there.mean, here.mean)
    for name in here.values:
        np.testing.assert_array_equal(there.values[name], here.values[name])
        np.testing.assert_array_equal(there.velocities[name], here.velocities[name])
    for key in ("epoch", "batch", "step", "schedule"):
        assert there.metadata[key] == here.metadata[key]


def test_resuming_at_the_end_of_an_epoch_for_more_epochs(tmp_path):
    rows = Run(tmp_path / "whole").train(epochs=3)
    Run(tmp_path / "parts").train(epochs=1)
    (tmp_path / "parts" / "history.csv").write_text("cut sh")
    resumed = Run(tmp_path / "parts").train(epochs=3, checkpoint=load_checkpoint(tmp_path / "parts"))
    assert timeless(resumed) == timeless(rows)
    with open(tmp_path / "parts" / "history.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3


def test_checkpoints_within_an_epoch_are_good_to_go_on_from(tmp_path):
    rows = Run(tmp_path / "whole").train(epochs=1)

    def crash(step):
        if step == 4:
            raise MemoryError

    with pytest.raises(MemoryError):
        Run(tmp_path / "parts", crash).train(epochs=1, checkpoint_every=0)
    checkpoint = load_checkpoint(tmp_path / "parts")
    assert (checkpoint.metadata["epoch"], checkpoint.metadata["batch"]) == (0, 3)
    assert timeless(Run(tmp_path / "parts").train(epochs=1, checkpoint=checkpoint)) == timeless(rows)


def test_a_loader_that_fails_costs_no_step(tmp_path):
    class Failing(FakeLoader):
        def batches(self, epoch, start=0):
            for i, batch in enumerate(super().batches(epoch, start)):
                if (epoch, i) == (1, 2):
                    raise ValueError("no such image")
                yield batch

    with pytest.raises(ValueError, match="no such image"):
        Run(tmp_path / "parts", train_loader=Failing()).train()
    again = Run(tmp_path / "parts")
    rows = again.train(checkpoint=load_checkpoint(tmp_path / "parts"))
    assert again.optimizer.steps == 8 and timeless(rows) == timeless(Run(tmp_path / "whole").train())


def test_a_loader_that_fails_while_validating_costs_no_step_either(tmp_path):
    run = Run(tmp_path)
    run.val_loader.batches = lambda epoch: iter(()) if epoch else (1 / 0 for _ in range(1))
    with pytest.raises(ZeroDivisionError):
        run.train()
    assert load_checkpoint(tmp_path).metadata["batch"] == len(run.train_loader)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_before_the_step(tmp_path, bad):
    class Bad(FakeLoss):
        calls = 0

        def forward(self, logits, labels):
            self.calls += 1
            return bad if self.calls == 9 else super().forward(logits, labels)  # 5 + 2 batches, then the second one

    run = Run(tmp_path)
    with pytest.raises(TrainingError, match=r"The loss of batch 2 of epoch 2 is (nan|inf) with lr 2\.7e-06: try a smaller --lr") as caught:
        run.train(loss=Bad())
    assert caught.tb is not None  # it holds on to the frames, so that nothing closes the loader but `train`
    assert run.optimizer.steps == 6
    assert load_checkpoint(tmp_path).metadata["epoch"] == 1
    assert run.train_loader.closed == 2


def test_a_config_whose_checkpoints_could_not_be_loaded_is_refused_before_training(tmp_path):
    run = Run(tmp_path / "run", seed=1 << 70)
    with pytest.raises(TrainingError, match="could not be resumed: config.seed is"):
        run.train()
    assert run.optimizer.steps == 0
    Run(tmp_path / "other", classes=("a", "b"), lr=np.float64(0.1)).train(epochs=1)  # JSON has lists and plain numbers of them
    assert load_checkpoint(tmp_path / "other").metadata["config"]["classes"] == ["a", "b"]


def test_a_validation_loss_that_is_no_number_is_not_saved(tmp_path):
    def spoil(step):
        if step == 10:
            run.net.parameter.value[...] = np.nan

    run = Run(tmp_path, spoil)
    with pytest.raises(TrainingError, match="The validation loss of epoch 2 is nan"):
        run.train()
    assert np.isfinite(load_checkpoint(tmp_path).values["tower0.conv1.W"]).all()


def test_a_finished_run_says_what_would_go_on(tmp_path):
    rows = Run(tmp_path).train(epochs=2)
    again = Run(tmp_path)
    assert again.train(epochs=2, checkpoint=load_checkpoint(tmp_path)) == rows
    assert "--epochs must be larger than 2" in again.out.getvalue()
    assert again.optimizer.steps == 0


def test_a_finished_schedule_ends_the_run(tmp_path):
    run = Run(tmp_path, finished_after=2)
    assert len(run.train(epochs=9)) == 2
    again = Run(tmp_path, finished_after=2)
    assert len(again.train(epochs=9, checkpoint=load_checkpoint(tmp_path))) == 2
    assert "learning rate" in again.out.getvalue()


def test_resuming_within_an_epoch_needs_the_same_batches(tmp_path):
    with pytest.raises(Interrupted):
        Run(tmp_path, send(signal.SIGINT, 3)).train()
    with pytest.raises(TrainingError, match="batch 3 of 5, but an epoch has 4 batches now"):
        Run(tmp_path, train_loader=FakeLoader(4)).train(checkpoint=load_checkpoint(tmp_path))


def test_weights_alone_cannot_be_resumed(tmp_path):
    run = Run(tmp_path)
    array = run.net.parameter.value
    with pytest.raises(TrainingError, match="cannot be resumed"):
        run.train(checkpoint=Checkpoint({"tower0.conv1.W": array}, {"tower0.conv1.W": array}, None, {}))


def test_an_output_that_cannot_be_a_folder_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    run = Run(tmp_path / "file" / "run")
    with pytest.raises(TrainingError, match="Could not write .*file"):
        run.train()
    assert run.optimizer.steps == 0


def test_an_empty_training_set_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="no batch"):
        Run(tmp_path, train_loader=FakeLoader(0)).train()


# ---- the best epoch


def planned(monkeypatch, errors):
    """As if validation gave these top-1 errors, epoch after epoch."""
    given = iter(errors)
    monkeypatch.setattr(loop, "evaluate", lambda *_: (1.0, next(given), 0.0))


def test_the_weights_of_the_best_epoch_are_kept(tmp_path, monkeypatch):
    planned(monkeypatch, [0.5, 0.2, 0.2, 0.3])
    run = Run(tmp_path)
    rows = run.train(epochs=2, mean=np.ones((3, 3, 3)))
    after_two = run.net.parameter.value.copy()
    again = Run(tmp_path)
    again.train(epochs=4, checkpoint=load_checkpoint(tmp_path))
    best = load_checkpoint(tmp_path / "best.safetensors")
    np.testing.assert_array_equal(best.values["tower0.conv1.W"], after_two)
    assert not np.array_equal(again.net.parameter.value, after_two)
    assert best.metadata == {"config": run.config, "history": rows} and best.velocities == {}
    np.testing.assert_array_equal(best.mean, np.ones((3, 3, 3)))
    with pytest.raises(TrainingError, match="weights but no position in a run"):
        Run(tmp_path / "more").train(checkpoint=best)


def test_a_better_epoch_after_resuming_replaces_the_best(tmp_path, monkeypatch):
    planned(monkeypatch, [0.5, 0.6, 0.4])
    Run(tmp_path).train(epochs=2)
    again = Run(tmp_path)
    again.train(epochs=3, checkpoint=load_checkpoint(tmp_path))
    np.testing.assert_array_equal(load_checkpoint(tmp_path / "best.safetensors").values["tower0.conv1.W"], again.net.parameter.value)


@pytest.mark.parametrize("errors, epochs", [([0.5, 0.4, 0.4, 0.4, 0.3], 4), ([0.5, 0.6, 0.4, 0.6, 0.3, 0.3, 0.4], 7), ([0.5, 0.4], 2)])
def test_patience_ends_a_run_whose_error_has_stalled(tmp_path, monkeypatch, errors, epochs):
    planned(monkeypatch, errors)
    run = Run(tmp_path)
    assert len(run.train(epochs=len(errors), patience=2)) == epochs
    told = "--patience" in run.out.getvalue()
    assert told == (epochs < len(errors))


def test_a_run_that_lost_its_patience_goes_on_with_more(tmp_path, monkeypatch):
    planned(monkeypatch, [0.4, 0.5, 0.45, 0.3])
    Run(tmp_path).train(epochs=9, patience=1)
    again = Run(tmp_path)
    assert len(again.train(epochs=9, patience=1, checkpoint=load_checkpoint(tmp_path))) == 2
    assert "40.00% of epoch 1 for 1 epoch: " in again.out.getvalue()
    more = Run(tmp_path)
    assert len(more.train(epochs=4, patience=3, checkpoint=load_checkpoint(tmp_path))) == 4


# ---- what may not end a run


def test_only_the_checkpoint_may_end_a_run(tmp_path):
    """A history that is open elsewhere and pictures that cannot be drawn are warnings."""
    for name in ("history.csv", "curves.png", "filters.png"):
        (tmp_path / name).mkdir()
    run = Run(tmp_path)
    assert len(run.train(epochs=2)) == 2
    assert load_checkpoint(tmp_path).metadata["epoch"] == 2
    said = run.out.getvalue()
    assert said.count("Warning: Could not write") == 5 and "history.csv" in said and "figures" in said


@pytest.mark.parametrize("stop, drawn", [(None, [1, 5]), (17, [1, 3])])
def test_short_epochs_are_not_all_drawn(tmp_path, monkeypatch, stop, drawn):
    """The first and, once the run ends or is stopped, the last; five batches an epoch."""
    seen = []
    monkeypatch.setattr(plots, "curves", lambda rows, path: seen.append(len(rows)))
    monkeypatch.setattr(plots, "filters", lambda kernels, path: None)
    run = Run(tmp_path, send(signal.SIGINT, stop))
    if stop is None:
        run.train(epochs=5)
    else:
        with pytest.raises(Interrupted):
            run.train(epochs=5)
    assert seen == drawn


def test_long_epochs_are_all_drawn(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(history, "PAUSE", 0.0)
    monkeypatch.setattr(plots, "curves", lambda rows, path: seen.append(len(rows)))
    monkeypatch.setattr(plots, "filters", lambda kernels, path: None)
    Run(tmp_path).train(epochs=3)
    assert seen == [1, 2, 3]


def test_pictures_that_a_killed_run_lacks_are_drawn_when_it_is_resumed(tmp_path):
    Run(tmp_path).train(epochs=1)
    before = (tmp_path / "curves.png").read_bytes()
    (tmp_path / "curves.png").unlink()
    Run(tmp_path).train(epochs=1, checkpoint=load_checkpoint(tmp_path))
    assert (tmp_path / "curves.png").read_bytes() == before


def test_what_killed_runs_left_is_swept_away(tmp_path):
    left, kept = tmp_path / "checkpoint.123.tmp.safetensors", tmp_path / "my.tmp.notes"
    left.write_text("half")
    kept.write_text("precious")
    Run(tmp_path).train(epochs=1)
    assert not left.exists() and kept.read_text() == "precious"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_twelve_epochs_leave_descriptors_and_threads_flat(tmp_path):
    def count():
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    run = Run(tmp_path)
    run.train(epochs=2)
    before = count()
    Run(tmp_path).train(epochs=14, checkpoint=load_checkpoint(tmp_path))
    assert count() == before


@pytest.mark.parametrize("warmup, steps", [(2, 10), (0.5, 2.5)])
def test_warm_up_goes_on_where_the_run_stopped(tmp_path, monkeypatch, warmup, steps):
    """Five batches an epoch: the learning rate grows by the same amount in each step, until it is the schedule's."""
    monkeypatch.setattr(plots, "curves", lambda rows, path: None)  # drawing takes longer than all the rest
    monkeypatch.setattr(plots, "filters", lambda kernels, path: None)
    rates = []

    def note(run, stop=None):
        def on_step(step):
            rates.append(run.optimizer.lr / run.schedule.lr)
            if step == stop:
                signal.raise_signal(signal.SIGINT)

        run.optimizer.on_step = on_step
        return run

    note(Run(tmp_path / "whole")).train(warmup=warmup)
    assert rates == pytest.approx([min(1, (i + 1) / steps) for i in range(15)])
    whole, rates[:] = rates[:], []
    with pytest.raises(Interrupted):
        note(Run(tmp_path / "parts"), stop=3).train(warmup=warmup)
    note(Run(tmp_path / "parts")).train(warmup=warmup, checkpoint=load_checkpoint(tmp_path / "parts"))
    assert rates == whole
    run = Run(tmp_path / "validating")
    run.val_loader.signal_at = (0, 1)
    with pytest.raises(Interrupted):
        run.train(warmup=warmup)
    Run(tmp_path / "validating").train(warmup=warmup, checkpoint=load_checkpoint(tmp_path / "validating"))
    first, again = (list(csv.DictReader((tmp_path / name / "history.csv").open())) for name in ("whole", "validating"))
    assert [row["lr"] for row in first] == [row["lr"] for row in again]
