"""The table of submissions that are alike, once each is read in a process of its own."""

import csv
import io
import os
import tempfile

from minigrad.coursework.grade import alike
from minigrad.coursework.grade.judging import ask, unpacked
from minigrad.coursework.grade.submissions import candidates
from minigrad.coursework.worksheets import parts_of, worksheet
from minigrad.names import no_formula

COLUMNS = ("group", "alike", "submission", "file", "other submission", "other file")
TIME_TO_READ = 20  # seconds


def pairs_table(submissions, homework):
    """The text of a .csv file: pairs of submissions that are alike in a group of exercises, the most alike first."""
    prints = {group: {} for group in homework.groups}
    for submission in submissions:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            files, _ = unpacked(submission, folder)
            for group, exercises in homework.groups.items():
                names, others = {exercise.source.__name__ for exercise in exercises}, [other for other in homework.groups if other != group]
                found = candidates(submission, files, folder, group, names, others, ("homework", homework.name))
                done = ask([os.path.abspath(alike.__file__)], [candidate.path for candidate in found], TIME_TO_READ) or []
                given = alike.prints_of(worksheet("", parts_of(exercises)))
                own = [(len(own := set(each) - given), candidate.name, own) for each, candidate in zip(done, found, strict=False)]
                if own:
                    _, name, most = max(own, key=lambda each: each[0])
                    prints[group][submission.name, submission.id, name] = most
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for group, own in prints.items():
        for share, first, second in alike.pairs_alike(own):
            writer.writerow([group, f"{share:.2f}", *map(no_formula, (first[0], first[2], second[0], second[2]))])
    return out.getvalue()
