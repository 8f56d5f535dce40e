"""Colour noise: its components, their strength, and that a loader gives each image its own."""

import numpy as np
import pytest

from minigrad.data import Loader, colours, noise_matrix
from minigrad.data.colour import FEW, IMAGENET, components, second_moment


def test_components_are_those_of_the_covariance(rng):
    images = (rng.normal(size=(120, 6, 5, 3)) @ rng.normal(size=(3, 3)) * 20 + 120).clip(0, 255).astype(np.uint8)
    pixels = images.reshape(-1, 3).astype(np.float64)
    std, directions = components(len(pixels), pixels.sum(axis=0), sum(second_moment(image) for image in images))
    np.testing.assert_allclose(directions @ np.diag(std**2) @ directions.T, np.cov(pixels.T, bias=True), rtol=1e-5)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-12)
    assert std[0] >= std[1] >= std[2] >= 0
    again = colours(list(images))
    np.testing.assert_allclose(again[0], std)
    np.testing.assert_allclose(again[1], directions)


def test_few_images_have_the_colours_of_imagenet():
    assert colours(np.zeros((FEW - 1, 4, 4, 3), np.uint8)) is IMAGENET
    assert colours(np.zeros((FEW, 4, 4, 1), np.uint8)) is not IMAGENET


def test_published_constants():
    std, directions = IMAGENET
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=3e-5)
    np.testing.assert_allclose(std**2, [14830.4, 1375.96, 388.91], rtol=1e-4)


def noise_of(N, epoch, seed=0, batch_size=10_000, images=None):
    """The colour noise (N, 3) that a loader adds to images of one pixel."""
    images = np.zeros((N, 1, 1, 3), np.uint8) if images is None else images
    loader = Loader(images, np.zeros(N, int), batch_size, mean=np.zeros((1, 1, 3)), noise=noise_matrix(IMAGENET), seed=seed)
    return np.concatenate([x for x, _ in loader.batches(epoch)]).reshape(N, 3)


def test_strength():
    """100,000 draws: standard deviations of the paper's 0.1 times those of ImageNet's pixels, to 2 %."""
    noise = noise_of(100_000, 0)
    along = noise @ IMAGENET[1]
    np.testing.assert_allclose(along.std(axis=0), [12.178, 3.709, 1.972], rtol=0.02)
    np.testing.assert_allclose(noise.std(axis=0), [7.400, 7.200, 7.704], rtol=0.02)
    assert abs(np.corrcoef(along.T) - np.eye(3)).max() < 0.02 and abs(along.mean(axis=0)).max() < 0.15


def test_noise_follows_the_image_the_seed_and_the_epoch():
    noise = noise_of(50, 3)
    np.testing.assert_array_equal(noise, noise_of(50, 3, batch_size=7))
    np.testing.assert_array_equal(noise[:20], noise_of(20, 3))
    assert len(np.unique(noise[:, 0])) == 50
    assert not np.isin(noise, noise_of(50, 4)).any() and not np.isin(noise, noise_of(50, 3, seed=1)).any()


@pytest.mark.parametrize("shape", [(8, 8, 3), (70, 72, 3)])
def test_all_pixels_of_an_image_move_alike(rng, shape):
    images = rng.integers(0, 256, (5, *shape), np.uint8)
    common = {"mean": np.zeros((64, 64, 3)) if shape[0] > 64 else np.zeros((6, 6, 3)), "augment": True, "scale": 0.5}
    common["size"] = len(common["mean"])
    (x, _), (plain, _) = (
        next(Loader(images, np.arange(5), 5, noise=noise, **common).batches(0)) for noise in (noise_matrix(IMAGENET), None)
    )
    moved = 2 * (x - plain).astype(np.float64)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1, :1], moved.shape), atol=1e-4)
    np.testing.assert_allclose(moved[:, 0, 0], np.random.default_rng([0, 0, 2]).normal(size=(5, 3)) @ noise_matrix(IMAGENET).T, rtol=1e-4)
    assert abs(moved).max() > 1
