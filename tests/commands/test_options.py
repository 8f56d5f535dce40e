"""The options: what the help texts say of defaults comes from the class of networks."""

import pytest
from lenet import LeNet

from alexnet import AlexNet
from minigrad import commands
from minigrad.commands.networks import default_variant, program
from minigrad.commands.options import by_variant, command_line
from minigrad.commands.runs import new_config


def shown(capsys, Network, *argv):
    """A help text, its lines joined."""
    with pytest.raises(SystemExit) as end:
        commands.run(Network, [*argv, "--help"])
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_defaults_are_those_of_the_variants(capsys):
    assert by_variant(AlexNet, "epochs") == "12 for small, else 90"
    assert by_variant(AlexNet, "augment") == "no for small, else yes"
    assert by_variant(LeNet, "epochs") == "3"
    text = shown(capsys, AlexNet, "train")
    assert "which network (default: small; paper for a folder of images of 224 pixels or more)" in text
    assert "images in a step (default: 64 for small, else 128)" in text
    text = shown(capsys, LeNet, "train")
    assert (
        "which network (default: lenet-5)" in text and "images in a step (default: 16)" in text and "starting weights (default: he)" in text
    )
    assert "(default: paper)" in shown(capsys, AlexNet, "summary")


def test_the_class_is_introduced(capsys):
    assert "LeNet-5 of 1998" in shown(capsys, LeNet) and "usage: lenet.py" in shown(capsys, LeNet)
    assert "The network of 2012" in shown(capsys, AlexNet)


@pytest.mark.parametrize(
    "side, variant", [(None, "small"), (20, "small"), (28, "small"), (32, "small"), (223, "small"), (224, "paper"), (256, "paper")]
)
def test_the_variant_follows_from_the_images(side, variant):
    assert default_variant(AlexNet, side) == variant
    assert default_variant(LeNet, side) == "lenet-5"


def test_the_program_is_named_after_its_file():
    class Nowhere(LeNet):
        __module__ = "__nowhere__"

    assert program(AlexNet) == "alexnet.py" and program(LeNet) == "lenet.py" and program(Nowhere) == "nowhere.py"


def test_what_all_runs_have_by_default():
    """Colour noise belongs to augmentation."""

    def config(*argv):
        return new_config(AlexNet, command_line(AlexNet).parse_args(["train", "--synthetic", *argv]))

    assert [config(*argv)["colour_noise"] for argv in ([], ["--variant", "owt"], ["--variant", "owt", "--no-augment"])] == [0.0, 0.1, 0.0]
    assert config("--augment")["colour_noise"] == 0.0 and config("--variant", "half", "--colour-noise", "0.5")["colour_noise"] == 0.5
    assert config()["lr"] == 0.015 and config("--variant", "paper")["lr"] == 0.01 and config()["init"] == "2012"
