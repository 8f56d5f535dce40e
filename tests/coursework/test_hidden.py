"""Hidden cases follow from the secret alone, and the model solutions pass them."""

import json
from dataclasses import asdict

import pytest

from minigrad.coursework.exercises import ALL
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge.runner import run
from minigrad.coursework.release.files import plain_data
from minigrad.coursework.source import plant

every = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)


@every
def test_hidden_cases_follow_from_the_secret(exercise):
    first, again, other = (json.dumps([asdict(c) for c in hidden_cases(exercise, s)], default=plain_data) for s in (1234, 1234, 4321))
    assert first == again
    assert first != other or exercise.group == "hunt"


@every
def test_the_model_passes_hidden_cases_and_other_seeds(exercise):
    result = run(exercise, plant(exercise.source), hidden_cases(exercise, 1001, 3), seed=5)
    assert (result.status, result.cause) == ("passes", "")


@pytest.mark.slow
@every
def test_the_model_passes_many_hidden_cases(exercise):
    for secret in range(2000, 2050):
        result = run(exercise, plant(exercise.source), hidden_cases(exercise, secret), seed=secret)
        assert (result.status, result.cause) == ("passes", ""), secret
