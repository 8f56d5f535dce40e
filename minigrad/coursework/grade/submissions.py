"""What was handed in: a folder, an archive, a file or a notebook, or several of them, for each student; and which of their files may hold
the solution of a group. Nothing is opened here: see unpacking.py."""

import os
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime

from minigrad.coursework.grade.roster import Matching
from minigrad.coursework.grade.unpacking import ARCHIVES, OTHER_ARCHIVES, SUFFIXES, kind
from minigrad.coursework.judge.answer import shown

SOURCES = ("folder", "canvas", "moodle")
# Names of entries: ada_LATE_1234_56789_relu-1.py; Ada Lovelace_1234_assignsubmission_file_ and what a flat download has behind it.
CANVAS = re.compile(r"(?P<name>[^_]+)(?:_LATE)?_(?P<number>\d+)_\d+_(?P<file>.+)", re.DOTALL)
MOODLE = re.compile(r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)", re.DOTALL)
NOBODYS = ("__macosx", "__pycache__", "thumbs.db", "desktop.ini", "homework.ini", "roster.csv")  # in small letters
COPY = r"[ _-]*(?:\(?\d+\)?)?"  # what systems put behind the name of a second copy: "-1", " (1)"
SPARE = re.compile(r"copy|backup|bak\b|\bold|_old|untitled|scratch|draft|checkpoint|tmp|temp\b", re.IGNORECASE)
MOST_CANDIDATES = 6


@dataclass(frozen=True)
class Entry:
    """One thing in the class's folder. path; name: as it is shown; file: what a single file is called without its student's name; number:
    that of a second copy, 0 if there is none; time: of its last change, in seconds."""

    path: str
    name: str
    file: str
    number: int
    time: float


@dataclass
class Submission:
    """All that one student handed in. name; number: the student's in the system that exported it, or ""; entries: the last one last.

    id, submitted: what the roster says, "" and None without one."""

    name: str
    number: str = ""
    entries: list = field(default_factory=list)
    id: str = ""
    submitted: datetime = None

    def in_order(self):
        """The same with the last entry last: by the number in its name, then by its time."""
        self.entries.sort(key=lambda entry: (entry.number, entry.time, entry.name))
        return self


@dataclass(frozen=True)
class Candidate:
    """A file that may hold a solution. path: of its copy; name: as the student knows it; time: of its entry."""

    path: str
    name: str
    time: float


def submissions_in(folder, source, groups, ignored=()):
    """-> (the `Submission`s in a folder, sorted by name, the names of what nobody handed in).

    source: one of SOURCES. groups: names of files that a flat name may end in. ignored: paths that are no submissions."""
    ignored, found, left_out = {os.path.abspath(path) for path in ignored}, {}, []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith(".") or entry.name.lower() in NOBODYS or os.path.abspath(entry.path) in ignored:
            left_out.append(shown(entry.name, 100))
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        name, number, file = owner(entry.name, is_folder, source, groups)
        key = number or unicodedata.normalize("NFC", name).casefold()
        copy = re.search(r"[-(](\d+)\)?$", stem_of(file))
        submission = found.setdefault(key, Submission(shown(name, 200), number))
        attempt = int(copy[1]) if copy else 0
        submission.entries.append(Entry(entry.path, shown(entry.name, 200), file, attempt, changed(entry.path, is_folder)))
    return in_order(found.values()), left_out


def in_order(submissions):
    """Sorted by name, the entries of each from the first to the last."""
    return sorted((submission.in_order() for submission in submissions), key=lambda submission: (submission.name, submission.number))


def with_roster(submissions, people):
    """-> (the submissions under the names and ids of the roster, `Person`s who handed in nothing, names that the roster does not have)."""
    matching, found, strangers = Matching(people), {}, []
    for submission in submissions:
        person = matching.person(submission.number, submission.name)
        if person is None:
            strangers.append(submission.name)
            found[submission.name, submission.number] = submission
            continue
        known = found.setdefault(person.id, Submission(shown(person.name, 200), submission.number, [], person.id, person.submitted))
        known.entries += submission.entries
    return in_order(found.values()), [person for person in people if person.id not in found], strangers


def single_submission(path):
    """The submission of a system that grades one at a time: a folder or a file."""
    path = os.fspath(path)
    name = os.path.basename(os.path.abspath(path))
    return Submission("submission", "", [Entry(os.path.realpath(path), shown(name, 200), name, 0, changed(path, os.path.isdir(path)))])


def owner(name, is_folder, source, groups):
    """(name of the student, number of the student in the system or "", name of the file) of an entry."""
    pattern = {"canvas": CANVAS, "moodle": MOODLE}.get(source)
    if pattern and (match := pattern.fullmatch(name)):
        return match["name"], match["number"], match["file"] or name
    if is_folder:
        return name, "", name
    match = re.fullmatch(rf"(.+)_((?:{'|'.join(map(re.escape, groups))}){COPY})", stem_of(name), re.DOTALL | re.IGNORECASE)
    return (match[1], "", name[len(match[1]) + 1 :]) if match else (stem_of(name), "", name)


def stem_of(name):
    """The name of a file without its suffix."""
    lower = name.lower()
    for suffix in (".py.txt", ".ipynb.txt", *SUFFIXES, *ARCHIVES, *OTHER_ARCHIVES):
        if lower.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return os.path.splitext(name)[0]


def changed(path, is_folder):
    """When a file, or the newest file in a folder, was changed last, in seconds; 0 if nobody can say."""
    files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names[:1000]] if is_folder else [path]
    times = [0.0]
    for file in files[:10_000]:
        try:
            times.append(os.lstat(file).st_mtime)
        except OSError:
            continue
    return max(times)


# ---- which file may hold a solution


def candidates(submission, files, folder, group, names, others, titles):
    """The `Candidate`s for a group's solution, those that are looked at first first.

    The last entry goes before earlier ones; in it group.py before the homework's notebook, before names that look like these, before other
    notebooks, before what looks like a spare copy. A .py file with another name counts if it holds the word of a class or function that is
    asked for. files: as `unpack` lists them. names: of the classes or functions. others: groups whose files are not looked at. titles:
    names that the homework's notebook may have."""
    found = []
    for i, name, copied in files:
        path, entry = os.path.join(folder, copied), submission.entries[i]
        rank = rank_of(os.path.basename(copied), group, others, titles)
        if rank is None or (rank >= 3 and kind(copied) == ".py" and not mentions(path, names)):
            continue
        whole = os.path.isdir(entry.path)
        shown_name = entry.name if kind(entry.file) in SUFFIXES and not whole else name
        if whole and len(submission.entries) > 1:
            shown_name = f"{entry.name}/{name}"
        found.append(((-i, rank, name.count("/"), name), Candidate(path, shown(shown_name, 200), entry.time)))
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])][:MOST_CANDIDATES]


def rank_of(name, group, others, titles):
    """How early a file is looked at; None: it is not."""
    stem, suffix = os.path.splitext(name)
    if re.fullmatch(rf"(?:.*[ _-])?(?:{'|'.join(map(re.escape, others)) or '(?!)'}){COPY}", stem, re.IGNORECASE) and suffix == ".py":
        return None
    if SPARE.search(stem):
        return 5
    if suffix == ".py":
        like = re.fullmatch(rf"(?:.*[ _-])?{re.escape(group)}{COPY}", stem, re.IGNORECASE)
        return 0 if stem == group else 2 if like else 4
    like = any(re.fullmatch(rf"(?:.*[ _-])?{re.escape(title)}{COPY}", stem, re.IGNORECASE) for title in (*titles, group))
    return 1 if stem in titles else 2 if like else 3


def mentions(path, names):
    """Whether one of these names stands in a file."""
    with open(path, "rb") as file:
        content = file.read()
    return any(name.encode() in content for name in names)
