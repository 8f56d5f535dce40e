"""Folders as people have them: half unpacked, with folders in folders, system files, labels of other programs, names in any script.
Nothing is left out without a word."""

import io
import os
import sys
import tarfile
import unicodedata

import numpy as np
import pytest
from PIL import Image
from refused import refused

from minigrad.data import load, prepare, sources
from minigrad.data.datasets import absolute, side
from minigrad.data.folders import LeftOut

POSIX = pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")


def jpeg(value=100, pixels=40):
    stream = io.BytesIO()
    Image.new("RGB", (pixels, pixels), (value,) * 3).save(stream, "JPEG")
    return stream.getvalue()


def make(root, classes=("cat", "dog"), train=3, val=2, pixels=40):
    for split, count in (("train", train), ("val", val)):
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                (root / split / name / f"{i}.jpg").write_bytes(jpeg(i * 20, pixels))
    return root


def tar(path, items):
    with tarfile.open(path, "w") as archive:
        for name, content in items:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def prepared(root, out, **more):
    stream = io.StringIO()
    prepare(root, out, side=16, workers=1, stream=stream, **more)
    return load(out), stream.getvalue()


# ---- what is taken


@pytest.mark.parametrize("first", [("Thumbs.db", b"\xd0\xcf\x11\xe0"), ("000.jpg", b""), ("000.jpg", jpeg(pixels=20))])
def test_no_default_follows_from_one_file(tmp_path, first):
    make(tmp_path, pixels=256)
    (tmp_path / "train" / "cat" / first[0]).write_bytes(first[1])
    assert side(str(tmp_path)) == 256


def test_a_folder_that_is_called_as_a_data_set_is_a_folder(tmp_path):
    assert side(str(make(tmp_path / "fashion-mnist-photos", pixels=256))) == 256
    assert side("fashion-mnist") is None and side("cifar10:x") is None


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    make(tmp_path / "photos")
    assert len(load("~/photos").train_labels) == 6 and side("~/photos") == 40


def test_classes_half_unpacked(tmp_path):
    root = make(tmp_path / "root", ("n01", "n02", "n03"))
    items = [(f"n03_{i}.jpg", (root / "train" / "n03" / f"{i}.jpg").read_bytes()) for i in range(3)]
    tar(root / "train" / "n03.tar", items)
    refused(lambda: sources.find(root), "n03 twice", "3 images in a folder and 3 others in n03.tar")
    for path in (root / "train" / "n03").iterdir():
        path.rename(path.with_name(f"n03_{path.name}"))
    found = sources.find(root)
    assert "unpacked beside them (1: train/n03.tar)" in str(found.left).replace("\\", "/") and len(found.splits["train"]) == 9
    for path in (root / "train" / "n03").iterdir():
        path.unlink()
    (root / "train" / "n03").rmdir()
    d, text = prepared(root, tmp_path / "set")
    assert d.ids == ("n01", "n02", "n03") and len(d.train_labels) == 9 and "Left out" not in text
    refused(lambda: load(root), "n03 is a class that", "only n03.tar: unpack it, or use prepare")


def test_a_tar_that_was_unpacked_is_said(tmp_path):
    root = make(tmp_path / "root", ("n01", "n02"))
    tar(root / "train" / "ILSVRC2012_img_train.tar", [("n01.tar", bytes(1024))])
    d, text = prepared(root, tmp_path / "set")
    assert len(d.classes) == 2 and "ILSVRC2012_img_train.tar" in text
    assert "ILSVRC2012_img_train.tar" in prepared(root, tmp_path / "set")[1]  # also when it is checked


def test_what_is_not_taken_is_counted_and_named(tmp_path, capsys):
    root = make(tmp_path / "root")
    for i in range(7):
        (root / "train" / "cat" / f"more{i}").mkdir()
        (root / "train" / "cat" / f"more{i}" / "9.jpg").write_bytes(jpeg())
    (root / "train" / "labels.csv").write_text("x")
    (root / "train" / "__MACOSX").mkdir()
    for name in (".photo.jpg", "._0.jpg", ".DS_Store"):
        (root / "train" / "dog" / name).write_bytes(jpeg())
    load(root)
    error = capsys.readouterr().err
    for told in ("files of the system (1: train/__MACOSX)", "hidden files (1: train/dog/.photo.jpg)"):
        assert told in error.replace("\\", "/")
    assert error.count("\n") == 1 and "folders within class folders (7: " in error and "more4, ...)" in error and "labels.csv" in error
    assert str(sources.find(root).left) + "\n" == error and str(LeftOut()) == ""
    for path in (root / "train" / "cat").glob("*.jpg"):
        path.unlink()
    refused(lambda: load(root), "cat holds no images, only folders such as more0")
    refused(lambda: sources.find(root), "cat holds no images, only folders such as more0")


def test_a_prepared_set_does_not_go_among_the_images(tmp_path):
    root = make(tmp_path / "root")
    for split in ("train", "val"):
        refused(lambda split=split: prepare(root, root / split / "set", side=16, workers=1), "lies among the images")
        assert not (root / split / "set").exists()
    assert len(prepared(root, root / "set")[0].train_labels) == 6 and len(load(root).train_labels) == 6


def test_a_folder_that_was_made_in_vain_is_removed(tmp_path):
    refused(lambda: prepare(tmp_path / "nowhere", tmp_path / "set", side=16, workers=1), "nowhere is not a folder")
    assert not (tmp_path / "set").exists()
    (tmp_path / "mine").mkdir()
    refused(lambda: prepare(tmp_path / "nowhere", tmp_path / "mine", side=16, workers=1), "nowhere is not a folder")
    assert (tmp_path / "mine").is_dir()


def test_a_file_of_labels_that_is_not_needed_is_told(tmp_path):
    root = make(tmp_path / "root")
    refused(lambda: sources.find(root, tmp_path / "labels.txt"), "val holds a folder for each class", "labels.txt has nothing to say")


@pytest.mark.skipif(os.name != "posix", reason="links of POSIX")
def test_a_link_that_leads_to_itself_is_no_folder(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    refused(lambda: load(tmp_path / "loop"), "loop is not a folder")
    assert absolute(str(tmp_path / "loop")).endswith("loop") and side(str(tmp_path / "loop")) is None


def test_one_class_is_too_few(tmp_path):
    root = make(tmp_path, ("cat",))
    refused(lambda: load(root), "train holds one class, cat")
    refused(lambda: sources.find(root), "train holds one class, cat")


def test_links_in_tars(tmp_path):
    root = make(tmp_path / "root", ("a", "b"))
    for name in ("a", "b"):
        content = (root / "train" / name / "0.jpg").read_bytes()
        with tarfile.open(root / "train" / f"{name}.tar", "w") as archive:
            for kind, member, to in (
                (tarfile.REGTYPE, "0.jpg", ""),
                (tarfile.LNKTYPE, "1.jpg", "0.jpg"),
                (tarfile.SYMTYPE, "2.jpg", "0.jpg"),
            ):
                info = tarfile.TarInfo(member)
                info.type, info.linkname, info.size = kind, to, len(content) if kind == tarfile.REGTYPE else 0
                archive.addfile(info, io.BytesIO(content))
        for path in (root / "train" / name).iterdir():
            path.unlink()
        (root / "train" / name).rmdir()
    found = sources.find(root)
    images = [image.read(root) for _, image in found.splits["train"]]
    assert len(images) == 4 and images[0] == images[1] and "train/a.tar: 2.jpg" in str(found.left).replace("\\", "/")


# ---- labels of flat validation images

PLAIN = ("a1.jpg", "b2.jpg", "c3.jpg", "d4.jpg")
ODD = ("a 1.jpg", "b,2.jpg", 'c"3.jpg', "d\t4.jpg") if os.name != "nt" else ("a 1.jpg", "b,2.jpg", "c'3.jpg", "d 4.jpg")
LINES = "a1.jpg 0\nb2.jpg 1\nc3.jpg 0\nd4.jpg 1\n"


def flat(root, names, content, classes=("cat", "dog")):
    make(root, classes, val=0)
    for path in (root / "val").iterdir():
        path.rmdir()
    for name in names:
        (root / "val" / name).write_bytes(jpeg())
    (root / "val.txt").write_bytes(content)
    return {(image.name or image.path).rpartition("/")[2]: label for label, image in sources.find(root).splits["val"]}


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        b"\xef\xbb\xbf" + LINES.encode(),
        LINES.encode("utf-16"),
        b"\xfe\xff" + LINES.encode("utf-16-be"),
        LINES.replace("\n", "\r\n").encode(),
        LINES.replace("\n", "\r").encode(),
        LINES.replace(" ", "\t").encode(),
        LINES.replace(" ", ",").encode(),
        LINES.replace(" ", "; ").encode(),
        b'"a1.jpg","cat"\n"b2.jpg","dog"\n"c3.jpg","cat"\n"d4.jpg","dog"\n',
        b"val\\a1.jpg 0\nval\\b2.jpg 1\nC:\\x\\val\\c3.jpg 0\n./val/d4.jpg 1\n",
        b"ImageId,PredictionString\na1,cat 1 2 3 4 dog 5 6 7 8\nb2,dog 1 2 3 4\nc3,cat 1 2 3 4\nd4,dog 1 2 3 4\n",
        b"\xef\xbb\xbfcat\ndog\ncat\ndog\n",
    ],
)
def test_labels_are_read_as_they_were_meant(tmp_path, content):
    assert flat(tmp_path, PLAIN, content) == dict(zip(PLAIN, (0, 1, 0, 1), strict=True))


@pytest.mark.parametrize("line", ["{} {}", "{},{}", "{}\t{}", "val\\{} {}", '"{}" "{}"'])
def test_names_with_spaces_commas_quotes_and_tabs(tmp_path, line):
    names = [name for name in ODD if '"' not in line or '"' not in name]
    content = "".join(line.format(name, ("cat", "dog")[i % 2]) + "\n" for i, name in enumerate(names)).encode()
    assert flat(tmp_path, names, content) == {name: i % 2 for i, name in enumerate(names)}


def test_classes_of_several_words(tmp_path):
    classes = ("great white shark", "sting ray")
    lines = "".join(f"{name},{classes[i % 2]}\n" for i, name in enumerate(PLAIN))
    expected = dict(zip(PLAIN, (0, 1, 0, 1), strict=True))
    assert flat(tmp_path / "a", PLAIN, lines.encode(), classes) == expected
    assert flat(tmp_path / "b", PLAIN, "".join(f"{classes[i % 2]}\n" for i in range(4)).encode(), classes) == expected


def test_lines_longer_than_tables_have(tmp_path):
    """Python's own reader of tables gives up at 131,072 characters."""
    refused(lambda: flat(tmp_path, PLAIN, b'"' + b"x" * 200_000 + b'" 1\n'), "val.txt says nothing of a1.jpg")


def test_labels_that_say_two_things(tmp_path):
    refused(lambda: flat(tmp_path / "a", PLAIN, b"a1.jpg 1\n" + LINES.encode()), "val.txt gives a1.jpg two labels, 1 and 0")
    assert flat(tmp_path / "b", PLAIN, b"a1.jpg 0\n" + LINES.encode())["a1.jpg"] == 0
    refused(lambda: flat(tmp_path / "c", (*PLAIN, "a1.png"), b"a1 0\n" + LINES.encode()), "says a1", "a1.jpg or a1.png")
    assert flat(tmp_path / "d", (*PLAIN, "a1.png"), b"a1.png 1\n" + LINES.encode())["a1.png"] == 1
    refused(lambda: flat(tmp_path / "e", PLAIN, b"a1.jpg 1\nb2.jpg 2\nc3.jpg 1\nd4.jpg 2\n"), "label 2", "numbered 0 to 1")


# ---- names


@POSIX
def test_names_that_are_no_utf8_are_shown_as_escapes(tmp_path):
    root = make(tmp_path / "root")
    base = os.fsencode(root)
    for split in (b"/train", b"/val"):
        os.rename(base + split + b"/cat", base + split + b"/caf\xe9\n\x1b[31m")
    d = load(root)
    assert d.classes == ("caf\\xe9\\n\\x1b[31m", "dog")
    p, _ = prepared(root, tmp_path / "set")
    assert p.classes == d.classes and len(p.train_labels) == 6
    with open(base + b"/train/dog/\xfc.jpg", "wb") as file:
        file.write(b"no image")
    message = refused(lambda: load(root), "dog/\\xfc.jpg is no image")
    assert message is None


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems know one form only")
def test_accents_in_either_form(tmp_path):
    one, other = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    root = make(tmp_path / "root", (one, "the"))
    (root / "val" / one).rename(root / "val" / other)
    assert load(root).classes == (one, "the") and load(root).val_labels.tolist() == [0, 0, 1, 1]
    assert [label for label, _ in sources.find(root).splits["val"]] == [0, 0, 1, 1]
    (root / "train" / other).mkdir()
    (root / "train" / other / "0.jpg").write_bytes(jpeg())
    refused(lambda: load(root), "look the same", "caf\\xe9", "cafe\\u0301")
    assert np.isfinite(prepared(make(tmp_path / "b", (other, "the")), tmp_path / "set")[0].mean).all()
    assert load(tmp_path / "set").classes == (one, "the")
