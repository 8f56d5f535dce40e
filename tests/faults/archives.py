"""Altered tars and devkits: their headers, with sums that are right, and their bytes."""

import io
import tarfile

from faults.common import altered, attempt, random
from make_imagenet import packed

from minigrad.data import sources


def cases(work, seed, first, count):
    root = work / "tars"
    packed(root, images=20, classes=2, width=40, height=36, odd=0)
    paths = sorted(root.iterdir())

    def read():
        for files in sources.find(root).splits.values():
            for _, image in files:
                image.read(root)

    for number in range(first, first + count):
        rng, path = random(seed, "archives", number), paths[number % len(paths)]
        whole, header = path.read_bytes(), number // len(paths) % 2 and path.suffix == ".tar"
        path.write_bytes(altered_header(rng, whole) if header else altered(rng, whole))
        yield f"{number} {path.name}", attempt(read)
        path.write_bytes(whole)


def altered_header(rng, content):
    """A tar one of whose headers names another size, or is of another kind, its checksum right."""
    content = bytearray(content)
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as tar:
        starts = [member.offset for member in tar]
    at = int(rng.choice(starts))
    if rng.integers(2):
        size = int(rng.choice([-1, -512, -(1 << 40), 1 << 33, 1 << 62]))
        content[at + 124 : at + 136] = (b"\xff" if size < 0 else b"\x80") + (size % (1 << 88)).to_bytes(11, "big")
    else:
        content[at + 156] = int(rng.choice(list(b"012345671xgLKSV")))
    content[at + 148 : at + 156] = b" " * 8
    content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    return bytes(content)
