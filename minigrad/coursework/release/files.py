"""Files of a release: text with Unix line ends, and hidden cases as plain data."""

from dataclasses import asdict

import numpy as np

from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.worksheets import heading, parts_of, worksheet


def write(path, text):
    """Write a text in UTF-8, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def write_worksheets(homework, folder, form="blank"):
    """A file for each group of the homework. form: "blank" or "solution"."""
    for group, exercises in homework.groups.items():
        write(folder / f"{group}.py", worksheet(heading(exercises, "."), parts_of(exercises), form))


def hidden_cases_of(homework):
    """id -> the exercise's hidden cases as dicts."""
    return {exercise.id: [asdict(case) for case in hidden_cases(exercise, homework.seed)] for exercise in homework.exercises}


def plain_data(value):
    """What json.dumps gets for a value that JSON does not know: an array as lists, anything else as its text."""
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
