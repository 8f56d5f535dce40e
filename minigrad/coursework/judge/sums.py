"""Properties of an all-reduce, which runs on threads (minigrad/coursework/threads.py), and what its wrong sums tell: which numbers are in
them, and how often. A reason is given only where that leaves no doubt."""

from dataclasses import replace

import numpy as np

from minigrad.coursework.judge.comparison import Value, copied, dtype_value
from minigrad.coursework.judge.inputs import build, x_of

WRITES = "x belongs to the caller, who still needs it: work on a copy, x.copy()."
NOT_HANDED_ON = "Every sum is finished, but not on every rank: what is finished has to be handed on to all."
TWICE = "What comes in the second half is finished: it takes the place of what a rank has, and is not added to it."
HOME = "A chunk visits R − 1 other ranks: with one step more it comes home, and one rank's numbers are in it twice."
MEAN = "The sum is asked for, not the mean: the loss has been divided by all images already."
LEFT_OUT = "Chunks of n // R numbers leave out the last n % R of them: some chunks must be one longer."
POWERS = "Right for 2, 4, 8 ranks, but not in between: a rank may have no partner, and still its numbers count."
ELSEWHERE = "Numbers of one place are added to those of another: sender and receiver mean different chunks."


def sums_of_all(cls, model, case, seed):
    """The sums, on every rank, to the last bit the same, of numbers that were sent; x stays; float32 stays float32; nothing is sent in
    vain."""
    x = x_of(case, seed)
    before, (R, n) = x.copy(), x.shape
    layer, right = build(cls, case), build(model, case)
    y, expected = copied(layer.forward(x)), right.forward(before.copy())
    value = Value("y", y, expected)
    yield replace(value, reason=why(cls, case, before, y)) if value.sentence() else value
    yield Value("x", x, before, 0.0, WRITES, reason=WRITES)
    same = np.shape(y) == x.shape and all(row.tobytes() == y[0].tobytes() for row in np.asarray(y))
    if not value.sentence():
        sentence = "The sums of two ranks differ in their last bits: each sum must be taken once, and then sent to all."
        yield Value("the same bits on all ranks", same, True, if_wrong=sentence)
        fewest, silent, least = min(layer.sent), int(np.argmin(layer.sent)), n * x.itemsize if R > 1 else 0
        sentence = f"Rank {silent} sends {fewest:,} bytes, too few for its {n} numbers to reach another rank: ranks share no memory."
        yield Value("what each rank sends at least", fewest, max(fewest, least), if_wrong=sentence)
    yield Value("unread", [list(pair) for pair in layer.unread], [], if_wrong=never_received(layer.unread))
    yield from traffic(layer, right, R, n, x.itemsize)
    single = build(cls, case)
    yield dtype_value(single.forward(before.astype(np.float32)), np.float32, "float32 went in, but y came out as {}.")


def traffic(layer, right, R, n, itemsize):
    """No rank sends more than the busiest one of the model, or of a ring, and no more messages follow one another."""
    sent, rank = max(layer.sent), int(np.argmax(layer.sent))
    most = max(*right.sent, 2 * (R - 1) * -(-n // R) * itemsize)  # chunks may be cut otherwise than the model's
    sentence = f"Rank {rank} sends {sent:,} bytes; of {R} ranks with {n} numbers of {itemsize} bytes none has to send more than {most:,}."
    yield Value("bytes", np.array(layer.sent), np.array(layer.sent if sent <= most else right.sent), if_wrong=sentence)
    count, least = round(layer.seconds / layer.latency), round(right.seconds / right.latency)
    sentence = f"{count} messages follow one another, where {least} are enough for {R} ranks: let ranks send at the same time."
    yield Value("messages one after the other", count, count if count <= least else least, if_wrong=sentence)


def never_received(unread):
    return f"Rank {unread[0][0]} sends to rank {unread[0][1]} what is never received." if unread else ""


# ---- what wrong sums tell


def why(cls, case, x, y):
    """The hint of the mistake that these sums prove, or ""."""
    if np.shape(y) != x.shape:
        return ""
    layer = build(cls, case)
    try:
        counts = counted(layer, x)
    except Exception:  # it does something else with other numbers
        return ""
    if counts is None:
        return ELSEWHERE
    R, n = x.shape
    if np.allclose(counts, 1 / R):
        return MEAN
    if not np.array_equal(counts, np.round(counts)):
        return ""
    complete = (counts == 1).all(axis=2)  # [rank, i]: everybody's number once
    in_chunks = sum(layer.sent) < sum(layer.messages) * n * x.itemsize
    whole = n // R * R
    if n % R and in_chunks and complete[:, :whole].all() and not complete[:, whole:].any() and counts.max() <= 1:
        return LEFT_OUT
    if R & (R - 1) and all(sums_are_right(layer, two, 5) for two in (2, 4, 8)):
        return POWERS
    if in_chunks and counts.min() == 1 and counts.max() == 2 and ((counts == 2).sum(axis=2) == 1).all():
        return HOME
    if complete.any(axis=0).all():
        return NOT_HANDED_ON if counts.max() == 1 else TWICE if counts.min() >= 1 else ""
    return ""


def counted(layer, x):
    """counts[r, i, s], how often the number i of rank s is in y[r, i]; None where numbers of other places are in it."""
    R, n = x.shape
    code = np.random.default_rng(5).uniform(1, 2, n)
    counts = np.empty((R, n, R))
    for s in range(R):
        alone = np.zeros((R, n))
        alone[s] = code
        counts[:, :, s] = np.asarray(layer.forward(alone)) / code
    steps = counts * R  # whole numbers also of a mean
    return np.round(steps) / R if np.allclose(steps, np.round(steps), atol=1e-6) else None


def sums_are_right(layer, R, n):
    x = np.random.default_rng(6).standard_normal((R, n))
    try:
        return np.allclose(layer.forward(x.copy()), x.sum(axis=0))
    except Exception:
        return False
