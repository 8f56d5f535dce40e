"""evaluate: errors of one checkpoint and of several, what is written, and what is refused."""

import weakref

import numpy as np
import pytest
from command_line import FLAGS, alexnet, refusal, rows

from alexnet import AlexNet
from minigrad import commands
from minigrad.training import evaluation


def test_evaluate_alone_and_as_an_ensemble(run, folder, capsys):
    assert alexnet("evaluate", "--checkpoint", run) == 0
    alone = capsys.readouterr().out
    assert alexnet("evaluate", "--checkpoint", run, run, "--data", folder) == 0
    assert capsys.readouterr().out.replace("mean of 2 networks, ", "") == alone
    assert f"top-1 error {float(rows(run)[-1]['val_top1_error']):.2%}" in alone


def test_what_evaluate_writes(run, tmp_path, capsys):
    assert alexnet("evaluate", "--checkpoint", run, "--crops", "10", "--output", tmp_path / "out") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"probabilities.npy", "confusion.csv", "classes.csv"}
    p = np.load(tmp_path / "out" / "probabilities.npy")
    assert p.shape == (8, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    error = (p.argmax(axis=1) != [0] * 4 + [1] * 4).mean()
    assert f"top-1 error {error:.2%}" in capsys.readouterr().out
    assert alexnet("evaluate", "--checkpoint", run, "--crops", "10", "--batch-size", "7") == 0
    assert f"top-1 error {error:.2%}" in capsys.readouterr().out


def test_a_checkpoint_of_other_classes_is_refused(run, capsys):
    message = refusal(capsys, "evaluate", "--checkpoint", run, "--data", "fashion-mnist")
    assert "2" in message and "10" in message


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not safetensors" * 100, lambda b: b""])
def test_a_damaged_checkpoint_is_refused(run, tmp_path, capsys, damage):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(damage((run / "checkpoint.safetensors").read_bytes()))
    assert "broken.safetensors" in refusal(capsys, "evaluate", "--checkpoint", broken)


def test_an_ensemble_is_the_mean_of_its_networks(run, folder, tmp_path):
    """Of three networks that differ, bit for bit: the sum of their probabilities over three."""
    paths = [run]
    for seed in ("1", "2"):
        paths.append(tmp_path / seed)
        assert alexnet("--data", folder, "--epochs", "1", "--seed", seed, "--output", paths[-1], *FLAGS) == 0
    parts = []
    for i, path in enumerate(paths):
        assert alexnet("evaluate", "--checkpoint", path, "--output", tmp_path / f"alone{i}") == 0
        parts.append(np.load(tmp_path / f"alone{i}" / "probabilities.npy"))
    assert alexnet("evaluate", "--checkpoint", *paths, "--output", tmp_path / "together") == 0
    together = np.load(tmp_path / "together" / "probabilities.npy")
    np.testing.assert_array_equal(together, (parts[0] + parts[1] + parts[2]) / np.float32(3))


def test_an_ensemble_holds_one_network_at_a_time(run, capsys):
    alive, most = weakref.WeakSet(), []

    class Counted(AlexNet):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            alive.add(self)
            most.append(len(alive))

    assert commands.run(Counted, ["evaluate", "--checkpoint", *[str(run)] * 4]) == 0
    assert "mean of 4 networks" in capsys.readouterr().out
    assert len(most) >= 4 and max(most) == 1


def test_what_is_wrong_with_the_last_is_said_before_the_first_is_evaluated(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluation, "probabilities", None)
    assert "nowhere" in refusal(capsys, "evaluate", "--checkpoint", run, tmp_path / "nowhere")
