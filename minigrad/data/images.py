"""Photographs: reading any image file as RGB, fitting it to a size, and sequences of image files, decoded on demand.

Pillow is imported when the first file is opened; the embedded images do without it."""

import io
import os
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np

from minigrad.data.ahead import on_all_cores
from minigrad.data.checks import DataError, open_file

WHITE = (255, 255, 255, 255)
MODES = {"L": "is grey", "1": "is black and white", "I;16": "is 16-bit grey", "P": "has a palette", "RGBA": "has transparency"}
MODES |= {"F": "has floating-point pixels"}
# What is opened, by its content. Pillow knows more formats, of which some start other programs (EPS: Ghostscript) or are seldom tested.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")
FILE = 500_000_000  # bytes: no larger file is opened
DECODED = 1_000_000_000  # bytes that decoding may take
MANY = 89_478_485  # pixels: from here on Pillow warns, without saying of which file
TRANSPARENT = ("PA", "LA", "La", "RGBA", "RGBa")
TEXT = (b"tEXt", b"zTXt", b"iTXt")  # chunks of a PNG


def open_image(path, content=None):
    """The Pillow image of a file, or of the bytes `content` of a file called `path`; only its header has been read.

    Raises DataError naming the file: also for formats that are not in FORMATS, and for more pixels or bytes than any photograph has."""
    from PIL import Image, UnidentifiedImageError

    stream = open_file(path) if content is None else io.BytesIO(content)
    try:
        size = os.fstat(stream.fileno()).st_size if content is None else len(content)
        if size > FILE:
            raise DataError(f"{path} holds {size:,} bytes; images of more than {FILE:,} are not opened.")
        image = opened(stream)
        check_size(path, image)
        return Closing(image, stream)
    except DataError:
        stream.close()
        raise
    except UnidentifiedImageError:
        stream.close()
        what = "empty" if size == 0 else f"no image of a kind that is opened here ({', '.join(FORMATS)})"
        raise DataError(f"{path} is {what}.") from None
    except MemoryError:
        stream.close()
        raise
    except Image.DecompressionBombError:
        stream.close()
        raise DataError(f"{path} has more pixels than any photograph: more than {2 * MANY:,}.") from None
    except Exception as error:
        stream.close()
        raise DataError(f"{path} cannot be opened as an image: {reason(error)}.") from None


class Closing:
    """A Pillow image for a `with` statement, at whose end its file is closed too (Pillow closes only what it has opened itself)."""

    def __init__(self, image, stream):
        self.image, self.stream = image, stream

    def __enter__(self):
        return self.image

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.image.close()
        self.stream.close()


def opened(stream):
    """The Pillow image of a binary stream. A PNG whose texts are longer than Pillow reads is opened without them."""
    from PIL import Image

    known = [name for name in FORMATS if name in pillow_formats()]
    try:
        return Image.open(stream, formats=known)
    except ValueError:
        stream.seek(0)
        content = stream.read()
        if not content.startswith(b"\x89PNG"):
            raise
        return Image.open(io.BytesIO(without_texts(content)), formats=["PNG"])


def pillow_formats():
    """The formats that the installed Pillow can open: AVIF only newer ones."""
    from PIL import Image

    if not all(name in Image.OPEN for name in FORMATS):
        Image.init()
    return Image.OPEN


def image_endings():
    """The endings of file names, such as ".jpg", of the formats that are opened."""
    from PIL import Image

    return {ending for ending, name in Image.registered_extensions().items() if name in FORMATS}


def without_texts(content):
    """The bytes of a PNG without its texts. A chunk is its length, a name of four letters, its data and a checksum of four bytes."""
    kept, at = [content[:8]], 8
    while at + 8 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] not in TEXT:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def check_size(path, image):
    """Raise DataError if decoding an image takes more than DECODED bytes; warn of one that takes long."""
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):  # these are decoded at a fraction of their size, but for what progressive ones are held in
        needed = pixels * 6 if image.info.get("progressive") else 0
    else:
        needed = pixels * bytes_of_a_pixel(image)
    if needed > DECODED:
        raise DataError(f"{path} has {image.width:,} x {image.height:,} pixels, which take {needed / 1e9:.1f} GB: more than is decoded.")
    if pixels > MANY:
        warnings.warn(f"{path} has {pixels:,} pixels, which take much time and memory.", stacklevel=3)


def bytes_of_a_pixel(image):
    """How many bytes decoding an image takes for each of its pixels."""
    if transparent(image) or image.mode[0] in "FI":  # floating-point and 16-bit or 32-bit grey
        return 16
    return 14 if image.info.get("progressive") else 8


def transparent(image):
    return image.mode in TRANSPARENT or "transparency" in image.info


def read_image(path):
    """The image in a file as it is meant to be seen: uint8 (H, W, 3).

    The camera's rotation (EXIF) is undone, what is transparent is laid on white, 16-bit grey is scaled to 8 bits; floating-point grey is
    taken as 0 to 1, or 0 to 255 where a pixel is above 1; palettes, grey and CMYK become RGB; of an animation the first frame is taken.
    Raises DataError naming the file."""
    with open_image(path) as image:
        return decoded(path, lambda: np.array(as_rgb(image)))


def read_fitted(path, height, width):
    """`fit(read_image(path), height, width)`, in less memory."""
    with open_image(path) as image:
        return decoded(path, lambda: resized(as_rgb(image), height, width))


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
    if image.width * image.height > MANY:
        remarks.append(f"has {image.width * image.height:,} pixels")
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

    if image.width * image.height * bytes_of_a_pixel(image) > DECODED:
        raise ValueError(f"its {image.width:,} x {image.height:,} pixels take more memory than decoding may")
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):
        # 16-bit grey, which older versions of Pillow open as 32-bit integers. 65535 = 255 * 257.
        grey = (np.clip(np.asarray(image), 0, 65535).astype(np.int32) + 128) // 257
        image = Image.fromarray(grey.astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(grey_of_floats(np.asarray(image)))
    elif image.mode == "P" or transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def grey_of_floats(values):
    """Grey as floating-point numbers, from 0 to 1 or from 0 to 255, as uint8. Raises ValueError for others."""
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 255:
        raise ValueError(f"its pixels go from {values.min():g} to {values.max():g}; expected are numbers from 0 to 1, or from 0 to 255")
    return np.rint(values * 255 if values.max() <= 1 else values).astype(np.uint8)


def reason(error):
    """What an exception says, as part of a sentence."""
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")
    return text.replace("\n", " ").replace(". ", "; ")


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


def read_each(paths, height, width):
    """Yield (path, image) of image files, decoded by threads: uint8 (height, width, 3) as `read_fitted` makes it, or the DataError that
    says why there is none."""

    def image(path):
        try:
            return read_fitted(path, height, width)
        except DataError as error:
            return error

    with closing(on_all_cores(image, paths)) as images:
        yield from zip(paths, images, strict=True)


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
