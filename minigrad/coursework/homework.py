"""A homework as its teacher writes it down: an .ini file that stays with the teacher."""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path

from minigrad.coursework import feedback
from minigrad.coursework.exercises import ALL, find

KEYS = ("title", "due", "seed", "feedback", "forbidden", "partial")


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
    partial    nbgrader gives points in proportion to the cases that pass, not all or none
    points     id of an exercise -> points"""

    path: Path
    title: str
    due: str
    seed: int
    feedback: str
    forbidden: tuple
    partial: bool
    points: dict

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
    partial = settings.get("partial", "no")
    if partial not in ("yes", "no"):
        raise HomeworkError(f"{path}: partial must be yes or no, not {partial!r}")
    points = {id: read_points(path, id, text) for id, text in sections["exercises"].items()}
    if not points:
        raise HomeworkError(f"{path}: [exercises] is empty; a line is an id and its points: conv2d.backward = 4")
    forbidden = tuple(name for name in re.split(r"[,\s]+", settings.get("forbidden", "")) if name)
    return Homework(path, settings.get("title", path.stem), settings.get("due", ""), seed, level, forbidden, partial == "yes", points)


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
