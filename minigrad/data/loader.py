"""The loader turns a data set into batches for a network, prepared by threads while the network works on earlier ones.

How an image is cropped, mirrored and coloured in an epoch depends on the seed, the epoch and the image's number in the data set, and on
nothing else: a run is the same with any number of workers, any batch size, and after a restart in the middle of an epoch."""

from contextlib import closing

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minigrad.data.ahead import ahead, on_all_cores
from minigrad.data.checks import DataError
from minigrad.data.colour import of_images
from minigrad.data.images import central_square, evenly_spaced
from minigrad.device import CPU

SAMPLE = 1000  # photographs that a mean image and the components of colour are computed from
PART = 8  # photographs that a thread prepares at a time
PHOTOGRAPH = 64  # pixels; crops of this size and more are cut one by one, smaller ones a batch at a time
ORDER, VIEWS, NOISE = 0, 1, 2  # the last number in the seeds of an epoch's order, of its crops and flips, and of its colours


def mean_image(images):
    """The mean of the training images, pixel by pixel: float32 (H, W, 3), in units of 0 to 255 (paper §2).

    images: uint8 (N, H, W, C), or a sequence such as `Folder`, of which 1000 evenly spaced images are taken. A grey mean is repeated to
    three channels. Raises DataError if there are no images."""
    N = len(images)
    if N == 0:
        raise DataError("A mean image needs at least one image, but there are none.")
    if isinstance(images, np.ndarray):
        mean = images.mean(axis=0, dtype=np.float64)
    else:
        mean = sum(image.astype(np.float64) for image in sample(images)) / min(N, SAMPLE)
    return three_channels(mean.astype(np.float32))


def colours(images):
    """The principal components of the training images' colours, as `colour.components` returns them, from 1000 evenly spaced images."""
    return of_images(three_channels(image) for image in sample(images))


def sample(images):
    """A generator of 1000 images, evenly spaced."""
    return on_all_cores(images.__getitem__, evenly_spaced(len(images), SAMPLE).tolist())


class Loader:
    """Batches of images, ready for the first layer.

    images      uint8 (N, H, W, C), C 1 (repeated to three channels) or 3, or a sequence of N images (H, W, C) such as `Folder`
    labels      N integers
    mean        mean image in units of 0 to 255, at least (size, size, 3); its centre is subtracted from every crop, wherever the
                crop was cut (as in 2012; Caffe subtracts the mean of the crop's own position)
    size        side of the square crops; by default the images' shorter side
    shuffle     a new order every epoch
    augment     random crops, every position equally likely, mirrored half of the time (paper §4.1: 33 x 33 positions for
                256 -> 224). Images that are no larger than `size` are first padded with the mean, by size // 8 on each side.
                Without: the central crop
    workers     threads that prepare batches
    scale       factor applied after the mean was subtracted
    noise       (3, 3): noise @ n is added to all pixels of an image, n three normal numbers drawn for the image (paper §4.1)
    crops       10: batches hold, for each image, the squares in its four corners and its centre, and the mirror images of all five:
                float32 (n, 10, size, size, 3). Images no larger than `size` are padded as for `augment`
    device      where the images go; to a GPU a batch is copied while the one before it is used
    share       share(n), a slice: which images of a batch of n are wanted here. Labels come of all n

    len() is the number of batches, of which the last may be smaller. Raises DataError for what does not fit together."""

    def __init__(
        self,
        images,
        labels,
        batch_size,
        *,
        mean,
        size=None,
        shuffle=False,
        augment=False,
        seed=0,
        workers=1,
        scale=1.0,
        noise=None,
        crops=1,
        device=CPU,
        share=lambda n: slice(0, n),
    ):
        self.device, self.share = device, share
        self.images, self.labels, self.mean = images, np.asarray(labels), np.asarray(mean, np.float32)
        self.batch_size, self.shuffle, self.augment = batch_size, shuffle, augment
        self.seed, self.workers, self.scale, self.crops = seed, workers, np.float32(scale), crops
        self.noise = None if noise is None else np.asarray(noise, np.float64)
        for name, least in (("batch_size", 1), ("workers", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise DataError(f"{name} must be at least {least}, not {getattr(self, name)}.")
        if crops not in (1, 10):
            raise DataError(f"crops must be 1 or 10, not {crops}.")
        if self.noise is not None and self.noise.shape != (3, 3):
            raise DataError(f"noise must be a matrix of shape (3, 3), not {self.noise.shape}.")
        if self.labels.shape != (len(images),):
            raise DataError(f"There are {len(images)} images, but labels of shape {self.labels.shape}.")
        if len(images) == 0:
            raise DataError("There are no images to load.")
        first = images[0]
        if first.dtype != np.uint8 or first.ndim != 3 or first.shape[2] not in (1, 3):
            raise DataError(f"Images must be uint8 (H, W, 1 or 3), not {first.dtype} {first.shape}.")
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise DataError(f"Labels must be integers, not {self.labels.dtype}.")
        H, W, _ = first.shape
        self.size = s = min(H, W) if size is None else size
        if not 1 <= s <= min(H, W):
            raise DataError(f"Crops of {s} x {s} pixels cannot be cut from images of {H} x {W}.")
        if self.mean.ndim != 3 or self.mean.shape[2] not in (1, 3) or min(self.mean.shape[:2]) < s:
            raise DataError(f"Crops of {s} x {s} pixels need a mean image of at least ({s}, {s}, 3), not {self.mean.shape}.")
        self.labels = self.labels.astype(np.int64)
        self.mean = three_channels(central_square(self.mean, s))
        self.padding = s // 8 if (augment or crops == 10) and H == W == s else 0
        self.one_by_one = s >= PHOTOGRAPH and first.shape[2] == 3 and not self.padding
        self.backwards = np.arange(s)[::-1]
        self.positions = H + 2 * self.padding - s + 1, W + 2 * self.padding - s + 1

    def __len__(self):
        return -(-len(self.images) // self.batch_size)

    @property
    def memory(self):
        """An upper bound of the bytes of all batches that exist at one time: one in use, one just handed out, and two or three that the
        threads are working on."""
        parts = self.parts()
        batches = 2 + -(-self.limit(parts) // parts) + 1
        one = min(self.most(), len(self.images)) * self.crops * self.size**2 * 3 * 4
        return batches * (1 << max(one - 1, 0).bit_length() if self.device.is_gpu else one)  # pinned memory comes in powers of two

    def most(self):
        """How many images of a batch are wanted here, of the last one perhaps fewer."""
        share = self.share(self.batch_size)
        return share.stop - share.start

    def parts(self):
        """How many parts make a batch."""
        return max(1, -(-self.most() // self.part_size()))

    def part_size(self):
        """How many images a thread prepares at a time."""
        return self.batch_size if isinstance(self.images, np.ndarray) and not self.one_by_one else PART

    def limit(self, parts):
        """How many parts are prepared ahead, where `parts` of them make a batch."""
        return max(2 * parts, min(self.workers, parts * len(self)) + 1)

    def batches(self, epoch, start=0):
        """A generator of the batches from number `start` on: images float32 (n, size, size, 3) on the device, labels int64 (n,); with
        `share` this one's images, of which there may be none, and the labels of all.

        Threads work about two batches ahead; they end with the generator, so close it if you do not exhaust it. Raises DataError if an
        image cannot be decoded."""
        if epoch < 0 or not 0 <= start <= len(self):
            raise DataError(f"There is no batch {start} of epoch {epoch}: an epoch has {len(self)} batches, from 0 on.")
        return self.device.upload(self.host_batches(epoch, start))

    def host_batches(self, epoch, start):
        N = len(self.images)
        order = np.random.default_rng([self.seed, epoch, ORDER]).permutation(N) if self.shuffle else np.arange(N)
        views, noise = self.views(epoch), self.noise_of(epoch)
        part = self.part_size()

        def tasks():
            for i in range(start * self.batch_size, N, self.batch_size):
                batch = order[i : i + self.batch_size]
                chosen = batch[self.share(len(batch))]
                x = self.device.host_empty((len(chosen), len(views), self.size, self.size, 3), np.float32)
                for j in range(0, len(chosen) or 1, part):
                    yield x, batch, chosen, slice(j, j + part)

        def work(task):
            x, batch, chosen, rows = task
            numbers = chosen[rows]
            if len(numbers):
                pixels = self.pixels_of(numbers)
                for k, view in enumerate(views):
                    self.fill(x[rows, k], pixels, *view[:, numbers], None if noise is None else noise[numbers])
            return x, batch, rows.stop >= len(chosen)

        with closing(ahead(work, tasks(), self.workers, self.limit(self.parts()))) as done:
            for x, batch, complete in done:
                if complete:
                    yield x if self.crops == 10 else x[:, 0], self.labels[batch]

    def views(self, epoch):
        """The crops of each image of the data set: a list of integer arrays (3, N), top row, left column, and 1 if mirrored."""
        N, (rows, columns) = len(self.images), self.positions
        if self.crops == 10:
            bottom, right = rows - 1, columns - 1
            corners = [(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]
            return [np.broadcast_to([[top], [left], [mirrored]], (3, N)) for mirrored in (0, 1) for top, left in corners]
        if not self.augment:
            return [np.broadcast_to([[(rows - 1) // 2], [(columns - 1) // 2], [0]], (3, N))]
        # Drawn image by image: the crop of an image stays the same when others are added after it.
        return [np.random.default_rng([self.seed, epoch, VIEWS]).integers([rows, columns, 2], size=(N, 3)).T]

    def noise_of(self, epoch):
        """The colours that are added to all pixels of each image of the data set: float32 (N, 3), or None."""
        if self.noise is None:
            return None
        normal = np.random.default_rng([self.seed, epoch, NOISE]).standard_normal((len(self.images), 3))
        return (normal @ self.noise.T).astype(np.float32)

    def pixels_of(self, numbers):
        """The images of these numbers, as `fill` takes them: a list, or an array (n, H, W, 3)."""
        if self.one_by_one:
            return [self.images[i] for i in numbers]
        return three_channels(self.images[numbers] if isinstance(self.images, np.ndarray) else np.stack([self.images[i] for i in numbers]))

    def fill(self, x, pixels, tops, lefts, mirrored, noise):
        """Write a batch into x (n, size, size, 3): images mirrored and cut, the mean subtracted, noise added, scaled."""
        s, p = self.size, self.padding
        if self.one_by_one:
            for i, image in enumerate(pixels):
                self.fill_one(x[i], image, tops[i], lefts[i], mirrored[i], None if noise is None else noise[i])
            return
        which = np.flatnonzero(mirrored)
        pixels = pixels.copy() if self.crops == 10 else pixels
        pixels[which] = pixels[which, :, ::-1]
        if p:
            padded = np.zeros((len(x), s + 2 * p, s + 2 * p, 3), np.float32)  # 0 is the mean
            np.subtract(pixels, self.mean, out=padded[:, p : p + s, p : p + s])
            x[...] = squares_at(padded, tops, lefts, s)
        else:
            np.subtract(squares_at(pixels, tops, lefts, s), self.mean, out=x)
        if noise is not None:
            x += noise[:, None, None]
        if self.scale != 1:
            x *= self.scale

    def fill_one(self, x, image, top, left, mirror, noise):
        """`fill` for one image. Its rows are handled as 3 * size numbers each, for speed."""
        s, (H, W, _) = self.size, image.shape
        if mirror:
            left = W - s - left
            crop = image[top : top + s, left : left + s].take(self.backwards, axis=1).reshape(s, 3 * s)
        else:
            crop = image.reshape(H, 3 * W)[top : top + s, 3 * left : 3 * (left + s)]
        x = x.reshape(s, 3 * s)
        np.subtract(crop, self.mean.reshape(s, 3 * s), out=x)
        if noise is not None:
            x += np.tile(noise, s)
        if self.scale != 1:
            x *= self.scale


def squares_at(images, tops, lefts, size):
    """From each image (n, H, W, C) the square whose upper left corner is (top, left): (n, size, size, C)."""
    n, H, W, C = images.shape
    # Columns and channels as one axis, so that a row of a square is contiguous in memory.
    windows = sliding_window_view(images.reshape(n, H, W * C), (size, size * C), axis=(1, 2))
    return windows[np.arange(n), tops, lefts * C].reshape(n, size, size, C)


def three_channels(images):
    return images.repeat(3, axis=-1) if images.shape[-1] == 1 else images
