"""Training stops, goes on and fails as it says; a small network of a few lines stands for any other."""

import csv
import errno
import io
import json
import math
import os
import signal
import threading

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigrad import training
from minigrad.training import Checkpoint, Interrupted, Tally, TrainingError, load_checkpoint, save_checkpoint

CLASSES = 7


class FakeParameter:
    def __init__(self, name, value):
        self.name, self.value, self.grad = name, value, None


class FakeNet:
    """Images (N, 3, 3, 3) to logits through one kernel; like dropout, a mask drawn from `step` changes each forward."""

    def __init__(self, seed=0, classes=CLASSES):
        value = np.random.default_rng(seed).normal(0, 0.001, (3, 3, 3, classes)).astype(np.float32)
        self.parameter = FakeParameter("tower0.conv1.W", value)
        self.step, self.training = 0, True

    def parameters(self):
        yield self.parameter

    def train(self):
        self.training = True
        return self

    def eval(self):
        self.training = False
        return self

    def forward(self, x):
        self.x = x.reshape(len(x), -1)
        if self.training:
            self.x = self.x * np.random.default_rng(self.step).integers(0, 2, self.x.shape).astype(np.float32)
            self.step += 1
        return self.x @ self.parameter.value.reshape(27, -1)

    def backward(self, dlogits):
        self.parameter.grad = (self.x.T @ dlogits).reshape(self.parameter.value.shape)


class FakeLoss:
    def forward(self, logits, labels):
        self.p, self.labels = np.exp(logits - logits.max(axis=1, keepdims=True)), labels
        self.p /= self.p.sum(axis=1, keepdims=True)
        return float(-np.log(self.p[np.arange(len(labels)), labels]).mean())

    def backward(self):
        dlogits = self.p.copy()
        dlogits[np.arange(len(dlogits)), self.labels] -= 1
        return dlogits / np.float32(len(dlogits))


class FakeOptimizer:
    """Momentum; `on_step`, if any, is called with the number of each step from 1."""

    def __init__(self, net, on_step=None):
        self.parameters, self.lr, self.steps, self.on_step = list(net.parameters()), 0.0, 0, on_step
        self.velocities = [np.zeros_like(p.value) for p in self.parameters]

    def step(self):
        for p, v in zip(self.parameters, self.velocities, strict=True):
            v *= np.float32(0.9)
            v -= np.float32(self.lr) * p.grad
            p.value += v
        self.steps += 1
        if self.on_step:
            self.on_step(self.steps)


class FakeSchedule:
    """Ten per cent less after every epoch, and a memory of the errors it was told."""

    def __init__(self, lr=3e-6, finished_after=99):
        self.lr, self.errors, self.finished_after = lr, [], finished_after

    @property
    def finished(self):
        return len(self.errors) >= self.finished_after

    def epoch_ended(self, val_error):
        self.lr *= 0.9
        self.errors.append(val_error)

    def state(self):
        return {"lr": self.lr, "errors": self.errors}

    def restore(self, state):
        self.lr, self.errors = state["lr"], list(state["errors"])


class FakeLoader:
    """Five batches, the last one smaller, in an order and with pixels that depend on the epoch."""

    def __init__(self, batches=5, scale=60.0):
        self.count, self.scale, self.closed, self.signal_at = batches, scale, 0, None

    def __len__(self):
        return self.count

    def batches(self, epoch, start=0):
        assert start < self.count
        try:
            for i in range(start, self.count):
                if (epoch, i) == self.signal_at:
                    signal.raise_signal(signal.SIGINT)
                rng = np.random.default_rng((epoch, i))
                n = 11 if i < self.count - 1 else 3
                labels = rng.integers(0, CLASSES, n)
                x = rng.normal(0, self.scale, (n, 3, 3, 3)) + 5 * labels[:, None, None, None]
                yield x.astype(np.float32), labels
        finally:
            self.closed += 1


class Run:
    """All that `train` needs, made afresh as a new process would."""

    def __init__(self, output, on_step=None, finished_after=99, train_loader=None, **config):
        self.net = FakeNet()
        self.optimizer = FakeOptimizer(self.net, on_step)
        self.schedule = FakeSchedule(finished_after=finished_after)
        self.train_loader, self.val_loader = FakeLoader() if train_loader is None else train_loader, FakeLoader(2)
        self.output, self.config, self.out = output, {"init": "2012", "variant": "fake"} | config, io.StringIO()

    def train(self, epochs=3, loss=None, **options):
        return training.train(
            self.net,
            loss or FakeLoss(),
            self.optimizer,
            self.schedule,
            self.train_loader,
            self.val_loader,
            epochs=epochs,
            output=self.output,
            config=self.config,
            out=self.out,
            **options,
        )


def timeless(rows):
    return [{name: value for name, value in row.items() if name not in ("seconds", "images_per_second")} for row in rows]


def send(number, at):
    return lambda step: signal.raise_signal(number) if step == at else None


def some_checkpoint(seed=0, **metadata):
    rng = np.random.default_rng(seed)
    values = {"tower0.conv1.W": rng.normal(size=(3, 3, 3, CLASSES)).astype(np.float32), "tower0.conv1.b": rng.normal(size=7)}
    velocities = {name: 2 * value for name, value in values.items()}
    return Checkpoint(values, velocities, rng.normal(size=(5, 4, 3)), {"number": 0.1} | metadata)


# --- checkpoint files ---


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path):
    saved = some_checkpoint(third=1 / 3, rows=[{"epoch": 1}])
    save_checkpoint(tmp_path / "checkpoint.safetensors", saved)
    for path in (tmp_path, tmp_path / "checkpoint.safetensors", str(tmp_path)):
        loaded = load_checkpoint(path)
        assert loaded.metadata == saved.metadata
        np.testing.assert_array_equal(loaded.mean, saved.mean)
        for there, here in ((loaded.values, saved.values), (loaded.velocities, saved.velocities)):
            assert list(there) == list(here)
            for name in here:
                assert there[name].dtype == here[name].dtype
                np.testing.assert_array_equal(there[name], here[name])


def test_a_checkpoint_without_a_mean_and_with_strided_arrays(tmp_path):
    value = np.arange(12.0).reshape(3, 4).T
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint({"W": value}, {"W": value[::-1]}, None, {}))
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.mean is None
    np.testing.assert_array_equal(loaded.values["W"], value)
    np.testing.assert_array_equal(loaded.velocities["W"], value[::-1])


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_a_checkpoint_is_as_readable_as_any_new_file(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", some_checkpoint())
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch, where):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, some_checkpoint(1))
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, where, full)
    with pytest.raises(TrainingError, match=r"checkpoint\.safetensors: No space left on device"):
        save_checkpoint(path, some_checkpoint(2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="RLIMIT_FSIZE is POSIX's")
def test_a_write_that_the_system_refuses_leaves_the_checkpoint_before(tmp_path):
    import resource

    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, some_checkpoint(1))
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(TrainingError, match=r"Could not write the checkpoint .*checkpoint\.safetensors"):
            save_checkpoint(path, some_checkpoint(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(TrainingError, match="There is no checkpoint at .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="There is no checkpoint at .*checkpoint.safetensors"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("size", [0, 5, 60, -1])
def test_a_truncated_checkpoint_is_named(tmp_path, size):
    path = tmp_path / "cut.safetensors"
    save_checkpoint(path, some_checkpoint())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(TrainingError, match=r"cut\.safetensors is cut short"):
        load_checkpoint(path)


@pytest.mark.parametrize("header", [None, {"format": "pt"}, {"minigrad": "{"}])
def test_safetensors_of_others_are_refused(tmp_path, header):
    save_file({"W": np.zeros(3)}, tmp_path / "foreign.safetensors", metadata=header)
    with pytest.raises(TrainingError, match=r"foreign\.safetensors .*no checkpoint of minigrad"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 99)
    with pytest.raises(TrainingError, match=r"photo\.jpg .*no safetensors file"):
        load_checkpoint(tmp_path / "photo.jpg")


# --- restoring ---


def test_restore_writes_into_the_live_arrays():
    net = FakeNet(1)
    optimizer = FakeOptimizer(net)
    value, velocity = net.parameter.value, optimizer.velocities[0]
    there = Checkpoint({"tower0.conv1.W": value + 1}, {"tower0.conv1.W": velocity + 2}, None, {})
    wanted = value + 1
    training.restore(there, net, optimizer)
    assert net.parameter.value is value and optimizer.velocities[0] is velocity
    np.testing.assert_array_equal(value, wanted)
    assert (velocity == 2).all()


def test_restore_names_the_first_tensor_that_differs_and_writes_nothing():
    net = FakeNet(classes=5)
    before = net.parameter.value.copy()
    values = {"tower0.conv1.W": np.ones((3, 3, 3, 7))}
    with pytest.raises(TrainingError, match=r"\(variant owt, 7 classes\).*conv1\.W is \(3, 3, 3, 7\).* and \(3, 3, 3, 5\)"):
        training.restore(Checkpoint(values, {}, None, {"variant": "owt", "config": {"num_classes": 7}}), net)
    with pytest.raises(TrainingError, match=r"tower1\.conv1\.W is \(2,\) in the checkpoint and missing in the network"):
        training.restore(Checkpoint({"tower0.conv1.W": before, "tower1.conv1.W": np.ones(2)}, {}, None, {}), net)
    with pytest.raises(TrainingError, match=r"velocity of tower0\.conv1\.W is missing in the checkpoint"):
        training.restore(Checkpoint({"tower0.conv1.W": before + 1}, {}, None, {}), net, FakeOptimizer(net))
    np.testing.assert_array_equal(net.parameter.value, before)


class FakeGpuArray:
    """An array that NumPy must not touch."""

    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def get(self):
        return self.array.copy()

    def set(self, array):
        assert array.dtype == self.dtype and array.flags.c_contiguous
        self.array[...] = array


def test_arrays_of_a_gpu_go_to_a_checkpoint_and_come_back(tmp_path):
    net = FakeNet(1)
    wanted = net.parameter.value.copy()
    gpu = net.parameter.value = FakeGpuArray(net.parameter.value)
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint({"tower0.conv1.W": gpu}, {}, None, {}))
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(loaded.values["tower0.conv1.W"], wanted)
    gpu.array[...] = 0
    training.restore(loaded, net)
    assert net.parameter.value is gpu
    np.testing.assert_array_equal(gpu.array, wanted)


# --- measures ---


def test_top_k_errors_against_a_stable_sort():
    rng = np.random.default_rng(3)
    logits = rng.integers(0, 4, (200, 9)).astype(np.float32)  # full of ties
    labels = rng.integers(0, 9, 200)
    order = np.argsort(-logits, axis=1, kind="stable")
    for k in (1, 2, 5, 9):
        wrong = [label not in row[:k] for row, label in zip(order, labels, strict=True)]
        assert training.top_k_errors(logits, labels, k) == (np.sum(order[:, 0] != labels), np.sum(wrong))


def test_top_k_errors_of_ties_few_classes_and_nan():
    equal = np.zeros((1, 8))
    assert training.top_k_errors(equal, np.array([0])) == (0, 0)
    assert training.top_k_errors(equal, np.array([4])) == (1, 0)
    assert training.top_k_errors(equal, np.array([5])) == (1, 1)
    assert training.top_k_errors(np.array([[1.0, 2.0, 3.0]]), np.array([0])) == (1, 0)
    assert training.top_k_errors(np.full((2, 8), np.nan), np.array([0, 3])) == (2, 2)


def test_evaluate_weighs_images_not_batches():
    net, loss = FakeNet(), FakeLoss()
    batches = list(FakeLoader(3).batches(0))
    x, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    measured = training.evaluate(net, loss, batches)
    logits = net.eval().forward(x)
    wanted = Tally()
    wanted.add(loss.forward(logits, labels), logits, labels)
    assert measured == pytest.approx(wanted.means(), rel=1e-5)
    assert net.step == 0 and not net.training
    assert measured[2] <= measured[1]


def test_evaluate_without_images_is_an_error():
    with pytest.raises(TrainingError, match="no image"):
        training.evaluate(FakeNet(), FakeLoss(), [])


def test_signal_diagnostic_tells_a_dead_start_from_a_live_one():
    spread = np.random.default_rng(0).normal(size=(64, 10)) + 7 * np.arange(10)  # classes differ, which means nothing
    assert training.signal_diagnostic(0.02 * spread) is None
    warning = training.signal_diagnostic(0.00006 * spread)
    assert "--init 2012" in warning and "2.30" in warning
    assert training.signal_diagnostic(spread[:1]) is None
    assert training.signal_diagnostic(np.full((3, 4), np.nan)) is not None


@pytest.mark.parametrize("init, std, warns", [("2012", 60, 0), ("2012", 1, 1), ("paper", 0.2, 1), ("he", 1, 0), ("he", 58, 1)])
def test_input_diagnostic(init, std, warns):
    x = np.random.default_rng(0).normal(0, std, (4, 9, 7, 3)).astype(np.float32)
    warning = training.input_diagnostic(x, init)
    assert bool(warning) == bool(warns)
    assert not warns or f"--init {init}" in warning


# --- the loop ---


def test_a_run_writes_its_files(tmp_path):
    run = Run(tmp_path / "runs" / "a")
    rows = run.train(epochs=2, mean=np.ones((3, 3, 3)))
    assert sorted(p.name for p in run.output.iterdir()) == [
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
    monkeypatch.setattr(training.plots, "curves", lambda rows, path: None)  # drawing takes longer than all the rest
    monkeypatch.setattr(training.plots, "filters", lambda kernels, path: None)
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


def test_a_signal_while_validating_does_not_train_the_epoch_again(tmp_path):
    rows = Run(tmp_path / "whole").train(epochs=1)
    run = Run(tmp_path / "parts")
    run.val_loader.signal_at = (0, 1)
    with pytest.raises(Interrupted):
        run.train(epochs=1)
    again = Run(tmp_path / "parts")
    assert timeless(again.train(epochs=1, checkpoint=load_checkpoint(tmp_path / "parts"))) == timeless(rows)
    assert again.optimizer.steps == 0


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


def test_a_signal_while_waiting_for_a_batch_starts_no_other_step(tmp_path):
    run = Run(tmp_path)
    run.train_loader.signal_at = (1, 2)
    with pytest.raises(Interrupted):
        run.train()
    assert run.optimizer.steps == 7
    assert load_checkpoint(tmp_path).metadata["batch"] == 2


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        Run(tmp_path, send(signal.SIGTERM, 2)).train()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_interrupts_at_once(tmp_path):
    def twice(step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path, twice)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert run.optimizer.steps == 1
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_training_works_outside_the_main_thread(tmp_path):
    rows = []
    thread = threading.Thread(target=lambda: rows.extend(Run(tmp_path).train(epochs=1)))
    thread.start()
    thread.join()
    assert len(rows) == 1


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


def test_warnings_come_before_the_first_step_and_only_once(tmp_path):
    run = Run(tmp_path, train_loader=FakeLoader(scale=1e-6))
    run.net.parameter.value *= np.float32(1e-6)
    run.train(epochs=1)
    lines = run.out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["Warning", "Warning", "epoch 1/1"]
    assert run.net.step == 5
    again = Run(tmp_path, train_loader=FakeLoader(scale=1e-6))
    again.train(epochs=2, checkpoint=load_checkpoint(tmp_path))
    assert "Warning" not in again.out.getvalue()


def test_a_terminal_sees_a_bar(tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    run = Run(tmp_path)
    run.out = Terminal()
    run.train(epochs=1)
    text = run.out.getvalue()
    assert "epoch 1/1" in text and "left |" in text and "validating" in text
    assert text.rstrip().endswith("left")
