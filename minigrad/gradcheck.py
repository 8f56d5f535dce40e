"""Is `backward` the derivative of `forward`? The checker answers with differences of forward alone, and says what is wrong and where.

A layer is known by its `forward`, `backward`, `parameters` and `astype`, nothing else. L = sum(dy * forward(x)) with a random dy; the
gradients that backward(dy) leaves must be the slopes of L, which central differences give to nine digits in float64. Beside the
values stand the rules of the contract: nothing handed in is written to, backward overwrites, no batch leaves traces in the next.

t a tensor (x or a parameter), a its gradient after backward ("yours"), n its numerical gradient ("expected"), u a direction;
S the largest |n| of a tensor; N images."""

import contextlib
import copy
import dataclasses
import html
import itertools
import numbers
import os
import random
import re
import textwrap
import time
import traceback
import warnings

import numpy as np

CHECKS = ("values", "contract", "dtype", "layout")  # and, for the library's own suite: "alias", "errors"
ALL_CHECKS = CHECKS + ("alias", "errors")

EPS = np.finfo(np.float64).eps
STEP = EPS ** (1 / 3)  # balances the error of cutting the Taylor series, h^2, against that of rounding, eps / h
DIRECTIONS, SINGLES = 8, 32  # what is tried of a tensor too large to try every element
ATTEMPTS = 20  # at drawing parameters
HALVING = 70  # evaluations that lead from a wrong direction to one of 10^10 elements
LOOKS = 40  # evaluations for second looks at what seems wrong, and a tenth of what is not needed
RESERVE = 60  # evaluations that are no differences, in both draws: probes, contract, dtype, layout
LINES = 25  # of a message
WIDTH = 130

# ------------------------------------------------------------------------------------------------------------------------ differences


def numerical_gradient(f, t, dy=None, h=None):
    """The gradient of sum(dy * f(t)), or of f(t) where that is a number, with respect to t: an array of the shape of t.

    Taylor: f(t + h) = f + h f' + h^2/2 f'' + h^3/6 f''' + ..., so that (f(t + h) - f(t - h)) / 2h = f' + h^2/6 f''' + ...
    t: float64, changed in place one element at a time and restored bit for bit; f gets t itself. dy: of the shape of f(t).
    h: the step, by default eps^(1/3) * max(1, |t_i|). Raises TypeError unless t is a float64 array, ValueError for a dy of another
    shape."""
    if not isinstance(t, np.ndarray) or t.dtype != np.float64:
        raise TypeError(f"numerical_gradient: t must be a float64 array, not {getattr(t, 'dtype', type(t).__name__)}")
    gradient = np.empty(t.shape)
    for i in np.ndindex(t.shape):
        gradient[i] = element_slope(f, t, i, dy, h)
    return gradient


def element_slope(f, t, i, dy=None, h=None):
    """The slope of sum(dy * f(t)) along t[i]. The divisor is the step that float64 really made."""
    old, h = t[i], STEP * max(1.0, abs(t[i])) if h is None else h
    try:
        t[i] = above = old + h
        change = np.array(f(t), np.float64)  # a copy: f may use its buffers again, or return a view of t
        t[i] = below = old - h
        change = change - f(t)
    finally:
        t[i] = old
    if np.shape(change) != np.shape(1.0 if dy is None else dy):
        raise ValueError(f"numerical_gradient: f(t) has shape {np.shape(change)}, so dy must have it too, but has {np.shape(dy)}")
    with np.errstate(all="ignore"):
        return np.sum(change if dy is None else dy * change) / (above - below)


def shifted(f, t, u, steps):
    """[f(t + step * u) for step in steps]; t is restored."""
    old, values = t.copy(), []
    try:
        for step in steps:
            t[...] = old + step * u
            values.append(f(t))
    finally:
        t[...] = old
    return values


def kink_free(shape, rng, low=-2.0, high=2.0):
    """Float64 numbers in random order, low <= v <= high, at least (high - low) / size apart and a quarter of that away from 0.

    No maximum is tied and no ReLU stands at its kink, nor does a small step lead there. Raises ValueError unless low < high."""
    if not low < high:
        raise ValueError(f"kink_free: low must be below high, not {low}, {high}")
    size = int(np.prod(shape))
    gap = (high - low) / (size - 0.5)
    from_grid = abs(low / gap - round(low / gap))  # of 0, in gaps; half a gap is left, enough to move the grid off 0
    return rng.permutation(low + gap * (np.arange(size) + (0.0 if from_grid >= 0.25 else 0.5))).reshape(shape)


# ----------------------------------------------------------------------------------------------------------------------------- reports


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor in one draw. method "elements": every element was tried; "directions": random directions and single elements.

    checked, wrong: how many of these. worst_error: largest |yours - expected| over the largest expected number; index, yours,
    expected: where that is, or what halving led to; uncertainty: what the differences themselves may be off there.
    kinks: how many elements were judged by their one-sided slopes."""

    tensor: str
    shape: tuple
    draw: int
    method: str
    checked: int
    wrong: int
    worst_error: float
    index: tuple
    yours: float
    expected: float
    uncertainty: float
    kinks: int


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something wrong: which check found it, which rule is broken, by which tensor ("" if by none), and a sentence."""

    check: str
    rule: str
    tensor: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_layer` found. status: "passed", "failed", "not started" (there is a blank) or "error" (the layer raised).

    cause: one sentence, or "" if none is certain. str(report) is a message of at most 25 lines."""

    status: str
    title: str
    seed: int
    rtol: float
    entries: tuple = ()
    findings: tuple = ()
    notes: tuple = ()
    cause: str = ""
    kinks: int = 0
    evaluations: int = 0
    seconds: float = 0.0

    @property
    def ok(self):
        return self.status == "passed"

    def __str__(self):
        return self.text()

    def text(self, again=None, plain=False):
        """The message. again: the command that repeats this check, if not `check_layer` itself. plain: ASCII marks alone, for consoles
        that know no others."""
        return message(self, again or f"check_layer(..., seed={self.seed})", plain)

    def to_dict(self):
        """All fields, and ok, as plain JSON types; numbers that JSON does not know are None."""
        return as_json(dataclasses.asdict(self) | {"ok": self.ok})

    def _repr_html_(self):
        heads, rows = table(self)
        cells = ["<tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr>"]
        cells += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        lines = "".join(f"<br>{html.escape(line)}" for line in sentences(self))
        return f"<div><b>{html.escape(headline(self))}</b><table>{''.join(cells) if rows else ''}</table><div>{lines[4:]}</div></div>"


class GradientError(AssertionError):
    """A layer did not pass. report: the `Report`, whose message this error shows."""

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report

    def __reduce__(self):
        return GradientError, (self.report,)


def as_json(value):
    if isinstance(value, dict):
        return {key: as_json(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value


MARKS = {"passed": "✓", "failed": "✗", "error": "✗", "not started": "○"}
PLAIN = {"✓": "ok:", "✗": "WRONG:", "○": "todo:", " · ": " - ", "×": "x", "…": "..."}


def headline(report):
    count = f"{report.evaluations} evaluation{'s' * (report.evaluations != 1)}"
    status = "not started" if report.status == "not started" else f"{count}, {report.seconds:.2f} s"
    return f"{MARKS[report.status]} {report.title} · seed {report.seed} · {status}"


def table(report):
    """The heads of the columns and one row a tensor: its wrong entry, or else its worst. Where they are many, the wrong ones first."""
    heads = ("gradient of", "shape", "worst error", "at", "yours", "expected", "verdict")
    shown = {}
    for entry in report.entries:
        other = shown.get(entry.tensor)
        if other is None or (entry.wrong > 0, entry.worst_error) > (other.wrong > 0, other.worst_error):
            shown[entry.tensor] = entry
    blamed = {finding.tensor for finding in report.findings if finding.check == "values"}
    rows = []
    for e in sorted(shown.values(), key=lambda e: len(shown) > LINES / 2 and e.wrong == 0 and e.tensor not in blamed):
        verdict = f"{e.wrong} of {e.checked} wrong" if e.wrong else "wrong" if e.tensor in blamed else "ok"
        verdict += " in draw 2" if e.draw and verdict != "ok" else ""
        verdict += f", {e.kinks} kink{'s' * (e.kinks > 1)}" if e.kinks else ""
        verdict += ", by directions" if e.method == "directions" else ""
        shape, index = (str(v).replace(" ", "") for v in (e.shape, e.index))
        rows.append((e.tensor, shape, f"{e.worst_error:.1e}", index, f"{e.yours:#.7g}", f"{e.expected:#.7g}", verdict))
    return heads, rows


def sentences(report):
    """What the table does not say: findings, the cause, notes."""
    plain = [f.check == "values" or f.rule == "raises" for f in report.findings]
    lines = [f.sentence if p else f"{f.check}, {f.rule}: {f.sentence}" for p, f in zip(plain, report.findings, strict=True)]
    if report.status == "failed" and not report.cause:
        lines.append("No simple cause: neither a factor nor a permutation, and no pattern in where it is wrong.")
    if report.cause not in ("", *(finding.sentence for finding in report.findings)):
        lines.append(f"   {report.cause}")
    return lines + [note if report.status == "not started" else f"note: {note}" for note in report.notes]


def message(report, again, plain):
    """At most LINES lines: what does not fit is counted."""
    heads, rows = table(report)
    widths = [max(map(len, column)) + 2 for column in zip(heads, *rows, strict=True)]
    lines = ["  " + "".join(map(str.ljust, row, widths)).rstrip() for row in (heads, *rows)] if rows else []
    said = [line for sentence in sentences(report) for line in wrapped(sentence)]
    said = cut(said, LINES - 2 - min(len(lines), 10), "lines")
    lines = [headline(report), *cut(lines, LINES - 2 - len(said), "tensors"), *said]
    if report.status in ("failed", "error"):
        lines.append(f"  again:  {again}")
    text = "\n".join(lines)
    for mark, words in PLAIN.items() if plain else ():
        text = text.replace(mark, words)
    return text


def cut(lines, room, what):
    return lines if len(lines) <= room else [*lines[: room - 1], f"  … and {len(lines) - room + 1} more {what}"]


def wrapped(sentence):
    indent = "  " + " " * (len(sentence) - len(sentence.lstrip()))
    return textwrap.wrap(sentence.strip(), WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")


# ----------------------------------------------------------------------------------------------------------------- the two ways to ask


def check_layer(layer, x, *args, wrt_x=True, seed=0, rtol=1e-6, budget=20_000, checks=CHECKS, suspects=(), title=""):
    """Compare the gradients of `backward` with differences of `forward`, and test the contract -> Report. Prints nothing.

    layer      a function without arguments that makes one (a class, a lambda), or a layer, which is copied and stays as it is
    x          an array, or a shape: then kink_free(shape, default_rng(seed)); the first axis counts the images
    args       handed to forward behind x; arrays of length N are cut along with x, and get no gradient (labels)
    wrt_x      False: only the parameters' gradients are checked, and backward may return None (a whole network)
    rtol       relative error of an element that is allowed; smaller than 1e-2 of the largest, an element is compared with that
    budget     at most so many evaluations of forward: large tensors are then tried along random directions
    checks     some of "values", "contract", "dtype", "layout"; and, for layers of a library, "alias", "errors"
    suspects   (hint, factory) pairs, known mistakes: if a failing layer has all gradients of one to 1e-9, the hint is the cause.
               (hint, number): the hint is the cause if the gradients are wrong by this factor
    title      the first words of the message; by default the layer's name and the shape of x

    forward that gives a number is a loss: backward() is then called without argument. forward or backward that raise
    NotImplementedError or return None or ... are not started. What the layer raises becomes a finding. Raises TypeError or ValueError
    for an x of integers, no images, unknown checks, a budget too small, and for something without forward."""
    start = time.perf_counter()
    if isinstance(checks, str):
        raise TypeError(f"check_layer: checks must be a tuple of names, as ({checks!r},)")
    if unknown := sorted(set(checks) - set(ALL_CHECKS)):
        raise ValueError(f"check_layer: there is no check {unknown[0]!r}, there are {', '.join(ALL_CHECKS)}")
    if hasattr(layer, "forward") and not isinstance(layer, type):
        make, factory = lambda: copy.deepcopy(layer), False
    elif callable(layer):
        make, factory = layer, True
    else:
        raise TypeError(f"check_layer: expects a layer or a function that makes one, not {type(layer).__name__}")
    x = images(x, seed)
    with undisturbed():
        examination = Examination(make, x, args, wrt_x, seed, rtol, budget, checks, factory)
        examination.run()
        cause = examination.cause(suspects)
    shape = str(x.shape).replace(" ", "")
    return Report(
        status=examination.status,
        title=title or f"{examination.subject.name or 'layer'} · x {shape}",
        seed=seed,
        rtol=rtol,
        entries=tuple(examination.entries),
        findings=tuple(examination.findings),
        notes=tuple(dict.fromkeys(examination.notes)),
        cause=cause,
        kinks=sum(entry.kinks for entry in examination.entries),
        evaluations=examination.subject.evaluations,
        seconds=time.perf_counter() - start,
    )


def assert_gradients(layer, x, *args, wrt_x=True, seed=0, rtol=1e-6, budget=20_000, checks=CHECKS, suspects=(), title=""):
    """Raise GradientError unless `check_layer`, with the same arguments, passes. A layer that is not started does not."""
    __tracebackhide__ = True  # pytest shows the caller's line
    report = check_layer(layer, x, *args, wrt_x=wrt_x, seed=seed, rtol=rtol, budget=budget, checks=checks, suspects=suspects, title=title)
    if not report.ok:
        raise GradientError(report)


def images(x, seed):
    """x as a fresh float64 array."""
    if isinstance(x, tuple) and all(isinstance(size, numbers.Integral) for size in x):
        if not x or min(x) < 1:
            raise ValueError(f"check_layer: x needs at least one image and no axis of size 0, but the shape is {x}")
        return kink_free(x, np.random.default_rng(seed))
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(
            f"check_layer: x must be an array of floats, or a shape as a tuple, not {x.dtype}: there is no slope in whole numbers"
        )
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"check_layer: x needs at least one image and no axis of size 0, but the shape is {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("check_layer: x holds a nan or an infinity")
    return np.array(x, np.float64, order="C")


@contextlib.contextmanager
def undisturbed():
    """Whatever happens inside: the global random states, the warning filters and NumPy's error handling stay as they were."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


# ------------------------------------------------------------------------------------------------------------------ the layer examined


class Blank(Exception):
    """A part of the layer is not written yet."""


class Stopped(Exception):
    """A finding after which nothing else means anything."""

    def __init__(self, *finding):
        self.finding = Finding(*finding)


class Raised(Exception):
    """The layer's own code raised an error."""

    def __init__(self, what, error):
        self.what, self.error = what, error

    def __str__(self):
        words = str(self.error).strip().splitlines() or ["(no message)"]
        return f"{self.what} raises {type(self.error).__name__}: {words[0]}{self.place()}"

    def place(self):
        """The last line that is neither NumPy's nor the checker's: " (line 7 of student.py: `dx += dy`)"."""
        others = (os.path.dirname(np.__file__), __file__, copy.__file__, "<__array_function__", "<frozen")
        frames = [frame for frame in traceback.extract_tb(self.error.__traceback__) if not frame.filename.startswith(others)]
        if not frames:
            return ""
        frame = frames[-1]
        line = f": `{frame.line}`" if frame.line else f", in {frame.name}"
        return f" (line {frame.lineno} of {os.path.basename(frame.filename)}{line})"


@dataclasses.dataclass
class Draw:
    """An input and the dy of its output, which is 1 for a loss."""

    x: np.ndarray
    args: list
    dy: np.ndarray | float = 1.0
    loss: bool = False
    number: int = 0


@dataclasses.dataclass
class Trip:
    """What one forward and one backward give. gradients: tensor -> a copy of its gradient, or None."""

    y: np.ndarray
    gradients: dict

    def differs(self, expected, tolerance=1e-12):
        """The first of "y" and the tensors' names where this trip differs from another, or None."""
        mine, theirs = {"y": self.y} | self.gradients, {"y": expected.y} | expected.gradients
        return next((name for name in theirs if not distance(mine.get(name), theirs[name]) <= tolerance), None)


class Subject:
    """The layer under examination, in float64, its parameters drawn anew. Its own code is called from here alone.

    evaluations: how often forward was called. random: whether two forwards differ."""

    def __init__(self, make, wrt_x, seed):
        self.make, self.wrt_x, self.seed, self.name = make, wrt_x, seed, ""
        self.streams, self.evaluations, self.random = {}, 0, False

    def call(self, what, function, *arguments):
        try:
            return function(*arguments)
        except NotImplementedError as blank:
            raise Blank(str(blank) or f"{what} is not written yet") from None
        except (Blank, Stopped, Raised):
            raise
        except Exception as error:
            raise Raised(what, error) from None

    def new(self, shift=0):
        """Another instance, with parameters from N(0, 1) / sqrt(inputs of a unit): no bias is 0 or 1. shift: for other parameters."""
        layer = self.call("the constructor", self.make)
        for method in ("forward", "backward"):
            if not callable(getattr(layer, method, None)):
                raise TypeError(f"check_layer: a layer needs forward and backward, but {type(layer).__name__} has no {method}")
        self.name = type(layer).__name__
        layer, names = self.astype(layer, np.float64), {"x", "y"}
        for p in self.parameters(layer):
            if not isinstance(p.name, str) or p.name in names:
                words = f"parameters() yields the name {p.name!r} twice, or it stands for the input or output."
                raise Stopped("contract", "parameters", str(p.name), words)
            kind = getattr(p.value, "dtype", type(p.value).__name__)
            if not isinstance(p.value, np.ndarray) or not np.issubdtype(p.value.dtype, np.floating):
                raise Stopped("contract", "parameters", p.name, f"{p.name} must be an array of floats, but is {kind}.")
            if kind != np.float64:
                raise Stopped("dtype", "precision", p.name, f"{p.name} is {kind} after astype(float64).")
            names.add(p.name)
            rng = np.random.default_rng((self.seed, 10 + shift, len(names), self.streams.get(p.name, 0)))
            drawn = rng.standard_normal(p.value.shape) / np.sqrt(max(1, np.prod(p.value.shape[:-1])))
            self.call(f"writing into {p.name}", np.copyto, p.value, drawn)
        return layer

    def copy(self, layer):
        return self.call("a deep copy of the layer", copy.deepcopy, layer)

    def fresh(self):
        """A copy of the first instance: the same parameters and the same random state."""
        return self.copy(self.base)

    def astype(self, layer, dtype):
        converted = self.call("astype", layer.astype, dtype) if hasattr(layer, "astype") else layer
        return layer if converted is None else converted

    def parameters(self, layer):
        found = self.call("parameters", lambda: list(layer.parameters())) if hasattr(layer, "parameters") else []
        if not all(hasattr(p, field) for p in found for field in ("name", "value")):
            raise Stopped("contract", "parameters", "", "parameters() must yield objects with name, value and grad.")
        return found

    def forward(self, layer, x, draw):
        self.evaluations += 1
        y = self.call("forward", layer.forward, x, *copy.deepcopy(draw.args))
        if y is None or y is ...:
            raise Blank(f"forward returns {y}: it is not written yet")
        return y

    def backward(self, layer, dy, draw):
        dx = self.call("backward", layer.backward) if draw.loss else self.call("backward", layer.backward, dy)
        if dx is ... or (dx is None and self.wrt_x):
            raise Blank(f"backward returns {dx}: it is not written yet")
        return dx

    def gradients(self, layer, dx):
        """tensor -> a copy of its gradient, or None. parameters() is asked anew: backward may have made new arrays."""
        found = {"x": dx} if self.wrt_x else {}
        found |= {p.name: self.call("grad", getattr, p, "grad", None) for p in self.parameters(layer)}
        return {name: None if gradient is None else copied(gradient) for name, gradient in found.items()}

    def backward_again(self, layer, draw):
        """The gradients of another backward."""
        return self.gradients(layer, self.backward(layer, copied(draw.dy), draw))

    def trip(self, layer, draw, dtype=np.float64, layout=np.array, factor=1.0):
        """Forward and backward, with x and factor * dy in another dtype or memory layout."""
        y = copied(self.forward(layer, layout(draw.x.astype(dtype)), draw))
        dy = None if draw.loss else layout((factor * draw.dy).astype(dtype))
        return Trip(y, self.gradients(layer, self.backward(layer, dy, draw)))

    def tensors(self, layer, draw):
        """tensor -> the live array that a gradient belongs to."""
        return ({"x": draw.x} if self.wrt_x else {}) | {p.name: p.value for p in self.parameters(layer)}


@dataclasses.dataclass(eq=False)
class Slope:
    """A slope along a direction or, if `along` is an index, of an element: a's, and that of a difference with step h."""

    along: np.ndarray | tuple
    h: float
    yours: float
    expected: float
    verdict: str = "right"


class WeightedSum:
    """L = sum(dy * f()), its slopes along directions u of a tensor t that f reads."""

    def __init__(self, f, dy):
        self.f, self.dy, self.f0, self.dy_norm = f, dy, f(None), float(np.linalg.norm(dy))
        self.size = np.maximum(1, abs(self.f0))  # of each output
        self.rounding = 4 * EPS * self.dy_norm * float(self.size.max())  # of L; a slope's is this over its step

    def along(self, t, u, h):
        """(the slope along u by central differences, the speed of the fastest output in units of its size)."""
        up, down = shifted(self.f, t, u, (h, -h))
        return float((self.dy * (up - down)).sum() / (2 * h)), largest((up - down) / self.size) / (2 * h)

    def step(self, t, u):
        """A step along u that moves no output by more than STEP of its size: there rounding errors weigh least."""
        moved = largest((shifted(self.f, t, u, (STEP,))[0] - self.f0) / self.size)
        return STEP / max(1.0, moved / STEP)

    def at_kinks(self, t, u, h):
        """What a gradient along u may be where some outputs have a kink: (low, high, kink, close, refined).

        Every convention gives a slope between the left and the right one, for each output separately: dy has both signs, and one
        interval for their sum would be too narrow. Second differences at h/8 and h tell which outputs have a kink. That of a smooth
        function grows 64 times, 8 times in the units of h/8; that of a kink at t does not grow so, nor that of one between h/8 and h,
        from nothing. close: the slope from h/8; refined: from both steps, Richardson's, for what is smooth but strongly curved."""
        h = h / 8
        far_down, down, up, far_up = shifted(self.f, t, u, (-8 * h, -h, h, 8 * h))
        left, right = self.f0 - down, up - self.f0
        near, far = abs(right - left), abs(far_up - 2 * self.f0 + far_down) / 8
        kink = (np.maximum(near, far) > 200 * EPS * self.size) & ((near > far / 4) | (near < far / 32))
        ends = self.dy * left, self.dy * right
        close, wide = (self.dy * (up - down)).sum() / (2 * h), (self.dy * (far_up - far_down)).sum() / (16 * h)
        return np.minimum(*ends).sum() / h, np.maximum(*ends).sum() / h, bool(kink.any()), float(close), float((64 * close - wide) / 63)


# --------------------------------------------------------------------------------------------------------------------- the examination


class Examination:
    """Two draws of one layer. The second has one image fewer, the last axis reversed and another dy, and the same parameters."""

    def __init__(self, make, x, args, wrt_x, seed, rtol, budget, checks, factory):
        self.subject = Subject(make, wrt_x, seed)
        self.x, self.args, self.seed, self.rtol, self.budget, self.checks, self.factory = x, args, seed, rtol, budget, checks, factory
        self.options = {"wrt_x": wrt_x, "seed": seed, "rtol": rtol, "budget": budget, "factory": factory}
        self.entries, self.findings, self.notes, self.observations = [], [], [], []
        self.spare, self.status = budget - RESERVE, ""
        self.trips, self.raised, self.wrong = [], None, {}

    def run(self, draws=2):
        """Fill findings, entries and notes; status says how it ended."""
        try:
            self.settle()
            for number in range(draws):
                self.examine(self.draw(number))
                if self.findings:
                    break
        except Blank as blank:
            self.findings, self.entries, self.notes, self.status = [], [], [str(blank)], "not started"
            return
        except Raised as raised:
            self.find("contract", "raises", "", f"{raised}.")
            self.raised = type(raised.error), str(raised.error)
        except Stopped as stopped:
            self.findings.append(stopped.finding)
        self.status = "error" if self.raised else "failed" if self.findings else "passed"

    def settle(self):
        """Draw the parameters; and some again while their gradient vanishes in either draw: of a few ReLUs all may be silent."""
        subject = self.subject
        for attempt in range(ATTEMPTS):
            subject.base, silent = subject.new(), set()
            for draw in (self.draw(0), self.draw(1)):
                layer = subject.fresh()
                self.output(subject.forward(layer, draw.x.copy(), draw), draw)
                gradients = subject.backward_again(layer, draw)
                silent |= {name for name, gradient in gradients.items() if name != "x" and vanishes(gradient, draw)}
            if not silent or not self.affords(2):
                return
            subject.streams |= dict.fromkeys(silent, attempt + 1)

    def find(self, *finding):
        self.findings.append(Finding(*finding))

    def find_values(self, rule, tensor, words):
        self.find("values", rule, tensor, f"{tensor}: {words}")

    def affords(self, evaluations):
        """Whether the budget has so many evaluations left that nothing else needs; they are then taken."""
        if self.spare < evaluations:
            return False
        self.spare -= evaluations
        return True

    def draw(self, number):
        if number == 0:
            return Draw(self.x.copy(), list(self.args))
        N = len(self.x)
        fewer = N - 1 if N > 2 else N
        args = [v[:fewer] if isinstance(v, np.ndarray) and v.ndim and len(v) == N else v for v in self.args]
        return Draw(self.x[:fewer][..., ::-1].copy(), args, number=number)

    def examine(self, draw):
        """All checks of one draw; those come first without which the others mean nothing."""
        trip, sound = self.first_trip(draw)
        self.trips.append(trip)
        if "contract" in self.checks and not self.findings:
            self.contract(draw, trip)
        if draw.number == 0 and {"alias", "contract"} & set(self.checks) and not self.findings:
            self.alias(draw)
        if "values" in self.checks:
            self.values(draw, {name: trip.gradients[name] for name in sound})
        if draw.number == 1 and self.findings and self.subject.random:
            self.notes.append("The second batch ran on the layer that had done the first: is something of that left?")
        if draw.number == 1 or self.findings:
            return
        if "dtype" in self.checks:
            self.dtype(draw)
        if "layout" in self.checks:
            self.layout(draw)
        if "errors" in self.checks:
            self.errors(draw)
        if "contract" in self.checks and self.subject.random:
            # Each forward draws another mask, so that a stale one cannot be told by comparison: the second draw follows the first.
            used = self.subject.fresh()
            self.subject.trip(used, draw)
            self.subject.base = used

    # What comes back, and what is written to.

    def first_trip(self, draw):
        """The trip, and the names of the gradients that have the right shape and hold numbers."""
        subject, layer, x = self.subject, self.subject.fresh(), draw.x.copy()
        values = {p.name: p.value for p in subject.parameters(layer)}
        before = {name: value.tobytes() for name, value in values.items()}
        with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn", under="ignore"):
            warnings.simplefilter("always")
            y = subject.forward(layer, x, draw)
            self.output(y, draw)
            trip, by_forward, dy = Trip(copied(y), {}), x.tobytes() != draw.x.tobytes(), copied(draw.dy)
            trip.gradients = subject.gradients(layer, subject.backward(layer, dy, draw))
        self.notes += [f"warning: {w.message} (line {w.lineno} of {os.path.basename(w.filename)})" for w in caught]
        for p in subject.parameters(layer):
            if p.value.size and not np.may_share_memory(p.value, values[p.name]):
                words = f"{p.name} is another array after forward; Parameter.value is the live array."
                raise Stopped("contract", "parameters", p.name, words)
        for name, value in values.items():
            if value.tobytes() != before[name]:
                words = f"the layer writes into {name}; only the optimiser changes parameters"
                raise Stopped("contract", "writes-parameter", name, f"{words}{self.writer(draw, name)}.")
        if "contract" in self.checks:
            if x.tobytes() != draw.x.tobytes():
                words = f"{'forward' if by_forward else 'backward'} writes into x, which the layer before still needs"
                self.find("contract", "writes-x", "x", f"{words}{self.writer(draw, 'x')}.")
            if dy.tobytes() != np.asarray(draw.dy).tobytes():
                words = "backward writes into dy, which belongs to the caller: others still need it"
                self.find("contract", "writes-dy", "dy", f"{words}{self.writer(draw, 'dy')}.")
        self.randomness(draw, layer, trip.y)
        tensors = subject.tensors(layer, draw)
        return trip, [name for name, t in tensors.items() if self.comparable(name, trip.gradients.get(name), t.shape)]

    def writer(self, draw, tensor):
        """Where the layer writes to what it was handed: if that is read-only, the line raises an error."""
        layer = self.subject.fresh()
        for p in self.subject.parameters(layer):
            p.value.flags.writeable = p.name != tensor
        x, dy = (read_only(a) if name == tensor else copied(a) for name, a in (("x", draw.x), ("dy", draw.dy)))
        try:
            self.subject.forward(layer, x, draw)
            self.subject.backward(layer, dy, draw)
        except Raised as raised:
            return raised.place()
        return ""

    def output(self, y, draw):
        """Check y, and draw a dy for it."""
        kind = getattr(y, "dtype", type(y).__name__)
        if not isinstance(y, (np.ndarray, np.generic, float)) or not np.issubdtype(np.asarray(y).dtype, np.floating):
            words = f"forward returns {kind}, where an array of floats is expected, or the loss as a number."
            raise Stopped("contract", "shape", "y", words)
        y = np.asarray(y)
        if y.dtype != np.float64:
            raise Stopped("dtype", "precision", "y", f"float64 went in, but y is {kind}.")
        if not np.isfinite(y).all():
            index = where(~np.isfinite(y))
            raise Stopped("contract", "not-finite", "y", f"y holds {y[index]}, first at {index}.")
        draw.loss = y.ndim == 0
        if not draw.loss:
            draw.dy = np.random.default_rng((self.seed, 2 + draw.number)).standard_normal(y.shape)

    def comparable(self, name, gradient, shape):
        """Whether a gradient can be compared; if not, that is a finding."""
        if gradient is None:
            self.find("contract", "missing", name, f"{d(name)} is None after backward.")
        elif gradient.dtype == object:
            self.find("contract", "shape", name, f"{d(name)} is no array of numbers.")
        elif gradient.shape != shape:
            self.find("contract", "shape", name, f"{d(name)} has shape {gradient.shape}, but {name} has {shape}.")
        elif gradient.dtype != np.float64:
            self.find("dtype", "precision", name, f"float64 went in, but {d(name)} is {gradient.dtype}.")
        elif not np.isfinite(gradient).all():
            index = where(~np.isfinite(gradient))
            self.find("contract", "not-finite", name, f"{d(name)} holds {gradient[index]}, first at {index}.")
        else:
            return True
        return False

    def randomness(self, draw, layer, y):
        """Does the layer draw random numbers? Then each evaluation starts from a copy in the same state, so that all see one mask."""
        subject = self.subject
        if not distance(copied(subject.forward(layer, draw.x.copy(), draw)), y) <= 1e-12:
            subject.random = True
        if subject.random and not distance(copied(subject.forward(subject.fresh(), draw.x.copy(), draw)), y) <= 1e-12:
            words = "The layer draws from something that is not its own generator: two copies of it give different outputs."
            raise Stopped("contract", "foreign-randomness", "", words)

    # The contract.

    def contract(self, draw, trip):
        """What forward and backward may not do, whatever their numbers are. trip: the first."""
        rules = [self.repeatable]
        if not draw.loss:
            rules.append(self.linear)
        if draw.number == 0:
            rules += [self.stale, self.shared_state] if not self.subject.random else [self.shared_state]
            rules += [self.order] if self.factory else []
        for rule in rules:
            if not self.findings:
                rule(draw, trip)

    def repeatable(self, draw, trip):
        layer = self.subject.fresh()
        try:
            self.subject.trip(layer, draw)
            again = Trip(trip.y, self.subject.backward_again(layer, draw))
        except Raised as raised:
            self.find("contract", "not-repeatable", "", f"After a second backward: {raised}.")
            return
        name = again.differs(trip)
        if name is not None:
            grown = distance(again.gradients.get(name), 2 * trip.gradients[name]) <= 1e-9
            words = "a second backward adds to it; backward overwrites" if grown else "another one after a second backward"
            self.find("contract", "not-repeatable", name, f"{d(name)}: {words}.")

    def linear(self, draw, trip):
        """With -2, not 2: a mask that is taken from dy would pass."""
        scaled = self.subject.trip(self.subject.fresh(), draw, factor=-2.0)
        name = Trip(trip.y, scaled.gradients).differs(Trip(trip.y, {name: -2 * g for name, g in trip.gradients.items()}))
        if name is not None and distance(scaled.gradients.get(name), trip.gradients[name]) <= 1e-12:
            self.find("contract", "ignores-dy", name, f"{d(name)} is the same for every dy.")
        elif name is not None:
            self.find("contract", "not-linear", name, f"{d(name)} is not linear in dy: backward(-2 dy) is not -2 backward(dy).")

    def stale(self, draw, trip):
        """The second draw on a layer that has done the first, and on a fresh one."""
        subject, second, used = self.subject, self.draw(1), self.subject.fresh()
        layer = subject.fresh()
        self.output(subject.forward(layer, second.x.copy(), second), second)
        expected = subject.trip(layer, second)
        subject.trip(used, draw)
        try:
            name = subject.trip(used, second).differs(expected)
        except Raised as raised:
            self.find("contract", "stale", "", f"After a batch of another size, {raised}.")
            return
        if name is not None:
            self.find("contract", "stale", name, f"{d(name)} depends on the batch before: something that it left is used again.")

    def shared_state(self, draw, trip):
        """Two instances, forward of both and then backward of both, behave as each of them alone."""
        subject = self.subject
        draws = draw, Draw(draw.x[..., ::-1].copy(), draw.args, -draw.dy, draw.loss)
        layers = [subject.new(shift) for shift in (0, 1)]
        alone = [subject.trip(subject.copy(layer), one) for layer, one in zip(layers, draws, strict=True)]
        try:
            ys = [copied(subject.forward(layer, one.x.copy(), one)) for layer, one in zip(layers, draws, strict=True)]
            trips = [Trip(y, subject.backward_again(layer, one)) for y, layer, one in zip(ys, layers, draws, strict=True)]
        except Raised as raised:
            self.find("contract", "shared-state", "", f"With another instance used in between, {raised}.")
            return
        name = next((name for trip, expected in zip(trips, alone, strict=True) if (name := trip.differs(expected)) is not None), None)
        if name is not None:
            words = f"{d(name)} changes when another instance is used in between: they share something."
            self.find("contract", "shared-state", name, words)

    def order(self, draw, trip):
        """backward before forward raises an error; unless it needs nothing of forward, and its numbers are right."""
        try:
            early = Trip(trip.y, self.subject.backward_again(self.subject.new(), draw))
        except Raised as raised:
            if not str(raised.error):
                self.find("contract", "order", "", f"Before forward, {raised}: it should say what is wrong.")
            return
        except Blank:
            early = Trip(trip.y, {})
        if early.differs(trip) is not None:
            self.find("contract", "order", "", "backward before forward should raise an error that says so; it gives numbers.")

    def alias(self, draw):
        """y and dx are fresh arrays: a rule for a library, a note for others. A view that has but another shape is allowed."""
        subject, layer, x, dy = self.subject, self.subject.fresh(), draw.x.copy(), copied(draw.dy)
        results = {"y": np.asarray(subject.forward(layer, x, draw)), "dx": np.asarray(subject.backward(layer, dy, draw))}
        given = {"x": x, "dy": dy} | {p.name: p.value for p in subject.parameters(layer)}
        sentences = [
            f"{name} shares memory with {source}: whoever changes one changes the other."
            for (name, result), (source, array) in itertools.product(results.items(), given.items())
            if np.may_share_memory(result, array) and not reshaped(result, array)
        ]
        kept = {name: result.tobytes() for name, result in results.items()}
        subject.trip(layer, Draw(draw.x[..., ::-1] * 0.5, draw.args, draw.dy * 3.0, draw.loss))
        sentences += [f"{name} is overwritten by a later call." for name, result in results.items() if result.tobytes() != kept[name]]
        if sentences and "alias" in self.checks:
            self.find("alias", "alias", sentences[0].split()[0].removeprefix("d"), sentences[0])
        else:
            self.notes += sentences[:1]

    def errors(self, draw):
        """Errors name the layer and both numbers: an x of integers, and another number of channels where one is expected."""
        C, many = draw.x.shape[-1], draw.x.shape[-1] + 20
        wider = np.resize(draw.x, (*draw.x.shape[:-1], many))
        said = self.refusal(draw, draw.x.astype(np.int64))
        if said is None:
            self.find("errors", "errors", "x", "An x of integers is accepted; a sentence should say that it has no gradient.")
        elif not said:
            self.find("errors", "errors", "x", "For an x of integers the error should be a sentence that names the layer.")
        said = self.refusal(draw, wider)
        found = {int(number) for number in re.findall(r"\d+", said or "")}
        if said is not None and not ({C, many} <= found or {draw.x[0].size, wider[0].size} <= found):
            words = f"For {many} channels in place of {C} the error should be a sentence that names the layer and both numbers."
            self.find("errors", "errors", "x", words)

    def refusal(self, draw, x):
        """The sentence of the error that names the layer, "" if it does not, or None if there is none."""
        self.subject.evaluations += 1
        try:
            self.subject.fresh().forward(x, *draw.args)
        except Exception as error:
            named = re.search(rf"\b{self.subject.name}\b|\bin \w+, the \d+\w\w layer\b", str(error))
            return str(error) if named and isinstance(error, (TypeError, ValueError)) else ""
        return None

    # dtype and layout.

    def dtype(self, draw):
        """float32 in, float32 out; and the numbers of float64, at a point that float32 holds exactly."""
        subject, single, double = self.subject, self.subject.fresh(), self.subject.fresh()
        single = subject.astype(single, np.float32)
        if any(p.value.dtype != np.float32 for p in subject.parameters(single)):
            self.notes.append("astype(float32) leaves parameters in float64: float32 was not checked.")
            return
        for p in subject.parameters(double):
            p.value[...] = p.value.astype(np.float32)
        x, dy = (np.asarray(v).astype(np.float32).astype(np.float64) for v in (draw.x, draw.dy))
        rounded = Draw(x, draw.args, dy, draw.loss)
        try:
            trip = subject.trip(single, rounded, dtype=np.float32)
        except Raised as raised:
            self.find("dtype", "precision", "", f"With float32, {raised}.")
            return
        results = ({} if draw.loss else {"y": trip.y}) | trip.gradients
        others = {name: v.dtype for name, v in results.items() if v is not None and v.dtype != np.float32}
        if others:
            came = ", ".join(d(name) for name in others)
            words = f"float32 went in, but {came} came out as {[*others.values()][0]}: one np.float64 scalar is enough."
            self.find("dtype", "precision", [*others][0], words)
            return
        self.agree("dtype", "rounding", trip, subject.trip(double, rounded), 2e-5, draw, "differs in float32 by more than rounding")

    def layout(self, draw):
        """The same numbers, whatever the strides of x and dy are."""
        expected = self.subject.trip(self.subject.fresh(), draw)
        for words, layout in LAYOUTS.items():
            try:
                trip = self.subject.trip(self.subject.fresh(), draw, layout=layout)
            except Raised as raised:
                self.find("layout", "strides", "", f"For arrays {words}, {raised}.")
                return
            if not self.agree("layout", "strides", trip, expected, 1e-10, draw, f"differs for arrays {words}"):
                return

    def agree(self, check, rule, trip, expected, tolerance, draw, words):
        """Whether two trips are equal to the tolerance. If not, that is a finding; unless rounding x moves the gradients as far, since
        it makes or breaks a tie somewhere inside the layer."""
        name = trip.differs(expected, tolerance)
        if name is None:
            return True
        furthest = max(distance(trip.gradients.get(name), g) for name, g in expected.gradients.items()) if expected.gradients else np.inf
        if name != "y" and self.affords(4) and 4 * self.sensitivity(draw, tolerance / 100) >= furthest:
            self.notes.append(f"{d(name)} {words}; but at this x rounding alone moves the gradients as far.")
            return True
        self.find(check, rule, name, f"{d(name)} {words}.")
        return False

    def sensitivity(self, draw, fraction):
        """How far the gradients move if x and the parameters change by such a fraction of themselves."""
        subject, rng, moved = self.subject, np.random.default_rng((self.seed, 4)), 0.0
        expected = subject.trip(subject.fresh(), draw).gradients
        for _ in range(3):
            layer, x = subject.fresh(), draw.x * (1 + fraction * rng.standard_normal(draw.x.shape))
            for p in subject.parameters(layer):
                p.value[...] *= 1 + fraction * rng.standard_normal(p.value.shape)
            gradients = subject.trip(layer, Draw(x, draw.args, draw.dy, draw.loss)).gradients
            moved = max(moved, *(distance(gradients[name], g) for name, g in expected.items()))
        return moved

    # Values.

    def values(self, draw, gradients):
        """Compare the gradients with differences: small tensors element by element, large ones along directions."""
        subject, work = self.subject, self.subject.fresh()
        tensors = subject.tensors(work, draw)
        if draw.number == 0:
            self.plan = self.planned({name: t.size for name, t in tensors.items()})

        def f(_):
            layer = subject.copy(work) if subject.random else work
            y = copied(subject.forward(layer, draw.x.copy(), draw))
            if y.shape != np.shape(draw.dy):
                raise Stopped("contract", "shape", "y", f"y has shape {np.shape(draw.dy)} once and {y.shape} another time.")
            return y

        L = WeightedSum(f, draw.dy)
        for name, a in gradients.items():
            if a.size and self.plan[name] is None:
                self.by_elements(L, draw, name, tensors[name], a)
            elif a.size:
                self.by_directions(L, draw, name, tensors[name], a)

    def planned(self, sizes):
        """name -> None, element by element, or (number of directions, number of single elements); the rest of the budget is spare.

        The smallest tensors come first, as long as they leave enough for the others. An element costs four evaluations in both draws,
        a direction or a single element as many. Raises ValueError if the budget is too small for any plan."""
        least, full = 2 + 4 + 4, 2 + 4 * DIRECTIONS + 4 * SINGLES
        needed = LOOKS + sum(min(4 * size, least) for size in sizes.values())
        if self.spare < needed:
            needed += self.budget - self.spare
            raise ValueError(f"check_layer: the budget must be at least {needed} for {len(sizes)} tensors, not {self.budget}")
        looks = LOOKS + (self.spare - needed) // 10
        plan, left, waiting = {}, self.spare - looks, sorted(sizes, key=sizes.get)
        while waiting and 4 * sizes[waiting[0]] <= max(left / len(waiting), left - full * (len(waiting) - 1)):
            plan[waiting[0]] = None
            left -= 4 * sizes[waiting.pop(0)]
        for planned, name in enumerate(waiting):
            share = left // (len(waiting) - planned) - 2
            directions = max(1, min(DIRECTIONS, share // 16))
            plan[name] = directions, min(SINGLES, sizes[name], share // 4 - directions)
            left -= 2 + 4 * sum(plan[name])
        self.spare = left + looks
        return plan

    def judge(self, L, name, t, slopes, S, rtol):
        """Give verdicts: "right", "kink", where another convention would give another slope, or "wrong". S: the size of a large slope.

        Those that differ from their difference get a second look; if the budget is spent, what is left is judged like the rest."""
        left, looked_at = [], set()
        for s in slopes:
            if abs(s.yours - s.expected) > allowed(s.expected, S, rtol) + L.rounding / min(s.h, STEP):
                s.verdict = self.second_look(L, t, s, S, rtol)
                left += [s] * (s.verdict is None)
                looked_at.add(s.verdict)
        for s in left:
            s.verdict = "wrong" if "wrong" in looked_at or looked_at == {None} else "kink"
        if left:
            self.notes.append(f"{name}: the budget is spent; {len(left)} slopes got no second look.")

    def second_look(self, L, t, s, S, rtol):
        """The verdict on a slope that differs from its difference; None if the budget is spent.

        Along a direction a large network has small kinks everywhere, which no test tells from curvature: there the interval between
        left and right is taken as it is. A step of an eighth leaves most kinks behind."""
        direction = isinstance(s.along, np.ndarray)
        for h in (s.h, s.h / 8):
            if not self.affords(4):
                return None if h == s.h else "wrong"
            rounding = 8 * L.rounding / min(h, STEP)
            low, high, kink, close, refined = L.at_kinks(t, unit(t, s.along), h)
            slack = 3e-6 * S + rounding if direction else 1e-5 * S
            if (kink or direction) and low - slack <= s.yours <= high + slack:
                return "kink" if kink else "right"
            if not kink:
                s.expected = refined
            if min(abs(s.yours - refined), abs(s.yours - close)) <= allowed(refined, S, rtol) + rounding:
                return "right"
            if abs(s.yours - s.expected) > 0.01 * S:
                break
        return "wrong"

    def by_elements(self, L, draw, name, t, a):
        n = numerical_gradient(L.f, t, L.dy)
        if not np.isfinite(n).all():
            self.find_values("not-finite", name, f"a small step away, at {where(~np.isfinite(n))}, y holds a nan or an infinity.")
            return
        S = largest(n)
        if max(S, largest(a)) < 1e-6 * L.dy_norm and self.uninformative(L, name, t):
            return
        uncertainty = allowed(n, S, self.rtol) + L.rounding / STEP
        bad, kinks = ~(abs(a - n) <= uncertainty), np.zeros(t.shape, bool)
        indices = np.random.default_rng((self.seed, 8)).permutation(np.argwhere(bad))
        slopes = [Slope(i, STEP * max(1.0, abs(t[i])), a[i], n[i]) for i in map(tuple, indices.tolist())]
        self.judge(L, name, t, slopes, S, self.rtol)
        for s in slopes:
            n[s.along], bad[s.along], kinks[s.along] = s.expected, s.verdict == "wrong", s.verdict == "kink"
        gap = np.where(kinks, 0.0, abs(a - n)) * (bad if bad.any() else 1.0)
        index = where(gap == gap.max())
        self.enter(draw, name, t, "elements", t.size, bad.sum(), gap[index] / (S or 1.0), index, a, n, uncertainty[index], kinks.sum())
        if bad.any():
            self.wrong[name] = a, n, kinks
            words = observation(name, a, n, bad, kinks, draw)
            self.observations += [f"{name}: {words}"] * bool(words)
            at = f"{index}: yours {a[index]:.7g}, expected {n[index]:.7g}"
            self.find_values("wrong", name, words or f"{bad.sum()} of {t.size} elements are wrong, the worst at {at}.")
        elif kinks.any():
            if kinks.sum() > 0.1 * t.size:
                self.notes.append(f"{name}: {kinks.sum()} of {t.size} elements stand at kinks, where any one-sided slope is right.")
            self.ties(L, name, t, a)

    def ties(self, L, name, t, a):
        """Equal elements take equal steps: a tie stays a tie on the way, so that the slope is no convention."""
        if not self.affords(5):
            return
        values, group = np.unique(t, return_inverse=True)
        u = np.random.default_rng((self.seed, 5)).standard_normal(len(values))[group].reshape(t.shape)
        low, high, *_ = L.at_kinks(t, u, L.step(t, u))
        yours, slack = float((a * u).sum()), 1e-5 * float(np.linalg.norm(a))
        if not low - slack <= yours <= high + slack:
            words = "where values tie, the shares do not add up: along a direction that keeps equal elements equal"
            self.find_values("tie", name, f"{words} the slope is {(low + high) / 2:.7g}, yours {yours:.7g}.")

    def uninformative(self, L, name, t):
        """The gradient vanishes at this point. If it does elsewhere too, 0 is right. If not, the point proves nothing: a finding."""
        rng, here, still = np.random.default_rng((self.seed, 6)), t.copy(), self.affords(4)
        for _ in range(2 * still):
            try:
                t[...] = rng.standard_normal(t.shape)
                up, down = shifted(L.f, t, rng.standard_normal(t.shape), (STEP, -STEP))
            finally:
                t[...] = here
            still = still and largest((up - down) / L.size) <= 1e-6 * STEP
        if still:
            self.notes.append(f"y does not depend on {name}.")
            return False
        self.find_values("uninformative", name, "at this point the gradient vanishes, which proves nothing: choose another x.")
        return True

    def by_directions(self, L, draw, name, t, a):
        """Slopes along random directions; and those of single elements: of the largest gradient, the corners, random ones."""
        (directions, singles), rng = self.plan[name], np.random.default_rng((self.seed, 7, draw.number, t.size))
        norm, along, h = float(np.linalg.norm(a)), [], None
        for _ in range(directions):
            u = rng.standard_normal(t.shape)
            h = h or L.step(t, u)
            along.append(Slope(u, h, float((a * u).sum()), L.along(t, u, h)[0]))
        corners = itertools.islice(itertools.product(*((0, size - 1) for size in t.shape)), 16)
        tried = dict.fromkeys([where(abs(a) == largest(a)), *corners])
        while len(tried) < singles:
            tried[tuple(int(rng.integers(size)) for size in t.shape)] = None
        single = [self.single(L, t, a, i) for i in [*tried][:singles]]
        if not np.isfinite([s.expected for s in along + single]).all():
            self.find_values("not-finite", name, "a small step away y holds a nan or an infinity.")
            return
        S = max(abs(s.expected) for s in single)
        if max(S, largest(a), *(abs(s.expected) for s in along)) < 1e-6 * L.dy_norm and self.uninformative(L, name, t):
            return
        self.judge(L, name, t, along, norm, self.rtol / 10)
        self.judge(L, name, t, single, S, self.rtol)
        wrong, kinks = ([s for s in along + single if s.verdict == verdict] for verdict in ("wrong", "kink"))
        found = [s for s in wrong if s in single] or ([self.halved(L, t, a, wrong[0])] if wrong and self.affords(HALVING) else [])
        found = [s for s in found if abs(s.yours - s.expected) > allowed(s.expected, S, self.rtol) + L.rounding / STEP]
        worst = max(found or [s for s in single if s.verdict != "kink"] or single, key=lambda s: abs(s.yours - s.expected))
        errors = [abs(s.yours - s.expected) / (norm or 1.0) for s in along if s.verdict != "kink"]
        error = max([0.0, *errors] + [abs(worst.yours - worst.expected) / (S or 1.0)] * (worst.verdict != "kink"))
        index, checked = worst.along, len(along) + len(single)
        uncertainty = allowed(worst.expected, S, self.rtol) + L.rounding / STEP
        n = {index: worst.expected}
        self.enter(draw, name, t, "directions", checked, len(wrong), error, index, a, n, uncertainty, len(kinks))
        if wrong:
            at = f"; one is {index}: yours {worst.yours:.7g}, expected {worst.expected:.7g}." if found else "."
            words = f"{len(wrong)} of {checked} random directions and elements are wrong{at}"
            self.observations += [f"{name}: {words}"] * bool(found)
            self.find_values("wrong", name, words)
        elif kinks:
            self.ties(L, name, t, a)

    def single(self, L, t, a, i):
        """The slope of an element."""
        return Slope(i, STEP * max(1.0, abs(t[i])), float(a[i]), float(element_slope(L.f, t, i, L.dy)))

    def halved(self, L, t, a, slope):
        """The element that a wrong slope is due to: of the halves of a set, again and again the one with more of the error."""
        elements, gap, h = np.arange(t.size), slope.expected - slope.yours, slope.h
        while len(elements) > 1:
            half, u = elements[: len(elements) // 2], np.zeros(t.size)
            u[half] = slope.along.flat[half]
            u = u.reshape(t.shape)
            expected, speed = L.along(t, u, h)
            part = expected - float((a * u).sum())
            elements, gap = (half, part) if abs(part) >= abs(gap - part) else (elements[len(half) :], gap - part)
            h = STEP / max(1.0, speed)
        return self.single(L, t, a, tuple(int(i) for i in np.unravel_index(elements[0], t.shape)))

    def enter(self, draw, name, t, method, checked, wrong, error, index, a, n, uncertainty, kinks):
        at = float(error), index, float(a[index]), float(n[index]), float(uncertainty)
        self.entries.append(Entry(name, tuple(t.shape), draw.number, method, int(checked), int(wrong), *at, int(kinks)))

    # The cause.

    def cause(self, suspects):
        """The one explanation that is certain, or ""."""
        if self.status not in ("failed", "error"):
            return ""
        for hint, suspect in suspects:
            if self.scaled_by(suspect) if isinstance(suspect, numbers.Real) else self.resembles(suspect):
                return hint
        certain = [finding.sentence for finding in self.findings if finding.rule != "wrong"]
        return (certain + self.observations + [""])[0]

    def scaled_by(self, number):
        """Whether all that is wrong is wrong by this factor."""
        factors = [factor(*arrays) for arrays in self.wrong.values()]
        return bool(factors) and all(c is not None and abs(c - number) <= 1e-6 * abs(number) for c in factors)

    def resembles(self, suspect):
        """Whether a known mistake gives the same gradients, to 1e-9, and breaks the same rules."""
        checks = tuple(check for check in self.checks if check != "values")
        other = Examination(suspect, self.x, self.args, checks=checks, **self.options)
        other.run(draws=max(1, len(self.trips)))
        mine, theirs = ([(f.check, f.rule, f.tensor) for f in e.findings if f.check != "values"] for e in (self, other))
        if mine != theirs or self.raised != other.raised or len(self.trips) != len(other.trips):
            return False
        pairs = [(Trip(one.y, two.gradients), one) for one, two in zip(self.trips, other.trips, strict=True)]
        return all(two.differs(one, 1e-9) is None for two, one in pairs)


# ------------------------------------------------------------------------------------------------------------------------ small things


def d(tensor):
    """The name of a tensor's gradient, "dx" or "tower0.conv1.dW"; y is y."""
    place, dot, name = tensor.rpartition(".")
    return tensor if tensor == "y" else f"{place}{dot}d{name}"


def copied(array):
    """A copy of an array or of a number; what is neither becomes an object, of which no gradient consists."""
    return np.array(array) if isinstance(array, (np.ndarray, np.generic, float)) else np.empty((), object)


def largest(a):
    return float(np.abs(a).max(initial=0.0))


def where(mask):
    """The index of the first True."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(mask), mask.shape))


def unit(t, along):
    """A direction; for the index of an element, its own."""
    if isinstance(along, np.ndarray):
        return along
    u = np.zeros(t.shape)
    u[along] = 1.0
    return u


def allowed(n, S, rtol):
    """The error that an element or slope n may have. No fixed number is in it: it would hide gradients of the size of 1/N."""
    return rtol * np.maximum(np.abs(n), 0.01 * S) + 1e-8 * S


def distance(a, b):
    """The largest difference, as a fraction of the largest number of b; infinite for another shape or a nan."""
    if a is None or b is None:
        return 0.0 if a is b else np.inf
    if a.shape != b.shape or (a.dtype == object) != (b.dtype == object):
        return np.inf
    if a.dtype == object or np.array_equal(a, b, equal_nan=True):
        return 0.0
    gap, scale = largest(a.astype(np.float64) - b), largest(b)
    return np.inf if not np.isfinite(gap) else gap / scale if scale else np.inf if gap else 0.0


def vanishes(gradient, draw):
    return gradient is not None and gradient.dtype != object and largest(gradient) < 1e-6 * np.linalg.norm(draw.dy)


def reshaped(result, array):
    """Whether the result is the whole array in another shape."""
    return result.shape != array.shape and result.size == array.size and result.ctypes.data == array.ctypes.data


def negative(a):
    """The same numbers, stored in the other direction along the last axis."""
    return a[..., ::-1].copy()[..., ::-1]


def sliced(a):
    """The same numbers as every other element of a larger array, the rest of which is nan."""
    large = np.full([2 * size + 1 for size in a.shape], np.nan, a.dtype)
    view = large[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {"in Fortran order": np.asfortranarray, "with negative strides": negative, "that are slices": sliced, "read-only": read_only}

# ------------------------------------------------------------------------------------------------------------------------ observations


def observation(name, a, n, bad, kinks, draw):
    """What is certain about a wrong gradient, in a sentence; or ""."""
    c = factor(a, n, kinks)
    if c is not None:
        return named_factor(c, name, a.shape, draw)
    return ("" if kinks.any() else rearranged(a, n)) or location(name, bad, (bad | (n != 0)) & ~kinks, draw)


def factor(a, n, kinks):
    """c if a = c * n to 1e-6, or None. Kinks do not count."""
    a, n = a[~kinks], n[~kinks]
    if not n.any():
        return None
    c = float((a * n).sum() / (n * n).sum())
    return c if largest(a - c * n) <= 1e-6 * largest(n) * max(1.0, abs(c)) else None


def named_factor(c, name, shape, draw):
    """c in words: -1, 2, 1/2, N, 1/N; sizes of axes, products of spatial sizes, and one over them."""
    if abs(c) < 1e-6:
        return "yours is zero everywhere."
    if abs(c + 1) < 1e-6:
        return "yours = expected × -1: the sign is wrong."
    shapes = {"x": draw.x.shape, "y": np.shape(draw.dy)}
    sizes = {"N": len(draw.x)}
    for tensor, s in shapes.items():
        if len(s) > 3:
            sizes[" * ".join(f"{tensor}.shape[{k}]" for k in range(1, len(s) - 1))] = int(np.prod(s[1:-1]))
    sizes |= {f"{tensor}.shape[{k}]": size for tensor, s in shapes.items() for k, size in enumerate(s) if k}
    sizes |= {f"{name}.shape[{k}]": size for k, size in enumerate(shape)}
    sizes |= {f"{tensor}[0].size": int(np.prod(s[1:])) for tensor, s in shapes.items()}
    names = {2.0: "2", 0.5: "1/2", -2.0: "-2", -0.5: "-1/2"}
    for label, size in sizes.items():
        for sign, minus in ((1, ""), (-1, "-")):
            names.setdefault(sign * size, f"{minus}{label} ({label} = {size})")
            names.setdefault(sign / size, f"{minus}1/{f'({label})' if '*' in label else label} ({label} = {size})")
    words = next((f" = {words}" for value, words in names.items() if abs(c - value) <= 1e-6 * abs(value)), "")
    return f"yours = expected × {c:.7g}{words}."


def rearranged(a, n):
    """Whether a holds the numbers of n in another order: axes permuted or reversed, or one shape filled in the order of another."""
    tolerance, axes = 1e-6 * largest(n), range(n.ndim)
    if largest(np.sort(a, axis=None) - np.sort(n, axis=None)) > tolerance:
        return ""
    flips = [flip for flip in itertools.product((1, -1), repeat=n.ndim) if n.ndim <= 4 or sum(flip) >= n.ndim - 2]
    for flip, order in itertools.product(flips, itertools.permutations(axes)):
        slices = tuple(slice(None, None, step) for step in flip)
        turned = f", its axes in the order {order}" if order != tuple(axes) else ""
        turned += "".join(f", axis {k} reversed" for k in axes if flip[k] < 0)
        moved = n[slices].transpose(order)
        if moved.shape == a.shape and largest(a - moved) <= tolerance:
            return f"yours is the expected array{turned}."
        if largest(a.ravel() - moved.ravel()) <= tolerance:
            return f"yours is the expected array{turned}, filled into the shape {a.shape} as if that were its own."
        if largest(a[slices].transpose(order).ravel() - n.ravel()) <= tolerance:
            return f"yours{turned}, holds the expected numbers one after the other: filled in another shape, then transposed."
    return ""


def location(name, bad, telling, draw):
    """Where the wrong elements are, if that is a simple place. telling: elements that could have been wrong in a way that shows."""
    if bad[telling].all():
        return ""
    if name == "x":
        for words, mask in (("negative", draw.x < 0), ("positive", draw.x > 0)):
            if np.array_equal(bad, mask):
                return f"wrong exactly where x is {words}."
    if bad.sum() == 1:
        return f"only {where(bad)} is wrong."
    single, some = [], []
    for k, size in enumerate(bad.shape):
        words = f"axis {k}" + (" (images)" if name == "x" and k == 0 else " (channels)" if name == "x" and k == bad.ndim - 1 else "")
        by_index = np.moveaxis(bad, k, 0).reshape(size, -1), np.moveaxis(telling, k, 0).reshape(size, -1)
        hit = [i for i in range(size) if by_index[0][i].any()]
        right = [i for i in range(size) if by_index[1][i].any() and i not in hit]
        if len(hit) == 1 and right:
            single.append(f"index {hit[0]} of {words}{' (the last)' if hit[0] == size - 1 else ''}")
        elif len(right) >= 2 * len(hit):
            some.append(f"only indices {', '.join(map(str, hit))} of {words} are wrong.")
        elif name == "x" and k == 0 and len(right) == 1 and len(hit) > 1 and 2 * bad.sum() >= by_index[1][hit].sum():
            some.append(f"only index {right[0]} of {words}{' (the last)' if right[0] == size - 1 else ''} is right.")
    if single:
        return f"only {', '.join(single)} is wrong."
    inside = (slice(None), *(slice(1, -1),) * (bad.ndim - 2))
    if name == "x" and bad.ndim > 2 and telling[inside].any() and not bad[inside].any():
        return "only border rows and columns are wrong."
    return (some + [""])[0]
