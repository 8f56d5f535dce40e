"""A run's config, folder and learning rate: what it is made with, what it keeps, and what no other run may touch."""

from pathlib import Path

import pytest
from command_line import FLAGS, alexnet, refusal, rows, same
from make_imagenet import class_folders

from alexnet import AlexNet
from minigrad.commands.options import command_line
from minigrad.commands.runs import new_config
from minigrad.training import load_checkpoint


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
