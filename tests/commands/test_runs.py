"""A run's config, folder and learning rate: what it is made with, what it keeps, and what no other run may touch."""

import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import FLAGS, alexnet, refusal, rows, same
from make_imagenet import class_folders

from alexnet import AlexNet
from minigrad import files
from minigrad.commands.options import command_line
from minigrad.commands.runs import new_config
from minigrad.training import load_checkpoint, save_checkpoint


def chosen(*argv):
    return new_config(AlexNet, command_line(AlexNet).parse_args(["train", *map(str, argv)]))["variant"]


def test_photographs_in_a_folder_are_for_the_paper_s_network(folder, three, tmp_path):
    """`--data DIR` with ImageNet in DIR is the run of 2012; small images are for `small`."""
    class_folders(tmp_path / "large", images=8, classes=2, width=300, height=240, odd=0)
    assert chosen("--data", tmp_path / "large") == "paper"
    assert chosen("--data", tmp_path / "large", "--variant", "owt") == "owt"
    assert alexnet("prepare", "--data", three, "--out", tmp_path / "prepared", "--size", "224", "--workers", "1") == 0
    assert chosen("--data", tmp_path / "prepared") == "paper"
    for argv in ([], ["--synthetic"], ["--data", folder], ["--data", "fashion-mnist"], ["--data", three], ["--data", tmp_path / "nowhere"]):
        assert chosen(*argv) == "small"


def test_the_learning_rate_grows_with_the_batch_when_asked_to():
    def lr(*argv):
        return new_config(AlexNet, command_line(AlexNet).parse_args(["train", *argv]))["lr"]

    assert lr("--batch-size", "640") == 0.015 and lr("--scale-lr") == 0.015
    assert lr("--batch-size", "640", "--scale-lr") == pytest.approx(0.15)
    assert lr("--batch-size", "32", "--lr", "0.5", "--scale-lr") == pytest.approx(0.25)


def test_a_run_with_lars_goes_on_with_it(folder, tmp_path, capsys):
    large = ["--data", folder, "--batch-size", "16", "--optimizer", "lars", "--lr", "10", "--warmup", "1"]
    for name, epochs in (("whole", 3), ("parts", 2)):
        assert alexnet(*large, "--epochs", epochs, "--schedule", "constant", "--output", tmp_path / name) == 0
    assert alexnet("--resume", tmp_path / "parts", "--epochs", "3") == 0
    assert same(tmp_path / "whole", tmp_path / "parts") and rows(tmp_path / "whole") == rows(tmp_path / "parts")
    assert [row["lr"] for row in rows(tmp_path / "whole")] == ["10.0"] * 3
    assert "--optimizer lars" in refusal(capsys, "--resume", tmp_path / "parts", "--optimizer", "sgd")
    assert "--trust must be above 0" in refusal(capsys, "--optimizer", "lars", "--trust", "0")
    assert "leave out --optimizer lars" in refusal(capsys, "--optimizer", "lars", "--plain")


def test_a_run_is_never_overwritten(run, folder, capsys):
    before = (run / "checkpoint.safetensors").read_bytes()
    assert "--resume" in refusal(capsys, "--data", folder, "--output", run)
    assert (run / "checkpoint.safetensors").read_bytes() == before


def test_a_run_that_goes_on_elsewhere_overwrites_no_other(run, folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    (other / "history.csv").write_text("precious")
    assert "other" in refusal(capsys, "--resume", run, "--epochs", "3", "--output", other)
    assert "other" in refusal(capsys, "--data", folder, "--output", other)
    assert [path.read_text() for path in other.iterdir()] == ["precious"]
    before = (run / "checkpoint.safetensors").read_bytes()
    assert alexnet("--resume", run, "--epochs", "3", "--output", tmp_path / "new") == 0
    assert (run / "checkpoint.safetensors").read_bytes() == before and len(rows(tmp_path / "new")) == 3


def test_resuming_with_other_settings_is_refused(run, capsys):
    message = refusal(capsys, "--resume", run, "--variant", "owt")
    assert "small" in message and "owt" in message


def test_an_output_that_cannot_be_written(folder, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "file" in refusal(capsys, "--data", folder, "--output", blocked / "run").splitlines()[-1]


@pytest.mark.parametrize("asked", [True, False])
def test_two_runs_started_together_share_no_folder(folder, tmp_path, monkeypatch, capsys, asked):
    """Another run makes the folder between our look at it and our making of it."""
    monkeypatch.chdir(tmp_path)
    ours = tmp_path / ("ours" if asked else f"runs/small-{folder.name}")
    mkdir = Path.mkdir

    def other_first(path, *arguments, **options):
        if path.resolve() == ours and not ours.exists():
            mkdir(ours, parents=True)
        mkdir(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", other_first)
    argv = ["--data", folder, "--epochs", "1", *FLAGS]
    if asked:
        assert "ours holds a run already" in refusal(capsys, *argv, "--output", "ours")
    else:
        assert alexnet(*argv) == 0
        assert (tmp_path / f"runs/small-{folder.name}-2" / "history.csv").exists()
    assert not list(ours.iterdir())


@pytest.mark.parametrize("existed", [False, True])
def test_a_folder_that_was_made_in_vain_is_removed(folder, tmp_path, monkeypatch, capsys, existed):
    """And one that was there stays."""

    def fail(*_, **__):
        raise MemoryError

    if existed:
        (tmp_path / "run").mkdir()
    monkeypatch.setattr("minigrad.commands.train.make_loaders", fail)
    assert "not enough memory" in refusal(capsys, "--data", folder, "--output", tmp_path / "run", *FLAGS)
    assert (tmp_path / "run").exists() == existed


def test_an_empty_folder_may_be_asked_for(folder, tmp_path):
    (tmp_path / "made").mkdir()
    assert alexnet("--data", folder, "--epochs", "1", "--output", tmp_path / "made", *FLAGS) == 0


# ---- more epochs than a run was made for


@pytest.mark.parametrize("schedule", ["linear", "steps"])
def test_going_on_to_more_epochs_follows_their_plan(folder, tmp_path, capsys, schedule):
    """As in a run of four epochs from the start, whose first epoch has the same learning rate."""
    argv = ["--data", folder, "--schedule", schedule, *FLAGS]
    assert alexnet(*argv, "--epochs", "4", "--output", tmp_path / "whole") == 0
    assert alexnet(*argv, "--epochs", "1", "--output", tmp_path / "part") == 0
    capsys.readouterr()
    assert alexnet("--resume", tmp_path / "part", "--epochs", "4") == 0
    assert f"follows the plan of 4 epochs ({schedule}), not that of 1" in capsys.readouterr().err
    assert same(tmp_path / "whole", tmp_path / "part") and rows(tmp_path / "whole") == rows(tmp_path / "part")


def test_going_on_to_the_same_epochs_keeps_the_plan(run, tmp_path, capsys):
    before = load_checkpoint(run).metadata["schedule"]
    assert alexnet("--resume", run, "--epochs", "2", "--output", tmp_path / "again") == 0
    assert "plan" not in capsys.readouterr().err and load_checkpoint(run).metadata["schedule"] == before


# ---- the layers of plain.py


def test_plain_layers_compute_on_one_cpu(folder, run, tmp_path, capsys):
    assert "--plain" in refusal(capsys, "--data", folder, "--plain", "--device", "cpu,cpu")
    assert "without --plain" in refusal(capsys, "--resume", run, "--plain")


def test_plain_layers_train_alike(folder, tmp_path):
    """Nearly the same losses, epoch after epoch; a run that was stopped goes on with the layers it was made with."""
    argv = ["--data", folder, "--epochs", "2", *FLAGS]
    assert alexnet(*argv, "--output", tmp_path / "fast") == 0
    assert alexnet(*argv, "--output", tmp_path / "plain", "--plain") == 0
    fast, slow = rows(tmp_path / "fast"), rows(tmp_path / "plain")
    assert not same(tmp_path / "fast", tmp_path / "plain")
    for a, b in zip(fast, slow, strict=True):
        for key in ("lr", "train_loss", "val_loss"):
            assert float(b[key]) == pytest.approx(float(a[key]), rel=1e-3), key
    assert load_checkpoint(tmp_path / "plain").metadata["config"]["plain"] is True
    assert alexnet("--resume", tmp_path / "plain", "--epochs", "3", "--output", tmp_path / "more") == 0
    assert load_checkpoint(tmp_path / "more").metadata["config"]["plain"] is True
    assert alexnet("evaluate", "--checkpoint", tmp_path / "plain") == 0


# ---- every way on is a way


def ended_early(folder, output):
    """As a run leaves its folder that was killed before its first checkpoint."""
    assert alexnet("--data", folder, "--epochs", "1", "--output", output, *FLAGS) == 0
    for name in ("checkpoint.safetensors", "curves.png", "filters.png"):
        (output / name).unlink()
    (output / "history.csv").write_text((output / "history.csv").read_text().splitlines()[0] + "\n")
    (output / "checkpoint.1234.tmp.safetensors").write_text("half")


def test_a_run_killed_before_its_first_checkpoint_starts_again_in_its_folder(folder, tmp_path, capsys):
    output = tmp_path / "my run"
    ended_early(folder, output)
    assert f"start it again, with the options it was made with (they are in its config.json) and --output '{output}'" in refusal(
        capsys, "--resume", output
    )
    assert alexnet("--data", folder, "--epochs", "1", "--output", output, *FLAGS) == 0
    assert len(rows(output)) == 1 and not list(output.glob("*.tmp*"))


def test_a_run_whose_loss_blew_up_does_not_hold_its_folder(folder, tmp_path, capsys):
    argv = ["--data", folder, "--epochs", "1", "--output", tmp_path / "run", "--batch-size", "8"]
    capsys.readouterr()
    assert alexnet(*argv, "--lr", "1e30") == 2 and "lr 1e+30" in capsys.readouterr().err
    assert alexnet(*argv, "--lr", "0.001") == 0


def test_files_that_are_no_run_s_are_left_alone(folder, tmp_path, capsys):
    for name, text in (("config.json", '{"mine": 1}'), ("config.json", "{"), ("history.csv", "precious"), ("history.csv", "epoch\n1\n")):
        output = tmp_path / "other"
        output.mkdir(exist_ok=True)
        (output / name).write_text(text)
        assert "no" in (said := refusal(capsys, "--data", folder, "--output", output)) and "--resume" not in said
        assert (output / name).read_text() == text
        (output / name).unlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
@pytest.mark.parametrize("name", ["config.json", "history.csv"])
def test_a_pipe_in_place_of_a_run_s_file_is_not_waited_for(folder, tmp_path, capsys, name):
    os.mkfifo(tmp_path / name)
    assert "holds a run already" in refusal(capsys, "--data", folder, "--output", tmp_path)


def test_data_that_moved_is_found_at_its_new_place(run, folder, three, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "moved")
    assert alexnet("--resume", run, "--data", tmp_path / "moved", "--epochs", "3", "--output", tmp_path / "more") == 0
    assert load_checkpoint(tmp_path / "more").metadata["config"]["data"] == str((tmp_path / "moved").resolve())
    assert alexnet("--resume", run, "--epochs", "3", "--output", tmp_path / "there") == 0
    assert same(tmp_path / "more", tmp_path / "there") and rows(tmp_path / "more") == rows(tmp_path / "there")
    assert "leave --data out" in refusal(capsys, "--resume", run, "--data", "fashion-mnist", "--epochs", "3")
    assert "3" in refusal(capsys, "--resume", run, "--data", three, "--epochs", "3")  # other classes


def test_an_image_that_vanished_is_told(run, folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "less")
    (tmp_path / "less" / "train" / "dark" / "3.png").unlink()
    argv = ["--resume", run, "--data", tmp_path / "less", "--epochs", "3", "--output", tmp_path / "more"]
    assert "30 images to train and 8 to validate, but less has 29 and 8" in refusal(capsys, *argv)
    assert alexnet(*argv, "--skip-bad") == 0
    assert "Warning: The run was made with 30 images" in capsys.readouterr().err


def test_as_many_images_of_other_classes_are_told(run, folder, tmp_path, capsys):
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "train" / "dark" / "3.png").rename(tmp_path / "other" / "train" / "bright" / "more.png")
    argv = ["--resume", run, "--data", tmp_path / "other", "--epochs", "3", "--output", tmp_path / "more"]
    assert "30 images to train and 8 to validate, but other has as many of other classes" in refusal(capsys, *argv)


def test_hints_can_be_pasted_into_a_shell(folder, tmp_path, capsys):
    output = tmp_path / "my run's $HOME"
    assert alexnet("--data", folder, "--epochs", "1", "--output", output, *FLAGS) == 0
    said = refusal(capsys, "--data", folder, "--output", output)
    assert str(output) in shlex.split(said.partition("by ")[2].replace(",", " ", 1).rpartition(" or ")[0].strip())


def test_two_commands_do_not_share_a_run_folder(run, folder, tmp_path, capsys):
    (tmp_path / "new").mkdir()
    with files.locked(run), files.locked(tmp_path / "new"):
        assert f"Another command is at work in {run}" in refusal(capsys, "--resume", run, "--epochs", "9")
        capsys.readouterr()
        assert alexnet("--data", folder, "--output", tmp_path / "new", "--epochs", "1", *FLAGS) == 2
        assert "Another command is at work" in capsys.readouterr().err
    assert not list((tmp_path / "new").iterdir())


# ---- hostile checkpoints


@pytest.mark.parametrize(
    "change, words",
    [
        ({"num_classes": 10**7, "classes": []}, "10,000,000 classes"),
        ({"classes": ["a", "b", "c"]}, "names 3 classes"),
        ({"adapted": {"conv1_padding": [10**6] * 4}}, "conv1_padding"),
        ({"data": "a\0b"}, "config.data"),
        ({"device": "tpu"}, "tpu"),
        ({"variant": "vgg"}, "vgg"),
        ({"init": "x"}, "x"),
    ],
)
def test_a_config_that_asks_for_too_much_or_for_nonsense(run, tmp_path, capsys, change, words):
    there = load_checkpoint(run)
    metadata = {**there.metadata, "config": {**there.metadata["config"], **change}}
    (tmp_path / "bad").mkdir()
    save_checkpoint(tmp_path / "bad" / "checkpoint.safetensors", replace(there, metadata=metadata))
    commands = [["--resume", tmp_path / "bad", "--epochs", "3"]]
    if "device" not in change:  # which is the run's alone
        commands += [["predict", "--checkpoint", tmp_path / "bad", "x.png"], ["evaluate", "--checkpoint", tmp_path / "bad"]]
    for argv in commands:
        assert words in refusal(capsys, *argv)


@pytest.mark.parametrize("mean", [None, np.zeros((4, 4, 3), np.float32)])
def test_a_mean_image_that_is_missing_or_too_small(run, tmp_path, capsys, mean):
    save_checkpoint(tmp_path / "a.safetensors", replace(load_checkpoint(run), mean=mean))
    for argv in (
        ["predict", "--checkpoint", tmp_path / "a.safetensors", "x.png"],
        ["--resume", tmp_path / "a.safetensors", "--epochs", "3"],
    ):
        assert "mean image" in refusal(capsys, *argv)
