"""Every word of the command line on GPUs: no NumPy call meets an array of a GPU, and the numbers are the CPU's."""

import json
import shutil

import numpy as np
import pytest
from command_line import alexnet, refusal, rows
from command_line import same as equal
from narrow import Narrow
from PIL import Image

from minigrad.commands import run as run_of
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


def test_a_recorded_run(fake_gpus, folder, tmp_path, monkeypatch):
    """The numbers of one that is not; and it may go on without."""
    monkeypatch.setattr("minigrad.training.history.draw", lambda *_: None)  # which takes longest
    whole, recorded = tmp_path / "whole", tmp_path / "recorded"

    def narrow(*argv):
        assert run_of(Narrow, [str(a) for a in argv]) == 0

    flags = "--variant", "tiny", "--data", folder, "--device", "0,1", "--batch-size", 6, "--lr", 0.001, "--schedule", "constant"
    narrow(*flags, "--augment", "--warmup", 1.5, "--epochs", 3, "--output", whole)
    narrow(*flags, "--augment", "--warmup", 1.5, "--epochs", 2, "--output", recorded, "--graph")
    assert fake_gpus.count("captures") == 4 and fake_gpus.count("graph launches") == 8  # six images, and the last batch's four
    narrow("--resume", recorded, "--epochs", 3)
    assert equal(whole, recorded) and rows(whole) == rows(recorded)
    assert (whole / "config.json").read_text() == (recorded / "config.json").read_text()


@pytest.mark.parametrize(
    "flags, said",
    [
        ([], "--device is cpu: name GPUs alone"),
        (["--device", "0,cpu"], "--device is 0,cpu: name GPUs alone"),
        (["--device", "0", "--accumulate", "2"], "which --accumulate cuts up"),
        (["--device", "0", "--optimizer", "lars"], "--optimizer lars waits for norms"),
    ],
)
def test_what_is_not_recorded(fake_gpus, capsys, folder, tmp_path, flags, said):
    assert said in refusal(capsys, "--data", folder, "--output", tmp_path / "run", "--graph", *flags)
    assert not (tmp_path / "run").exists()


def test_a_run_in_bfloat16_keeps_to_it(fake_gpus, folder, tmp_path, capsys):
    """Which is no other precision, and no other device's."""
    whole, run, exact = tmp_path / "whole", tmp_path / "run", tmp_path / "exact"
    train(folder, whole, "--device", "0", "--bf16", "--epochs", "2")
    train(folder, run, "--device", "0", "--bf16")
    train(folder, exact, "--fp32")
    error = refusal(capsys, "--resume", run, "--epochs", "2", "--fp32")
    assert "The run was made with --bf16, so it cannot go on with --fp32; leave --fp32 out." in error
    error = refusal(capsys, "--resume", exact, "--epochs", "2", "--bf16")
    assert "The run was made with --fp32, so it cannot go on with --bf16; leave --bf16 out." in error
    error = refusal(capsys, "--resume", run, "--epochs", "2", "--device", "cpu")
    assert "which the run was made with, cannot be used here: a CPU multiplies in float32" in error
    assert alexnet("--resume", run, "--epochs", "2") == 0 and equal(run, whole)
    config = json.loads((run / "config.json").read_text())
    assert config["bf16"] is True and config["arithmetic"] == "float32, convolutions in bfloat16, other products in TF32"
    image = folder / "val" / "dark" / "0.png"
    for words in (["evaluate", "--checkpoint", run], ["predict", "--checkpoint", run, image]):
        printed(capsys, *words)  # on the CPU, by a network that was trained otherwise
        printed(capsys, *words, "--device", "0", "--bf16")
    assert fake_gpus.count("gemm of bfloat16") > 0
