"""A made-up ImageNet: JPEGs of landscapes of noise in class folders, or packed as ILSVRC is, with some files that are not as they
should be. Each class has colours and stripes of its own, so that it can be learned.

    python tests/make_imagenet.py DIR [--images 1000] [--classes 20] [--width 500] [--height 375] [--odd 20] [--packed]"""

import argparse
import io
import struct
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

KINDS = ("grey", "cmyk", "16-bit", "truncated", "misnamed", "text", "empty")  # of odd files, in turn
UNREADABLE = ("truncated", "text", "empty")


def wnid(label):
    """A made-up WordNet id; their order is not that of the numbers a devkit gives them."""
    return f"n{(label * 7919 + 1234567) % 90000000 + 10000000:08d}"


def picture(rng, label, width, height):
    """uint8 (height, width, 3): clouds of the class's colour under the class's stripes."""
    own = np.random.default_rng(label)
    colour, angle, pitch = own.uniform(40, 215, 3), own.uniform(0, np.pi), own.uniform(0.1, 0.4)
    coarse = rng.normal(0, 40, (6, 8, 3)).astype(np.float32)
    clouds = np.stack([np.asarray(Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC)) for c in range(3)], 2)
    rows, columns = np.mgrid[:height, :width] * (500 / width)
    stripes = 40 * np.sin(pitch * (rows * np.cos(angle) + columns * np.sin(angle)) + rng.uniform(0, 6))
    return np.clip(colour + clouds + stripes[..., None] + rng.normal(0, 8, (height, width, 1)), 0, 255).astype(np.uint8)


def encoded(pixels, kind="plain"):
    """The bytes of an image file of some kind."""
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    if kind == "16-bit":
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(stream, "PNG")
    elif kind == "misnamed":
        image.save(stream, "PNG")
    else:
        image.convert({"grey": "L", "cmyk": "CMYK"}.get(kind, "RGB")).save(stream, "JPEG", quality=90)
    content = stream.getvalue()
    return {"truncated": content[: len(content) // 2], "text": b"This is not an image.\n", "empty": b""}.get(kind, content)


def files(images=1000, classes=20, width=500, height=375, odd=20, seed=0):
    """Yields (split, label, file name, bytes, kind); a fifth of the images are for validation, a fifth of the odd ones too."""
    rng = np.random.default_rng(seed)
    for split, count, wrong in (("train", images - images // 5, odd - odd // 5), ("val", images // 5, odd // 5)):
        odd_ones = np.linspace(0, count - 1, wrong).astype(int).tolist()
        for i in range(count):
            kind = KINDS[odd_ones.index(i) % len(KINDS)] if i in odd_ones else "plain"
            label = i % classes
            name = f"{wnid(label)}_{i}.JPEG" if split == "train" else f"ILSVRC2012_val_{i + 1:08d}.JPEG"
            yield split, label, name, encoded(picture(rng, label, width, height), kind), kind


def class_folders(root, **numbers):
    """train/<class>/* and val/<class>/* in `root`. Returns {kind: how many}."""
    kinds = {}
    for split, label, name, content, kind in files(**numbers):
        path = Path(root) / split / wnid(label) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def packed(root, classes=20, **numbers):
    """ILSVRC2012_img_train.tar, a tar of tars; ILSVRC2012_img_val.tar, flat; and the devkit. Returns {kind: how many}."""
    root, kinds, shown = Path(root), {}, {}
    root.mkdir(parents=True, exist_ok=True)
    inner = {wnid(label): io.BytesIO() for label in range(classes)}
    tars = {name: tarfile.open(fileobj=stream, mode="w") for name, stream in inner.items()}
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as val:
        for split, label, name, content, kind in files(classes=classes, **numbers):
            add(tars[wnid(label)] if split == "train" else val, name, content)
            kinds[kind] = kinds.get(kind, 0) + 1
            if split == "val":
                shown[name] = label
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as train:
        for name, stream in inner.items():
            tars[name].close()
            add(train, f"{name}.tar", stream.getvalue())
    number = {label: classes - label for label in range(classes)}  # the devkit counts in an order of its own
    truth = "".join(f"{number[shown[name]]}\n" for name in sorted(shown))
    with tarfile.open(root / "ILSVRC2012_devkit_t12.tar.gz", "w:gz") as devkit:
        folder = "ILSVRC2012_devkit_t12/data"
        add(devkit, f"{folder}/ILSVRC2012_validation_ground_truth.txt", truth.encode())
        add(devkit, f"{folder}/meta.mat", meta_mat([(number[i], wnid(i), f"thing {i}, object {i}") for i in range(classes)]))
    return kinds


def add(tar, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def meta_mat(synsets):
    """The bytes of a MATLAB 5 file with an array of structures, one for each (number, WordNet id, words)."""

    def element(kind, data):
        if len(data) <= 4:
            return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def array(kind, shape, name, *parts):
        return element(
            14, element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", *shape)) + element(1, name) + b"".join(parts)
        )

    fields = b"".join(name.ljust(32, b"\0") for name in (b"ILSVRC2012_ID", b"WNID", b"words"))
    values = []
    for number, wordnet, words in synsets:
        values.append(array(6, (1, 1), b"", element(2, bytes([number]))))
        values += [array(4, (1, len(text)), b"", element(16, text.encode())) for text in (wordnet, words)]
    rows = array(2, (len(synsets), 1), b"synsets", element(5, struct.pack("<i", 32)), element(1, fields), *values)
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<HH", 0x0100, 0x4D49) + rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    for name, default in (("images", 1000), ("classes", 20), ("width", 500), ("height", 375), ("odd", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--packed", action="store_true")
    arguments = vars(parser.parse_args())
    make = packed if arguments.pop("packed") else class_folders
    print(make(arguments.pop("folder"), **arguments))


if __name__ == "__main__":
    main()
