"""Photographs: every kind of image file as RGB, and fitted to a size."""

import io

import numpy as np
import pytest
from PIL import Image
from refused import refused

from minigrad.data import central_square, evenly_spaced, fit, read_image


def colours(H, W):
    """An image whose every pixel is different."""
    rows, columns = np.mgrid[:H, :W]
    return np.stack([rows * 5, columns * 5, 200 - rows - columns], axis=2).astype(np.uint8)


def saved(tmp_path, image, name="photo.png", **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.without-known-ending"])
def test_plain_images_come_back_as_they_are(tmp_path, name):
    path = saved(tmp_path, Image.fromarray(colours(6, 9)), name, format="PNG" if "without" in name else None)
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.writeable
    np.testing.assert_array_equal(image, colours(6, 9))
    np.testing.assert_array_equal(read_image(str(path)), image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_rotation_is_undone(tmp_path, orientation):
    upright = colours(6, 9)
    # How the camera stores an upright image, by the definition of each EXIF orientation.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright.transpose(1, 0, 2), 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(read_image(path), upright)


def test_grey_and_black_and_white(tmp_path):
    grey = colours(6, 9)[..., 0]
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(grey))), np.repeat(grey[..., None], 3, 2))
    bits = Image.fromarray(grey * 8).convert("1")
    assert set(np.unique(read_image(saved(tmp_path, bits)))) == {0, 255}


def test_16_bit_grey(tmp_path):
    values = np.array([[0, 128, 129, 257, 32767, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        image = read_image(saved(tmp_path, Image.fromarray(values), name))
        np.testing.assert_array_equal(image[0], np.array([[0, 0, 1, 1, 127, 255]] * 3).T)
    image = read_image(saved(tmp_path, Image.fromarray(values.astype(np.int32) + 1), "a.tiff"))
    assert image[0, 0, 0] == 0 and image[0, -1, 0] == 255  # 65536 does not wrap around


def test_palette(tmp_path):
    image = Image.fromarray(colours(6, 9)).quantize(16)
    np.testing.assert_array_equal(read_image(saved(tmp_path, image)), np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(read_image(saved(tmp_path, image, "a.gif")), np.asarray(image.convert("RGB")))


def test_transparency_lies_on_white(tmp_path):
    black = Image.new("RGBA", (3, 1))
    black.putdata([(0, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 51)])
    image = read_image(saved(tmp_path, black))
    np.testing.assert_array_equal(image[0], [[255] * 3, [0] * 3, [204] * 3])
    grey = black.convert("LA")
    np.testing.assert_array_equal(read_image(saved(tmp_path, grey)), image)
    palette = Image.new("P", (3, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1, 0])
    image = read_image(saved(tmp_path, palette, transparency=0))
    np.testing.assert_array_equal(image[0], [[255] * 3, [40, 50, 60], [255] * 3])
    marked = Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    image = read_image(saved(tmp_path, marked, transparency=(1, 2, 3)))
    np.testing.assert_array_equal(image[0], [[255] * 3, [4, 5, 6]])


def test_cmyk(tmp_path):
    for name in ("a.jpg", "a.tiff"):
        path = saved(tmp_path, Image.new("CMYK", (16, 8), (0, 255, 255, 0)), name)  # magenta and yellow make red
        np.testing.assert_allclose(read_image(path).astype(int), np.broadcast_to([255, 0, 0], (8, 16, 3)), atol=3)


def test_images_that_cannot_be_read(tmp_path):
    refused(lambda: read_image(tmp_path / "none.jpg"), "none.jpg", "No such file")
    refused(lambda: read_image(tmp_path), str(tmp_path), "cannot be read")
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    refused(lambda: read_image(path), "text.jpg is no image")
    (tmp_path / "empty.jpg").touch()
    refused(lambda: read_image(tmp_path / "empty.jpg"), "empty.jpg is empty")
    for kind in ("JPEG", "PNG", "GIF", "TIFF"):
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(stream, kind)
        path = tmp_path / f"half.{kind.lower()}"
        path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
        refused(lambda path=path: read_image(path), path.name, "cannot be")


def test_fit_without_resizing_cuts_out_the_centre():
    image = colours(9, 14)
    np.testing.assert_array_equal(fit(image, 9, 14), image)
    np.testing.assert_array_equal(fit(image, 9, 9), image[:, 2:11])
    np.testing.assert_array_equal(fit(image, 9, 9), fit(image[:, 2:11], 9, 9))
    np.testing.assert_array_equal(fit(image.transpose(1, 0, 2).copy(), 9, 9), image.transpose(1, 0, 2)[2:11])


def test_fit_resizes_the_shorter_side():
    """Half: the same as resizing all of it with Pillow and then taking the centre."""
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    whole = np.asarray(Image.fromarray(image).resize((15, 10), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(fit(image, 10, 10), whole[:, 2:12])
    flat = np.zeros((20, 60, 3), np.uint8)
    flat[:, 20:40] = 255
    out = fit(flat, 10, 10)
    assert out.shape == (10, 10, 3) and out.dtype == np.uint8 and out[:, 1:9].min() == 255
    assert fit(flat, 4, 12)[:, :3].max() == 0  # all of the width


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 5), (300, 299)])
def test_fit_takes_any_size(shape):
    out = fit(np.full((*shape, 3), 77, np.uint8), 13, 11)
    assert out.shape == (13, 11, 3) and (out == 77).all()


@pytest.mark.parametrize("N, count, numbers", [(5, 5, [0, 1, 2, 3, 4]), (3, 9, [0, 1, 2]), (10, 4, [0, 3, 6, 9]), (7, 1, [0]), (1, 1, [0])])
def test_evenly_spaced_numbers(N, count, numbers):
    assert evenly_spaced(N, count).tolist() == numbers


def test_evenly_spaced_numbers_reach_both_ends_without_gaps():
    numbers = evenly_spaced(4000, 1000)
    assert numbers[0] == 0 and numbers[-1] == 3999 and set(np.diff(numbers)) <= {4, 5, 3}


@pytest.mark.parametrize("H, W, side, top, left", [(9, 9, 9, 0, 0), (9, 12, 5, 2, 3), (8, 6, 5, 1, 0)])
def test_the_central_square(H, W, side, top, left):
    image = colours(H, W)
    np.testing.assert_array_equal(central_square(image, side), image[top : top + side, left : left + side])
