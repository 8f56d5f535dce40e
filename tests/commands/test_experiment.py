"""The experiments: how epochs are counted, learning rates chosen, networks changed, and what the tables say."""

import io
import math

import numpy as np
import pytest
from command_line import alexnet

from alexnet import AlexNet
from minigrad import Conv2d, Dropout, LocalResponseNorm, MaxPool2d, ReLU, Tanh
from minigrad.commands.experiment.ablations import CLAIMS, ablations, ablations_text, changed
from minigrad.commands.experiment.lr_range import LOWEST, lr_range, lr_range_text, marks, swept
from minigrad.commands.experiment.relu_vs_tanh import GRID, epochs_to, four_layers, race, ratio, relu_vs_tanh, relu_vs_tanh_text, tune
from minigrad.data import Dataset, Loader, mean_image
from minigrad.training import TrainingError


@pytest.fixture(scope="module")
def easy():
    """Two classes of 28 x 28 pixels, dark and light."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    images = (60 + 120 * labels[:, None, None, None] + rng.integers(0, 30, (48, 28, 28, 1))).astype(np.uint8)
    return Dataset("easy", images[:32], labels[:32], images[32:], labels[32:], ("dark", "light"))


@pytest.mark.parametrize(
    "errors, epochs",
    [([0.5, 0.2], 1 + 0.25 / 0.3), ([0.1], 0.75 / 0.9), ([0.25], 1), ([0.5, 0.3], math.inf), ([], math.inf), ([0.3, 1.0], math.inf)],
)
def test_epochs_are_counted_in_proportion(errors, epochs):
    assert epochs_to(errors, 0.25) == pytest.approx(epochs)


def test_the_best_learning_rate_is_found_beyond_the_grid():
    """Needs |log10(lr) + 1.2| epochs and some: the best is 0.1, one step beyond the grid's 0.01 and another."""
    asked = []

    def run(lr, limit):
        asked.append((lr, limit))
        needed = 5 + 10 * abs(math.log10(lr) + 1.2)
        return needed if needed <= limit else math.inf

    best, tried = tune(run, 60)
    assert best == pytest.approx(10**-1) and max(tried) == pytest.approx(10**-0.5) and min(tried) == GRID[0]
    assert asked[0] == (GRID[2], 60) and asked[-1][1] == 7  # a run is given up after as many epochs as the best needs
    assert tune(lambda lr, limit: math.inf, 60) == (None, dict.fromkeys(sorted(GRID, key=lambda lr: abs(math.log(lr / GRID[2]))), math.inf))


def test_both_activations_start_from_the_same_weights():
    relu, tanh = four_layers(ReLU, 32, 10, 3), four_layers(Tanh, 32, 10, 3)
    assert sum(p.value.size for p in relu.parameters()) == 2432 + 25632 + 51264 + 5770
    for a, b in zip(relu.parameters(), tanh.parameters(), strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    assert {type(layer) for layer in tanh.layers.values()} >= {Tanh} and isinstance(relu["act1"], ReLU)


@pytest.mark.filterwarnings("ignore:.*encountered")
def test_a_race_ends_at_the_level_at_the_limit_and_when_it_blows_up(easy):
    def run(lr, level, limit):
        loader = Loader(easy.train_images, easy.train_labels, 8, mean=mean_image(easy.train_images), shuffle=True)
        return race(four_layers(ReLU, 28, 2, 0), loader, lr, level, limit)

    errors = run(1e-3, 0.1, 20)
    assert errors[-1] <= 0.1 < min(errors[:-1], default=1) and len(errors) < 20
    assert len(run(1e-6, 0.0, 2)) == 2
    assert run(1e6, 0.0, 3) == [1.0]


def test_relu_against_tanh(easy):
    log = io.StringIO()
    results = relu_vs_tanh(easy, level=0.1, seeds=2, limit=12, batch_size=8, out=log)
    for name in ("relu", "tanh"):
        result = results[name]
        assert len(result["epochs"]) == len(result["errors"]) == 2 and result["lr"] in result["tried"]
        assert result["epochs"][0] == min(result["tried"].values()) == pytest.approx(epochs_to(result["errors"][0], 0.1))
    assert "tanh, lr" in log.getvalue() and "seed 1" in log.getvalue()
    with pytest.raises(TrainingError, match="no learning rate reached 0% in 1 epochs"):
        relu_vs_tanh(easy, level=0.0, seeds=1, limit=1, batch_size=32, out=log)


def test_the_table_of_the_race():
    results = {"relu": {"lr": 1e-3, "epochs": [2.0, 4.0]}, "tanh": {"lr": 3.2e-3, "epochs": [8.0, 4.0]}}
    assert ratio(results) == [4.0, 1.0]
    text = relu_vs_tanh_text(results, 0.25)
    assert "25% training error, mean of 2 seeds" in text and "relu, lr 0.001: 3.0 (2.0 - 4.0)" in text
    assert "tanh / relu: 2.5 (1.0 - 4.0); paper, Figure 1: 6" in text


def test_what_was_never_reached_is_said():
    results = {"relu": {"lr": 1e-3, "epochs": [2.0, math.inf]}, "tanh": {"lr": 3.2e-3, "epochs": [8.0, math.inf]}}
    assert ratio(results) == [4.0]
    text = relu_vs_tanh_text(results, 0.25)
    assert "relu, lr 0.001: 2.0; not reached with 1 of 2 seeds" in text and "tanh / relu: 4.0; paper" in text
    results["tanh"]["epochs"] = [math.inf, 3.0]
    assert "tanh / relu: -; paper" in (text := relu_vs_tanh_text(results, 0.25)) and "inf" not in text and "nan" not in text


@pytest.mark.parametrize("change", CLAIMS)
def test_each_change_changes_what_it_says_and_nothing_else(change):
    def layers(net):
        return [(name, layer) for stage in net.towers.stages for tower in stage for name, layer in tower.layers.items()]

    full, net = changed(AlexNet, "small", 10, "full", 0), changed(AlexNet, "small", 10, change, 0)
    assert net.forward(np.zeros((2, 28, 28, 3), np.float32)).shape == (2, 10)
    here, there = layers(net), layers(full)
    kinds = {kind: sum(isinstance(layer, kind) for _, layer in here) for kind in (LocalResponseNorm, Dropout, Conv2d)}
    assert kinds == {
        LocalResponseNorm: {"no LRN": 0, "one tower": 2}.get(change, 4),
        Dropout: 2 if change == "one tower" else 4,
        Conv2d: 5 if change == "one tower" else 10,
    }
    assert {layer.p for _, layer in here if isinstance(layer, Dropout)} == {0.0 if change == "no dropout" else 0.5}
    pools = {name: layer.kernel_size for name, layer in here if isinstance(layer, MaxPool2d)}
    assert pools == ({"pool1": 2, "pool2": 2, "pool5": 3} if change == "pooling 2/2" else dict.fromkeys(("pool1", "pool2", "pool5"), 3))
    widths = [layer.W.shape[-1] for name, layer in here if name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6")]
    assert sorted(widths) == ([12, 32, 48, 48, 64, 512] if change == "one tower" else sorted([12, 32, 48, 48, 32, 256] * 2))
    if change != "one tower":
        pairs = zip(net.parameters(), full.parameters(), strict=True)
        assert all(np.array_equal(a.value, b.value) for a, b in pairs) and len(here) == len(there) - 4 * (change == "no LRN")


def test_ablations_are_compared_with_the_full_network(easy):
    log = io.StringIO()
    results = ablations(lambda change, seed: changed(AlexNet, "small", 2, change, seed), easy, epochs=1, seeds=2, batch_size=16, out=log)
    assert list(results) == list(CLAIMS) and all(len(errors) == 2 for errors in results.values())
    assert log.getvalue().count("top-1 error") == 2 * len(CLAIMS)


def test_the_table_of_ablations():
    lines = ablations_text({"full": [0.10, 0.12], "no LRN": [0.13, 0.15]}).splitlines()
    assert lines[0].startswith("top-1 error in percent, 2 seeds")
    assert lines[1].split()[:3] == ["full", "11.00", "1.41"] and len(lines[1].split()) == 3
    assert lines[2].split() == ["no", "LRN", "14.00", "1.41", "+3.00", "+1.4", "-0.1"]


def test_one_seed_has_no_spread():
    text = ablations_text({"full": [0.10], "no LRN": [0.13]})
    assert text.startswith("top-1 error in percent, 1 seed ") and "nan" not in text
    assert text.splitlines()[2].split() == ["no", "LRN", "13.00", "-", "+3.00", "+1.4", "-0.1"]
    text = relu_vs_tanh_text({"relu": {"lr": 1e-3, "epochs": [2.0]}, "tanh": {"lr": 3.2e-3, "epochs": [8.0]}}, 0.25)
    assert "training error, 1 seed\n  relu, lr 0.001: 2.0\n" in text


def test_the_loss_while_the_learning_rate_grows(easy):
    log = io.StringIO()
    results = lr_range(lambda seed: AlexNet("small", num_classes=2, seed=seed), easy, epochs=12, seeds=2, batch_size=8, out=log)
    assert len(results["lr"]) == 48 and results["lr"][0] == LOWEST and np.allclose(np.diff(np.log(results["lr"])), np.log(1e6) / 47)
    for losses in results["losses"]:
        assert 0 < len(losses) <= 48 and all(map(math.isfinite, losses))
        assert min(losses) < 0.9 * max(losses)
    assert log.getvalue().count("falls fastest") == 2 and results["losses"][0] != results["losses"][1]
    text = lr_range_text(results)
    assert "48 steps" in text and "seed 1" in text


class Slope:
    """A network, its loss given: what `swept` looks at."""

    def __init__(self, losses):
        self.losses, self.steps, self.lr = iter(losses), [], None

    def train(self):
        pass


@pytest.mark.parametrize("losses, kept", [([2, 1, 1, 40, 1], 3), ([2, 1, math.nan], 2), ([2, 1, 1.5], 3)])
def test_a_sweep_ends_when_the_loss_has_blown_up(monkeypatch, losses, kept):
    def step(net, loss, optimizer, x, labels, inspect):
        inspect(next(net.losses), None)
        net.steps.append(optimizer.lr)

    monkeypatch.setattr("minigrad.training.train_on_batch", step)
    net = Slope(losses)
    found = swept(net, net, [(None, None)] * len(losses), [1.0, 2.0, 4.0, 8.0, 16.0])
    assert len(found) == kept and net.steps == [1.0, 2.0, 4.0, 8.0, 16.0][:kept]
    assert found[0] == 2 and math.isclose(found[1], (0.09 * 2 + 0.1) / 0.19)  # weights 0.9 and 1, so that the first does not count double


def test_where_the_loss_falls_fastest_and_is_lowest():
    rates = [2.0**i for i in range(40)]
    losses = [3 - 2.5 / (1 + math.exp(10 - i)) + max(0, i - 25) for i in range(38)]
    steepest, lowest, last = marks(rates, losses)
    assert steepest in rates[9:12] and lowest == rates[int(np.argmin(losses))] and last == rates[37]
    assert marks([1.0, 2.0], [0.5]) == (1.0, 1.0, 1.0)


def test_experiment_from_the_command_line(tmp_path, capsys):
    argv = [
        "experiment",
        "relu-vs-tanh",
        "--images",
        "64",
        "--level",
        "95",
        "--seeds",
        "1",
        "--epochs",
        "3",
        "--output",
        str(tmp_path / "out"),
    ]
    assert alexnet(*argv) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"relu-vs-tanh.{kind}" for kind in ("json", "txt", "png", "svg")}
    out = capsys.readouterr().out
    assert out == (tmp_path / "out" / "relu-vs-tanh.txt").read_text() and "64 training images" in out


def test_the_range_test_from_the_command_line(tmp_path, capsys):
    argv = ["experiment", "lr-range", "--images", "640", "--seeds", "2", "--output", str(tmp_path / "out")]
    assert alexnet(*argv) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"lr-range.{kind}" for kind in ("json", "txt", "png", "svg")}
    assert "rule of thumb" in capsys.readouterr().out
