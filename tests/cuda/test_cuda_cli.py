"""Every word of the command line on GPUs: no NumPy call meets an array of a GPU, and the numbers are the CPU's."""

import json
import shutil

import numpy as np
import pytest
from command_line import alexnet
from PIL import Image

from minigrad.training import load_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """train/<class>/* and val/<class>/*: 20 dark and bright images of 28 x 28 pixels."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 2)):
        for name, grey in (("bright", 200), ("dark", 50)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                Image.fromarray((grey + rng.integers(-40, 40, (28, 28, 3))).astype(np.uint8)).save(root / part / name / f"{i}.png")
    return root


def train(folder, output, *more):
    flags = ["--data", folder, "--output", output, "--epochs", "1", "--batch-size", "6", "--lr", "0.001", "--schedule", "constant", *more]
    assert alexnet(*flags) == 0
    return load_checkpoint(output)


def same(a, b):
    for name, array in a.values.items():
        np.testing.assert_allclose(b.values[name], array, rtol=1e-3, atol=1e-4 * np.abs(array).max(), err_msg=name)


@pytest.mark.parametrize("device", ["0", "0,0", "0,1"])
def test_training(fake_gpus, folder, tmp_path, device):
    same(train(folder, tmp_path / "cpu"), train(folder, tmp_path / "gpu", "--device", device))
    config = json.loads((tmp_path / "gpu" / "config.json").read_text())
    assert config["device"] == device and config["arithmetic"] == "float32, products in TF32"


def test_a_run_goes_on_elsewhere(fake_gpus, folder, tmp_path):
    """Two epochs on two GPUs; one there and one on the CPU; one on the CPU and one there."""
    whole = train(folder, tmp_path / "whole", "--device", "0,1", "--epochs", "2")
    for first, second in (("0,1", "0,1"), ("0,1", "cpu"), ("cpu", "auto")):
        output = tmp_path / f"{first} {second}"
        train(folder, output, "--device", first)
        assert alexnet("--resume", output, "--epochs", "2", "--device", second) == 0
        same(whole, load_checkpoint(output))
        assert json.loads((output / "config.json").read_text())["device"] == second.replace("auto", "0,1")


@pytest.fixture
def run(folder, tmp_path):
    train(folder, tmp_path / "run")
    return str(tmp_path / "run")


def printed(capsys, *argv):
    capsys.readouterr()
    assert alexnet(*argv) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("device", ["0", "0,1"])
def test_evaluate_and_predict(fake_gpus, run, folder, tmp_path, capsys, device):
    for words in (
        ["evaluate", "--checkpoint", run],
        ["evaluate", "--checkpoint", run, run, "--crops", "10", "--batch-size", "20", "--output", tmp_path / "written"],
        ["predict", "--checkpoint", run, folder / "val" / "dark" / "0.png", folder / "val" / "bright" / "1.png"],
    ):
        assert printed(capsys, *words) == printed(capsys, *words, "--device", device)


def test_figures(fake_gpus, run, tmp_path, capsys):
    printed(capsys, "figures", "--checkpoint", run, "--sample", "8", "--output", tmp_path / "drawn", "--device", "0,1")
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 7


def test_fine_tuning(fake_gpus, run, folder, tmp_path):
    same(
        train(folder, tmp_path / "cpu", "--checkpoint", run),
        train(folder, tmp_path / "gpu", "--checkpoint", run, "--device", "0,1"),
    )


def test_fine_tuning_to_other_classes(fake_gpus, run, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "three")
    for part in ("train", "val"):
        shutil.copytree(folder / part / "dark", tmp_path / "three" / part / "night")
    same(
        train(tmp_path / "three", tmp_path / "cpu", "--checkpoint", run),
        train(tmp_path / "three", tmp_path / "gpu", "--checkpoint", run, "--device", "0,1"),
    )


@pytest.mark.parametrize("flags, arithmetic", [((), "float32, products in TF32"), (("--fp32",), "float32")])
def test_summary(fake_gpus, capsys, flags, arithmetic):
    out = printed(capsys, "summary", "--variant", "small", "--device", "0,cpu", *flags)
    assert f"devices: 0 ({arithmetic}), cpu (float32)\n" in out


def test_full_precision_is_stated(fake_gpus, folder, tmp_path):
    train(folder, tmp_path / "run", "--device", "0,0", "--fp32")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["fp32"] is True and config["arithmetic"] == "float32"
