"""Photographs: reading any image file as RGB, fitting it to a size, and folders of them, decoded on demand."""

import numpy as np

WHITE = (255, 255, 255, 255)


class DataError(ValueError):
    """Data that cannot be used: one sentence that names the file or folder, what was found and what was expected."""


def open_image(path):
    """The file's Pillow image, of which only the header has been read. Raises DataError naming the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(path)
    except UnidentifiedImageError:
        raise DataError(f"{path} is no image of a kind that Pillow can read.") from None
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be opened as an image: {_reason(error)}.") from None


def read_image(path):
    """The image in a file as the eye should see it: uint8 (H, W, 3).

    The camera's rotation (EXIF) is undone, transparency lies on white, 16-bit grey is scaled to 8 bits; palette, grey
    and CMYK become RGB; of an animation the first frame is taken. Raises DataError naming the file."""
    with open_image(path) as image:
        try:
            return _as_rgb(image)
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever a broken file leads them to
            raise DataError(f"{path} cannot be decoded: {_reason(error)}.") from None


def _as_rgb(image):
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16-bit grey, which older versions of Pillow open as 32-bit integers. 65535 = 255 * 257.
        grey = (np.clip(np.asarray(image), 0, 65535).astype(np.int32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if image.mode in ("P", "PA", "LA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return np.array(image.convert("RGB"))


def _reason(error):
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def fit(image, height, width):
    """The image resized until it just covers (height, width), its aspect kept, then its centre: uint8 (height, width, 3).

    For a square that is the paper's rule: the shorter side resized, then the central square (§2). Shrinking averages
    (triangle filter: Pillow's box filter would leave steps), enlarging is cubic."""
    from PIL import Image

    H, W, _ = image.shape
    scale = max(height / H, width / W)
    # The crop starts at a whole pixel of the resized image, so that without resizing pixels stay what they are.
    top, left = int((H * scale - height) / 2) / scale, int((W * scale - width) / 2) / scale
    box = (left, top, min(W, left + width / scale), min(H, top + height / scale))
    kernel = Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC
    return np.array(Image.fromarray(image).resize((width, height), kernel, box))


class Folder:
    """Image files as a sequence, decoded when asked for: folder[i] is uint8 (side, side, 3).

    paths: list of files. Raises DataError naming the file if it cannot be decoded."""

    def __init__(self, paths, side):
        self.paths, self.side = list(paths), side

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        return fit(read_image(self.paths[i]), self.side, self.side)
