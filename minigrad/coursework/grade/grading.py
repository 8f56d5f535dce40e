"""Grading a folder of submissions: each exercise of each in a fresh process, with nothing of the student's but the files asked for."""

import contextlib
import json
import os
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from pathlib import Path

from minigrad.coursework.exercises import ALL
from minigrad.coursework.grade import exports, results
from minigrad.coursework.grade.judging import STOP, Stopped, grade_submission, untried_verdict, with_points
from minigrad.coursework.grade.pairs import pairs_table
from minigrad.coursework.grade.roster import plain, read_roster
from minigrad.coursework.grade.submissions import single_submission, submissions_in, with_roster
from minigrad.coursework.homework import HomeworkError, read_homework
from minigrad.coursework.judge.answer import shown
from minigrad.coursework.judge.cage import OFF, CageError, sandbox_for
from minigrad.coursework.judge.ending import adopt_orphans, end_all
from minigrad.coursework.judge.request import NOT_GRADED
from minigrad.files import write_text


@dataclass(frozen=True)
class Wishes:
    """What is written, and how. Of all files the paths, or None.

    csv_file: the table, one row for each submission and exercise. json_file: what students may see. canvas_file, moodle_file: what these
    systems import. alike_file: pairs of submissions that are alike. roster: a .csv file. source: one of `submissions.SOURCES`. workers: how
    many submissions are graded at once. reveal: students see the full reports of hidden cases. only: names or ids of students and
    exercises; nothing else is graded, and of csv_file and json_file nothing else is changed. system: None, or "gradescope" or "autolab":
    there is a single submission, and the results are written for this system. sandbox: "auto" (bubblewrap, where it is), "require" or
    "off"."""

    csv_file: str = None
    json_file: str = None
    canvas_file: str = None
    moodle_file: str = None
    alike_file: str = None
    roster: str = None
    source: str = "folder"
    workers: int = 2
    reveal: bool = False
    only: tuple = ()
    system: str = None
    sandbox: str = "auto"

    @property
    def files(self):
        files = (self.csv_file, self.json_file, self.canvas_file, self.moodle_file, self.alike_file)
        return [file for file in files if file]


def grade(folder, homework, wishes):
    """Grade submissions, write what is asked for -> lines to print.

    folder: one with a folder, an archive or a file for each submission. homework: its .ini file.

    Raises HomeworkError for a bad homework or roster, for a folder that is not there or empty, for a file that cannot be written, and for a
    sandbox that is required where there is none.
    After Ctrl-C or SIGTERM the rows so far are in a file beside the table, all processes are ended, and KeyboardInterrupt or SystemExit
    is raised."""
    homework, folder = read_homework(homework), Path(folder)
    check_wishes(folder, homework, wishes)
    people = read_roster(wishes.roster) if wishes.roster else []
    if wishes.system:  # which counts the days itself, and gives its files dates of its own
        homework = replace(homework, late=0.0)
        submissions, lines = [single_submission(folder)], []
    else:
        submissions, lines = collected(folder, homework, wishes, people)
    try:
        sandbox = sandbox_for(wishes.sandbox)
    except CageError as error:
        raise HomeworkError(str(error)) from None
    run = Run(homework, wishes, submissions, sandbox)
    run.grade_all()
    return run.write_all(people) if wishes.system else [*run.write_all(people), *lines]


def check_wishes(folder, homework, wishes):
    """Raises HomeworkError for what would fail after the class was graded, or would do nothing."""
    if not folder.is_dir() and not (wishes.system and folder.is_file()):
        unpack = ": unpack it first" if folder.is_file() else ""
        raise HomeworkError(f"there is no folder {folder}{unpack}; it holds a folder, an archive or a file for each submission")
    if wishes.workers < 1:
        raise HomeworkError(f"--workers must be at least 1, not {wishes.workers}")
    for path in wishes.files:
        if not Path(path).absolute().parent.is_dir():
            raise HomeworkError(f"{path} cannot be written: there is no folder {Path(path).absolute().parent}")
    if not (wishes.files or wishes.system):
        raise HomeworkError("nothing would be written: name a table with --out, or results with --json")
    if (wishes.canvas_file or wishes.moodle_file or homework.choices) and not wishes.roster:
        why = "this homework draws exercises for each student" if homework.choices else "grades go back by id"
        raise HomeworkError(f"{why}: name the class's .csv file with --roster")
    if wishes.only and not (wishes.csv_file and Path(wishes.csv_file).is_file()):
        raise HomeworkError("--only changes the table of an earlier run: name it with --out")
    if wishes.only and wishes.json_file and not Path(wishes.json_file).is_file():
        raise HomeworkError(f"--only changes the results of an earlier run, and there are none in {wishes.json_file}")
    if wishes.only and wishes.alike_file:
        raise HomeworkError("--alike compares all submissions: leave --only out")


def collected(folder, homework, wishes, people):
    """-> (submissions, lines to print about them). Raises HomeworkError if there are none."""
    titles = [*homework.groups, "homework", homework.name]
    given = [
        *wishes.files,
        wishes.roster or "",
        homework.path,
        *(partial_file(file) for file in (wishes.csv_file, wishes.json_file) if file),
    ]
    submissions, left_out = submissions_in(folder, wishes.source, titles, [file for file in given if file])
    if not submissions:
        raise HomeworkError(f"{folder} is empty; it should hold a folder, an archive or a file for each submission")
    lines = [f"left out, for nobody hands in such files: {', '.join(left_out)}"] if left_out else []
    if people:
        submissions, missing, strangers = with_roster(submissions, people)
        lines += [f"nothing from {len(missing)} of {len(people)}: {'; '.join(shown(p.name, 200) for p in missing)}"] if missing else []
        lines += [f"not in the roster: {'; '.join(strangers)}"] if strangers else []
    by_file = [submission.name for submission in submissions if submission.submitted is None]
    if homework.late and by_file:
        lines.append(
            f"days late: by the dates of files, which a download may change, for {len(by_file)} of {len(submissions)}; the roster's column "
            "`submitted` says it better"
        )
    return submissions, lines


def partial_file(path):
    """Where the rows so far stand while a class is graded: beside the table."""
    path = Path(path)
    return path.with_name(f"{path.stem}.partial{path.suffix}")


class Run:
    """A class being graded. sandbox: "bwrap" or "off". verdicts: index of a submission -> its verdicts, as they come."""

    def __init__(self, homework, wishes, submissions, sandbox):
        self.homework, self.wishes, self.submissions, self.sandbox, self.verdicts = homework, wishes, submissions, sandbox, {}
        self.homeworks = [homework.of(submission.id or submission.name) for submission in submissions]
        self.chosen, self.exercises = chosen(wishes.only, submissions, homework)

    def grade_all(self):
        """Grade the chosen submissions, and write each one's rows when they are there."""
        STOP.clear()
        workers = min(self.wishes.workers, os.cpu_count() or 1)  # more would take time from each other, and nothing would be done earlier
        with adopt_orphans(), sigterm_ends(), ThreadPoolExecutor(workers) as pool:
            waiting = {pool.submit(self.grade_one, i): i for i in self.chosen}
            try:
                if self.wishes.csv_file:
                    save(partial_file(self.wishes.csv_file), results.table([]), "utf-8-sig")
                while waiting:
                    done, _ = wait_for(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        self.keep(waiting.pop(future), future.result())
            except BaseException:
                STOP.set()
                for future in waiting:
                    future.cancel()
                while wait_for(waiting, timeout=0.1).not_done:
                    end_all()
                self.say_what_is_kept()
                raise

    def grade_one(self, i):
        """The verdicts on a submission. Whatever goes wrong in it is said in its rows."""
        submission, homework = self.submissions[i], self.homeworks[i]
        try:
            return grade_submission(submission, homework, self.sandbox, self.exercises)
        except Stopped:
            return []
        except Exception as error:  # nobody's submission ends the run of the others
            sentence = shown(f"{NOT_GRADED}: {type(error).__name__}: {error}", 400)
            exercises = [exercise for exercise in homework.exercises if self.exercises is None or exercise.id in self.exercises]
            verdicts = [(exercise, untried_verdict(exercise, homework, sentence, True)) for exercise in exercises]
            return [with_points(verdict, None, submission, exercise, homework) for exercise, verdict in verdicts]

    def keep(self, i, verdicts):
        """Take a submission's verdicts, and append its rows to the file beside the table."""
        self.verdicts[i] = verdicts
        if self.wishes.csv_file:
            text = results.table(results.rows_of(self.submissions[i], verdicts, self.homeworks[i]), heading=False)
            with open(partial_file(self.wishes.csv_file), "a", encoding="utf-8", newline="") as file:
                file.write(text)

    def say_what_is_kept(self):
        kept = f"; their rows are in {partial_file(self.wishes.csv_file)}" if self.wishes.csv_file else ""
        if self.wishes.json_file:
            save(partial_file(self.wishes.json_file), self.feedback_text(self.feedback()), "utf-8")
            kept += f", what students may see in {partial_file(self.wishes.json_file)}"
        print(f"stopped: {len(self.verdicts)} of {len(self.chosen)} graded{kept}", file=sys.stderr)

    # ---- what is written in the end

    def write_all(self, people):
        """Write the files -> lines to print."""
        wishes, rows, feedback = self.wishes, self.rows(), self.feedback()
        if wishes.only:
            rows, feedback = self.with_earlier(rows, feedback)
        if wishes.csv_file:
            save(wishes.csv_file, results.table(rows), "utf-8-sig")  # spreadsheets know UTF-8 by its mark
            partial_file(wishes.csv_file).unlink(missing_ok=True)
        if wishes.json_file:
            save(wishes.json_file, self.feedback_text(feedback), "utf-8")
        if wishes.canvas_file:
            save(wishes.canvas_file, exports.canvas_gradebook(people, rows, self.homework), "utf-8-sig")
        if wishes.moodle_file:
            save(wishes.moodle_file, exports.moodle_worksheet(people, rows, self.homework), "utf-8-sig")
        if wishes.alike_file:
            save(wishes.alike_file, pairs_table(self.submissions, self.homework), "utf-8-sig")
        if wishes.system == "autolab":
            return results.autolab_lines(feedback[0])
        failed = [f"{row['submission']} {row['exercise']}" for row in self.rows() if row["cause"].startswith(NOT_GRADED)]
        own = self.feedback()
        width = max((len(each["submission"]) for each in own), default=0)
        lines = [f"{each['submission']:{width}}  {each['score']:g} of {each['max_score']:g}" for each in own]
        lines.append("Sandbox: bubblewrap." if self.sandbox == "bwrap" else OFF)
        lines += [f"not graded, for no fault of theirs (name them with --only): {'; '.join(failed)}"] if failed else []
        return lines + [f"{path} written" for path in wishes.files]

    def rows(self):
        done = sorted(self.verdicts)
        return [row for i in done for row in results.rows_of(self.submissions[i], self.verdicts[i], self.homeworks[i])]

    def feedback(self):
        reveal = self.wishes.reveal
        done = sorted(self.verdicts)
        return [results.feedback_for(self.submissions[i], self.verdicts[i], self.homeworks[i], reveal) for i in done]

    def feedback_text(self, feedback):
        if self.wishes.system:
            content = results.gradescope_results(feedback[0], self.homework)
        else:
            content = {"homework": self.homework.title, "submissions": feedback}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def with_earlier(self, rows, feedback):
        """Rows and feedback of the earlier run, with those that are new in place of their own. Raises HomeworkError."""
        order = {exercise.id: i for i, exercise in enumerate(self.homework.exercises)}
        try:
            earlier = results.rows_in(Path(self.wishes.csv_file).read_bytes().decode("utf-8-sig"))
            merged = {(row["submission"], row["id"], row["exercise"]): row for row in [*earlier, *rows]}
        except (ValueError, KeyError, OSError):
            raise HomeworkError(f"{self.wishes.csv_file} is no table of grades; grade the whole class first") from None
        if earlier and any(row["id"] for row in earlier) != bool(self.wishes.roster):  # nobody would be found again under the name of then
            how = "without" if self.wishes.roster else "with"
            raise HomeworkError(f"{self.wishes.csv_file} was written {how} --roster: do the same again, or grade the whole class")
        rows = sorted(merged.values(), key=lambda row: (row["submission"], row["id"], order.get(row["exercise"], len(order))))
        if not self.wishes.json_file:
            return rows, feedback
        try:
            earlier = json.loads(Path(self.wishes.json_file).read_text(encoding="utf-8"))["submissions"]
            whole = {(each["submission"], each.get("id", "")): each for each in earlier}
            for each in feedback:
                known = whole.get((each["submission"], each.get("id", "")), each)
                tests = {test["name"]: test for test in [*known["tests"], *each["tests"]] if test["name"] in order}
                known["tests"] = sorted(tests.values(), key=lambda test: order[test["name"]])
                whole[each["submission"], each.get("id", "")] = known | results.totals(known["tests"], self.homework)
        except (ValueError, KeyError, TypeError, OSError):
            raise HomeworkError(f"{self.wishes.json_file} holds no results; grade the whole class first") from None
        return rows, [whole[key] for key in sorted(whole)]


def chosen(only, submissions, homework):
    """-> (indices of the submissions, ids of the exercises or None for all) that --only names. Raises HomeworkError."""
    indices, ids = [], []
    for word in only:
        mine = [exercise.id for exercise in homework.exercises if word in (exercise.id, exercise.group)]
        theirs = [i for i, each in enumerate(submissions) if word == each.id or plain(word) == plain(each.name) or word == each.name]
        if not mine and not theirs:
            if any(word in (exercise.id, exercise.group) for exercise in ALL):
                raise HomeworkError(f"--only {word}: this exercise is not in the homework, which has {', '.join(homework.points)}")
            raise HomeworkError(f"--only {word}: nobody of this name or id handed in anything, and no exercise is called so")
        indices += theirs
        ids += mine
    return sorted(set(indices)) or list(range(len(submissions))), set(ids) or None


@contextlib.contextmanager
def sigterm_ends():
    """Within the block SIGTERM raises SystemExit(143), so that what was graded is kept."""

    def leave(*_):
        raise SystemExit(143)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def save(path, text, encoding):
    """Write a text, line ends as they are. Raises HomeworkError."""
    try:
        write_text(path, text, encoding)
    except OSError as error:
        raise HomeworkError(f"{path} cannot be written: {error.strerror}") from None
