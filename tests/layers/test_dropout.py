"""Dropout: rates within five standard deviations, and masks that are functions of seed, step, image and unit."""

import numpy as np
import pytest

from minigrad import Device, Dropout, Linear


def dropout(p=0.5, seed=0, **options):
    return Dropout(p, **options, rng=np.random.default_rng(seed))


def mask(layer, N=6, units=2000):
    """Which units a training forward lets through."""
    return layer.forward(np.ones((N, units), np.float32)) > 0


def assert_share(hits, probability):
    """hits: independent yes or no, each yes with that probability."""
    assert abs(hits.mean() - probability) < 5 * (probability * (1 - probability) / hits.size) ** 0.5


@pytest.mark.parametrize("p", [0.1, 0.5, 0.875])
def test_the_share_of_units_that_stay(p):
    keep = mask(dropout(p))
    assert_share(keep, 1 - p)
    for n in range(len(keep)):
        assert_share(keep[n], 1 - p)
    for lag in (1, 2, 3, 4, 5, 8):
        assert_share(keep[:, lag:] & keep[:, :-lag], (1 - p) ** 2)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_scaled_at_test_time_as_in_the_paper(rng, p):
    layer, x = dropout(p), rng.standard_normal((3, 4, 5, 6)).astype(np.float32)
    y, dx = layer.forward(x), layer.backward(2 * x)
    assert 0 < np.count_nonzero(y) < x.size
    np.testing.assert_array_equal(y, np.where(y != 0, x, 0))
    np.testing.assert_array_equal(dx, np.where(y != 0, 2 * x, 0))
    layer.eval()
    np.testing.assert_allclose(layer.forward(x), x * (1 - p), rtol=1e-6)
    np.testing.assert_allclose(layer.backward(x), x * (1 - p), rtol=1e-6)


@pytest.mark.parametrize("p", [0.25, 0.5])
def test_scaled_in_training(rng, p):
    layer, x = dropout(p, scale_at="train"), rng.standard_normal((3, 4, 5, 6)).astype(np.float32)
    y, dx = layer.forward(x), layer.backward(2 * x)
    assert 0 < np.count_nonzero(y) < x.size
    np.testing.assert_allclose(y, np.where(y != 0, x / (1 - p), 0), rtol=1e-6)
    np.testing.assert_allclose(dx, np.where(y != 0, 2 * x / (1 - p), 0), rtol=1e-6)
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_both_scalings_agree_when_the_next_weights_are_halved(rng):
    x = rng.standard_normal((5, 40))
    whole, half = (Linear(40, 3, std=std, rng=np.random.default_rng(1)).astype(np.float64) for std in (1.0, 0.5))
    paper, inverted = dropout(0.5, scale_at="test"), dropout(0.5, scale_at="train")
    np.testing.assert_allclose(whole.forward(paper.forward(x)), half.forward(inverted.forward(x)), rtol=1e-12)
    paper.eval(), inverted.eval()
    np.testing.assert_allclose(whole.forward(paper.forward(x)), half.forward(inverted.forward(x)), rtol=1e-12)


def test_the_same_seed_gives_the_same_masks():
    a, b = dropout(seed=7), dropout(seed=7)
    for _ in range(3):
        np.testing.assert_array_equal(mask(a), mask(b))


def test_masks_of_steps_images_and_layers_are_independent():
    layer = dropout(seed=7)
    first, second, other = mask(layer), mask(layer), mask(dropout(seed=8))
    for a, b in ((first, second), (first, other), (first[:-1], first[1:]), (first[:, :-1], second[:, 1:])):
        assert_share(a == b, 0.5)


def test_testing_does_not_change_what_training_draws():
    a, b = dropout(), dropout()
    mask(a), mask(b)
    a.eval().forward(np.ones((3, 5), np.float32))
    np.testing.assert_array_equal(mask(a.train()), mask(b))


@pytest.mark.parametrize("scale_at", ["test", "train"])
def test_p_of_zero_does_nothing(rng, scale_at):
    layer, x = dropout(0, scale_at=scale_at), rng.standard_normal((4, 9)).astype(np.float32)
    for mode in (layer.train, layer.eval):
        mode()
        np.testing.assert_array_equal(layer.forward(x), x)
        np.testing.assert_array_equal(layer.backward(x), x)


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_a_p_outside_0_to_1_is_refused(p):
    with pytest.raises(ValueError, match=f"Dropout.*{p}"):
        Dropout(p)
    layer = Dropout(0.5)
    with pytest.raises(ValueError, match=f"Dropout.*{p}"):
        layer.p = p
    assert layer.p == 0.5


def test_scale_at_must_be_known():
    with pytest.raises(ValueError, match="Dropout.*'sometimes'"):
        Dropout(0.5, scale_at="sometimes")


def test_p_may_be_assigned():
    layer = dropout(0.5)
    mask(layer)
    layer.p = 0.125
    assert_share(mask(layer), 0.875)
    np.testing.assert_allclose(layer.eval().forward(np.ones((1, 3))), 0.875)


@pytest.mark.parametrize("units", [1, 3, 4, 333])
def test_an_images_mask_does_not_depend_on_the_batch(units):
    whole = mask(dropout(), N=23, units=units)
    for N in (1, 2, 5, 22):
        np.testing.assert_array_equal(mask(dropout(), N=N, units=units), whole[:N])


@pytest.mark.parametrize("threads", [1, 3])
def test_masks_do_not_depend_on_slabs(threads, slabs_of_one_image):
    whole = mask(dropout(), N=37, units=50)
    assert_share(whole[:-1] == whole[1:], 0.5)
    np.testing.assert_array_equal(mask(dropout().to(Device("cpu", threads=threads)), N=23, units=50), whole[:23])


def test_an_images_mask_does_not_depend_on_its_shape_or_dtype():
    x = np.ones((3, 4, 5, 6))
    y = dropout().forward(x)
    np.testing.assert_array_equal(dropout().forward(x.reshape(3, -1)), y.reshape(3, -1))
    np.testing.assert_array_equal(dropout().forward(x.astype(np.float32)), y)


@pytest.mark.parametrize("sizes", [(8, 8), (3, 10), (1, 2, 7)])
def test_the_masks_of_towers_side_by_side_are_the_mask_of_one(sizes):
    """A layer split over towers: the same seed, and in each tower the place of its first unit."""
    parts, first = [], 0
    for units in sizes:
        layer = dropout()
        layer.first_unit = first
        parts.append(mask(layer, units=units))
        first += units
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), mask(dropout(), units=first))


def test_the_masks_of_shares_of_a_batch_are_the_mask_of_the_batch():
    """A batch split over ranks: the same seed, and in each rank the place of its first image."""
    parts = []
    for first, N in ((0, 2), (2, 5), (7, 1)):
        layer = dropout()
        layer.masks.first_image = first
        parts.append(mask(layer, N=N))
    np.testing.assert_array_equal(np.concatenate(parts), mask(dropout(), N=8))


def test_masks_do_not_depend_on_threads():
    """Images so large that they are handed out to the threads a few at a time."""
    one, three = (mask(dropout().to(Device("cpu", threads=threads)), N=9, units=100_003) for threads in (1, 3))
    np.testing.assert_array_equal(one, three)
    np.testing.assert_array_equal(one[:4], mask(dropout(), N=4, units=100_003))
    for n in range(8):
        assert_share(one[n] == one[n + 1], 0.5)


@pytest.mark.parametrize("scale_at", ["test", "train"])
def test_what_is_dropped_is_0_even_if_it_was_infinite(scale_at):
    layer = Dropout(0.5, scale_at=scale_at, rng=np.random.default_rng(0))
    scale = 1 if scale_at == "test" else 2
    y = layer.forward(np.full((4, 50), np.inf))
    assert set(y.ravel()) == {0, np.inf}
    x = np.arange(1.0, 201).reshape(4, 50)
    kept = y > 0
    dy = np.where(kept, x, np.nan)
    np.testing.assert_array_equal(layer.backward(dy), np.where(kept, scale * x, 0))
