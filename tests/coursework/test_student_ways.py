"""What is said of the ways in which students write the exercises: right ones pass, wrong ones get their cause or none, never a
false one."""

import inspect
import re

import numpy as np
import pytest
from student_ways import exercise_of, is_said, text_with, ways, written

from minigrad.coursework.cases import Case
from minigrad.coursework.exercises import ALL, EXERCISES
from minigrad.coursework.hidden import hidden_cases
from minigrad.coursework.judge import properties, randomness, sums
from minigrad.coursework.judge.one_case import run_case
from minigrad.coursework.judge.request import judge
from minigrad.coursework.judge.runner import run
from minigrad.coursework.judge.summands import overwritten
from minigrad.coursework.judge.verdict import verdict_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
WAYS = ways()
FIRST = [i for i, (id, said, _) in enumerate(WAYS) if (id, said == "right") not in [(w[0], w[1] == "right") for w in WAYS[:i]]]
SLOW_TO_TRY = ("linear.backward", "conv2d")  # the others take a tenth of a second or less
SAMPLE = [i for i in FIRST if not WAYS[i][0].startswith(SLOW_TO_TRY)]
INTERNAL = (  # what no message may show: the checker's files, its private names, its own errors
    r"minigrad[/\\]|<model|<frozen|site-packages|Traceback|judge|'NoneType'|'RemoteObject'|_own\b|_known\b|"
    r"\b(Value|Twin|Subject|Context|Session)\b(?!Error)|\(line \d+ of \w+\.py: `(yield|raise|return \[|for )"
)


def problem_with(number, cases=None, seed=0):
    """What is wrong with what is said of a way, or ""."""
    id, said, body = WAYS[number]
    exercise = exercise_of(id)
    cases = exercise.cases if cases is None else cases
    result = run(exercise, written(id, body), cases, seed)
    shown = [case["message"] for case in verdict_of(exercise, result, cases)["cases"]]
    internal = [found.group() for text in shown if (found := re.search(INTERNAL, text))]
    if said == "right":
        problem = "" if result.status == "passes" and not result.cause else f"{result.status}: {result.cause}"
    else:
        problem = is_said(id, said, result.reports) if result.status == "wrong" else result.status
    return problem or internal and f"shows {internal}: {shown}"


@pytest.mark.parametrize("number", SAMPLE, ids=lambda i: f"{WAYS[i][0]}, {WAYS[i][1]}"[:60])
def test_what_is_said_of_a_sample(number):
    assert not problem_with(number)


@pytest.mark.slow
@pytest.mark.parametrize("id", dict.fromkeys(id for id, _, _ in WAYS))
def test_what_is_said_of_every_way(id):
    problems = {(i, WAYS[i][1]): problem_with(i) for i in range(len(WAYS)) if WAYS[i][0] == id}
    assert not {key: problem for key, problem in problems.items() if problem}


@pytest.mark.slow
@pytest.mark.parametrize("id", dict.fromkeys(id for id, _, _ in WAYS))
def test_right_ways_pass_hidden_cases_and_wrong_ones_are_never_accused_of_another_mistake(id):
    exercise = exercise_of(id)
    for i, (_, said, _) in enumerate(WAYS):
        if WAYS[i][0] == id:
            problem = problem_with(i, exercise.cases + hidden_cases(exercise, 4001, 2), seed=1)
            assert not problem, (said, WAYS[i][2], problem)


def test_there_are_many_ways():
    assert len([way for way in WAYS if way[1] == "right"]) >= 80 and len(WAYS) >= 330
    assert {exercise.id for exercise in EXERCISES if exercise.group != "hunt"} <= {id for id, _, _ in WAYS}


HEADER = (
    "import numpy as np\nfrom numpy.lib.stride_tricks import sliding_window_view\n"
    "from minigrad.coursework import Layer, col2im, four_sides, im2col, output_size\n\n\n"
)
FROM_OUTSIDE = [
    i for i in FIRST + [i for i, way in enumerate(WAYS) if re.search("keep|won|forward", way[1])] if WAYS[i][0] in (
        "linear.forward", "relu.forward", "loss.forward", "maxpool.forward", "lrn.backward", "dropout.forward", "dropout.backward",
        "augment.crop_flip", "augment.colour_noise", "numerical_gradient", "alexnet.stages",
    )
]  # fmt: skip


@pytest.mark.parametrize(
    "number", [pytest.param(i, marks=pytest.mark.slow if k else ()) for k, i in enumerate(dict.fromkeys(FROM_OUTSIDE))]
)
def test_the_same_is_said_of_a_solution_in_another_process(number, tmp_path):
    """The judge then knows the solution by its answers alone."""
    id, said, body = WAYS[number]
    exercise = exercise_of(id)
    path = tmp_path / "solution.py"
    names = "from minigrad import Conv2d, Dropout, Flatten, Linear, LocalResponseNorm, MaxPool2d, ReLU, Sequential\n"
    path.write_text((names if exercise.group == "alexnet" else "") + HEADER + text_with(id, body), encoding="utf-8")
    there = judge({"impl": str(path), "exercise": id, "seed": 0, "sandbox": "off"})
    here = run(exercise, written(id, body))
    assert (there["status"], there["cause"]) == (here.status, re.sub(r"student_\w+\.py", "solution.py", here.cause))


def test_reasons_that_properties_give_are_hints_of_known_mistakes():
    """So that they may be said of hidden cases, too."""
    hints = {mistake.hint for exercise in ALL for mistake in exercise.mistakes}
    text = inspect.getsource(randomness) + inspect.getsource(properties)
    assert {text for name, text in vars(sums).items() if name.isupper()} <= hints
    reasons = set(re.findall(r'(?:reason=|reason = |return |\d: |N: |^        )"([^"]+\.)"', text, re.MULTILINE))
    assert {randomness.GENERATOR} | reasons <= hints and len(reasons) >= 12, reasons - hints


# ---- one by one


def test_a_known_mistake_that_another_case_speaks_against_is_not_named():
    """With two images and two classes, 1/N² is 1/(N·C): divided by N twice is then the same as divided by N·C."""
    body = "p = np.exp(self.log_p)\nN = len(p)\np[np.arange(N), self.labels] -= 1\nreturn p / N / N\n"
    exercise, solution = exercise_of("loss.backward"), written("loss.backward", body)
    square, oblong = Case("square", (2, 2), labels=(0, 1)), Case("oblong", (3, 7), labels=(4, 0, 6))
    hint = next(mistake.hint for mistake in exercise.mistakes if mistake.name == "divided by N·C")
    assert run_case(exercise, solution, square, 0, []).cause == hint
    for cases in ([square], [square, oblong], [square, oblong, exercise.cases[0]]):
        causes = [report.cause for report in run(exercise, solution, cases).reports]
        assert len(causes) == len(cases) and hint not in causes and all(causes)
    assert "1/2" in causes[0] and "1/N (N = 3)" in causes[1]


def test_a_mistake_in_forward_is_named_where_another_hides_it():
    """db is wrong in every case; that b is forgotten shows only where b is not 0."""
    body = "self.dW = self.x.T @ dy\nself.db = 0 * self.b\nreturn dy @ self.W.T\n# forward\nself.x = x\nreturn x @ self.W\n"
    result = run(exercise_of("linear.backward"), written("linear.backward", body))
    assert [report.cause for report in result.reports[1:]] == ["Every output gets its bias."] * 3


def test_warnings_of_models_with_a_mistake_are_not_shown():
    """A logistic function of -1,000 overflows; nobody wrote one."""
    exercise = exercise_of("tanh.forward")
    result = run(exercise, written("tanh.forward", "self.y = np.tanh(x)\nreturn 2 * self.y\n"))
    assert result.status == "wrong" and not any(report.notes for report in result.reports)
    own = run(exercise, written("tanh.forward", "self.y = 2 / (1 + np.exp(-2 * x)) - 1\nreturn self.y\n"))
    assert any("overflow" in note for report in own.reports for note in report.notes)


def test_a_model_that_is_called_with_what_forward_keeps_shows_no_line_of_its_own():
    body = "self.x_shape = x.shape\nself.won = np.ones((2, 3))\nreturn sliding_window_view(x, (self.K, self.K), axis=(1, 2))"
    body += "[:, :: self.S, :: self.S].max(axis=(-1, -2))\n"
    result = run(exercise_of("maxpool.forward"), written("maxpool.forward", body))
    assert "cannot work with what forward keeps" in result.cause and "dx[:" not in result.cause and "line" not in result.cause


@pytest.mark.parametrize("order", [1, -1])
def test_a_sum_of_which_one_term_is_left(order):
    terms = np.array([[1.0, 2.0, 0.0, 0.0, 0.0], [0.0, 3.0, 4.0, 5.0, 0.0], [0.0, 0.0, 0.0, 6.0, 7.0]])
    last = np.zeros(5)
    for term in terms[::order]:
        last[term != 0] = term[term != 0]
    assert overwritten(last, terms)
    for other in (terms.sum(axis=0), 2 * last, 0 * last, terms[0] + terms[1], terms[0] + terms[2], terms[2], None, last[:2]):
        assert not overwritten(other, terms)
