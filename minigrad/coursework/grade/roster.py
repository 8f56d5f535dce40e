"""A roster: who is in the class, from a .csv file with a row for each student; and who of them handed in what.

Canvas's export of its gradebook and Moodle's grading worksheet are rosters as they are. Columns are found by their names."""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from minigrad.coursework.homework import HomeworkError

COLUMNS = {  # what is known of a student -> the names of its column, in small letters
    "name": ("name", "student", "full name", "student name"),
    "first": ("first name", "given name"),
    "last": ("last name", "surname", "family name"),
    "id": ("id", "id number", "student id", "sis user id"),
    "login": ("login", "username", "user name", "sis login id", "login id"),
    "email": ("email", "email address", "e-mail"),
    "number": ("identifier", "user id"),
    "submitted": ("submitted", "last modified (submission)"),
}
MOODLES_DATES = ("%A, %d %B %Y, %I:%M %p", "%A, %d %B %Y, %H:%M")  # Friday, 27 November 2026, 12:01 PM
NO_STUDENTS = ("points possible", "student, test", "test student")  # rows of Canvas's gradebook that begin so


@dataclass(frozen=True)
class Person:
    """A student as the roster has them: name, id, login, email, all texts; numbers: other numbers of theirs, a tuple of texts; submitted: a
    datetime, or None; row: column -> text."""

    name: str
    id: str
    login: str = ""
    email: str = ""
    numbers: tuple = ()
    submitted: datetime = None
    row: dict = field(default_factory=dict)

    def words(self):
        """All under which this student may have handed something in, plain."""
        last, _, first = self.name.partition(",")
        names = {self.name, f"{first} {last}"} if first else {self.name, *turned(self.name)}
        return {plain(word) for word in (*names, self.id, self.login, self.email, self.email.partition("@")[0], *self.numbers)} - {""}


def turned(name):
    """A name of several words with its last word first."""
    *first, last = name.split() or [""]
    return (f"{last} {' '.join(first)}",) if first else ()


def plain(text):
    """A name without what systems change in it: capital letters, accents, spaces, hyphens."""
    text = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in text if sign.isalnum())


def read_roster(path):
    """The `Person`s of a .csv file, in its order. Raises HomeworkError."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except OSError as error:
        raise HomeworkError(f"{path} cannot be read: {error.strerror}; a roster is a .csv file with the columns name and id") from None
    except UnicodeDecodeError:
        raise HomeworkError(f"{path} is not in UTF-8: save it as CSV UTF-8") from None
    first = text.partition("\n")[0]
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if first.count(";") > first.count(",") else ",", restval=""))
    if not rows:
        raise HomeworkError(f"{path} has no rows; a roster has a row for each student, below the names of the columns: name, id")
    column = {what: columns_of(rows[0], names) for what, names in COLUMNS.items()}
    if not column["name"] and not (column["first"] and column["last"]) or not (column["id"] or column["number"]):
        raise HomeworkError(f"{path} has the columns {', '.join(map(str, rows[0]))}; a roster has at least the columns name and id")
    people = [person_of(path, {key: value or "" for key, value in row.items() if isinstance(key, str)}, column) for row in rows]
    people = [person for person in people if person.name and not person.name.casefold().strip().startswith(NO_STUDENTS)]
    ids = [person.id for person in people]
    if twice := sorted({id for id in ids if ids.count(id) > 1}):
        raise HomeworkError(f"{path}: the id {twice[0]!r} stands there twice" if twice[0] else f"{path}: several students have no id")
    return people


def columns_of(row, names):
    """The columns of these names, in the order of `names`."""
    found = {str(column).strip().casefold(): column for column in row}
    return [found[name] for name in names if name in found]


def person_of(path, row, column):
    """A row's `Person`."""

    def first(what):
        return next((row[name].strip() for name in column[what] if row[name].strip()), "")

    name = first("name") or f"{first('first')} {first('last')}".strip()
    ids = [row[name].strip() for what in ("id", "number") for name in column[what] if row[name].strip()]
    numbers = tuple(number for id in ids[1:] for number in (id, *re.findall(r"\d{3,}", id)))
    numbers += tuple(re.findall(r"\d{3,}", ids[0])) if ids and column["number"] else ()
    submitted = date_in(text := first("submitted"))
    if text and text != "-" and submitted is None and "submitted" in {str(name).strip().casefold() for name in row}:
        raise HomeworkError(f"{path}: {name} submitted on {text!r}; a date is written 2026-11-27 12:00")
    return Person(name, ids[0] if ids else "", first("login"), first("email"), numbers, submitted, row)


def date_in(text):
    """The datetime of a text, as ISO 8601 or as Moodle in English writes it; or None."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in MOODLES_DATES:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


class Matching:
    """Finds the student of the roster who handed something in."""

    def __init__(self, people):
        self.by_word = {}
        for person in people:
            for word in person.words():
                self.by_word.setdefault(word, []).append(person)

    def person(self, *words):
        """The one student whom the first of these words names that names one alone; or None."""
        for word in words:
            found = self.by_word.get(plain(word), ())
            if word and len(found) == 1:
                return found[0]
        return None
