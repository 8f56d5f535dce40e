"""Folders of photographs: classes, labels, and files that are no images."""

from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
from PIL import Image
from refused import data_threads, refused

from minigrad.data import Folder, Loader, load, mean_image
from minigrad.data.folders import visible


def make_folder(root, splits=("train", "val"), classes=("dog", "cat"), count=2, size=(12, 9)):
    """Images of one colour each, (class number) * 50 + (image number) * 10; the classes not in alphabetical order."""
    for split in splits:
        for c, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", size, (c * 50 + i * 10,) * 3).save(root / split / name / f"{i}.png")
    return root


def test_folder(tmp_path):
    root = make_folder(tmp_path / "pets")
    (root / "train" / ".hidden").mkdir()
    (root / "train" / "dog" / ".DS_Store").write_text("not an image")
    (root / "train" / "readme.txt").write_text("not a class")
    d = load(root, size=8)
    assert d.name == "pets" and d.classes == ("cat", "dog")
    assert isinstance(d.train_images, Folder) and len(d.train_images) == 4
    np.testing.assert_array_equal(d.train_labels, [0, 0, 1, 1])
    assert d.train_labels.dtype == np.int64
    assert [int(image[0, 0, 0]) for image in d.train_images] == [50, 60, 0, 10]
    assert all(image.shape == (8, 8, 3) and image.dtype == np.uint8 for image in d.val_images)


@pytest.mark.parametrize("size, side", [(28, 28), (63, 63), (64, 73), (224, 256)])
def test_stored_size_leaves_room_for_crops(tmp_path, size, side):
    d = load(str(make_folder(tmp_path)), size=size)
    assert d.train_images[0].shape == (side, side, 3)


def test_folder_val_may_lack_a_class(tmp_path):
    make_folder(tmp_path, splits=["train"])
    make_folder(tmp_path, splits=["val"], classes=["dog"])
    np.testing.assert_array_equal(load(str(tmp_path)).val_labels, [1, 1])


def test_classes_have_the_same_order_on_windows():
    """Where paths, unlike their names, are compared without regard to case."""

    class FolderOnWindows:
        def iterdir(self):
            return map(PureWindowsPath, ("c:/ant", "c:/Bee", "c:/.hidden", "c:/Ant"))

    assert [path.name for path in visible(FolderOnWindows())] == ["Ant", "Bee", "ant"]


def test_folders_that_are_wrong(tmp_path):
    refused(lambda: load("no such folder"), "no such folder is not a folder", "cifar10:DIR")
    refused(lambda: load(str(tmp_path)), str(tmp_path / "train"), "train/<class>/*", "val/<class>/*")
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    refused(lambda: load(str(tmp_path)), str(tmp_path / "train"), "no folder for a class")
    (tmp_path / "train" / "a").mkdir()
    (tmp_path / "val" / "b").mkdir()
    refused(lambda: load(str(tmp_path)), str(Path("val") / "b"), "train does not have")
    (tmp_path / "val" / "b").rename(tmp_path / "val" / "a")
    refused(lambda: load(str(tmp_path)), str(Path("train") / "a"), "no images")


def test_bad_files_in_a_folder(tmp_path, capsys):
    root = make_folder(tmp_path)
    (root / "train" / "cat" / "00.jpg").write_text("no image")
    refused(lambda: load(root), "00.jpg is no image")
    d = load(root, skip_bad=True)
    assert len(d.train_images) == 4 and len(d.train_labels) == 4
    assert capsys.readouterr().err.count("00.jpg") == 1
    assert not data_threads()


def test_images_that_fail_when_they_are_decoded(tmp_path, capsys):
    root = make_folder(tmp_path, size=(60, 60))
    path = root / "train" / "dog" / "0.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    d = load(root)  # the header is sound
    refused(lambda: d.train_images[2], str(path), "cannot be decoded")
    refused(lambda: mean_image(d.train_images), str(path))
    loader = Loader(d.train_images, d.train_labels, 1, mean=np.zeros((28, 28, 3)), workers=2)
    batches = loader.batches(0)
    next(batches), next(batches)
    refused(lambda: next(batches), str(path))
    assert not data_threads()
    d = load(root, skip_bad=True)
    np.testing.assert_array_equal(d.train_labels, [0, 0, 1])
    assert mean_image(d.train_images).shape == (28, 28, 3)
    assert capsys.readouterr().err.count(str(path)) == 1


def test_skip_bad_does_not_leave_a_class_without_images(tmp_path):
    root = make_folder(tmp_path, count=1)
    (root / "train" / "cat" / "0.png").write_text("no image")
    refused(lambda: load(root, skip_bad=True), str(Path("train") / "cat"), "no images")
