"""A homework as its teacher writes it down: an .ini file that stays with the teacher."""

import configparser
import re
from dataclasses import dataclass
from pathlib import Path

from minigrad.coursework.exercises import find
from minigrad.coursework.variants import ALL

FEEDBACK = ("full", "hint", "category", "none")
KEYS = ("title", "due", "seed", "feedback", "forbidden", "partial")
KINDS = {"worked": "worked example", "forward": "values", "gradients": "gradients", "property": "property"}


class HomeworkError(ValueError):
    """Something about a homework, a release or a grading run: one sentence."""


@dataclass(frozen=True)
class Homework:
    """points: exercise id -> points. seed: the secret of the hidden cases. feedback: what students see of these. forbidden: imports that
    are refused beside the usual ones. partial: nbgrader gives points in proportion, not all or none."""

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
    """Raises HomeworkError for a file that does not say what it must."""
    path = Path(path)
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except OSError:
        raise HomeworkError(f"there is no file {path}; COURSEWORK.md shows one") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        words = str(error).splitlines()[0]
        raise HomeworkError(f"{path} cannot be read: {words}; expected are the sections [homework] and [exercises]") from None
    for section in ("homework", "exercises"):
        if not parser.has_section(section):
            raise HomeworkError(
                f"{path} has no section [{section}]; [homework] holds {', '.join(KEYS)}, [exercises] lines as conv2d.backward = 4"
            )
    settings = dict(parser["homework"])
    for key in settings:
        if key not in KEYS:
            raise HomeworkError(f"{path}: [homework] does not know {key!r}; it knows {', '.join(KEYS)}")
    try:
        seed = int(settings.get("seed", ""))
    except ValueError:
        raise HomeworkError(f"{path}: seed must be a whole number that only you know, not {settings.get('seed', '')!r}") from None
    if seed < 1000:
        raise HomeworkError(f"{path}: seed must be at least 1000, so that nobody guesses it, not {seed}")
    feedback = settings.get("feedback", "hint")
    if feedback not in FEEDBACK:
        raise HomeworkError(f"{path}: feedback must be one of {', '.join(FEEDBACK)}, not {feedback!r}")
    partial = settings.get("partial", "no")
    if partial not in ("yes", "no"):
        raise HomeworkError(f"{path}: partial must be yes or no, not {partial!r}")
    points = {}
    for id, text in parser["exercises"].items():
        try:
            exercise = find([id], ALL)[0]
            if exercise.id != id:
                raise ValueError(f"there is no exercise {id!r}; did you mean {exercise.id}?")
        except ValueError as error:
            raise HomeworkError(f"{path}: {error}") from None
        try:
            points[id] = float(text)
        except ValueError:
            raise HomeworkError(f"{path}: the points of {id} must be a number, not {text!r}") from None
        if not 0 < points[id] < float("inf"):
            raise HomeworkError(f"{path}: the points of {id} must be more than 0, not {text}")
    if not points:
        raise HomeworkError(f"{path}: [exercises] is empty; a line is an id and its points: conv2d.backward = 4")
    forbidden = tuple(word for word in re.split(r"[,\s]+", settings.get("forbidden", "")) if word)
    return Homework(path, settings.get("title", path.stem), settings.get("due", ""), seed, feedback, forbidden, partial == "yes", points)


def shown(row, feedback, is_hidden):
    """What a student sees of a case. row: of a verdict."""
    if not is_hidden or feedback == "full":
        return row["message"]
    words = {"passes": "passes", "wrong": "wrong", "not started": "not started"}[row["status"]]
    line = f"a hidden case ({KINDS[row['kind']]}): {words}"
    return {"none": "", "category": line, "hint": f"{line}. {row['hint']}".rstrip(". ") + "." * bool(row["hint"])}[feedback]
