"""The page of `explore` as a text: numbers in it to four digits, names as data, pictures of magnitudes."""

import html
import json
import re

import numpy as np
import pytest

from minigrad.plots import explorer
from minigrad.plots.explorer.packing import Numbers, read


def packed(*arrays):
    numbers = Numbers()
    places = [numbers.place(array) for array in arrays]
    return [read(numbers.text(), place) for place in places], places, numbers.text()


def test_four_digits_of_every_number(rng):
    """Of all sizes and both signs; where the last bits are dropped the nearest is taken."""
    x = (rng.standard_normal(10_000) * 10.0 ** rng.integers(-36, 38, 10_000)).astype(np.float32)
    (found,), _, _ = packed(x)
    assert (np.abs(found - x) <= np.abs(x.astype(np.float64)) * 2.0**-16).all()
    assert not np.array_equal(found, x)
    exact = np.array([0, 1, -1, 0.5, 255, -0.15625, 32767, 1e-45], np.float32)
    np.testing.assert_array_equal(packed(exact)[0][0], [*exact[:-1], 0])


def test_the_largest_number_stays_one():
    largest = np.finfo(np.float32).max
    (found,), _, _ = packed(np.array([largest, -largest], np.float32))
    assert np.isfinite(found).all() and (np.abs(found) > 0.9999 * largest).all()


def test_arrays_of_any_shape_one_behind_the_other(rng):
    arrays = [
        rng.standard_normal((2, 3, 4)).astype(np.float32).transpose(2, 0, 1),
        np.arange(7, dtype=np.uint8),
        np.zeros((0, 3), np.float32),
    ]
    arrays += [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((1,), (2, 4), (3, 3))] + [np.float32([5])]
    found, places, text = packed(*arrays)
    for array, back, place in zip(arrays, found, places, strict=True):
        assert back.dtype == array.dtype and place["shape"] == list(array.shape)
        np.testing.assert_allclose(back, array, rtol=2.0**-16)
    assert len(text) == places[-1]["at"] + 4 and re.fullmatch(r"[A-Za-z0-9+/]*=*", text) and "=" not in text


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(wrong):
    with pytest.raises(ValueError, match="finite"):
        Numbers().place(np.array([1, wrong], np.float32))


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros(3, int), {1}])
def test_other_types_are_refused(wrong):
    with pytest.raises(TypeError, match="float32 and uint8"):
        Numbers().place(wrong)


NAMES = ["</script><script>alert(1)</script>", "<!--", "\"quoted\" & 'single'", "{{numbers}}", "\u2028 \u00e9 \u4e2d"]


def test_names_end_no_element_and_come_back():
    text = explorer.page({"classes": NAMES, "values": np.ones(2, np.float32)}, NAMES[0] + NAMES[2])
    description = re.search(r'<script type="application/json" id="description">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(description)["classes"] == NAMES and "<" not in description
    assert html.unescape(re.search(r"<title>(.*?)</title>", text)[1]) == NAMES[0] + NAMES[2]
    assert "alert(1)" in text and len(re.findall("<script", text)) == 3
    assert text.count("{{") == text.count("{{numbers}}") == 1  # the name alone


def test_the_largest_of_others_is_left_out(rng):
    """ReLUs and poolings, at a stage's beginning too; but not what only calls itself so."""
    first, second, x = (rng.standard_normal((2, 5, 6)).astype(np.float32) for _ in range(3))
    both = np.concatenate([first, second])
    pooled = np.stack([both[:, r : r + 3, q : q + 3].max(axis=(1, 2)) for r in (0, 2) for q in (0, 2)], axis=1).reshape(4, 2, 2)
    facts = {"kernel_size": 3, "stride": 2}
    kinds = [("conv", []), ("conv", []), ("relu", []), ("relu", [0]), ("relu", [1]), ("pool", [0, 1])]
    nodes = [{"kind": kind, "inputs": inputs, "facts": facts} for kind, inputs in kinds]
    values = [first, second, np.maximum(x, 0), np.maximum(first, 0), np.maximum(second, second / 8), pooled]
    left = explorer.without_maxima(nodes, x, values)
    assert [value is None for value in left] == [False, False, True, True, False, True]
    assert left[0] is first and left[4] is values[4]


def test_pictures_of_magnitudes():
    x = np.linspace(0, 1, 1001).astype(np.float32)
    x[-1] = 50  # one of many
    pixels, most = explorer.shades(x)
    assert pixels.dtype == np.uint8 and pixels[0] == 0 and pixels[-1] == 255 and 0.99 < most < 1
    np.testing.assert_allclose(pixels[:-6], x[:-6] * 255 / most, atol=0.5)
    around, most = explorer.around_grey(np.concatenate([-x, x]))
    assert around[0] == around[1001] == 128 and around.min() == 1 and around.max() == 255
    assert explorer.shades(np.zeros(4, np.float32))[0].max() == 0  # nothing speaks for the class
