"""Data sets by name: the embedded one, made-up ones, and what the package offers."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from refused import refused

from minigrad import data
from minigrad.data import DataError, load, synthetic
from minigrad.data.datasets import held_out

DATA = Path(data.__file__).parent


def test_embedded():
    d = load()
    assert d.name == "fashion-mnist" == load("fashion-mnist").name
    assert d.train_images.shape == (10_000, 28, 28, 1) and d.val_images.shape == (2_000, 28, 28, 1)
    assert d.train_images.dtype == d.val_images.dtype == np.uint8
    assert d.train_labels.dtype == d.val_labels.dtype == np.int64
    assert d.train_labels.shape == (10_000,) and set(d.train_labels) == set(d.val_labels) == set(range(10))
    assert isinstance(d.classes, tuple) and d.classes[0] == "T-shirt/top" and d.classes[9] == "Ankle boot" and len(d.classes) == 10
    trouser, bag = (d.train_images[d.train_labels == i].astype(float).mean(axis=0)[..., 0] for i in (1, 8))
    assert trouser[:, :5].mean() < 5 < 50 < bag[14:, :5].mean()  # trousers are narrow, bags are wide


def test_licence_of_the_embedded_images():
    text = (DATA / "FASHION_MNIST_LICENSE").read_text(encoding="utf-8")
    assert "2017 Zalando SE, https://tech.zalando.com" in text and "MIT License" in text and "WITHOUT WARRANTY" in text


def test_dataset_is_frozen():
    with pytest.raises(AttributeError):
        load().name = "other"


def test_synthetic_images_can_be_learnt_and_repeated():
    d, again, other = (synthetic(9, 3, 60, seed) for seed in (5, 5, 6))
    assert d.train_images.shape == (60, 9, 9, 3) and d.val_images.shape == (15, 9, 9, 3) and d.train_images.dtype == np.uint8
    assert d.train_labels.dtype == np.int64 and d.train_labels.shape == (60,) and len(d.classes) == 3
    np.testing.assert_array_equal(d.train_images, again.train_images)
    np.testing.assert_array_equal(d.val_labels, again.val_labels)
    assert not np.array_equal(d.train_images, other.train_images)
    means = np.stack([d.train_images[d.train_labels == i].mean(axis=0) for i in range(3)])
    distance = ((d.val_images[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    np.testing.assert_array_equal(distance.argmin(axis=1), d.val_labels)


@pytest.mark.parametrize(
    "name, values", [("size", (0, 2, 8, 0)), ("classes", (8, 0, 8, 0)), ("count", (8, 2, 0, 0)), ("seed", (8, 2, 8, -1))]
)
def test_synthetic_refuses(name, values):
    refused(lambda: synthetic(*values), name, "at least")


def test_data_imports_little():
    """Pillow is imported where it is needed: inside functions."""
    for path in DATA.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            assert not any(name.split(".")[0] in ("PIL", "matplotlib", "tqdm") for name in names), path.name
            rooms = ("minigrad.data", "minigrad.device", "minigrad.files", "minigrad.names", "minigrad.ranks")
            assert all(name.startswith(rooms) for name in names if name.startswith("minigrad")), path.name


def test_public_names():
    names = (
        "DataError Dataset Folder LeftOut Loader Some absolute central_square colours evenly_spaced fit images_within load "
        "mean_image noise_matrix only_classes prepare read_each read_fitted read_image side synthetic"
    ).split()
    assert sorted(data.__all__) == names and all(hasattr(data, name) for name in names)
    assert issubclass(DataError, ValueError)


def test_a_share_is_held_out_of_every_class():
    images, labels = np.arange(57)[:, None, None, None].astype(np.uint8), np.repeat([0, 1, 2], [2, 15, 40])
    whole = data.Dataset("made up", images, labels, images[:1], labels[:1], ("a", "b", "c"))
    parts = [held_out(whole, 0.2, seed) for seed in (5, 5, 6)]
    for d in parts:
        assert np.bincount(d.val_labels).tolist() == [1, 3, 8] and np.bincount(d.train_labels).tolist() == [1, 12, 32]
        for some, own in ((d.train_images, d.train_labels), (d.val_images, d.val_labels)):
            numbers = some[:, 0, 0, 0].astype(int)
            assert (np.diff(numbers) > 0).all() and (labels[numbers] == own).all()
        assert sorted([*d.train_images.ravel(), *d.val_images.ravel()]) == list(range(57))
    assert np.array_equal(parts[0].val_images, parts[1].val_images) and not np.array_equal(parts[0].val_images, parts[2].val_images)
    assert np.bincount(held_out(whole, 0.99, 0).train_labels).tolist() == [1, 1, 1]
    with pytest.raises(DataError, match="made up has one image of the class a"):
        held_out(replace(whole, train_images=images[1:], train_labels=labels[1:]), 0.2, 0)


def test_images_read_on_demand_are_held_out_alike(tmp_path):
    make = data.synthetic(8, 2, 12, 0)

    class Slow(list):
        pass

    slow = replace(make, train_images=Slow(make.train_images))
    for split in ("train", "val"):
        one, other = (getattr(held_out(d, 0.3, 1), f"{split}_images") for d in (make, slow))
        assert isinstance(other, data.Some) and len(one) == len(other)
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
