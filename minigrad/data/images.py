"""Photographs: reading any image file as RGB, fitting it to a size, and sequences of image files, decoded on demand.

Pillow is imported when the first file is opened; the embedded images do without it."""

import io
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError

WHITE = (255, 255, 255, 255)
MODES = {"L": "is grey", "1": "is black and white", "I;16": "is 16-bit grey", "P": "has a palette", "RGBA": "has transparency"}


def open_image(path, content=None):
    """The Pillow image of a file, or of the bytes `content` of a file called `path`; only its header has been read.

    Raises DataError naming the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path if content is None else io.BytesIO(content))
    except UnidentifiedImageError:
        empty = (len(content) if content is not None else Path(path).stat().st_size) == 0
        raise DataError(f"{path} is {'empty' if empty else 'no image of a kind that Pillow can read'}.") from None
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be opened as an image: {reason(error)}.") from None


def read_image(path):
    """The image in a file as it is meant to be seen: uint8 (H, W, 3).

    The camera's rotation (EXIF) is undone, what is transparent is laid on white, 16-bit grey is scaled to 8 bits; palettes, grey and CMYK
    become RGB; of an animation the first frame is taken. Raises DataError naming the file."""
    with open_image(path) as image:
        return decoded(path, lambda: np.array(as_rgb(image)))


def read_square(path, side, content=None):
    """The image in a file as `fit(read_image(path), side, side)`, and a remark on the file, None if it is plain RGB.

    A JPEG of twice the size or more is decoded at a half, a quarter or an eighth of its size, which takes two thirds of the time and
    looks the same. content: the file's bytes if they have been read already. Raises DataError naming the file."""
    with open_image(path, content) as image:
        remark = remark_on(path, image)
        if min(image.size) >= 2 * side:
            image.draft(image.mode, (side, side))
        return decoded(path, lambda: resized(as_rgb(image), side, side)), remark


def remark_on(path, image):
    """What is unusual about an image file, in a few words, or None."""
    from PIL import Image

    remarks = []
    meant = Image.registered_extensions().get(Path(path).suffix.lower())
    if image.format not in (meant, "MPO"):  # MPO: a JPEG with more pictures behind it
        remarks.append(f"is {image.format}, despite its name" if meant else f"is {image.format}")
    if image.mode != "RGB":
        remarks.append(MODES.get(image.mode, f"has colours of the kind {image.mode}"))
    return ", and ".join(remarks) or None


def decoded(path, work):
    """work(), with any exception as a DataError: on broken files Pillow's decoders raise all kinds."""
    try:
        return work()
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be decoded: {reason(error)}.") from None


def as_rgb(image):
    from PIL import Image, ImageOps

    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        # 16-bit grey, which older versions of Pillow open as 32-bit integers. 65535 = 255 * 257.
        grey = (np.clip(np.asarray(image), 0, 65535).astype(np.int32) + 128) // 257
        image = Image.fromarray(grey.astype(np.uint8))
    elif image.mode in ("P", "PA", "LA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return image.convert("RGB")


def reason(error):
    """What an exception says, as part of a sentence."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def fit(image, height, width):
    """An image (H, W, 3) resized until it just covers (height, width), its aspect kept, then cut to its centre: uint8 (height, width, 3).

    For a square that is the paper's rule: the shorter side resized, then the central square (§2). Shrinking averages (a triangle
    filter, since Pillow's box filter leaves steps), enlarging is cubic."""
    from PIL import Image

    return resized(Image.fromarray(image), height, width)


def resized(image, height, width):
    """`fit` for a Pillow image. Only the part that is kept is resized: Pillow is given its box in the original."""
    from PIL import Image

    W, H = image.size
    scale = max(height / H, width / W)
    # The crop starts at a whole pixel of the resized image, so that without resizing pixels stay what they are.
    top, left = int((H * scale - height) / 2) / scale, int((W * scale - width) / 2) / scale
    box = (left, top, min(W, left + width / scale), min(H, top + height / scale))
    kernel = Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC
    return np.array(image.resize((width, height), kernel, box))


class Folder:
    """Image files as a sequence, decoded when asked for: folder[i] is uint8 (side, side, 3), a square as `fit` makes it.

    paths: the files. Indexing raises DataError naming the file if it cannot be decoded."""

    def __init__(self, paths, side):
        self.paths, self.side = list(paths), side

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return read_square(self.paths[i], self.side)[0]


class Some:
    """Some of the images of a sequence, as a sequence of their own: some[i] is images[numbers[i]]."""

    def __init__(self, images, numbers):
        self.images, self.numbers = images, numbers

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, i):
        return self.images[self.numbers[i]]


def evenly_spaced(N, count):
    """The numbers of `count` of N images, or of all if they are fewer: evenly spaced, the first and the last among them. An int array."""
    return np.linspace(0, N - 1, min(count, N)).round().astype(int)


def central_square(image, side):
    """The central (side, side, C) of an image (H, W, C); where it cannot be in the middle, half a pixel up or left of it."""
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]
