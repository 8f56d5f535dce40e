"""Grades in the files that Canvas and Moodle import, each student found by id."""

import csv
import io

from minigrad.names import no_formula

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = ("Full name", "ID number", "Email address")


def totals_of(rows):
    """id -> points, of all who have an id. rows: of the table."""
    totals = {}
    for row in rows:
        if row["id"]:
            totals[row["id"]] = totals.get(row["id"], 0) + float(row["earned"])
    return {id: f"{round(points, 2):g}" for id, points in totals.items()}


def canvas_gradebook(people, rows, homework):
    """The text of a file for Canvas, Grades, Import: those columns of the roster that Canvas asks for, then the homework's.

    Who handed in nothing has an empty cell, which changes nothing there."""
    totals = totals_of(rows)
    lines = [[*CANVAS, homework.title], ["    Points Possible", *[""] * 4, f"{homework.possible:g}"]]
    for person in people:
        own = (
            {"Student": person.name, "SIS User ID": person.id, "SIS Login ID": person.login} if "Student" not in person.row else person.row
        )
        lines.append([*(no_formula(own.get(column, "")) for column in CANVAS), totals.get(person.id, "")])
    return csv_text(lines)


def moodle_worksheet(people, rows, homework):
    """The text of a file for Moodle: the grading worksheet with its grades, if that was the roster; else one for Grades, Import."""
    totals = totals_of(rows)
    if people and "Identifier" in people[0].row:
        columns = list(people[0].row)
        lines = [columns]
        for person in people:
            row = person.row | {"Grade": totals.get(person.id, person.row.get("Grade", ""))}
            lines.append([row[column] if row[column] == "-" else no_formula(row[column]) for column in columns])  # "-": there is no date
        return csv_text(lines)
    lines = [[*MOODLE, homework.title]]
    lines += [[*map(no_formula, (person.name, person.id, person.email)), totals.get(person.id, "")] for person in people]
    return csv_text(lines)


def csv_text(lines):
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(lines)
    return out.getvalue()
