"""train: a run leaves its files, stops and goes on to the last bit, and starts from the weights of another."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import FLAGS, alexnet, refusal, rows, same

from minigrad.data import loader
from minigrad.training import load_checkpoint

ROOT = Path(__file__).parents[2]


def test_a_run_leaves_its_files(run):
    names = {"best.safetensors", "checkpoint.safetensors", "config.json", "curves.png", "filters.png", "history.csv"}
    assert {p.name for p in run.iterdir()} == names
    assert [row["epoch"] for row in rows(run)] == ["1", "2"]


def test_resuming_at_an_epochs_end_is_bit_for_bit(run, folder, tmp_path):
    halves = tmp_path / "halves"
    assert alexnet("--data", folder, "--epochs", "1", "--schedule", "constant", "--output", halves, *FLAGS) == 0
    assert alexnet("--resume", halves, "--epochs", "2") == 0
    whole = tmp_path / "whole"
    assert alexnet("--data", folder, "--epochs", "2", "--schedule", "constant", "--output", whole, *FLAGS) == 0
    assert same(halves, whole) and rows(halves) == rows(whole)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("name, code", [("SIGKILL", -9), ("SIGINT", 130), ("SIGTERM", 130)])
def test_stopped_from_outside_and_resumed_is_bit_for_bit(folder, tmp_path, name, code):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    common = ["--data", folder, "--epochs", "6", *FLAGS]
    assert alexnet(*common, "--output", whole) == 0
    process = subprocess.Popen([sys.executable, "alexnet.py", *common, "--output", stopped], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (stopped / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    message = process.communicate(timeout=60)[1].decode()
    if process.returncode != 0:  # else it was done before the signal came
        assert process.returncode == code
        if code == 130:
            assert "--resume" in message
        assert alexnet("--resume", stopped) == 0
    assert same(whole, stopped) and rows(whole) == rows(stopped)


def test_fine_tuning_replaces_the_last_layer(run, three, tmp_path):
    tuned = tmp_path / "tuned"
    argv = ["--checkpoint", run, "--data", three, "--epochs", "1", "--lr", "0", "--seed", "5", "--output", tuned]
    assert alexnet(*argv) == 0
    before, after = load_checkpoint(run), load_checkpoint(tuned)
    assert list(before.values) == list(after.values)
    for name in before.values:
        if ".fc8." not in name:
            np.testing.assert_array_equal(before.values[name], after.values[name])
    assert sum(v.size for n, v in after.values.items() if n.endswith("fc8.b")) == 3
    np.testing.assert_array_equal(before.mean, after.mean)
    assert after.metadata["config"]["classes"] == sorted(p.name for p in (three / "train").iterdir())


def test_fine_tuning_on_the_same_classes_keeps_all(run, folder, tmp_path):
    tuned = tmp_path / "tuned"
    assert alexnet("--checkpoint", run, "--data", folder, "--epochs", "1", "--lr", "0", "--output", tuned) == 0
    before, after = load_checkpoint(run).values, load_checkpoint(tuned).values
    assert list(before) == list(after) and all(np.array_equal(before[name], after[name]) for name in before)


def test_fine_tuning_that_cannot_be(run, tmp_path, capsys):
    assert "variant small" in refusal(capsys, "--checkpoint", run, "--variant", "owt")
    assert "init 2012" in refusal(capsys, "--checkpoint", run, "--init", "he")
    assert "--resume" in refusal(capsys, "--checkpoint", run, "--resume", run)
    assert "nowhere" in refusal(capsys, "--checkpoint", tmp_path / "nowhere")


def test_from_photographs_to_errors(three, tmp_path, capsys):
    """Prepared once, trained on with crops, flips and colour noise, stopped at an epoch's end, resumed, evaluated."""
    prepared = tmp_path / "prepared"
    assert alexnet("prepare", "--data", three, "--out", prepared, "--size", "36", "--workers", "1") == 0
    common = ["--data", prepared, "--augment", "--colour-noise", "0.1", "--schedule", "constant", *FLAGS]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert alexnet(*common, "--epochs", "2", "--output", whole) == 0
    assert alexnet(*common, "--epochs", "1", "--output", halves) == 0
    assert alexnet("--resume", halves, "--epochs", "2", "--workers", "3") == 0
    assert same(whole, halves) and rows(whole) == rows(halves)
    capsys.readouterr()
    assert alexnet("evaluate", "--checkpoint", whole, halves, "--crops", "10") == 0
    assert "top-5 error 0.00%" in capsys.readouterr().out
    photo = next((three / "val").rglob("*.JPEG"))
    assert alexnet("predict", "--checkpoint", whole, photo) == 0
    assert alexnet("--data", prepared, "--output", tmp_path / "plain", "--augment", "--epochs", "1", *FLAGS) == 0
    assert not same(tmp_path / "plain", halves)
    large = tmp_path / "large"
    assert alexnet("prepare", "--data", three, "--out", large, "--size", "48", "--workers", "1") == 0
    assert "48 pixels" in refusal(capsys, "--data", large)
    assert "at least 224" in refusal(capsys, "--data", large, "--variant", "half")


def test_a_run_finds_its_data_from_anywhere(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    run = tmp_path / "run"
    assert alexnet("--data", folder.name, "--epochs", "1", "--schedule", "constant", "--output", run, *FLAGS) == 0
    monkeypatch.chdir(tmp_path)
    assert alexnet("evaluate", "--checkpoint", run) == 0
    assert alexnet("--resume", run, "--data", f"{folder}/", "--epochs", "2") == 0


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of `folder`, one of whose images is cut off: its header looks well. And that image's path."""
    shutil.copytree(folder, tmp_path / "broken")
    path = tmp_path / "broken" / "train" / "dark" / "7.png"
    path.write_bytes(path.read_bytes()[:-1000])
    return tmp_path / "broken", path


def test_an_image_that_only_decoding_shows_to_be_broken(folder, broken, tmp_path, capsys, monkeypatch):
    """It costs no step: mended, the run goes on to what it would have been."""
    monkeypatch.setattr(loader, "SAMPLE", 3)  # the mean image is not taken of it
    (data, path), stopped, whole = broken, tmp_path / "stopped", tmp_path / "whole"
    argv = ["--epochs", "2", *FLAGS, "--output"]
    capsys.readouterr()
    assert alexnet("--data", data, *argv, stopped) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "7.png" in message and f"--resume {stopped}" in message
    assert load_checkpoint(stopped).metadata["batch"] > 0
    shutil.copy(folder / "train" / "dark" / "7.png", path)
    assert alexnet("--resume", stopped) == 0
    assert alexnet("--data", data, *argv, whole) == 0
    assert same(whole, stopped)


def test_what_was_left_out_stays_left_out(broken, tmp_path, capsys):
    run = tmp_path / "run"
    assert alexnet("--data", str(broken[0]), "--skip-bad", "--epochs", "1", "--schedule", "constant", "--output", run, *FLAGS) == 0
    capsys.readouterr()
    assert alexnet("--resume", run, "--epochs", "2") == 0
    assert "29 images to train" in capsys.readouterr().err
    assert alexnet("evaluate", "--checkpoint", run) == 0


def test_the_best_weights_are_a_checkpoint_like_others(run, folder, tmp_path, capsys):
    best = run / "best.safetensors"
    assert alexnet("evaluate", "--checkpoint", best) == 0
    assert alexnet("predict", "--checkpoint", best, folder / "val" / "dark" / "0.png") == 0
    assert "no position in a run" in refusal_of_resume(capsys, best)
    assert alexnet("--checkpoint", best, "--data", folder, "--epochs", "1", "--output", tmp_path / "more") == 0


def refusal_of_resume(capsys, path):
    capsys.readouterr()
    assert alexnet("--resume", path, "--epochs", "9") == 2
    return capsys.readouterr().err


def test_patience_stays_with_a_run_and_can_be_changed(folder, tmp_path, capsys):
    common = ["--data", folder, "--lr", "0", "--schedule", "constant", "--batch-size", "8", "--output", tmp_path / "run"]
    assert alexnet(*common, "--epochs", "9", "--patience", "2") == 0
    assert len(rows(tmp_path / "run")) == 3 and "a larger --patience goes on" in capsys.readouterr().err
    assert alexnet("--resume", tmp_path / "run") == 0
    assert len(rows(tmp_path / "run")) == 3
    assert alexnet("--resume", tmp_path / "run", "--patience", "3") == 0
    assert len(rows(tmp_path / "run")) == 4


def test_batches_in_parts_train_alike(folder, tmp_path, capsys):
    common = ["--data", folder, "--epochs", "2", *FLAGS]
    for name, more in (("whole", []), ("parts", ["--accumulate", "3"])):
        assert alexnet(*common, *more, "--output", tmp_path / name) == 0
    one, other = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    for name, value in one.values.items():
        np.testing.assert_allclose(other.values[name], value, rtol=0, atol=1e-3 * np.abs(value).max(), err_msg=name)
    assert other.metadata["config"]["accumulate"] == 3
    assert "whole number from 1" in refusal(capsys, *common, "--accumulate", "0")


def test_a_share_of_the_training_images_validates(three, tmp_path, capsys):
    """Class folders alone are enough; the split is the seed's, also for a run that goes on, and for evaluate."""
    photos = tmp_path / "photos"
    shutil.copytree(three / "train", photos)
    output = tmp_path / "run"
    argv = ["--variant", "small", "--epochs", "1", "--batch-size", "8", "--lr", "0.001"]
    assert "--val-share" in refusal(capsys, "--data", photos, *argv)
    for data in (photos, three):
        capsys.readouterr()
        shutil.rmtree(output, ignore_errors=True)
        assert alexnet("--data", data, "--val-share", "0.25", "--output", output, *argv) == 0
        assert "14 images to train, 6 to validate" in capsys.readouterr().err
    assert alexnet("--resume", output, "--epochs", "2") == 0
    capsys.readouterr()
    assert alexnet("evaluate", "--checkpoint", output) == 0
    assert " 6 images" in capsys.readouterr().out
    assert alexnet("evaluate", "--checkpoint", output, "--data", photos) == 0
    assert " 6 images" in capsys.readouterr().out
    assert alexnet("evaluate", "--checkpoint", output, "--data", three) == 0
    own = len(list((three / "val").rglob("*.*")))
    assert f" {own} images" in capsys.readouterr().out
    assert "--val-share 0.25" in refusal(capsys, "--resume", output, "--val-share", "0.5")
    for share in ("0", "1", "nan", "x"):
        assert f"--val-share: {share!r} is not a number between 0 and 1" in refusal(capsys, "--data", photos, "--val-share", share)
    assert "leave out --val-share" in refusal(capsys, "--synthetic", "--val-share", "0.5")


def test_a_loss_that_blows_up_is_told_in_one_sentence(folder, tmp_path):
    command = [sys.executable, "alexnet.py", "--data", folder, "--lr", "1e6", "--batch-size", "4", "--output", tmp_path / "run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 2 and len(lines) == 2 and "try a smaller --lr" in lines[1]


def test_an_empty_folder(tmp_path, capsys):
    assert str(tmp_path) in refusal(capsys, "--data", tmp_path)
