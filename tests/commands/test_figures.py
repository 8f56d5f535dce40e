"""figures: the files that are drawn, and what they are drawn from."""

import numpy as np
import pytest
from command_line import alexnet

from alexnet import AlexNet
from minigrad.commands.figures import activations, features


def test_figures(run, folder, tmp_path, capsys):
    photo = next((folder / "val").rglob("*.png"))
    assert alexnet("figures", "--checkpoint", run, "--output", tmp_path, "--image", photo, "--sample", "20") == 0
    names = ["activations", "backwards", "confusion", "curves", "filters", "neighbours", "predictions"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.{kind}" for name in names for kind in ("png", "svg"))
    assert all(name in capsys.readouterr().out for name in names[:1])


def test_what_the_convolutions_make_of_an_image():
    net = AlexNet("small", num_classes=3).eval()
    x = np.random.default_rng(0).normal(0, 50, (1, 32, 32, 3)).astype(np.float32)
    maps = activations(net, x)
    assert list(maps) == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert [a.shape for a in maps["conv2"]] == [(15, 15, 32)] * 2 and all((part >= 0).all() for part in maps["conv2"])


@pytest.mark.parametrize("variant, layer", [("small", "drop7"), ("owt", "relu7")])
def test_images_are_compared_by_what_the_last_layer_sees(variant, layer):
    assert features(AlexNet(variant, num_classes=3)) == layer
