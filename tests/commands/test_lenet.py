"""A network of one's own has the whole command line: LeNet-5, run as a program, as a student would."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, rows
from lenet import LeNet

from minigrad.commands.experiment.ablations import CLAIMS, changed
from minigrad.commands.figures import activations, features

ROOT = Path(__file__).parents[2]
LENET = Path(__file__).with_name("lenet.py")


def lenet(*argv, code=0):
    """What `python lenet.py argv` prints: standard output and standard error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, LENET, *map(str, argv)], env=environment, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """The folder of a run of two epochs."""
    output = tmp_path_factory.mktemp("lenet") / "run"
    _, said = lenet("--data", folder, "--epochs", "2", "--output", output)
    assert "lenet-5 on " in said and "epoch 2/2" in said
    return output


def test_train_and_resume(trained, tmp_path):
    assert {p.name for p in trained.iterdir()} >= {"checkpoint.safetensors", "config.json", "curves.png", "filters.png", "history.csv"}
    _, said = lenet("--resume", trained, "--epochs", "3", "--output", tmp_path / "more")
    assert "epoch 3/3" in said and "plan of 3 epochs" in said
    assert len(rows(tmp_path / "more")) == 3


def test_it_learns(trained):
    assert float(rows(trained)[-1]["val_top1_error"]) < 0.3


def test_evaluate(trained):
    out, _ = lenet("evaluate", "--checkpoint", trained, trained, "--crops", "10")
    assert "8 images: loss" in out and "mean of 2 networks, 10 crops" in out


def test_predict(trained, folder):
    photo = folder / "val" / "dark" / "0.png"
    out, _ = lenet("predict", "--checkpoint", trained, photo)
    assert str(photo) in out and "bright" in out and "dark" in out


def test_figures(trained, tmp_path):
    out, _ = lenet("figures", "--checkpoint", trained, "--sample", "20", "--output", tmp_path)
    assert "activations, backwards, confusion, curves, filters, neighbours, predictions" in out
    assert len(list(tmp_path.glob("*.svg"))) == 7


def test_explore(trained, folder, tmp_path):
    out, _ = lenet("explore", "--checkpoint", trained, "--out", tmp_path / "page.html", folder / "val" / "dark" / "0.png")
    assert out.startswith(f"{tmp_path / 'page.html'}: ") and (tmp_path / "page.html").stat().st_size < 5e6


@pytest.mark.parametrize("to, suffix", [("onnx", ".onnx"), ("torch", ".pt2")])
def test_export(trained, tmp_path, to, suffix):
    there = importlib.util.find_spec(to) is not None
    out, said = lenet("export", "--checkpoint", trained, "--to", to, "--out", tmp_path / f"net{suffix}", code=0 if there else 2)
    if there:
        assert "(N, 3, 28, 28)" in out and (tmp_path / f"net{suffix}").stat().st_size > 200_000
    else:
        assert said.startswith("lenet.py: ") and f"pip install {to}" in said


def test_summary():
    out, _ = lenet("summary")
    assert out.startswith("lenet-5: 1 tower, images 28 x 28 x 3")
    assert "61,706" not in out and "62,006" in out  # 61,706 for grey images; 300 more for three colours
    assert f"{28 * 28 * 6 * 75:,}" in out and "circulation" not in out


def test_benchmark():
    out, _ = lenet("benchmark", "--batch-size", "4", "--steps", "2")
    assert "tanh6" in out and "GFLOP/s" in out and "images/s" in out


def test_experiments():
    """Without a second tower, normalisation and dropout there is less to take away."""
    here = [change for change in CLAIMS if changed(LeNet, "lenet-5", 10, change, 0) is not None]
    assert here == ["full", "no augmentation"]


def test_mistakes_name_the_program(trained, tmp_path, capsys):
    assert refusal(capsys, "--variant", "vgg", Network=LeNet).startswith("lenet.py: ")
    assert "lenet-5" in refusal(capsys, "--variant", "vgg", Network=LeNet)
    assert "`lenet.py --help`" in refusal(capsys, "summary", "--frobnicate", Network=LeNet)


def test_another_networks_checkpoint(run, capsys):
    for flag in (["evaluate", "--checkpoint"], ["--resume"], ["--checkpoint"]):
        message = refusal(capsys, *flag, run, Network=LeNet)
        assert "small" in message and "lenet-5" in message


def test_features_and_activations():
    net = LeNet(num_classes=3).eval()
    maps = activations(net, np.random.default_rng(0).standard_normal((1, 28, 28, 3)).astype(np.float32))
    assert features(net) == "tanh6"
    assert {name: [part.shape for part in parts] for name, parts in maps.items()} == {"c1": [(28, 28, 6)], "c3": [(10, 10, 16)]}
