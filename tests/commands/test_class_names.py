"""Names of classes and files that are no words of a language: every word takes them, none interprets them."""

import csv
import os
import sys
import warnings

import numpy as np
import pytest
from command_line import FLAGS, alexnet
from PIL import Image

from minigrad.training import load_checkpoint

NAMES = (b"caf\xe9\n\x1b[31m", b"cost_$5_$10", b"a$b^{c$", b'quote", comma;\t=1+1', "\u732b \u202eabc".encode(), b" spaces ")
SHOWN = {"caf\\xe9\\n\\x1b[31m", "cost_$5_$10", "a$b^{c$", 'quote", comma;\\t=1+1', "\u732b \\u202eabc", " spaces "}


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_any_name_through_every_word(tmp_path, capsys):
    for split, count in ((b"train", 4), (b"val", 2)):
        for k, name in enumerate(NAMES):
            place = os.path.join(os.fsencode(tmp_path), b"data", split, name)
            os.makedirs(place)
            for i in range(count):
                with open(os.path.join(place, b"\xfc%d.png" % i), "wb") as file:
                    Image.fromarray(np.full((28, 28, 3), 40 * k + i, np.uint8)).save(file, "PNG")
    run = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*[Gg]lyph.*")
        assert alexnet("--data", tmp_path / "data", "--epochs", "1", "--output", run, *FLAGS) == 0
        assert alexnet("--resume", run, "--epochs", "2") == 0
        assert alexnet("figures", "--checkpoint", run) == 0
    assert set(load_checkpoint(run).metadata["config"]["classes"]) == SHOWN
    assert alexnet("evaluate", "--checkpoint", run, "--output", run / "evaluated") == 0
    for name, column in (("classes.csv", "class"), ("confusion.csv", "shown \\ taken for")):
        with open(run / "evaluated" / name, encoding="utf-8", newline="") as file:
            assert {row[column] for row in csv.DictReader(file)} == SHOWN
    assert alexnet("prepare", "--data", tmp_path / "data", "--out", tmp_path / "set", "--size", "28", "--workers", "1") == 0
    assert alexnet("evaluate", "--checkpoint", run, "--data", tmp_path / "set") == 0
    image = next((tmp_path / "data" / "val" / "a$b^{c$").iterdir())
    capsys.readouterr()
    assert alexnet("predict", "--checkpoint", run, "--top", "6", image) == 0
    out = capsys.readouterr().out
    assert "\\xfc" in out and {line[10:] for line in out.splitlines()[1:]} == SHOWN and "\x1b" not in out
