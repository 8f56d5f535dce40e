"""A homework as its teacher writes it down: an .ini file that stays with the teacher."""

import configparser
import re
import zlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from minigrad.coursework import feedback
from minigrad.coursework.exercises import ALL, find

KEYS = ("title", "due", "seed", "feedback", "forbidden", "partial", "late")
DUE = "due = 2026-11-27 12:00"  # as it is written where it is counted from


class HomeworkError(ValueError):
    """Something is wrong with a homework, a release or a grading run: one sentence."""


@dataclass(frozen=True)
class Homework:
    """What the file says.

    path       the .ini file
    title, due texts for the students
    seed       the secret from which the hidden cases come
    feedback   what students learn about these, one of minigrad.coursework.feedback.LEVELS
    forbidden  names of imports that are refused besides the usual ones
    partial    an exercise earns points in proportion to the cases that pass, not all or none
    points     id of an exercise -> points
    late       the share of the points that each day after `deadline` takes off, from 0 to 1
    deadline   a datetime, or None where nobody counts from it
    bonus      ids of exercises whose points are earned, but not expected
    choices    tuples of ids: of each, a student gets one
    instead    of one student's homework: id that was drawn -> those of its choice that were not"""

    path: Path
    title: str
    due: str
    seed: int
    feedback: str
    forbidden: tuple
    partial: bool
    points: dict
    late: float = 0.0
    deadline: datetime = None
    bonus: frozenset = frozenset()
    choices: tuple = ()
    instead: dict = field(default_factory=dict)

    @property
    def possible(self):
        """The points of all exercises of a student but the bonus."""
        dropped = {id for choice in self.choices for id in choice[1:]}
        return sum(points for id, points in self.points.items() if id not in self.bonus and id not in dropped)

    def of(self, student):
        """The homework of one student, a text that names them: of each choice the exercise that the seed draws for them."""
        instead = {}
        for i, choice in enumerate(self.choices):
            drawn = choice[np.random.default_rng((self.seed, zlib.crc32(student.encode()), i)).integers(len(choice))]
            instead[drawn] = tuple(id for id in choice if id != drawn)
        dropped = {id for others in instead.values() for id in others}
        return replace(self, points={id: points for id, points in self.points.items() if id not in dropped}, choices=(), instead=instead)

    @property
    def name(self):
        """The file's name in lower-case letters, digits and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.path.stem.lower()).strip("-") or "homework"

    @property
    def exercises(self):
        return find(list(self.points), ALL)

    @property
    def groups(self):
        """group -> its exercises in this homework."""
        groups = {}
        for exercise in self.exercises:
            groups.setdefault(exercise.group, []).append(exercise)
        return groups


def read_homework(path):
    """The `Homework` of an .ini file. Raises HomeworkError for a file that does not say what it must."""
    path = Path(path)
    sections = read_sections(path)
    settings = dict(sections["homework"])
    for key in settings:
        if key not in KEYS:
            raise HomeworkError(f"{path}: [homework] does not know {key!r}; it knows {', '.join(KEYS)}")
    seed = read_seed(path, settings.get("seed", ""))
    level = settings.get("feedback", "hint")
    if level not in feedback.LEVELS:
        raise HomeworkError(f"{path}: feedback must be one of {', '.join(feedback.LEVELS)}, not {level!r}")
    partial = settings.get("partial", "yes")
    if partial not in ("yes", "no"):
        raise HomeworkError(f"{path}: partial must be yes or no, not {partial!r}")
    points, choices = {}, []
    bonus = dict(sections["bonus"]) if "bonus" in sections else {}
    for key, text in [*sections["exercises"].items(), *bonus.items()]:
        ids = tuple(re.split(r"\s*\|\s*", key))
        for id in ids:
            if id in points:
                raise HomeworkError(f"{path}: {id} stands there twice")
            points[id] = read_points(path, id, text)
        choices += [ids] if len(ids) > 1 else []
    if not sections["exercises"]:
        raise HomeworkError(f"{path}: [exercises] is empty; a line is an id and its points: conv2d.backward = 4")
    forbidden = tuple(name for name in re.split(r"[,\s]+", settings.get("forbidden", "")) if name)
    due = settings.get("due", "")
    late, deadline = read_late(path, settings.get("late", ""), due)
    bonus = frozenset(id for key in bonus for id in re.split(r"\s*\|\s*", key))
    title, partial = settings.get("title", path.stem), partial == "yes"
    return Homework(path, title, due, seed, level, forbidden, partial, points, late, deadline, bonus, tuple(choices))


def read_late(path, text, due):
    """(share of the points that a day takes off, the datetime from which days are counted) of `late = 10% a day`. Raises HomeworkError."""
    if not text:
        return 0.0, None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%\s*(?:a|per)\s+day", text)
    if not match or not 0 < float(match[1]) <= 100:
        raise HomeworkError(f"{path}: late must be written so: late = 10% a day; not {text!r}")
    try:
        return float(match[1]) / 100, datetime.fromisoformat(due).replace(tzinfo=None)
    except ValueError:
        raise HomeworkError(f"{path}: with late, due must be a date and a time: {DUE}; not {due!r}") from None


def read_sections(path):
    """The sections of the file, [homework] and [exercises] among them. Raises HomeworkError."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except OSError:
        raise HomeworkError(f"there is no file {path}; COURSEWORK.md shows one") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise HomeworkError(f"{path} cannot be read: {reason}; expected are the sections [homework] and [exercises]") from None
    for section in ("homework", "exercises"):
        if not parser.has_section(section):
            raise HomeworkError(
                f"{path} has no section [{section}]; [homework] holds {', '.join(KEYS)}, [exercises] lines such as conv2d.backward = 4"
            )
    return parser


def read_seed(path, text):
    """The seed, an int of at least 1000. Raises HomeworkError."""
    try:
        seed = int(text)
    except ValueError:
        raise HomeworkError(f"{path}: seed must be a whole number that only you know, not {text!r}") from None
    if seed < 1000:
        raise HomeworkError(f"{path}: seed must be at least 1000, so that nobody guesses it, not {seed}")
    return seed


def read_points(path, id, text):
    """The points of one exercise, a float above 0. Raises HomeworkError, for an unknown exercise, too."""
    try:
        exercise = find([id], ALL)[0]
    except ValueError as error:
        raise HomeworkError(f"{path}: {error}") from None
    if exercise.id != id:
        raise HomeworkError(f"{path}: there is no exercise {id!r}; did you mean {exercise.id}?")
    try:
        points = float(text)
    except ValueError:
        raise HomeworkError(f"{path}: the points of {id} must be a number, not {text!r}") from None
    if not 0 < points < float("inf"):
        raise HomeworkError(f"{path}: the points of {id} must be more than 0, not {text}")
    return points
