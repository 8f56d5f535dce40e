"""Files made to harm: they cost little time and memory, and get one sentence."""

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from make_imagenet import add, class_folders, meta_mat
from PIL import Image, PngImagePlugin
from refused import refused

from minigrad.data import DataError, load, prepare, read_fitted, read_image, records, shards, sources
from minigrad.data.cifar import ARCHIVES, unpickle
from minigrad.data.devkit import Devkit
from minigrad.data.images import fit, open_image, read_square
from minigrad.data.tars import members
from minigrad.files import locked

ROOT = Path(__file__).parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="pipes, links and limits of POSIX")


# ---- images


def test_only_named_formats_are_opened(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n")
    refused(lambda: read_image(path), "photo.jpg is no image of a kind that is opened here", "JPEG, PNG")


def png_header(width, height):
    """The beginning of a black and white PNG."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + struct.pack(">I", 0) + b"IDAT"


@pytest.mark.filterwarnings("ignore:Image size")
def test_pixels_and_bytes_are_limited(tmp_path, monkeypatch):
    for name, side in (("bomb.png", 20_000), ("large.png", 13_000)):
        (tmp_path / name).write_bytes(png_header(side, side))
        for act in (read_image, lambda path: read_fitted(path, 32, 32), lambda path: read_square(path, 32)):
            refused(lambda path=tmp_path / name, act=act: act(path), name, "pixels")
    monkeypatch.setattr("minigrad.data.images.FILE", 1000)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    refused(lambda: read_image(tmp_path / "a.png"), "a.png holds", "more than 1,000")


@pytest.mark.parametrize(
    "mode, ending, taken",
    [("L", "png", True), ("RGB", "png", True), ("RGBA", "png", False), ("F", "tif", False), ("I", "tif", False), ("I;16", "png", False)],
)
def test_memory_of_a_pixel_depends_on_its_kind(tmp_path, monkeypatch, mode, ending, taken):
    """Floating-point and wide grey are decoded with several copies: measured, 13 to 16 bytes a pixel, RGB 8."""
    Image.new(mode, (40, 40)).save(tmp_path / f"a.{ending}")
    monkeypatch.setattr("minigrad.data.images.DECODED", 40 * 40 * 12)
    if taken:
        read_image(tmp_path / f"a.{ending}")
    else:
        refused(lambda: read_image(tmp_path / f"a.{ending}"), f"a.{ending}", "pixels, which take")


def test_progressive_photographs_are_held_whole(tmp_path, monkeypatch):
    for name, progressive in (("plain.jpg", False), ("progressive.jpg", True)):
        Image.new("RGB", (400, 400)).save(tmp_path / name, progressive=progressive)
    monkeypatch.setattr("minigrad.data.images.DECODED", 400 * 400 * 5)
    assert read_square(tmp_path / "plain.jpg", 50)[0].shape == (50, 50, 3)  # decoded at an eighth of its size
    refused(lambda: read_square(tmp_path / "progressive.jpg", 50), "progressive.jpg", "pixels, which take")


@pytest.mark.filterwarnings("ignore:Image size")
def test_a_warning_names_the_file(tmp_path):
    (tmp_path / "large.png").write_bytes(png_header(9_460, 9_460))
    with pytest.warns(UserWarning, match="large.png has 89,491,600 pixels"):
        open_image(tmp_path / "large.png").close()


def test_a_png_with_megabytes_of_text(tmp_path):
    text = PngImagePlugin.PngInfo()
    text.add_text("k", "x" * 5_000_000, zip=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png", pnginfo=text)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)


def test_floating_point_grey(tmp_path):
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(2, 0)
    for name, values in (("one.tif", ramp), ("bytes.tif", ramp * 255)):
        Image.fromarray(values).save(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name)[0, :, 0], np.arange(256))
        assert "floating-point" in read_square(tmp_path / name, 2)[1]
    for wrong in (-1.0, 300.0, np.nan, np.inf):
        Image.fromarray(np.full((2, 2), wrong, np.float32)).save(tmp_path / "wrong.tif")
        refused(lambda: read_image(tmp_path / "wrong.tif"), "wrong.tif cannot be decoded", "0 to 255")


def test_fitted_is_fit(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 4), np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_fitted(tmp_path / "a.png", 20, 20), fit(read_image(tmp_path / "a.png"), 20, 20))


@POSIX
def test_pipes_and_loops_named_like_images(tmp_path, capsys):
    class_folders(tmp_path / "root", images=20, classes=2, width=40, height=36, odd=0)
    folder = next((tmp_path / "root" / "train").iterdir())
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "nowhere.jpg").symlink_to("/nowhere.jpg")
    assert len(load(tmp_path / "root").train_labels) == 16
    assert "links to nowhere, pipes and the like (3: " in capsys.readouterr().err
    assert "(3: " in str(sources.find(tmp_path / "root").left)
    for name in ("pipe.jpg", "loop.jpg", "nowhere.jpg"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_image(folder / name)


# ---- archives


@pytest.mark.parametrize("size", [-1, -512, -(1 << 40), 1 << 33, 1 << 62])
@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"S"])
def test_members_of_impossible_sizes(tmp_path, size, kind):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "a.jpg", b"x" * 700)
        add(tar, "b.jpg", b"x" * 700)
    content = bytearray(path.read_bytes())
    content[124:136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    content[156:157] = kind
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.tar"):
        members(path)


def test_headers_of_megabytes(tmp_path):
    """A name of 2 MB, in either format's way."""
    for name, kind in (("gnu.tar", tarfile.GNU_FORMAT), ("pax.tar", tarfile.PAX_FORMAT)):
        with tarfile.open(tmp_path / name, "w", format=kind) as tar:
            add(tar, "x" * 2_000_000, b"y")
        with pytest.raises(DataError, match=f"{name} cannot be read.*a header takes 2,00"):
            members(tmp_path / name)


@pytest.mark.parametrize("left", [512, 700, 1024 + 300])
def test_a_tar_that_was_cut(tmp_path, left):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, "a.jpg", b"x" * 512)
        add(tar, "b.jpg", b"x" * 700)
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[: 512 + left])
    with pytest.raises(DataError, match="a.tar"):
        members(tmp_path / "a.tar")


def test_an_inner_tar_ends_where_it_ends(tmp_path):
    with tarfile.open(tmp_path / "outer.tar", "w") as outer:
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w") as tar:
            add(tar, "a.jpg", b"x" * 512)
        add(outer, "in.tar", inner.getvalue()[:1024])  # without the blocks of zeros at its end
        add(outer, "secret.jpg", b"y" * 512)
    (name, at, size), _ = members(tmp_path / "outer.tar")[0]
    assert [found[0] for found in members(tmp_path / "outer.tar", at, size)[0]] == ["a.jpg"]


def test_a_devkit_that_unpacks_to_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr("minigrad.data.devkit.MOST", 1_000_000)
    (tmp_path / "devkit.tar.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    refused(Devkit(tmp_path / "devkit.tar.gz").synsets, "devkit.tar.gz unpacks to more than 1,000,000 bytes")
    bomb = zlib.compress(bytes(10_000_000))
    (tmp_path / "meta.mat").write_bytes(bytes(128) + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(DataError, match=r"meta.mat is not .* unpacks to more"):
        Devkit(tmp_path).synsets()


def test_a_devkit_of_arrays_in_arrays(tmp_path):
    inner = b""
    for _ in range(300):
        inner = zipped(inner)
    (tmp_path / "meta.mat").write_bytes(bytes(128) + inner)
    with pytest.raises(DataError, match="meta.mat is not .*nested more than 8 deep"):
        Devkit(tmp_path).synsets()
    (tmp_path / "meta.mat").write_bytes(meta_mat([(1, "n01", "a"), (2, "n02", "b")]))
    assert Devkit(tmp_path).synsets() == {1: ("n01", "a"), 2: ("n02", "b")}


def zipped(content):
    content = zlib.compress(content)
    return struct.pack("<II", 15, len(content)) + content


# ---- pickles


def array_of(content):
    """The pickle of {b"x": [content, ...]} with steps of its own."""
    return b"\x80\x02}" + content + b"."


@pytest.mark.parametrize(
    "program, words",
    [
        (b"(" + b"K\x01K\x02\x86q\x00" + b"".join(b"h%c\x86" % 0 for _ in range(40)) + b"l0", "tuple twice"),  # ever longer to compare
        (b"0]r\xff\xff\xff\x7f", "number 2147483647"),
        (b"".join(b"]" for _ in range(600_000)), "another kind"),
        (b"]2", "another kind"),
        (b"cos\nsystem\n(U\x02lsR", "os.system"),
    ],
)
def test_pickles_that_grow(tmp_path, program, words):
    with pytest.raises(DataError, match=words):
        unpickle(ARCHIVES["cifar10"], tmp_path / "data_batch_1", array_of(program))


def test_a_pickle_cannot_encode_more_than_it_holds(tmp_path):
    text = b"X\x00\x00\x01\x00" + b"a" * 65536 + b"q\x00"
    program = b"]c_codecs\nencode\nq\x01" + text + b"0" + b"".join(b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" for _ in range(50))
    with pytest.raises(DataError, match="encoding"):
        unpickle(ARCHIVES["cifar10"], tmp_path / "data_batch_1", array_of(program))


def test_an_ordinary_pickle_is_read(tmp_path):
    for protocol in range(5):
        batch = {b"data": np.arange(3 * 3072, dtype=np.uint8).reshape(3, 3072), b"labels": [1, 2, 3]}
        found = unpickle(ARCHIVES["cifar10"], tmp_path / "a", pickle.dumps(batch, protocol))
        np.testing.assert_array_equal(found["data"].bytes_of_images(), batch[b"data"])


# ---- prepared sets


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    root = tmp_path_factory.mktemp("ready")
    class_folders(root / "images", images=40, classes=2, width=40, height=36, odd=0)
    prepare(root / "images", root / "set", side=16, workers=1, stream=io.StringIO())
    return root / "images", root / "set"


@pytest.fixture
def copy(ready, tmp_path):
    shutil.copytree(ready[1], tmp_path / "set")
    return ready[0], tmp_path / "set"


@pytest.mark.parametrize("name", ["train-labels.npy", "val-labels.npy", "mean.npy", "train.jsonl", "val.jsonl"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_small_files_are_checked_and_mended(copy, name, how):
    root, out = copy
    whole = (out / name).read_bytes()
    if how == "missing":
        (out / name).unlink()
    else:
        (out / name).write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    refused(lambda: load(out), name)
    stream = io.StringIO()
    prepare(root, out, side=16, workers=1, stream=stream)
    assert (out / name).read_bytes() == whole and len(load(out).train_labels) == 32


def test_a_list_that_cannot_be_mended(copy, tmp_path):
    root, out = copy
    shutil.copytree(root, tmp_path / "images")
    (tmp_path / "images" / "train" / "n11234567" / "new.JPEG").write_bytes(b"")
    record = records.read_set(out)
    (out / "set.json").write_text(json.dumps(records.signed({**record, "source": str((tmp_path / "images").resolve())})))
    (out / "train.jsonl").unlink()
    with pytest.raises(DataError, match="train.jsonl was damaged and cannot be made again"):
        prepare(tmp_path / "images", out, side=16, workers=1, stream=io.StringIO())


@pytest.mark.parametrize(
    "field, wrong",
    [
        ("name", "x/../../escaped"),
        ("name", ".."),
        ("side", 0),
        ("side", True),
        ("side", 1 << 40),
        ("ids", ["a"]),
        ("names", ["a", None]),
        ("colours", {"std": [1, 2, float("nan")], "directions": np.eye(3).tolist()}),
        ("splits", {"train": [], "val": []}),
        ("source", 7),
    ],
)
def test_fields_out_of_range_are_named(copy, field, wrong):
    """Also in sets without digests, as older versions wrote them."""
    record = records.read_set(copy[1])
    (copy[1] / "set.json").write_text(json.dumps({**record, field: wrong}))
    refused(lambda: load(copy[1]), "set.json is damaged", field)
    older = {key: value for key, value in record.items() if key not in ("digests", "sha256")}
    (copy[1] / "set.json").write_text(json.dumps(older))
    assert len(load(copy[1]).train_labels) == 32
    (copy[1] / "set.json").write_text(json.dumps({**older, field: wrong}))
    refused(lambda: load(copy[1]), "set.json is damaged", field)
    (copy[1] / "set.json").write_text(json.dumps({**record, "left": "nothing"}))
    refused(lambda: load(copy[1]), "altered after it was written")


def test_a_shard_that_is_cut_short_while_it_is_read(copy):
    images = load(copy[1]).train_images
    whole = images[0].copy()
    path = images.paths[0]
    content = path.read_bytes()
    path.write_bytes(content[:100])
    refused(lambda: images[0], path.name, "cut short while it was read")
    path.write_bytes(content)
    np.testing.assert_array_equal(images[0], whole)


@POSIX
def test_more_shards_than_a_process_may_open(tmp_path):
    import resource

    files = [(f"train-{i:05}.bin", 2) for i in range(330)]
    for i, (name, _) in enumerate(files):
        (tmp_path / name).write_bytes(bytes([i % 256]) * 24)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    images = shards.Shards(tmp_path, files, 2)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 200, limits[1]))
        assert [int(images[i][0, 0, 0]) for i in range(660)] == [i // 2 % 256 for i in range(660)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    before = len(os.listdir("/dev/fd"))
    del images
    assert len(os.listdir("/dev/fd")) == before - shards.OPEN  # all are closed with it


@POSIX
@pytest.mark.parametrize("name", ["plan.json", "plan-train.jsonl", "plan.1.tmp.json", "set.json"])
def test_links_are_not_followed(ready, tmp_path, name):
    (tmp_path / "letter").write_text("dear")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / name).symlink_to(tmp_path / "letter")
    refused(lambda: prepare(ready[0], tmp_path / "set", side=16, workers=1, stream=io.StringIO()), name, "is a link to another place")
    assert (tmp_path / "letter").read_text() == "dear"


def test_two_into_one_folder(copy):
    with locked(copy[1]):
        refused(lambda: prepare(*copy, side=16, workers=1, stream=io.StringIO()), "Another process is writing into")
    prepare(*copy, side=16, workers=1, stream=io.StringIO())


def test_a_plan_that_was_altered(ready, tmp_path):
    found, out = sources.find(ready[0]), tmp_path / "set"
    out.mkdir()
    digests = {}
    for split, files in found.splits.items():
        (out / f"plan-{split}.jsonl").write_bytes(records.image_rows(files))
        digests[f"plan-{split}.jsonl"] = records.sha256(records.image_rows(files))
    plan = {"format": 1, "name": "a", "source": str(ready[0].resolve()), "side": 16, "ids": list(found.ids), "names": list(found.names)}
    (out / "plan.json").write_text(json.dumps(records.signed({**plan, "digests": digests})))
    rows = [json.loads(line) for line in (out / "plan-train.jsonl").read_text().splitlines()]
    rows[0][0] = 1 - rows[0][0]
    (out / "plan-train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(lambda: prepare(ready[0], out, side=16, workers=1, stream=io.StringIO()), "plan-train.jsonl was altered")
    (out / "plan.json").write_text(json.dumps(plan))  # as an older version wrote it
    for row in ([0, "../../secret.jpg"], [0, "/etc/passwd"], [9, "a"], [0, 5], [0, "a", -1, 5, "b"], [0], "x", [True, "a"]):
        (out / "plan-train.jsonl").write_text(json.dumps(row) + "\n")
        refused(lambda: prepare(ready[0], out, side=16, workers=1, stream=io.StringIO()), "plan-train.jsonl is damaged: line 1")


def test_prepare_in_a_script_without_a_guard(ready, tmp_path):
    script = f"from minigrad.data import prepare\nprepare({str(ready[0])!r}, {str(tmp_path / 'set')!r}, side=16, workers=1)\n"
    (tmp_path / "script.py").write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, env=environment, timeout=120)
    assert ended.returncode == 1 and "__main__" in ended.stderr.splitlines()[-1]
