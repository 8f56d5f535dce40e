"""Evaluation: probabilities, errors, confusions, and what is written of them."""

import csv

import numpy as np
import pytest

from minigrad.data import Loader
from minigrad.training import TrainingError, evaluation


class LinearNet:
    """Images (N, 6, 6, 3) to 4 logits; remembers whether it was put into test mode."""

    def __init__(self, seed=0):
        self.W, self.training = np.random.default_rng(seed).normal(0, 0.01, (108, 4)).astype(np.float32), True

    def eval(self):
        self.training = False
        return self

    def infer(self, x):
        assert not self.training and x.shape[1:] == (6, 6, 3)
        return x.reshape(len(x), -1) @ self.W


def loader(crops=1, batch_size=4):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (11, 8, 9, 3), np.uint8)
    return Loader(images, rng.integers(0, 4, 11), batch_size, mean=np.full((6, 6, 3), 120.0), size=6, crops=crops)


def test_ten_crops_are_an_explicit_loop():
    net, ten = LinearNet(), loader(10)
    p = evaluation.probabilities(net, ten)
    assert p.shape == (11, 4) and p.dtype == np.float32
    images = ten.images.astype(np.float32)
    total = np.zeros((11, 4))
    for top, left in ((0, 0), (0, 3), (1, 1), (2, 0), (2, 3)):
        for mirrored in (False, True):
            view = (images[:, :, ::-1] if mirrored else images)[:, top : top + 6, left : left + 6] - 120
            e = np.exp(view.reshape(11, -1).astype(np.float64) @ net.W)
            total += e / e.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, total / 10, rtol=1e-5)
    np.testing.assert_array_equal(p, evaluation.probabilities(net, loader(10, batch_size=3)))
    assert not np.allclose(p, evaluation.probabilities(net, loader()))


P = np.array([[0.5, 0.2, 0.1, 0.1, 0.05, 0.05], [0.1, 0.1, 0.6, 0.1, 0.05, 0.05], [0.3, 0.3, 0.2, 0.1, 0.06, 0.04], [0, 1, 0, 0, 0, 0]])
LABELS = np.array([0, 0, 5, 1])


def test_errors():
    loss, top1, top5 = evaluation.errors(P, LABELS)
    assert loss == pytest.approx(-np.log([0.5, 0.1, 0.04, 1]).mean()) and (top1, top5) == (0.5, 0.25)
    assert np.isfinite(evaluation.errors(P, np.array([0, 0, 5, 2]))[0])  # a probability of 0
    with pytest.raises(TrainingError, match="not finite"):
        evaluation.errors(P * np.nan, LABELS)


def test_confusion_and_class_errors():
    table = evaluation.confusion(P, LABELS)
    assert table.shape == (6, 6) and table.sum() == 4
    assert table[0, 0] == table[0, 2] == table[5, 0] == table[1, 1] == 1
    assert evaluation.class_errors(P, LABELS) == [(5, 1, 1.0, 1.0), (0, 2, 0.5, 0.0), (1, 1, 0.0, 0.0)]


def test_what_is_written(tmp_path):
    classes = ["a", "b, too", "c", "d", "e", "f"]
    evaluation.write(tmp_path / "new" / "folder", P, LABELS, classes)
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "folder" / "probabilities.npy"), P)
    with open(tmp_path / "new" / "folder" / "confusion.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head[1:] == [row[0] for row in rows] == classes
    np.testing.assert_array_equal([[int(n) for n in row[1:]] for row in rows], evaluation.confusion(P, LABELS))
    with open(tmp_path / "new" / "folder" / "classes.csv", newline="") as file:
        assert list(csv.reader(file))[1:] == [["f", "1", "1.0", "1.0"], ["a", "2", "0.5", "0.0"], ["b, too", "1", "0.0", "0.0"]]


def test_names_in_tables_are_no_formulas(tmp_path):
    evaluation.write_csv(tmp_path / "table.csv", ["image", "=1+1"], [["@a.png", -0.5], ["-b.png", 1], ["c=d.png", 2]])
    assert (tmp_path / "table.csv").read_text() == "image,'=1+1\n'@a.png,-0.5\n'-b.png,1\nc=d.png,2\n"


def test_the_papers_tables():
    text = evaluation.beside_the_paper("mine", 3, 10, 0.4066, 0.1821)
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].startswith("mine: ours") and lines[-1].split()[-4:] == ["3", "10", "40.7", "18.2"]
    for numbers in (["1", "10", "37.5", "17.0"], ["1", "10", "40.7", "18.2"], ["5", "10", "38.1", "16.4"], ["7", "10", "36.7", "15.4"]):
        assert any(line.split()[-4:] == numbers for line in lines[:-1])


def test_nearest_neighbours():
    features = np.array([[0, 0], [3, 4], [1, 0], [0, 2], [9, 9]], np.float32)
    np.testing.assert_array_equal(evaluation.nearest(features[[0, 4]], features, 3), [[0, 2, 3], [4, 1, 3]])


def test_one_of_each():
    labels = np.array([0] * 50 + [1] * 3 + [2])
    chosen = evaluation.one_of_each(labels, 6)
    assert len(set(chosen)) == 6 and sorted(labels[chosen[:3]]) == [0, 1, 2] and sorted(labels[chosen]) == [0, 0, 0, 1, 1, 2]
    np.testing.assert_array_equal(chosen, evaluation.one_of_each(labels, 6))
    assert len(evaluation.one_of_each(labels[:4], 9)) == 4
