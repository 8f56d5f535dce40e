"""python -m minigrad.coursework new | check | explain | release | grade"""

import argparse
import os
import sys
from pathlib import Path

from minigrad.coursework.checking import check_exercises, exercises_named, impl_option
from minigrad.coursework.console import UsageError, say
from minigrad.coursework.exercises import ALL
from minigrad.coursework.explain import explain
from minigrad.coursework.grade.grading import Wishes, grade
from minigrad.coursework.grade.submissions import SOURCES
from minigrad.coursework.homework import HomeworkError
from minigrad.coursework.judge.cage import SANDBOXES
from minigrad.coursework.release.build import SYSTEMS, release
from minigrad.coursework.worksheets import heading, parts_of, worksheet

DESCRIPTION = """\
new conv2d            writes student/conv2d.py, with blanks
check conv2d          says what is right and what is wrong; without a name, of all exercises
explain conv2d        the derivation, the shapes, what to read
release, grade        for teachers: COURSEWORK.md"""


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would end the program."""

    def error(self, message):
        raise UsageError(f"{message}. See {self.prog} --help")


def command_line():
    """The parser. `options.run(options)` does what a command means and returns the exit code."""
    parser = Parser("python -m minigrad.coursework", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="new | check | explain | release | grade")

    p = commands.add_parser("new", help="write a file of blanks")
    p.add_argument("ids", nargs="+", metavar="ID", help="the first word of an exercise: conv2d")
    p.add_argument("--to", default="student", metavar="FOLDER", help="where to write it (default: student/)")
    p.set_defaults(run=new_command)

    p = commands.add_parser("check", help="check what is written")
    p.add_argument("ids", nargs="*", metavar="ID", help="conv2d.backward; or conv2d, for all exercises that begin so (default: all)")
    p.add_argument("--impl", default="student", metavar="WHERE", help="a folder, a .py file, a package, or: reference, blank (student/)")
    p.add_argument("--case", metavar="NAME", help="only this case")
    p.add_argument("--seed", type=int, default=0, help="seed of the numbers (default: 0)")
    p.add_argument("--pdb", action="store_true", help="stop in the debugger where your function begins")
    p.add_argument("--fast", action="store_true", help="only the first case of each kind")
    p.set_defaults(run=check_command)

    p = commands.add_parser("explain", help="derivation, shapes, reading")
    p.add_argument("ids", nargs="+", metavar="ID")
    p.set_defaults(run=explain_command)

    p = commands.add_parser("release", help="make a homework: what students get, and what you keep")
    p.add_argument("homework", metavar="HOMEWORK.ini")
    p.add_argument("--out", required=True, metavar="FOLDER", help="a new folder")
    p.add_argument("--for", dest="systems", action="append", default=[], choices=tuple(SYSTEMS), help="make it for this system, too")
    p.add_argument("--roster", metavar="ROSTER.csv", help="who is in the class, for exercises that are drawn for each student")
    p.set_defaults(run=release_command)

    add_grade(commands)
    return parser


def add_grade(commands):
    """The options of `grade`."""
    p = commands.add_parser("grade", help="grade a folder of submissions")
    p.add_argument("submissions", metavar="SUBMISSIONS", help="a folder with a folder, an archive or a file for each submission")
    p.add_argument("--homework", required=True, metavar="HOMEWORK.ini")
    p.add_argument("--out", metavar="GRADES.csv", help="a table, one row for each submission and exercise")
    p.add_argument("--json", metavar="RESULTS.json", help="the same with what students may see")
    p.add_argument(
        "--from", dest="source", choices=SOURCES, default="folder", help="the system whose export SUBMISSIONS is (default: folder)"
    )
    p.add_argument("--roster", metavar="ROSTER.csv", help="who is in the class: name, id; Canvas's gradebook or Moodle's grading worksheet")
    p.add_argument("--canvas", metavar="GRADES.csv", help="write what Canvas imports")
    p.add_argument("--moodle", metavar="GRADES.csv", help="write what Moodle imports")
    p.add_argument("--alike", metavar="PAIRS.csv", help="write pairs of submissions that are alike after renaming: to be read, no verdict")
    p.add_argument("--only", action="append", default=[], metavar="STUDENT|EXERCISE", help="grade only these again, in place")
    p.add_argument("--workers", type=int, default=2, help="how many submissions are graded at once (default: 2)")
    p.add_argument("--reveal", action="store_true", help="full reports of hidden cases, too: after the deadline")
    p.add_argument(
        "--for", dest="system", choices=("gradescope", "autolab"), help="SUBMISSIONS is a single one; results as this system reads them"
    )
    p.add_argument(
        "--sandbox", choices=SANDBOXES, default="auto", help="bubblewrap: where it is (auto), or not without it (require), or off"
    )
    p.set_defaults(run=grade_command)


def new_command(options):
    """Write a file of blanks for each group. Nothing is overwritten. Raises UsageError."""
    groups = list(dict.fromkeys(exercise.group for exercise in exercises_named(options.ids)))
    folder = Path(options.to)
    for group in groups:
        if (folder / f"{group}.py").exists():
            raise UsageError(
                f"{folder / group}.py exists already, and nothing is overwritten: move it away, or write to another folder with --to"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for group in groups:
            members = [exercise for exercise in ALL if exercise.group == group]
            with open(folder / f"{group}.py", "x", encoding="utf-8") as file:
                file.write(worksheet(heading(members, folder.as_posix()), parts_of(members)))
            say(f"{folder / group}.py: {', '.join(exercise.id for exercise in members)}")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror or error}; choose another folder with --to") from None
    say(f"Check it with   python -m minigrad.coursework check {' '.join(groups)}{impl_option(options.to)}")
    return 0


def check_command(options):
    return check_exercises(options.ids, options.impl, options.case, options.seed, options.pdb, options.fast)


def explain_command(options):
    say("\n\n".join(explain(exercise) for exercise in exercises_named(options.ids)))
    return 0


def release_command(options):
    say("\n".join(release(options.homework, options.out, options.systems, options.roster)))
    return 0


def grade_command(options):
    wishes = Wishes(
        csv_file=options.out,
        json_file=options.json,
        canvas_file=options.canvas,
        moodle_file=options.moodle,
        alike_file=options.alike,
        roster=options.roster,
        source=options.source,
        workers=options.workers,
        reveal=options.reveal,
        only=tuple(options.only),
        system=options.system,
        sandbox=options.sandbox,
    )
    say("\n".join(grade(options.submissions, options.homework, wishes)))
    return 0


def main(argv=None):
    """Run a command line, by default this program's -> its exit code: 2 for wrong use, 130 after Ctrl-C."""
    try:
        options = command_line().parse_args(argv)
        code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `| head` has read enough; what is left must not be flushed into it when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, HomeworkError) as error:
        print(f"python -m minigrad.coursework: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
