"""Evaluation as the paper's tables have it: ten crops of each image, several networks, and which classes are confused."""

import csv
from collections import Counter

import numpy as np
from tqdm import tqdm

from minigrad.training import TrainingError, to_host, top_k_errors

# Paper, Tables 1 and 2, and later measurements of the same network: what, networks, crops, top-1 and top-5 error in percent.
PUBLISHED = (
    ("ILSVRC-2010 test: sparse coding", "", "", 47.1, 28.2),
    ("ILSVRC-2010 test: SIFT + Fisher vectors", "", "", 45.7, 25.7),
    ("ILSVRC-2010 test: paper, Table 1", 1, 10, 37.5, 17.0),
    ("ILSVRC-2010 test: paper, footnote 5", 1, 1, 39.0, 18.3),
    ("ILSVRC-2012 validation: paper, Table 2", 1, 10, 40.7, 18.2),
    ("ILSVRC-2012 validation: paper, Table 2", 5, 10, 38.1, 16.4),
    ("ILSVRC-2012 validation: paper, pre-trained", 1, 10, 39.0, 16.6),
    ("ILSVRC-2012 validation: paper, pre-trained", 7, 10, 36.7, 15.4),
    ("ILSVRC-2012 validation: Caffe's bvlc_alexnet", 1, 1, 42.9, 19.8),
    ("ILSVRC-2012 validation: torchvision's alexnet", 1, 1, 43.5, 20.9),
)


def softmax(logits):
    """Probabilities (N, classes) of logits (N, classes)."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def outputs(net, loader, name="evaluating", out=None):
    """What a network says of all N images of a loader, in test mode: a NumPy array (N, ...) of the network's dtype. `out` gets a progress
    bar, if it is a terminal."""
    net.eval()
    bar = tqdm(loader.batches(0), name, len(loader), file=out, disable=None, leave=False, dynamic_ncols=True, unit=" batches")
    return np.concatenate([to_host(net.forward(x)) for x, _ in bar])


def probabilities(net, loader, name="evaluating", out=None):
    """What `net` holds the images of a loader for: float32 (N, classes).

    Of ten crops the mean of the ten softmax outputs counts (paper §4.1)."""
    return outputs(_Averaged(net), loader, name, out)


class _Averaged:
    """A network's probabilities, averaged over the crops of an image."""

    def __init__(self, net):
        self.net = net

    def eval(self):
        self.net.eval()

    def forward(self, x):
        """x (n, size, size, 3) or (n, crops, size, size, 3) -> (n, classes)."""
        p = softmax(to_host(self.net.forward(x.reshape(-1, *x.shape[-3:]))))
        return p.reshape(len(x), -1, p.shape[1]).mean(axis=1)


def errors(p, labels):
    """Mean loss, top-1 and top-5 error (fractions) of probabilities (N, classes). Raises TrainingError if they are not numbers."""
    if not np.isfinite(p).all():
        raise TrainingError("The network's outputs are not finite numbers: its weights have blown up, so there is nothing to evaluate.")
    own = np.take_along_axis(p, labels[:, None], axis=1)
    top1, top5 = top_k_errors(p, labels)
    return float(-np.log(np.maximum(own, 1e-30), dtype=np.float64).mean()), top1 / len(p), top5 / len(p)


def confusion(p, labels):
    """How often an image of class i (row) was taken for one of class j (column): int64 (classes, classes)."""
    classes = p.shape[1]
    return np.bincount(labels * classes + p.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


def class_errors(p, labels):
    """(class, images, top-1 error, top-5 error) for each class there are images of, the worst first; errors are fractions."""
    rows = []
    for label in np.unique(labels).tolist():
        of_class = labels == label
        top1, top5 = top_k_errors(p[of_class], labels[of_class])
        N = int(of_class.sum())
        rows.append((label, N, top1 / N, top5 / N))
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))


def beside_the_paper(name, networks, crops, top1, top5):
    """The paper's tables as text, our errors (fractions) in their last row."""
    rows = [*PUBLISHED, (f"{name}: ours", networks, crops, 100 * top1, 100 * top5)]
    width = max(len(row[0]) for row in rows)
    lines = [f"{'errors in percent':{width}s}  networks  crops  top-1  top-5"]
    lines += [f"{what:{width}s}  {n!s:>8s}  {c!s:>5s}  {a:5.1f}  {b:5.1f}" for what, n, c, a, b in rows]
    return "\n".join(lines)


def write(folder, p, labels, classes):
    """Into `folder`: probabilities.npy, confusion.csv (a row for each true class) and classes.csv (errors by class, the worst first)."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "probabilities.npy", p)
    with open(folder / "confusion.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["shown \\ taken for", *classes])
        rows.writerows([name, *row] for name, row in zip(classes, confusion(p, labels).tolist(), strict=True))
    with open(folder / "classes.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["class", "images", "top1_error", "top5_error"])
        rows.writerows([classes[label], *numbers] for label, *numbers in class_errors(p, labels))


def nearest(queries, features, k=6):
    """The numbers of the k rows of `features` (N, d) nearest to each row of `queries` (n, d) in Euclidean distance: (n, k)."""
    distance = (features.astype(np.float64) ** 2).sum(axis=1) - 2 * queries.astype(np.float64) @ features.T  # less |query|²
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def one_of_each(labels, count, seed=0):
    """The numbers of `count` random images, of different classes as long as there are any."""
    order = np.random.default_rng(seed).permutation(len(labels))
    seen = Counter()
    before = []  # how many of its class come before an image
    for i in order:
        before.append(seen[labels[i]])
        seen[labels[i]] += 1
    return order[np.argsort(before, kind="stable")[:count]]
