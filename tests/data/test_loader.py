"""The loader: which views an epoch shows and how far it works ahead."""

import time
import weakref
from contextlib import closing

import numpy as np
import pytest
from refused import Lazy, data_threads, refused

from minigrad.data import DataError, Loader, mean_image


def all_of(loader, epoch=0, start=0):
    """The batches from `start` on, end to end."""
    parts = list(loader.batches(epoch, start))
    return np.concatenate([x for x, _ in parts]), np.concatenate([labels for _, labels in parts])


def marked(N, H=9, W=9, C=3):
    """Images that can be told apart, and so can their pixels, with labels that are their numbers."""
    return np.random.default_rng(1).integers(0, 256, (N, H, W, C), np.uint8), np.arange(N)


def zero(size):
    return np.zeros((size, size, 3), np.float32)


@pytest.mark.parametrize("C", [1, 3])
@pytest.mark.parametrize("lazy", [False, True])
def test_plain_batches(C, lazy):
    images, labels = marked(11, C=C)
    mean = np.random.default_rng(2).uniform(0, 255, (9, 9, 3)).astype(np.float32)
    loader = Loader(list(images) if lazy else images, labels.astype(np.uint8), 4, mean=mean, scale=0.25)
    batches = list(loader.batches(0))
    assert len(loader) == 3 and [len(x) for x, _ in batches] == [4, 4, 3]
    for x, y in batches:
        assert x.dtype == np.float32 and x.shape[1:] == (9, 9, 3) and x.flags.c_contiguous and y.dtype == np.int64
    x, y = all_of(loader)
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_array_equal(x, (images - mean) * np.float32(0.25))


@pytest.mark.parametrize("N, batch_size, number", [(1, 1, 1), (1, 8, 1), (8, 8, 1), (9, 8, 2), (16, 8, 2)])
def test_number_of_batches(N, batch_size, number):
    loader = Loader(*marked(N), batch_size, mean=zero(9))
    assert len(loader) == number == len(list(loader.batches(0)))


def test_central_crop_and_the_centre_of_the_mean():
    images, labels = marked(3, 12, 9)
    mean = np.random.default_rng(2).uniform(0, 255, (11, 13, 3)).astype(np.float32)
    x, _ = all_of(Loader(images, labels, 2, mean=mean, size=6))
    np.testing.assert_array_equal(x, images[:, 3:9, 1:7] - mean[2:8, 3:9])
    x, _ = all_of(Loader(images, labels, 2, mean=mean))
    np.testing.assert_array_equal(x, images[:, 1:10] - mean[1:10, 2:11])


def test_order():
    loader = Loader(*marked(30), 7, mean=zero(9), shuffle=True, seed=3)
    (x, order), (_, again), (_, later) = all_of(loader), all_of(loader), all_of(loader, epoch=1)
    np.testing.assert_array_equal(x, marked(30)[0][order])
    np.testing.assert_array_equal(order, again)
    assert sorted(order) == sorted(later) == list(range(30))
    assert not np.array_equal(order, np.arange(30)) and not np.array_equal(order, later)
    _, other = all_of(Loader(*marked(30), 7, mean=zero(9), shuffle=True, seed=4))
    assert not np.array_equal(order, other)
    _, plain = all_of(Loader(*marked(30), 7, mean=zero(9), augment=True))
    np.testing.assert_array_equal(plain, np.arange(30))


@pytest.mark.parametrize("size", [6, 9])
@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("batch_size, workers", [(1, 1), (5, 3), (12, 1), (64, 4)])
def test_views_do_not_depend_on_workers_or_batch_size(size, lazy, batch_size, workers):
    images, labels = marked(25)
    options = {"mean": zero(9) + 100, "size": size, "shuffle": True, "augment": True, "seed": 7}
    expected = all_of(Loader(images, labels, 7, **options), epoch=2)
    found = all_of(Loader(list(images) if lazy else images, labels, batch_size, workers=workers, **options), epoch=2)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_an_epoch_taken_up_again_goes_on_as_it_would_have(start):
    loader = Loader(*marked(25), 7, mean=zero(9), shuffle=True, augment=True, workers=2)
    for whole, part in zip(all_of(loader, 5), all_of(loader, 5, start), strict=True):
        np.testing.assert_array_equal(whole[7 * start :], part)
    assert list(loader.batches(5, len(loader))) == []


def test_views_follow_the_image_and_not_its_place_in_the_order():
    images, labels = marked(25)
    options = {"mean": zero(9), "size": 6, "augment": True, "seed": 7}
    x, _ = all_of(Loader(images, labels, 7, **options))
    shuffled, order = all_of(Loader(images, labels, 7, shuffle=True, **options))
    np.testing.assert_array_equal(shuffled, x[order])
    fewer, _ = all_of(Loader(images[:10], labels[:10], 7, **options))
    np.testing.assert_array_equal(fewer, x[:10])


def test_views_change_with_seed_and_epoch():
    images, labels = marked(25)
    x, later = (all_of(Loader(images, labels, 25, mean=zero(9), size=6, augment=True), epoch)[0] for epoch in (0, 1))
    other, _ = all_of(Loader(images, labels, 25, mean=zero(9), size=6, augment=True, seed=1))
    assert not np.array_equal(x, later) and not np.array_equal(x, other)


def views_of(images, size, epochs, padding=0):
    """How often each (top, left, mirrored) was seen, found by looking the crops up among all there could be."""
    N, H, W, _ = images.shape
    loader = Loader(images, np.arange(N), N, mean=zero(size), size=size, augment=True)
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    count = np.zeros((H + 2 * padding - size + 1, W + 2 * padding - size + 1, 2), int)
    for epoch in range(epochs):
        x, _ = all_of(loader, epoch)
        for crop, image in zip(x, padded, strict=True):
            places = np.ndindex(count.shape)
            found = [p for p in places if np.array_equal(crop[:, :: (-1) ** p[2]], image[p[0] : p[0] + size, p[1] : p[1] + size])]
            assert len(found) == 1  # never beyond the edges
            count[found[0]] += 1
    return count


def test_crops_are_at_all_places_with_equal_probability():
    count = views_of(marked(60, 8, 7)[0], 6, 40)
    assert count.shape == (3, 2, 2) and count.sum() == 2400
    assert abs(count - 200).max() < 60  # each of the 12 views 200 times, 60 being more than four standard deviations


def test_images_of_the_right_size_are_padded_and_cropped():
    count = views_of(marked(60, 9, 9)[0], 9, 20, padding=1)
    assert count.shape == (3, 3, 2) and count.sum() == 1200
    assert count.min() > 30 and count.max() < 110


def test_crops_of_224_reach_both_ends_and_never_beyond():
    """From 256 pixels: 33 x 33 places (ALEXNET: 2,178 views). Rows and columns are told from the pixels themselves."""
    rows, columns = np.mgrid[:256, :256].astype(np.uint8)
    images = Images256(np.stack([rows, columns, columns], axis=2), 700)
    x = np.concatenate(
        [
            x[:, [0, 0, -1, -1], [0, -1, 0, -1]]
            for x, _ in Loader(images, np.arange(700), 50, mean=zero(224), size=224, augment=True).batches(0)
        ]
    )
    tops, bottoms = x[:, 0, 0], x[:, 2, 0]
    lefts, rights = np.minimum(x[:, 0, 1], x[:, 1, 1]), np.maximum(x[:, 0, 1], x[:, 1, 1])
    np.testing.assert_array_equal(bottoms - tops, np.full(700, 223))
    np.testing.assert_array_equal(rights - lefts, np.full(700, 223))
    assert set(tops) == set(lefts) == set(range(33))
    mirrored = x[:, 0, 1] > x[:, 1, 1]
    assert 280 < mirrored.sum() < 420
    assert abs(np.corrcoef(np.stack([tops, lefts, mirrored])) - np.eye(3)).max() < 0.15


@pytest.mark.parametrize("size, H, W", [(5, 8, 9), (9, 9, 9), (64, 69, 72)])
@pytest.mark.parametrize("C, lazy", [(3, False), (3, True), (1, True)])
def test_ten_crops_are_corners_and_centre_and_their_mirrors(size, H, W, C, lazy):
    images, labels = marked(5, H, W, C)
    mean = np.random.default_rng(2).uniform(0, 255, (size, size, 3)).astype(np.float32)
    loader = Loader(list(images) if lazy else images, labels, 2, mean=mean, size=size, crops=10, scale=0.5, workers=2)
    x, y = all_of(loader)
    assert x.shape == (5, 10, size, size, 3) and x.dtype == np.float32
    np.testing.assert_array_equal(y, labels)
    p = size // 8 if H == W == size else 0
    bottom, right = H + 2 * p - size, W + 2 * p - size
    for image, crops in zip(images, x, strict=True):
        for flipped in (0, 1):
            padded = np.zeros((H + 2 * p, W + 2 * p, 3), np.float32)
            inside = (image[:, ::-1] if flipped else image) - (mean if p else np.float32(0))
            padded[p : p + H, p : p + W] = inside
            for k, (top, left) in enumerate([(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]):
                expected = padded[top : top + size, left : left + size] - (0 if p else mean)
                np.testing.assert_allclose(crops[5 * flipped + k], expected * 0.5, atol=1e-5)


def test_ten_crops_of_256_pixels_are_the_papers():
    loader = Loader(Images256(np.zeros((256, 256, 3), np.uint8), 1), [0], 1, mean=zero(224), size=224, crops=10)
    views = np.stack(loader.views(0))[:, :, 0].tolist()
    places = [[0, 0], [0, 32], [16, 16], [32, 0], [32, 32]]
    assert views == [[*place, mirrored] for mirrored in (0, 1) for place in places]


class Images256:
    """The same image many times."""

    def __init__(self, image, N):
        self.image, self.N = image, N

    def __len__(self):
        return self.N

    def __getitem__(self, i):
        return self.image


@pytest.mark.parametrize("lazy", [False, True])
def test_the_centre_of_the_mean_is_subtracted_wherever_the_crop_lies(lazy):
    images = np.full((40, 8, 8, 3), 100, np.uint8)
    mean = np.random.default_rng(2).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    x, _ = all_of(Loader(list(images) if lazy else images, np.zeros(40, int), 16, mean=mean, size=5, augment=True, scale=2))
    np.testing.assert_array_equal(x, np.broadcast_to((100 - mean[1:6, 1:6]) * 2, (40, 5, 5, 3)))


def test_padding_is_the_mean():
    """Zero once the mean is subtracted: a set whose images are all its mean is zero in every view."""
    image = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    image = np.concatenate([image[:, :8], image[:, 7::-1]], axis=1)  # its own mirror image
    images = np.repeat(image[None], 30, axis=0)
    x, _ = all_of(Loader(images, np.zeros(30, int), 30, mean=mean_image(images), augment=True))
    assert not x.any()
    x, _ = all_of(Loader(images, np.zeros(30, int), 30, mean=mean_image(images) - 1, augment=True))
    assert set(np.unique(x)) == {0, 1} and (x == 0).all(axis=(0, 3)).sum() == 0


def test_images_and_batches_are_left_alone():
    images, labels = marked(12)
    images.flags.writeable = False
    mean = zero(9) + 3
    loader = Loader(images, labels, 5, mean=mean, augment=True, scale=0.5)
    expected, y = all_of(loader)
    for x, labels_of_batch in loader.batches(0):
        x[...] = np.nan
        labels_of_batch[...] = -1
    again, y_again = all_of(loader)
    np.testing.assert_array_equal(expected, again)
    np.testing.assert_array_equal(y, y_again)
    assert (mean == 3).all()


def test_batches_need_no_more_than_a_few_in_advance():
    images = Lazy(4000)
    loader = Loader(images, np.zeros(4000, int), 16, mean=zero(4), workers=2)
    images.asked.clear()
    with closing(loader.batches(0, start=10)) as batches:
        assert not images.asked  # nothing before the first is asked for
        next(batches)
        deadline = time.monotonic() + 5
        while len(images.asked) < 48 and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert min(images.asked) == 160 and max(images.asked) < 160 + 16 * 4
        assert data_threads()
    assert not data_threads()


@pytest.mark.parametrize("lazy, size, crops, workers", [(False, 9, 1, 1), (True, 9, 1, 4), (True, 64, 1, 2), (False, 64, 10, 3)])
def test_memory_is_bounded_by_what_is_said(monkeypatch, lazy, size, crops, workers):
    """Also over 50 epochs, of a consumer who is slow at first."""
    images, labels = marked(40, size, size)
    loader = Loader(list(images) if lazy else images, labels, 4, mean=zero(size), workers=workers, crops=crops)
    made, most = [], 0

    def empty(shape, dtype):
        x = np.empty(shape, dtype)
        made.append(weakref.ref(x))
        return x

    monkeypatch.setattr("minigrad.engine.memory.empty", empty)
    for epoch in range(50):
        for i, _ in enumerate(loader.batches(epoch)):
            time.sleep(0.01 if epoch == 0 and i < 4 else 0)
            most = max(most, sum(batch() is not None for batch in made))
        made[:] = [batch for batch in made if batch() is not None]
    each = 4 * crops * size * size * 3 * 4
    assert 2 * each <= most * each <= loader.memory <= (4 + workers) * each


@pytest.mark.parametrize("lazy", [False, True])
def test_threads_end_with_the_generator(lazy):
    images, labels = marked(200)
    loader = Loader(list(images) if lazy else images, labels, 4, mean=zero(9), augment=True, workers=3)
    batches = loader.batches(0)
    next(batches)
    assert data_threads()
    batches.close()
    assert not data_threads()
    for _ in loader.batches(0):
        break  # forgotten, not closed
    assert not data_threads()
    with pytest.raises(ZeroDivisionError), closing(loader.batches(0)) as batches:
        for x, _ in batches:
            x[0] / (1 // 0)
    assert not data_threads()
    all_of(loader)
    assert not data_threads()


@pytest.mark.parametrize("workers", [1, 3])
def test_errors_of_threads_reach_the_consumer(workers):
    loader = Loader(Lazy(40, fail_at=21), np.arange(40), 8, mean=zero(4), workers=workers)
    seen = []
    with pytest.raises(DataError, match="image 21 is broken"):
        for _, labels in loader.batches(0):
            seen += labels.tolist()
    assert seen == list(range(16))  # the batches before it came
    assert not data_threads()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"batch_size": 0}, ("batch_size", "at least 1", "not 0")),
        ({"workers": 0}, ("workers", "at least 1", "not 0")),
        ({"seed": -1}, ("seed", "at least 0", "not -1")),
        ({"labels": np.arange(4)}, ("5 images", "(4,)")),
        ({"labels": np.zeros((5, 2), int)}, ("5 images", "(5, 2)")),
        ({"labels": np.zeros(5)}, ("integers", "float64")),
        ({"images": np.zeros((5, 8, 9, 3), np.float32)}, ("uint8", "float32")),
        ({"images": np.zeros((5, 8, 9, 4), np.uint8)}, ("uint8", "(8, 9, 4)")),
        ({"images": np.zeros((5, 8, 9), np.uint8)}, ("uint8", "(8, 9)")),
        ({"images": np.zeros((0, 8, 9, 3), np.uint8), "labels": np.zeros(0, int)}, ("no images",)),
        ({"size": 9}, ("9 x 9", "8 x 9")),
        ({"size": 0}, ("0 x 0",)),
        ({"mean": np.zeros((9, 7, 3))}, ("8 x 8", "(9, 7, 3)")),
        ({"mean": np.zeros((9, 9))}, ("(8, 8, 3)", "(9, 9)")),
        ({"mean": np.zeros(3)}, ("(8, 8, 3)", "(3,)")),
        ({"crops": 5}, ("crops", "1 or 10", "5")),
        ({"noise": np.zeros(3)}, ("noise", "(3, 3)", "(3,)")),
    ],
)
def test_loader_refuses(change, words):
    arguments = {"images": np.zeros((5, 8, 9, 3), np.uint8), "labels": np.arange(5), "batch_size": 2, "mean": np.zeros((8, 9, 3))}
    Loader(**arguments)
    refused(lambda: Loader(**{**arguments, **change}), *words)


@pytest.mark.parametrize("epoch, start", [(-1, 0), (0, -1), (0, 4)])
def test_batches_that_do_not_exist(epoch, start):
    loader = Loader(*marked(5), 2, mean=zero(9))
    refused(lambda: loader.batches(epoch, start), f"batch {start}", f"epoch {epoch}", "3 batches")


def test_no_more_is_prepared_ahead_than_there_is():
    loader = Loader(np.zeros((10, 4, 4, 3), np.uint8), np.zeros(10, int), 2, mean=zero(4), workers=10**6)
    assert loader.memory <= (10 + 4 * 2) * 4 * 4 * 3 * 4


@pytest.mark.parametrize("crops", [1, 10])
def test_shares_of_batches_are_the_batches(crops):
    """Labels come of all images of a batch, images of the share alone, and no other is looked at."""
    images, labels = marked(17)

    class Noted(list):
        def __getitem__(self, i):
            looked_at.append(int(i))
            return super().__getitem__(i)

    options = {"mean": zero(9), "shuffle": True, "augment": crops == 1, "crops": crops, "workers": 2}
    whole = list(Loader(images, labels, 5, **options).batches(3))
    parts, all_looked_at = [], []
    for rank in range(3):
        looked_at = []
        loader = Loader(Noted(images), labels, 5, share=lambda n, rank=rank: slice(n * rank // 3, n * (rank + 1) // 3), **options)
        looked_at.clear()
        parts.append(list(loader.batches(3)))
        all_looked_at += looked_at
        assert loader.memory <= Loader(images, labels, 5, **options).memory
    assert sorted(all_looked_at) == list(range(17))
    for batch, *shares in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([x for x, _ in shares]), batch[0])
        for _, y in shares:
            np.testing.assert_array_equal(y, batch[1])
    assert [len(x) for x, _ in parts[0]] == [1, 1, 1, 0]  # of 5, 5, 5 and 2
