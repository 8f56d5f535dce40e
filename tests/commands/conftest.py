"""Small data sets and a finished run that the tests of all words share; none of them changes one."""

import numpy as np
import pytest
from command_line import FLAGS, alexnet
from make_imagenet import class_folders
from PIL import Image


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """train/<class>/* and val/<class>/*: 30 dark and bright images of 28 x 28 pixels."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for part, count in (("train", 15), ("val", 4)):
        for name, grey in (("bright", 200), ("dark", 50)):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = (grey + rng.integers(-40, 40, (28, 28, 3))).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def run(folder, tmp_path_factory):
    """The folder of a finished run of two epochs."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert alexnet("--data", folder, "--epochs", "2", "--output", output, *FLAGS) == 0
    return output


@pytest.fixture(scope="session")
def three(tmp_path_factory):
    """A folder of three classes."""
    root = tmp_path_factory.mktemp("three")
    class_folders(root, images=24, classes=3, width=40, height=36, odd=0)
    return root
