"""Explanations: one for each exercise, none of which holds a line of a solution; and the hunts."""

import pytest

from minigrad.coursework import explain, tasks
from minigrad.coursework.exercises import ALL
from minigrad.coursework.release.proof import normalised, solution_lines


@pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)
def test_there_is_an_explanation_without_a_solution(exercise):
    text = explain.explain(exercise)
    assert exercise.title in text and exercise.reading in text
    lines = {normalised(line) for line in text.splitlines()}
    assert not any(secret in line for secret in solution_lines([exercise]) for line in lines)


@pytest.mark.parametrize("number", explain.HUNTS)
def test_hunts_have_their_answer(number):
    """The letter that the model returns is that of the planted mistake; the report shows that something is wrong."""
    _, mistake, _, choice = explain.HUNTS[number]
    lines = explain.hunt(number)
    assert lines[0].startswith("✗") and len(set(choice)) == 4
    said = {
        1: "averaged over the images",
        2: "x of an earlier batch",
        3: "not summed over the images",
        4: "where dy, not x, is positive",
        5: "rows taken for columns",
    }
    answer = getattr(tasks, f"hunt_{number}")()
    assert said[number] in choice["abcd".index(answer)]
    assert mistake
