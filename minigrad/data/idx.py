"""The files that Fashion-MNIST comes in, and MNIST before it: IDX, an array of bytes behind a header with its sizes."""

import gzip
import io
import zlib
from itertools import product

import numpy as np

from minigrad.data.checks import DataError, check_labels, read_file

MOST = 400_000_000  # bytes; MNIST's largest file has 47 million
FASHION_MNIST = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split() + ["Ankle boot"]


def read_fashion_mnist(folder):
    """The four files in `folder`: images uint8 (N, H, W, 1) and labels (N,) to train, then images and labels to test.

    Raises DataError for a file that is missing or broken, and for files that do not fit together."""
    arrays = []
    for split in ("train", "t10k"):
        image_path, label_path = (idx_path(folder, f"{split}-{kind}") for kind in ("images-idx3", "labels-idx1"))
        images, labels = read_idx(image_path, 3), read_idx(label_path, 1)
        if len(images) != len(labels):
            raise DataError(f"{image_path} holds {len(images)} images, but {label_path} holds {len(labels)} labels.")
        check_labels(labels, FASHION_MNIST, label_path)
        arrays += [images[..., None], labels]
    if arrays[0].shape[1:] != arrays[2].shape[1:]:
        raise DataError(f"{folder} holds images of two sizes: {arrays[0].shape[1:3]} to train and {arrays[2].shape[1:3]} to test.")
    return arrays


def idx_path(folder, name):
    """The path of the file `name`, such as train-images-idx3: with a dot in place of the last hyphen or not, with .gz or not."""
    for separator, ending in product("-.", ("", ".gz")):
        path = folder / f"{name.replace('-idx', separator + 'idx')}-ubyte{ending}"
        if path.exists():
            return path
    raise DataError(
        f"{folder} does not hold {name}-ubyte or {name}-ubyte.gz; expected are train-images-idx3-ubyte, "
        "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz."
    )


def read_idx(path, ndim):
    """The array of an IDX file: magic number 0x800 + ndim, then ndim sizes, all big-endian 32-bit; then the bytes."""
    content = read_file(path, MOST)
    if path.suffix == ".gz":
        try:
            with gzip.open(io.BytesIO(content)) as file:
                content = file.read(MOST)
        except EOFError:
            content = zlib.decompressobj(wbits=31).decompress(content, MOST)  # up to where it breaks off; counted below
        except (OSError, zlib.error) as error:
            raise DataError(f"{path} is no sound gzip file: {error}.") from None
    header = 4 * (1 + ndim)
    magic = int.from_bytes(content[:4], "big")
    if len(content) >= 4 and magic != 0x800 + ndim:
        raise DataError(f"{path} starts with the number {magic:#010x}; an IDX file of its kind starts with {0x800 + ndim:#010x}.")
    if len(content) < header:
        raise DataError(f"{path} is cut off: it holds {len(content)} bytes, but its header alone has {header}.")
    shape = tuple(np.frombuffer(content, ">u4", ndim, 4).tolist())
    expected = header + int(np.prod(shape, dtype=object))
    if len(content) != expected:
        state = "is cut off" if len(content) < expected else "is too long"
        sizes = " x ".join(map(str, shape))
        raise DataError(f"{path} {state}: it holds {len(content)} bytes, but {sizes} values and a header take {expected}.")
    if expected == header:
        raise DataError(f"{path} holds no data: its sizes are {' x '.join(map(str, shape))}.")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
