"""scale: the bytes are those of rings and of columns cut, the rest follows."""

import pytest
from command_line import alexnet, refusal

from alexnet import AlexNet
from minigrad.commands import scale, traffic


@pytest.fixture(scope="module")
def paper():
    return traffic.sizes(AlexNet("paper"))


def machines(**changes):
    return scale.Machines(**{"step": 0.007, "batch": 128, "between": 50e9, "inside": 450e9, "group": 8, **changes})


def test_what_travels(paper):
    """96 % of the parameters of the paper's network are in fc6 to fc8; conv5, fc6 and fc7 hand on 9,216 and twice 4,096 numbers."""
    assert (paper.convolutions, paper.connected, paper.stages) == (2_334_080, 58_631_144, 5)
    assert (paper.inputs, paper.logits) == (9216 + 4096 + 4096, 1000)
    owt = traffic.sizes(AlexNet("owt"))
    assert (owt.inputs, owt.logits) == (paper.inputs, paper.logits)


@pytest.mark.parametrize("ranks, plain, hybrid", [(1, 0, 0), (2, 244, 28), (4, 366, 68), (8, 427, 142), (64, 480, 1142)])
def test_bytes_in_one_group(paper, ranks, plain, hybrid):
    """Up to 26 GPUs the activations are fewer; that many need a machine of as many."""
    m = machines(group=64)
    assert [round(way(paper, m, ranks)[0] / 1e6) for way in (scale.plain_step, scale.hybrid_step)] == [plain, hybrid]


def test_groups_send_little_between_machines(paper):
    """Of 64 GPUs in machines of 8: 126 MB of activations in each machine, 70 MB of gradients between them."""
    gradients, activations = traffic.sent(paper, 128, 64, 8)
    assert activations == 128 * 4 * 2 * (7 * (9216 + 4096 + 4096) + 7 / 8 * 1000)  # of logits only those of the receiver's images
    assert round(activations / 1e6) == 126 and round(gradients / 1e6) == 70
    assert scale.hybrid_step(paper, machines(), 64)[0] == gradients + activations


@pytest.mark.parametrize("ranks, counted", [(2, 18.5), (4, 27.6)])
def test_bytes_that_were_counted(paper, ranks, counted):
    """By `benchmark --hybrid`, batch 128; the table of the README."""
    assert round(sum(traffic.sent(paper, 128 / ranks, ranks, ranks)) / 1e6, 1) == counted


def test_a_network_without_end_makes_only_tree_levels(paper):
    free = machines(between=1e30, inside=1e30)
    for way in (scale.plain_step, scale.hybrid_step):
        assert way(paper, free, 1) == (0, free.step)
        assert way(paper, free, 1024)[1] == pytest.approx(free.step + 2 * 10 * 1e-5 * 5)


def test_gradients_hide_behind_backward_and_activations_do_not(paper):
    sent, seconds = scale.plain_step(paper, machines(), 64)
    assert seconds == pytest.approx(0.007 + (sent / 50e9 - 0.6 * 0.007) + 2 * 6 * 1e-5 * 5)
    assert scale.plain_step(paper, machines(step=1.0), 64)[1] == pytest.approx(1 + 2 * 6 * 1e-5 * 5)
    _, activations = traffic.sent(paper, 128, 64, 8)
    assert scale.hybrid_step(paper, machines(step=1.0), 64)[1] == pytest.approx(1 + activations / 450e9 + 2 * 6 * 1e-5 * 5)


def test_the_page(capsys):
    assert alexnet("scale", "--step", "0.007", "--bandwidth", "400") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Calculated, not measured: paper, 60,965,224 parameters, 96.2%")
    rows = {line.split()[0]: line.split() for line in lines if line.strip()[:1].isdigit()}
    assert list(rows) == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1,024"]
    assert rows["1"][3:9] == ["0.0", "7.00", "100%", "105.1", "min", "|"]  # 90 epochs of 10,010 steps
    assert rows["64"][5] == "54%" and "89%" in rows["64"]
    assert rows["1,024"][3:] == "487.2 13.54 52% 12 s | 202.5 8.28 85% 7 s | 3,112.6".split()  # with pencil and paper


def test_refused(capsys):
    assert "--machine must be a power of two, not 6" in refusal(capsys, "scale", "--step", "1", "--bandwidth", "1", "--machine", "6")
    assert "--step" in refusal(capsys, "scale", "--bandwidth", "1")
    assert "not a number above 0" in refusal(capsys, "scale", "--step", "0", "--bandwidth", "1")
