"""A checkpoint comes back bit for bit, is written whole or not at all, and what cannot be read is refused in one sentence."""

import errno
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from fake_run import CLASSES, FakeNet, FakeOptimizer, Run, timeless
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from minigrad import files, training
from minigrad.training import FORMAT, Checkpoint, TrainingError, load_checkpoint, save_checkpoint

FIRST = Path(__file__).with_name("format1.safetensors")  # a run of `fake_run`, stopped after 7 steps, saved before formats had numbers


def some_checkpoint(seed=0, **metadata):
    rng = np.random.default_rng(seed)
    values = {"tower0.conv1.W": rng.normal(size=(3, 3, 3, CLASSES)).astype(np.float32), "tower0.conv1.b": rng.normal(size=7)}
    velocities = {name: 2 * value for name, value in values.items()}
    return Checkpoint(values, velocities, rng.normal(size=(5, 4, 3)), {"number": 0.1} | metadata)


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


def test_others_read_it_by_the_safetensors_library(tmp_path):
    saved = some_checkpoint()
    save_checkpoint(tmp_path / "a.safetensors", saved)
    arrays = load_file(tmp_path / "a.safetensors")
    for name, array in arrays.items():
        there = (
            saved.mean
            if name == "mean"
            else (saved.velocities if name.startswith("velocity.") else saved.values)[name.removeprefix("velocity.")]
        )
        np.testing.assert_array_equal(array, there)
    assert len(arrays) == 5 and all(array.flags.aligned for array in arrays.values())


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


def test_while_it_is_written_there_is_one_temporary_file_whose_name_is_known(tmp_path, monkeypatch):
    """What a kill leaves behind is swept away by that name."""
    seen = []

    def look(descriptor):
        seen.append(sorted(path.name for path in tmp_path.iterdir()))

    monkeypatch.setattr(os, "fsync", look)
    save_checkpoint(tmp_path / "a.safetensors", some_checkpoint())
    assert seen[0] == [f"a.{os.getpid()}.tmp.safetensors"] and files.TEMPORARY.search(seen[0][0])


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


@pytest.mark.parametrize("header", [None, {"format": "pt"}, {"minigrad": "{"}, {"minigrad": "[]"}, {"minigrad": '{"format": "2"}'}])
def test_safetensors_of_others_are_refused(tmp_path, header):
    save_file({"W": np.zeros(3)}, tmp_path / "foreign.safetensors", metadata=header)
    with pytest.raises(TrainingError, match=r"foreign\.safetensors .*no checkpoint of minigrad"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0" * 99)
    with pytest.raises(TrainingError, match=r"photo\.jpg .*no safetensors file"):
        load_checkpoint(tmp_path / "photo.jpg")


# ---- formats


def test_a_checkpoint_says_its_format_and_its_metadata_come_back_without_it(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, some_checkpoint())
    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["minigrad"]) == {"number": 0.1, "format": FORMAT}
    assert load_checkpoint(path).metadata == {"number": 0.1}


def test_a_checkpoint_of_the_first_format_is_resumed(tmp_path):
    with safe_open(FIRST, framework="np") as file:
        assert "format" not in json.loads(file.metadata()["minigrad"])
    loaded = load_checkpoint(FIRST)
    assert [loaded.metadata[key] for key in ("epoch", "batch", "step")] == [1, 2, 7]
    assert set(loaded.values) == set(loaded.velocities) == {"tower0.conv1.W"}
    np.testing.assert_array_equal(loaded.mean, np.full((3, 3, 3), 4.5))
    whole, resumed = Run(tmp_path / "whole"), Run(tmp_path / "resumed")
    rows = timeless(whole.train())
    for here, there in zip(timeless(resumed.train(checkpoint=loaded)), rows, strict=True):
        assert here == pytest.approx(there, rel=1e-5)  # the file was written on another machine
    assert resumed.optimizer.steps == 8
    np.testing.assert_allclose(resumed.net.parameter.value, whole.net.parameter.value, rtol=1e-4)
    with safe_open(tmp_path / "resumed" / "checkpoint.safetensors", framework="np") as file:
        assert json.loads(file.metadata()["minigrad"])["format"] == FORMAT


def test_a_checkpoint_of_a_newer_format_is_refused(tmp_path):
    newer = FORMAT + 1
    save_file({"W": np.zeros(3)}, tmp_path / "new.safetensors", metadata={"minigrad": json.dumps({"format": newer, "epoch": 3})})
    with pytest.raises(TrainingError, match=rf"new\.safetensors is a checkpoint of format {newer}, .* formats up to {FORMAT}") as caught:
        load_checkpoint(tmp_path / "new.safetensors")
    assert str(caught.value).endswith(".") and ". " not in str(caught.value)


# ---- restoring


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
