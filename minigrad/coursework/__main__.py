"""python -m minigrad.coursework new | check | explain | release | grade"""

import argparse
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minigrad.coursework.exercises import EXERCISES, find
from minigrad.coursework.homework import HomeworkError
from minigrad.coursework.solutions import NoSuchPlace, apart, attempt, heading, load, parts_of, path_in, verdict
from minigrad.coursework.source import file_text
from minigrad.coursework.variants import ALL

MARKS = {"passes": "✓", "wrong": "✗", "not started": "○"}
PLAIN = {"passes": "ok", "wrong": "WRONG", "not started": "todo"}
DESCRIPTION = """\
new conv2d            writes student/conv2d.py, with blanks
check conv2d          says what is right and what is wrong; without a name, of all exercises
explain conv2d        the derivation, the shapes, what to read
release, grade        for teachers: COURSEWORK.md"""


class UsageError(Exception):
    """Wrong use: one sentence."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise UsageError(f"{message}. See {self.prog} --help")


def command_line():
    parser = Parser("python -m minigrad.coursework", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(dest="word", required=True, metavar="new | check | explain | release | grade")

    p = words.add_parser("new", help="write a file of blanks")
    p.add_argument("ids", nargs="+", metavar="ID", help="the first word of an exercise: conv2d")
    p.add_argument("--to", default="student", metavar="FOLDER", help="where (student/)")
    p.set_defaults(run=new_command)

    p = words.add_parser("check", help="check what is written")
    p.add_argument("ids", nargs="*", metavar="ID", help="conv2d.backward, or conv2d for all that begin so; none: all exercises")
    p.add_argument("--impl", default="student", metavar="PLACE", help="a folder, a .py file, a package, or: reference, blank (student/)")
    p.add_argument("--case", metavar="NAME", help="this case alone")
    p.add_argument("--seed", type=int, default=0, help="of the numbers (0)")
    p.add_argument("--pdb", action="store_true", help="stop in the debugger where your function begins")
    p.add_argument("--fast", action="store_true", help="the first case of each kind only")
    p.set_defaults(run=check_command)

    p = words.add_parser("explain", help="derivation, shapes, reading")
    p.add_argument("ids", nargs="+", metavar="ID")
    p.set_defaults(run=explain_command)

    p = words.add_parser("release", help="make a homework: what students get, and what you keep")
    p.add_argument("homework", metavar="HOMEWORK.ini")
    p.add_argument("--out", required=True, metavar="FOLDER", help="a new folder")
    p.add_argument("--for", dest="forms", action="append", default=[], choices=("nbgrader", "otter", "gradescope", "autolab"))
    p.set_defaults(run=release_command)

    p = words.add_parser("grade", help="grade a folder of submissions")
    p.add_argument("submissions", metavar="SUBMISSIONS", help="a folder with a folder, an archive or a file for each submission")
    p.add_argument("--homework", required=True, metavar="HOMEWORK.ini")
    p.add_argument("--out", metavar="GRADES.csv", help="a table, one row for each submission and exercise")
    p.add_argument("--json", metavar="RESULTS.json", help="the same with what students may see")
    p.add_argument("--workers", type=int, default=2, help="submissions graded at a time (2)")
    p.add_argument("--reveal", action="store_true", help="full reports of hidden cases, too: after the deadline")
    p.add_argument("--for", dest="form", choices=("gradescope", "autolab"), help="SUBMISSIONS is a single one; results in that form")
    p.set_defaults(run=grade_command)
    return parser


def say(text):
    """Print what this console can show."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def fancy():
    """Whether this console can print the marks."""
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def exercises(ids, among=ALL):
    try:
        return find(ids, among)
    except ValueError as error:
        raise UsageError(str(error)) from None


# ---- new, explain


def new_command(options):
    groups = list(dict.fromkeys(exercise.group for exercise in exercises(options.ids)))
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
                file.write(file_text(heading(members, folder.as_posix()), parts_of(members)))
            say(f"{folder / group}.py: {', '.join(exercise.id for exercise in members)}")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror or error}; choose another folder with --to") from None
    place = "" if options.to.rstrip("/") == "student" else f" --impl {shlex.quote(options.to)}"
    say(f"Check it with   python -m minigrad.coursework check {' '.join(groups)}{place}")
    return 0


def explain_command(options):
    from minigrad.coursework.explain import explain

    say("\n\n".join(explain(exercise) for exercise in exercises(options.ids)))
    return 0


# ---- check


def check_command(options):
    asked = exercises(options.ids) if options.ids else of_place(options.impl)
    tried = [(exercise, chosen(exercise, options)) for exercise in asked]
    tried = [(exercise, cases) for exercise, cases in tried if cases]
    if not tried:
        names = sorted({case.name for exercise in asked for case in exercise.cases})
        raise UsageError(f"there is no case {options.case!r}; there are {', '.join(names)}")
    try:
        if options.pdb:
            return debug(tried, options)
        verdicts = judge_all(tried, options)
    except NoSuchPlace as error:
        raise UsageError(
            f"{error}: begin with `python -m minigrad.coursework new {asked[0].group}`, or name your folder with --impl"
        ) from None
    marks = MARKS if fancy() else PLAIN
    for found in verdicts:
        words = {"passes": passes(found), "wrong": found["cause"], "not started": "not started"}[found["status"]]
        say(f"{marks[found['status']]:{1 if marks is MARKS else 5}} {found['exercise']:22} {words}".rstrip())
    wrong = next((found for found in verdicts if found["status"] == "wrong"), None)
    if wrong:
        case = next(case for case in wrong["cases"] if case["status"] != "passes")
        say("\n" + case["message" if fancy() else "plain"])
        if wrong["output"]:
            say("\n  printed:\n" + wrong["output"].rstrip())
    elif len(verdicts) == 1 and verdicts[0]["status"] == "not started":
        say(f"\n  {missing(tried[0][0], options.impl)}")
    return 0 if all(found["status"] == "passes" for found in verdicts) else 1


def passes(found):
    number = len(found["cases"])
    return f"{number} public case{'s' * (number > 1)} passed"


def missing(exercise, impl):
    """What to do about an exercise that is not started."""
    path = path_in(Path(impl), exercise)
    if path.suffix == ".py" and not path.exists():
        return f"There is no {path} yet: `python -m minigrad.coursework new {exercise.group}` writes it."
    return f"`python -m minigrad.coursework explain {exercise.id}` says what is wanted."


def of_place(impl):
    """Without ids: all exercises; for one file those that it is named after, or else those that it defines."""
    path = Path(impl)
    if path.suffix != ".py" or not path.exists():
        return EXERCISES
    text = path.read_text(encoding="utf-8", errors="replace")
    named = [exercise for exercise in ALL if exercise.group == path.stem]
    defined = [e for e in ALL if f"class {e.source.__name__}" in text or f"def {e.source.__name__}(" in text]
    if not (named or defined):
        raise UsageError(f"{impl} defines nothing that an exercise asks for; name the exercise: check conv2d --impl {impl}")
    return named or defined


def chosen(exercise, options):
    """The cases that are asked for."""
    cases = [case for case in exercise.cases if options.case in (None, case.name)]
    if options.fast:
        cases = list({case.kind: case for case in reversed(cases)}.values())[::-1]
    return cases


def again(exercise, options):
    """The command that repeats a case."""
    place = "" if options.impl.rstrip("/") == "student" else f" --impl {shlex.quote(options.impl)}"
    return f"python -m minigrad.coursework check {exercise.id}{place} --case {{case}} --seed {{seed}} --pdb"


def judge_all(tried, options):
    """A verdict for each exercise; files are tried in processes of their own."""
    place = options.impl
    is_file = place.endswith(".py") or Path(place).is_dir() or "/" in place or os.sep in place
    if is_file and not Path(place).exists() or place == "student" and not Path(place).is_dir():
        raise NoSuchPlace(f"there is no {'file' if place.endswith('.py') else 'folder'} {place}")

    def judge(pair):
        exercise, cases = pair
        if place in ("reference", "blank") or is_file and not path_in(Path(place), exercise).exists():
            return verdict(exercise, attempt(place, exercise, cases, options.seed), cases, again(exercise, options))
        request = {
            "place": os.path.abspath(place) if is_file else place,
            "exercise": exercise.id,
            "cases": [case.name for case in cases],
            "seed": options.seed,
            "again": again(exercise, options),
            "path": [] if is_file else sys.path[:1],
        }
        return apart(request, exercise, cases)

    if place in ("reference", "blank"):
        return [judge(pair) for pair in tried]
    if not is_file:
        load(place, tried[0][0])
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(judge, tried))


def debug(tried, options):
    """The first case that does not pass, again, in the debugger: it stops where the student's function begins."""
    import pdb

    from minigrad.coursework.cases import build, moded, values
    from minigrad.coursework.runner import completed, rehearse
    from minigrad.coursework.source import plant

    for exercise, cases in tried:
        found = verdict(exercise, attempt(options.impl, exercise, cases, options.seed), cases)
        row = next((row for row in found["cases"] if row["status"] != "passes"), None)
        if row is None:
            continue
        say(row["message" if fancy() else "plain"])
        case, solution = next(case for case in cases if case.name == row["name"]), load(options.impl, exercise)
        if solution is None:
            return 1
        debugger, solution = pdb.Pdb(), completed(exercise, solution)

        def stopping(function, debugger=debugger):
            return lambda *args, **kwargs: debugger.runcall(function, *args, **kwargs)

        if isinstance(exercise.source, type):
            solution = type(solution.__name__, (solution,), {name: stopping(getattr(solution, name)) for name in exercise.write})
        else:
            solution = stopping(solution)
        if case.kind == "gradients":
            rehearse(moded(build(solution, case, options.seed), case, options.seed), case, options.seed)
        else:
            list(values(solution, plant(exercise.source), case, options.seed))
        return 1
    say("All cases pass: there is nothing to stop at.")
    return 0


# ---- release, grade


def release_command(options):
    from minigrad.coursework.release import release

    say("\n".join(release(options.homework, options.out, options.forms)))
    return 0


def grade_command(options):
    from minigrad.coursework.grade import grade

    say("\n".join(grade(options)))
    return 0


def main(argv=None):
    try:
        options = command_line().parse_args(argv)
        return options.run(options)
    except (UsageError, HomeworkError) as error:
        print(f"python -m minigrad.coursework: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
