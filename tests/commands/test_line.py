"""The command line as a whole: mistakes are answered with one sentence and exit code 2."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal
from safetensors.numpy import save_file

from alexnet import AlexNet

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--device", "tpu"], ["tpu", "cpu,cpu"]),
        (["--device", "0"], ["0", "cpu,cpu"]),
        (["--device", "cpu,cpu,cpu"], ["3", "2"]),
        (["--batch-size", "0"], ["batch-size", "0"]),
        (["--lr", "-1"], ["lr", "-1"]),
        (["--lr", "nan"], ["lr", "nan"]),
        (["--momentum", "1.5"], ["momentum", "1.5"]),
        (["--epochs", "none"], ["epochs", "none"]),
        (["--variant", "vgg"], ["vgg", "one-tower"]),
        (["--data", "nowhere"], ["nowhere"]),
        (["--data", "cifar10:nowhere"], ["nowhere"]),
        (["--synthetic", "--data", "nowhere"], ["--synthetic", "--data", "one of them"]),
        (["--resume", "nowhere"], ["nowhere"]),
        (["evaluate", "--checkpoint", "nowhere"], ["nowhere"]),
        (["evaluate", "--checkpoint", "nowhere", "--crops", "5"], ["crops", "5", "10"]),
        (["figures", "--checkpoint", "nowhere"], ["nowhere"]),
        (["export", "--checkpoint", "nowhere", "--to", "torch", "--out", "net.pt2"], ["nowhere"]),
        (["prepare", "--data", "nowhere", "--out", "."], ["nowhere", "train/<class>"]),
        (["prepare", "--data", ".", "--out", "out", "--size", "0"], ["size", "0"]),
        (["experiment", "relu-vs-tanh", "--data", "nowhere"], ["nowhere"]),
        (["experiment", "relu-vs-tanh", "--level", "100"], ["level", "100"]),
        (["experiment", "dropout"], ["dropout", "ablations"]),
        (["--frobnicate"], ["--frobnicate"]),
        # An unset variable of a shell script is no wish for a default.
        *(([flag, ""], [flag, "empty"]) for flag in ("--data", "--resume", "--checkpoint", "--output", "--device")),
        (["evaluate", "--checkpoint", "nowhere", "--data", ""], ["--data", "empty"]),
        (["prepare", "--data", ".", "--out", ""], ["--out", "empty"]),
        (["benchmark", "--sweep", "--output", ""], ["--output", "empty"]),
        (["benchmark", "--variant", "small", "--sweep", "--device", "cpu,cpu"], ["--sweep", "--device cpu,cpu"]),
        (["prepare", "--data", ".", "--out", "out", "--size", "20000"], ["size", "10000", "20000"]),
        (["--data", "two\nlines"], ["two\\nlines"]),
        # What a checkpoint would refuse when it is loaded again.
        (["--seed", str(1 << 70)], ["seed", str(1 << 53)]),
        (["--epochs", "1" + 30 * "0"], ["epochs", str(1 << 31)]),
        (["--batch-size", "1" + 30 * "0"], ["batch-size", str(1 << 31)]),
        (["--lr", "1e308"], ["lr", "1e300"]),
        (["--weight-decay", "1e308"], ["weight-decay", "1e300"]),
        (["--data", "~nobody-of-that-name/x"], ["~nobody-of-that-name", "is not a folder"]),
    ],
)
def test_mistakes_get_one_sentence(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(capsys, *argv)
    assert all(word in message for word in words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("header", ["{}", "5", '{"config": 3}', '{"config": {"variant": "small"}}'])
def test_a_checkpoint_with_nothing_in_it_is_refused(tmp_path, capsys, header):
    save_file({"a": np.zeros(1)}, tmp_path / "empty.safetensors", metadata={"minigrad": header})
    for flag in (["evaluate", "--checkpoint"], ["--resume"], ["--checkpoint"]):
        assert "empty.safetensors" in refusal(capsys, *flag, tmp_path / "empty.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="a closed pipe is another error elsewhere")
def test_a_reader_who_has_seen_enough_is_no_error():
    with subprocess.Popen([sys.executable, ROOT / "alexnet.py", "summary"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait() == 0


def test_no_network_is_known_by_name():
    """But for the files of weights from elsewhere, which are of certain networks."""
    for path in sorted((ROOT / "minigrad" / "commands").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.name != "imported.py":
            assert "alexnet" not in source.lower(), path
            texts = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
            assert not texts & AlexNet.variants.keys(), path
