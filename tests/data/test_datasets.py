"""Data sets by name: the embedded one, made-up ones, and what the package offers."""

import ast
from pathlib import Path

import numpy as np
import pytest
from refused import refused

from minigrad import data
from minigrad.data import DataError, load, synthetic

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


def test_data_imports_only_the_device_and_the_file_writer():
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
            rooms = ("minigrad.data", "minigrad.device", "minigrad.files", "minigrad.names")
            assert all(name.startswith(rooms) for name in names if name.startswith("minigrad")), path.name


def test_public_names():
    names = (
        "DataError Dataset Folder Loader Some absolute central_square colours evenly_spaced fit load mean_image noise_matrix prepare "
        "read_fitted read_image side synthetic"
    ).split()
    assert sorted(data.__all__) == names and all(hasattr(data, name) for name in names)
    assert issubclass(DataError, ValueError)
