"""The loader: batches in an order, with crops and flips, that depend on the seed and the epoch alone.

However many threads prepare them, and wherever an epoch is taken up again, the batches are the same to the last bit."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

ORDER, AUGMENTATION = 0, 1  # two streams of random numbers for every epoch


def mean_image(images):
    """The mean of the training images, float32 (H, W, 3), in units of 0 to 255; of a folder, the mean of 1,000 images evenly taken."""
    if isinstance(images, np.ndarray):
        mean = sum(part.sum(axis=0, dtype=np.float64) for part in np.array_split(images, max(1, len(images) // 1000))) / len(images)
    else:
        chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), 1000)).astype(int))
        mean = sum(images[i].astype(np.float64) for i in chosen) / len(chosen)
    return np.broadcast_to(mean, (*mean.shape[:2], 3)).astype(np.float32)


def centre(image, size):
    """The central size x size pixels of (..., H, W, C)."""
    top, left = (image.shape[-3] - size) // 2, (image.shape[-2] - size) // 2
    return image[..., top : top + size, left : left + size, :]


class Loader:
    """Batches of (pixels - mean) * scale.

    images: uint8 (N, H, W, C), C 1 (repeated to three channels) or 3, or a sequence of uint8 (H, W, 3). labels: int64 (N,).
    mean: float32 (H, W, 3); from every crop its central part is subtracted, wherever the crop lies (the 2012 code's way).
    size: pixels of the batches' images, at most H and W; by default theirs. shuffle: a new order each epoch.
    augment: random crops, at all (H - size + 1)^2 places, and flips. Images that are no larger than `size` are first
    framed with size // 8 pixels of mean grey on every side. Without: the centre. workers: threads that prepare batches ahead."""

    def __init__(self, images, labels, batch_size, *, mean, size=None, shuffle=False, augment=False, seed=0, workers=1, scale=1.0):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        if len(images) != len(labels):
            raise ValueError(f"there are {len(images)} images but {len(labels)} labels")
        self.images, self.labels, self.batch_size, self.mean = images, np.asarray(labels, np.int64), batch_size, mean
        self.size = mean.shape[0] if size is None else size
        if self.size > min(mean.shape[:2]):
            raise ValueError(f"images of {mean.shape[0]} x {mean.shape[1]} pixels are too small for crops of {self.size}")
        self.shuffle, self.augment, self.seed, self.workers, self.scale = shuffle, augment, seed, workers, np.float32(scale)
        self.frame = self.size // 8 if augment and min(mean.shape[:2]) == self.size else 0

    def __len__(self):
        return -(-len(self.labels) // self.batch_size)

    def batches(self, epoch, start=0):
        """Yields (x float32 (n, size, size, 3), labels int64 (n,)) of an epoch, from batch number `start` on; the last may be smaller."""
        N = len(self.labels)
        order = np.random.default_rng([self.seed, epoch, ORDER]).permutation(N) if self.shuffle else np.arange(N)
        rng = np.random.default_rng([self.seed, epoch, AUGMENTATION])
        H, W = (side + 2 * self.frame for side in self.mean.shape[:2])
        tops, lefts = (rng.integers(0, side - self.size + 1, N) for side in (H, W))
        flips = rng.random(N) < 0.5

        def prepare(b):
            chosen = order[b * self.batch_size : (b + 1) * self.batch_size]
            return self.prepare(chosen, tops[chosen], lefts[chosen], flips[chosen]), self.labels[chosen]

        numbers = iter(range(start, len(self)))
        with ThreadPoolExecutor(self.workers, thread_name_prefix="loader") as threads:
            waiting = deque(threads.submit(prepare, b) for b, _ in zip(numbers, range(2 * self.workers), strict=False))
            try:
                while waiting:
                    ready = waiting.popleft().result()
                    for b in numbers:
                        waiting.append(threads.submit(prepare, b))
                        break
                    yield ready
            finally:
                for future in waiting:
                    future.cancel()

    def prepare(self, chosen, tops, lefts, flips):
        size, frame = self.size, self.frame
        mean = centre(self.mean, size)
        if isinstance(self.images, np.ndarray):
            pixels = self.images[chosen]
        else:
            pixels = np.stack([self.images[i] for i in chosen])
        x = np.empty((len(chosen), size, size, 3), np.float32)
        if not self.augment:
            np.subtract(centre(pixels, size), mean, out=x)
        elif frame:
            framed = np.zeros((len(chosen), size + 2 * frame, size + 2 * frame, 3), np.float32)
            np.subtract(pixels, mean, out=framed[:, frame : frame + size, frame : frame + size])
            crop(framed, tops, lefts, flips, x)
        else:
            crop(pixels, tops, lefts, flips, x)
            x -= mean
        if self.scale != 1:
            x *= self.scale
        return x


def crop(images, tops, lefts, flips, out):
    """Write a window of each image, mirrored where `flips` says so, to out (N, size, size, 3)."""
    size = out.shape[1]
    for n, (image, top, left, flip) in enumerate(zip(images, tops, lefts, flips, strict=True)):
        window = image[top : top + size, left : left + size]
        out[n] = window[:, ::-1] if flip else window
