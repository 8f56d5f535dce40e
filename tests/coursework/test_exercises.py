"""Exercises: the model passes, blanks are not started, every known mistake is caught and named, other right ways to write them pass."""

import importlib
import inspect
import json
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
from right_ways import ALTERNATIVES, FUNCTIONS

import minigrad
from minigrad import plain
from minigrad.coursework import tasks
from minigrad.coursework.cases import Case
from minigrad.coursework.exercises import ALL, EXERCISES, VARIANTS, find
from minigrad.coursework.exercises.alexnet import PAPER_SHAPES
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.inputs import INPUTS, x_of
from minigrad.coursework.judge.loading import load
from minigrad.coursework.judge.one_case import run_case
from minigrad.coursework.judge.runner import cause_of, run
from minigrad.coursework.release.files import plain_data
from minigrad.coursework.source import plant

IDS = (
    "arrays.windows arrays.in_place arrays.float64_leak numerical_gradient hunt.1 hunt.2 hunt.3 hunt.4 hunt.5 linear.forward "
    "linear.backward relu.backward loss.forward loss.backward conv2d.naive patches.extract patches.add_back conv2d.forward conv2d.backward "
    "towers.block_weights maxpool.forward maxpool.backward lrn.forward lrn.backward dropout.forward dropout.backward sgd.step "
    "alexnet.shapes alexnet.stages exchange.forward exchange.backward augment.crop_flip augment.colour_noise metrics.top_k "
    "allreduce.ring allreduce.tree"
).split()

every = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
slow = pytest.mark.slow


def exercise(id):
    return find([id], ALL)[0]


# ---- the tuple


def test_ids_are_stable():
    """Files of an older release stay checkable: ids and the names of what is written may be added, never changed."""
    assert set(IDS) <= {e.id for e in EXERCISES}
    names = {e.id: (e.source.__name__, e.write) for e in EXERCISES}
    assert names["conv2d.backward"] == ("Conv2d", ("backward",))
    assert names["patches.extract"] == ("im2col", ("im2col",))
    assert names["sgd.step"] == ("SGD", ("step",))


def test_ids_are_unique_and_earlier_ones_exist():
    ids = [e.id for e in ALL]
    assert len(set(ids)) == len(ids)
    for i, e in enumerate(ALL):
        assert set(e.after) <= set(ids[:i]), e.id
        assert len({case.name for case in e.cases}) == len(e.cases)


def test_all_of_a_group_lie_in_one_module():
    """They go into one file of blanks."""
    for e in ALL:
        assert len({other.source.__module__ for other in ALL if other.group == e.group}) == 1


@every
def test_what_the_guard_replaces_is_there(exercise):
    """A name in `library` that nothing has would let the library's version through."""
    for name in exercise.library:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


@every
def test_cases_are_data(exercise):
    for case in exercise.cases + hidden_cases(exercise, 12345):
        json.dumps(asdict(case), default=plain_data)
        assert case.inputs in INPUTS or case.inputs in ("numbers", "as is")


def test_axes_differ_and_cases_are_small():
    """Axes of equal size hide what is swapped. And a case is a fraction of a second."""
    for e in EXERCISES:
        for case in e.cases:
            if case.kind == "gradients" and case.name != "large":
                assert np.size(x_of(case, 0)) <= 600
                assert case.inputs != "kink_free" or len({size for size in case.x if size > 1}) == len(
                    [size for size in case.x if size > 1]
                )


def test_find():
    assert [e.id for e in find(["conv2d"])] == ["conv2d.naive", "conv2d.forward", "conv2d.backward"]
    assert [e.id for e in find(["lrn.backward", "arrays"])] == ["arrays.windows", "arrays.in_place", "arrays.float64_leak", "lrn.backward"]
    assert [e.id for e in find(["patch"])] == ["patches.extract", "patches.add_back"]
    with pytest.raises(ValueError, match="there is no exercise 'konv'; exercises begin with alexnet, allreduce"):
        find(["konv"])


# ---- the model, and blanks


@cache
def of_the_model(id):
    return run(exercise(id), plant(exercise(id).source))


@every
def test_the_model_passes(exercise):
    result = of_the_model(exercise.id)
    assert (result.status, result.cause) == ("passes", "")
    assert (result.earned, result.possible) == (exercise.points, exercise.points)


@every
def test_a_blank_is_not_started(exercise):
    result = run(exercise, load("blank", exercise))
    assert (result.status, result.earned) == ("not started", 0)
    assert all(report.status == "not started" for report in result.reports)
    assert run(exercise, None).status == "not started"


@every
def test_kink_free_cases_have_no_kinks(exercise):
    for case, report in zip(exercise.cases, of_the_model(exercise.id).reports, strict=True):
        assert report.kinks == 0 or case.inputs != "kink_free"


def test_worked_examples_are_the_models():
    """Numbers of ALEXNET §14 and of Figure 2."""
    shapes = exercise("alexnet.shapes").cases[0]
    assert tasks.shapes(shapes.x, *shapes.args) == PAPER_SHAPES
    ones = plain.LocalResponseNorm().forward(np.ones((1, 7)))
    np.testing.assert_allclose(ones[0, :3], [0.594537, 0.594514, 0.594492], atol=1e-6)


def emptying(function):
    """The function, which afterwards empties what it was handed: it gives zeros, and its caller has nothing else to compare them with."""

    def emptied(*args, **kwargs):
        result = function(*args, **kwargs)
        for array in args + (result if isinstance(result, tuple) else (result,)):
            if isinstance(array, np.ndarray) and array.flags.writeable:
                array[...] = 0
        return result

    return emptied


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("exercise", [e for e in ALL if e.group != "hunt"], ids=lambda exercise: exercise.id)
def test_nothing_is_gained_by_emptying_what_is_handed_over(exercise):
    """What is expected follows from numbers that the solution never had in its hands."""
    source = plant(exercise.source)
    if inspect.isclass(source):
        methods = {name: emptying(function) for name, function in vars(source).items() if name in ("forward", "backward", "all_reduce")}
        solution = type(source.__name__, (source,), methods | {"__module__": source.__module__})
    else:
        solution = emptying(source)
    result = run(exercise, solution, [case for case in exercise.cases if case.kind != "worked"])
    passed = [report.title for report in result.reports if report.ok]
    assert not passed or exercise.id in ("alexnet.shapes", "alexnet.stages", "sgd.step", "nesterov.step"), passed  # are handed no array


# ---- the kill matrix

UNNAMED = {  # nothing can be said of them but the place, which the report gives
    ("linear.backward", "1 of 250,000 weights 1 % off"),
    ("conv2d.backward", "one weight 1 % off"),
}


def matrix(exercise):
    """mistake -> (the public case that names it, or the last that catches it, or None; whether it is named by its own hint)."""
    rows = {}
    for mistake in exercise.mistakes:
        rows[mistake] = None, False
        for case in exercise.cases:
            report = run_case(exercise, plant(exercise.source, mistake), case, 0, [])
            if not report.ok:
                rows[mistake] = case.name, bool(mistake.hint) and cause_of(report) == mistake.hint
                if rows[mistake][1]:
                    break
    return rows


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@every
def test_kill_matrix(exercise):
    """Every mistake is caught, and named by its own hint. Suspects are tried in order, so nothing before it has the same gradients:
    no two mistakes of a source are the same."""
    rows = matrix(exercise)
    print()
    for mistake, (case, named) in rows.items():
        print(f"  {exercise.id:22} {mistake.name:35} {case or 'SURVIVES':20} {mistake.hint if named else '-'}")
    for mistake, (case, named) in rows.items():
        assert case, mistake.name
        assert named == ((exercise.id, mistake.name) not in UNNAMED), mistake.name


def test_kill_matrix_in_figures():
    """Pinned: a planted bug cannot quietly go away. That each is caught, and all but UNNAMED named, is what test_kill_matrix shows."""
    planted = {of: {(e.id, m.name) for e in part for m in e.mistakes} for of, part in {"public": EXERCISES, "variants": VARIANTS}.items()}
    figures = {of: (len(bugs), len(bugs - UNNAMED)) for of, bugs in planted.items()}
    for of, (number, named) in figures.items():
        print(f"\n  {of}: {number} planted bugs, all caught by public cases, {named} named by their own hint")
    assert figures == {"public": (247, 245), "variants": (44, 44)}


def test_every_hint_is_a_sentence_of_its_own():
    for e in ALL:
        hints = [mistake.hint for mistake in e.mistakes if mistake.hint]
        assert len(hints) == len(set(hints)), e.id
        assert all(hint.endswith((".", "?", "`")) and len(hint) < 130 for hint in hints), e.id


# ---- other right ways to write them


RIGHT = [
    *((e, other) for e in EXERCISES for other in ALTERNATIVES.get(e.group, ()) if inspect.isclass(e.source)),
    *((exercise(id), other) for id, others in FUNCTIONS.items() for other in others),
]


right = pytest.mark.parametrize(
    "exercise, other", RIGHT, ids=lambda v: getattr(v, "id", None) or f"{v.__module__.split('.')[0]}.{v.__name__}"
)


@right
def test_other_right_ways_pass(exercise, other):
    result = run(exercise, other, exercise.cases + hidden_cases(exercise, 1500, 1))
    assert (result.status, result.cause) == ("passes", "")


@slow
@right
def test_other_right_ways_pass_with_many_seeds(exercise, other):
    for seed in range(1, 50):
        result = run(exercise, other, exercise.cases + hidden_cases(exercise, 1500 + seed), seed)
        assert (result.status, result.cause) == ("passes", ""), seed


# A5's inputs, beyond the public cases.
HARD = {
    "relu.backward": [Case("zeros", (3, 5), inputs="kinks")],
    "maxpool.backward": [
        Case("near-ties", (2, 5, 6, 1), (3, 2), inputs="near_ties"),
        Case("equal", (2, 3, 4, 2), (3, 1), inputs="equal"),
        Case("ties", (2, 5, 4, 1), (3, 1), inputs="ties"),
    ],
    "lrn.backward": [Case("loud", (2, 3, 7), inputs="large"), Case("quiet", (2, 3, 7), kwargs={"alpha": 0.5, "k": 1.0})],
    "loss.backward": [Case("one-class", (3, 1), labels=(0, 0, 0))],
    "exchange.backward": [Case("single", (2, 1, 1, 1, 1))],
}


@pytest.mark.parametrize("id", HARD)
def test_right_ones_pass_at_kinks_ties_and_extremes(id):
    e = exercise(id)
    for solution in (plant(e.source), *ALTERNATIVES[e.group]):
        result = run(e, solution, HARD[id], seed=1)
        assert (result.status, result.cause) == ("passes", ""), solution


def test_variants_are_not_in_the_library():
    """Their sources stand nowhere else, and share no long line with the layers that are public."""
    public = "".join(inspect.getsource(module) for module in (plain, tasks))
    for e in VARIANTS:
        assert e.source.__name__ not in public and not hasattr(minigrad, e.source.__name__)
    assert len({e.source for e in VARIANTS}) == 9


def test_a_case_can_be_changed_without_the_tuple():
    case = replace(exercise("relu.backward").cases[1], x=(2, 3))
    assert run(exercise("relu.backward"), plain.ReLU, [case]).status == "passes"
