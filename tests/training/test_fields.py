"""What a checkpoint says is read field by field: a value of another type or range is named, whatever wrote it."""

import copy
import json
from collections import Counter

import numpy as np
import pytest
from fake_run import Run
from safetensors.numpy import load_file, save_file

from minigrad.commands import runs
from minigrad.training import Checkpoint, TrainingError, fields, load_checkpoint, save_checkpoint
from minigrad.training.checkpoint import HEADER, SUMS, restore

WRONG = (None, True, -1, 1.5, "x", [], {}, float("nan"), float("inf"), 10**30, "\0", [[[]]])
FULL = {
    "variant": "paper",
    "init": "2012",
    "seed": 0,
    "num_classes": 2,
    "classes": ["a", "b"],
    "data": "/data",
    "images": [3, 4],
    "labels": 5,
    "synthetic": False,
    "epochs": 3,
    "patience": 4,
    "accumulate": 2,
    "batch_size": 8,
    "lr": 0.1,
    "momentum": 0.9,
    "weight_decay": 0,
    "optimizer": "sgd",
    "trust": 0.001,
    "scale_lr": False,
    "warmup": 0.0,
    "schedule": "linear",
    "augment": True,
    "colour_noise": 0.1,
    "colours": {"std": [1, 2, 3], "directions": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]},
    "plain": False,
    "device": "cpu",
    "arithmetic": "float32",
    "fp32": False,
    "bf16": False,
    "skip_bad": False,
    "val_share": 0.1,
    "adapted": {"image_size": 227, "conv1_padding": [0, 0, 0, 0], "lrn": [5, 1e-4, 0.75, 2]},
    "imported": "alexnet.pth",
}


def leaves(value, path=()):
    """The path of every value inside a JSON value, itself included."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def with_value(metadata, path, value):
    changed = copy.deepcopy(metadata)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return changed


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The checkpoint of a run, with every field that a config may have."""
    folder = tmp_path_factory.mktemp("saved")
    Run(folder, **FULL).train(epochs=2, mean=np.ones((3, 3, 3), np.float32))
    return load_checkpoint(folder)


def test_every_field_of_every_type_is_taken_or_refused_in_a_sentence(saved, tmp_path):
    """Whoever writes the file, check sums and all. What is taken can be resumed, or is refused there in a sentence as well."""
    path, refused = tmp_path / "a.safetensors", Counter()
    assert saved.metadata["config"] == {"init": "2012", "variant": "fake"} | FULL
    tried = [leaf for leaf in leaves(saved.metadata) if leaf and "errors" not in leaf]  # those are the fake schedule's own
    for leaf in tried:
        for wrong in WRONG:
            save_checkpoint(path, Checkpoint(saved.values, saved.velocities, saved.mean, with_value(saved.metadata, leaf, wrong)))
            try:
                loaded = load_checkpoint(path)
                Run(tmp_path / "run").train(epochs=2, checkpoint=loaded)  # which begins, and finds nothing left to do
            except TrainingError as error:
                refused[leaf] += 1
                assert str(error).endswith(".") and "\n" not in str(error), error
    assert {*runs.FIXED, *runs.CHANGEABLE} <= FULL.keys()
    assert min(refused[leaf] for leaf in tried) > 8, refused.most_common()[-5:]  # a field that nobody looks at takes whatever it is given


@pytest.mark.parametrize(
    "path, value, words",
    [
        (("config", "lr"), "0.1", "config.lr is '0.1', not a finite number"),
        (("config", "lr"), float("inf"), "config.lr is inf, not a finite number"),
        (("config", "lr"), 10**400, "config.lr is 1000.*, not a finite number"),
        (("config", "classes"), ["a", 1], r"config.classes\[1\] is 1, not a text"),
        (("config", "plain"), 0, "config.plain is 0, not true or false"),
        (("config", "adapted", "conv1_padding"), [9999] * 4, r"conv1_padding\[0\] is 9999, not a whole number from 0 to 64"),
        (("history", 0, "val_loss"), None, r"history\[0\].val_loss is None"),
        (("schedule", "lr"), float("nan"), "schedule.lr is nan"),
        (("epoch",), -1, "epoch is -1, not a whole number"),
        (("history", 0, "more"), 1, r"history\[0\].more is 1, not a field of it"),  # a table has columns of its own
        (("tally", "more"), 1, "tally.more is 1, not a field of it"),
    ],
)
def test_the_field_is_named(saved, tmp_path, path, value, words):
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint(saved.values, {}, None, with_value(saved.metadata, path, value)))
    with pytest.raises(TrainingError, match=words):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"epoch": 1}, "history is"),
        ({"batch": 9}, "batch is 9"),
        ({"schedule": {"lr": 1.0}}, "schedule is"),
        ({"batch": 2, "tally": {"loss": 0.0, "top1": 0, "top5": 0, "images": 0, "seconds": 1.0}}, "tally.images is 0"),
        ({"batch": 5, "tally": {"loss": 0.0, "top1": 0, "top5": 0, "images": 47, "seconds": 0}}, "tally.seconds is 0"),
    ],
)
def test_fields_that_contradict_each_other_are_not_resumed(saved, tmp_path, change, words):
    with pytest.raises(TrainingError, match=f"cannot be resumed: {words}"):
        Run(tmp_path).train(epochs=3, checkpoint=Checkpoint(saved.values, saved.velocities, saved.mean, saved.metadata | change))


def test_a_schedule_of_another_epoch_is_not_resumed(saved):
    metadata = saved.metadata | {"schedule": {"lr": 1.0, "epoch": 3}}
    with pytest.raises(fields.FieldError, match="schedule.epoch is 3"):
        fields.position(metadata, metadata["schedule"])
    metadata["schedule"]["epoch"] = 2
    fields.position(metadata, metadata["schedule"])


def test_whole_numbers_are_no_truths():
    assert fields.whole(0)(1, "n") == 1
    with pytest.raises(fields.FieldError, match="n is True"):
        fields.whole(0)(True, "n")


# ---- check sums


@pytest.fixture
def file(saved, tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", saved)
    return tmp_path / "a.safetensors"


def test_every_flipped_bit_is_noticed(file, tmp_path):
    """In a weight, a velocity, the mean, or any byte of the header."""
    content, rng = file.read_bytes(), np.random.default_rng(0)
    places = sorted({*range(8, 2500, 17), *rng.integers(0, len(content), 100).tolist()})
    for place in (place for place in places if place < len(content)):
        altered = bytearray(content)
        altered[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(altered)
        with pytest.raises(TrainingError) as caught:
            load_checkpoint(file)
        assert str(caught.value).endswith("."), place


def altered(file, change):
    """Write the file anew with other arrays, and its header as it was."""
    from safetensors import safe_open

    with safe_open(file, framework="np") as opened:
        header = opened.metadata()
    save_file(change(load_file(file)), file, metadata=header)


def test_other_arrays_are_noticed(file):
    name = "tower0.conv1.W"
    swap = {name: f"velocity.{name}", f"velocity.{name}": name}
    for change in (
        lambda arrays: {swap.get(n, n): a for n, a in arrays.items()},
        lambda arrays: {n: a for n, a in arrays.items() if n != name},
        lambda arrays: arrays | {"more": np.zeros(2, np.float32)},
        lambda arrays: arrays | {name: np.ascontiguousarray(arrays[name].T)},
        lambda arrays: arrays | {name: arrays[name].astype(np.float64)},
    ):
        before = file.read_bytes()
        altered(file, change)
        with pytest.raises(TrainingError, match=r"a\.safetensors was altered since it was written"):
            load_checkpoint(file)
        file.write_bytes(before)


def test_check_sums_cannot_be_left_out(file):
    save_file(load_file(file), file, metadata={HEADER: json.dumps({"format": 3})})
    with pytest.raises(TrainingError, match=f"no valid '{SUMS}' entry"):
        load_checkpoint(file)


@pytest.mark.parametrize("dtype", ["float16", "int32", "uint8", "bool"])
def test_arrays_of_other_types_are_refused(tmp_path, dtype):
    save_file({"W": np.ones(3, dtype)}, tmp_path / "a.safetensors", metadata={HEADER: "{}"})
    with pytest.raises(TrainingError, match=r"W is of the type \w+, not float32 or float64"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("shape", [[1] * 100, [0, 1 << 62], [0, 1 << 40, 1 << 40]])
def test_shapes_that_no_array_has_are_refused(tmp_path, shape):
    header = {"__metadata__": {HEADER: "{}"}, "W": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0 if 0 in shape else 4]}}
    content = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(len(content).to_bytes(8, "little") + content + bytes(0 if 0 in shape else 4))
    with pytest.raises(TrainingError, match="W has a shape that no array has|cannot be a checkpoint"):
        load_checkpoint(tmp_path / "a.safetensors")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    W = np.zeros(600_000, np.float32)
    W[400_001] = number
    for where in ("values", "velocities", "mean"):
        arrays = {"values": {"W": np.zeros(1)}, "velocities": {}, "mean": None}
        arrays[where] = W[:-1].reshape(-1, 1, 1).repeat(3, 2)[:500_000] if where == "mean" else {"W": W}
        save_checkpoint(tmp_path / "a.safetensors", Checkpoint(**arrays, metadata={}))
        with pytest.raises(TrainingError, match="numbers that are not finite"):
            load_checkpoint(tmp_path / "a.safetensors")


def test_a_mean_that_is_no_image_is_refused(tmp_path):
    save_checkpoint(tmp_path / "a.safetensors", Checkpoint({"W": np.zeros(1)}, {}, np.zeros((4, 3)), {}))
    with pytest.raises(TrainingError, match=r"mean image has shape \(4, 3\)"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_a_checkpoint_of_format_2_has_no_check_sums_and_loads(saved, file):
    save_file(load_file(file), file, metadata={HEADER: json.dumps(saved.metadata | {"format": 2})})
    loaded = load_checkpoint(file)
    assert loaded.metadata == saved.metadata
    restore(loaded, Run(file.parent).net)
