"""Evaluation as in the paper's tables: ten crops of each image, several networks, and which classes are confused.

Networks are in eval mode; probabilities are arrays (N, K) of N images and K classes, labels (N,) integers from 0 to K-1."""

import csv
from collections import Counter

import numpy as np
from tqdm import tqdm

from minigrad.files import replacing
from minigrad.names import no_formula
from minigrad.ranks import ALONE
from minigrad.training.arrays import to_host
from minigrad.training.errors import TrainingError
from minigrad.training.metrics import softmax, top_k_errors

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


def outputs(net, loader, name="evaluating", out=None, ranks=ALONE):
    """The outputs of a network in eval mode for all N images of a loader: a NumPy array (N, ...) of the network's dtype.

    A progress bar called `name` goes to `out` (standard error if None), if that is a terminal. Of several `ranks` each computes the outputs
    for its share of the images, and all are told all."""
    net.eval()
    bar = tqdm(loader.batches(0), name, len(loader), file=out, disable=None, leave=False, dynamic_ncols=True, unit=" batches")
    found = [to_host(net.infer(x)) if len(x) else None for x, _ in bar]
    parts = zip(*ranks.all(found), strict=True)  # for each batch, those of all ranks
    return np.concatenate([part for batch in parts for part in batch if part is not None])


def probabilities(net, loader, name="evaluating", out=None, ranks=ALONE):
    """The probabilities that `net` gives the classes of a loader's images: float32 (N, K).

    With ten crops, the mean of the softmax outputs of the ten (paper §4.1). `name`, `out` and `ranks` as in `outputs`."""
    return outputs(Averaged(net), loader, name, out, ranks)


class Averaged:
    """A network whose outputs are probabilities, averaged over the crops of an image."""

    def __init__(self, net):
        self.net = net

    def eval(self):
        self.net.eval()

    def infer(self, x):
        """x (n, size, size, 3) or (n, crops, size, size, 3) -> (n, K)."""
        p = softmax(to_host(self.net.infer(x.reshape(-1, *x.shape[-3:]))))
        return p.reshape(len(x), -1, p.shape[1]).mean(axis=1)


def errors(p, labels):
    """Mean loss, top-1 and top-5 error (fractions) of probabilities (N, K). A probability of 0 counts as 1e-30, to keep the loss finite.

    Raises TrainingError if one is not finite."""
    if not np.isfinite(p).all():
        raise TrainingError("The network's outputs are not finite numbers: its weights have blown up, so there is nothing to evaluate.")
    own = np.take_along_axis(p, labels[:, None], axis=1)
    top1, top5 = top_k_errors(p, labels)
    return float(-np.log(np.maximum(own, 1e-30), dtype=np.float64).mean()), top1 / len(p), top5 / len(p)


def confusion(p, labels):
    """How often an image of class i (row) was taken for one of class j (column): int64 (K, K)."""
    K = p.shape[1]
    return np.bincount(labels * K + p.argmax(axis=1), minlength=K**2).reshape(K, K)


def class_errors(p, labels):
    """A list of (class, images, top-1 error, top-5 error), one for each class that has images, the worst first; errors are fractions."""
    rows = []
    for label in np.unique(labels).tolist():
        of_class = labels == label
        top1, top5 = top_k_errors(p[of_class], labels[of_class])
        N = int(of_class.sum())
        rows.append((label, N, top1 / N, top5 / N))
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0]))


def beside_the_paper(name, networks, crops, top1, top5):
    """The published errors as a table in text, its last row the data set `name` with the errors `top1` and `top5`, fractions, of this run.

    networks, crops: how many probabilities were averaged."""
    rows = [*PUBLISHED, (f"{name}: ours", networks, crops, 100 * top1, 100 * top5)]
    width = max(len(row[0]) for row in rows)
    lines = [f"{'errors in percent':{width}s}  networks  crops  top-1  top-5"]
    lines += [f"{what:{width}s}  {n!s:>8s}  {c!s:>5s}  {a:5.1f}  {b:5.1f}" for what, n, c, a, b in rows]
    return "\n".join(lines)


def write(folder, p, labels, classes):
    """Into `folder`, made if there is none: probabilities.npy; confusion.csv, a row for each true class; classes.csv, the errors by class,
    the worst first. classes: their names. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "probabilities.npy") as temporary:
        np.save(temporary, p)
    table = zip(classes, confusion(p, labels).tolist(), strict=True)
    write_csv(folder / "confusion.csv", ["shown \\ taken for", *classes], ([name, *row] for name, row in table))
    found = ([classes[label], *numbers] for label, *numbers in class_errors(p, labels))
    write_csv(folder / "classes.csv", ["class", "images", "top1_error", "top5_error"], found)


def write_csv(path, heading, rows):
    """A table whose texts no spreadsheet takes for formulas: names of classes and files are data. Raises OSError."""
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        csv.writer(file).writerows([no_formula(cell) if isinstance(cell, str) else cell for cell in row] for row in (heading, *rows))


def nearest(queries, features, k=6):
    """The numbers of the k rows of `features` (N, d) nearest to each row of `queries` (n, d), the nearest first: (n, k).

    Nearest in Euclidean distance, as in Figure 4."""
    distance = (features.astype(np.float64) ** 2).sum(axis=1) - 2 * queries.astype(np.float64) @ features.T  # less |query|²
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def one_of_each(labels, count, seed=0):
    """The numbers of `count` random images, all of different classes as long as there are classes left."""
    order = np.random.default_rng(seed).permutation(len(labels))
    seen = Counter()
    before = []  # for each image, how many of its class come before it
    for i in order:
        before.append(seen[labels[i]])
        seen[labels[i]] += 1
    return order[np.argsort(before, kind="stable")[:count]]
