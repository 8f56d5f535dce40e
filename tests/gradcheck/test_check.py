"""`check_layer` itself: blanks, errors of the layer, wrong questions, and a process that is left as it was."""

import dataclasses
import graphlib
import random
import re
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gradcheck_layers import BlankReLU, LogSumExpLoss, LostLinear, PlainLinear, PlainReLU
from gradcheck_mistakes import check_wrong, planted

from minigrad import Conv2d, ReLU, Sequential, gradcheck
from minigrad.gradcheck import check_layer

BLANKS = ["raise NotImplementedError", "raise NotImplementedError('later')", "return None", "return ...", "pass", "..."]


@pytest.mark.parametrize(
    "method, value",
    [(method, value) for method in ("forward(self, x)", "backward(self, dy)") for value in BLANKS]
    + [(method, BLANKS[0]) for method in ("__init__(self)", "parameters(self)", "astype(self, dtype)")],
)
def test_blanks_are_not_started(method, value):
    names = {"PlainReLU": PlainReLU}
    exec(f"class Blank(PlainReLU):\n    def {method}:\n        {value}", names)
    report = check_layer(names["Blank"], (3, 5))
    assert report.status == "not started" and not report.ok and report.findings == () and report.entries == ()
    assert report.notes[0] == "later" if "later" in value else "is not written yet" in report.notes[0]
    assert str(report).startswith("○")


def test_a_network_may_compute_no_gradient_of_its_images():
    net = Sequential(conv1=Conv2d(2, 3, 3), relu1=ReLU())
    net["conv1"].input_gradient = False
    report = check_layer(net, (3, 4, 5, 2), wrt_x=False)
    assert report.ok and {entry.tensor for entry in report.entries} == {"conv1.W", "conv1.b"}
    assert check_layer(net, (3, 4, 5, 2)).status == "not started"


def test_what_the_layer_raises_is_a_finding_with_its_last_line():
    report = check_layer(LostLinear, (3, 5))
    assert report.status == "error" and report.findings[0].rule == "raises"
    assert re.search(r"IndexError.*\(line \d+ of gradcheck_layers.py: `return \[super\(\).backward\(dy\)\]\[1\]`\)", report.cause)
    assert "/" not in report.cause
    for error in (ValueError, KeyError, AttributeError, MemoryError, RecursionError, AssertionError):

        def make(error=error):
            raise error("in the constructor")

        report = check_layer(make, (3, 5))
        assert report.status == "error" and f"the constructor raises {error.__name__}" in report.cause


def test_a_line_of_the_checker_is_never_quoted():
    class Short(PlainReLU):
        def backward(self):
            return self.mask

    assert re.search(r"backward raises TypeError: .* takes 1 positional argument but 2 were given\.$", check_layer(Short, (3, 5)).cause)


def test_what_cannot_be_copied_is_a_finding():
    class Locked(PlainReLU):
        def __init__(self):
            self.lines = (line for line in [])

    report = check_layer(Locked, (3, 5))
    assert report.status == "error" and "a deep copy of the layer raises TypeError" in report.cause


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        ((PlainReLU, np.ones((3, 5), int)), {}, TypeError, "floats.*int64"),
        ((PlainReLU, [3, 5]), {}, TypeError, "shape as a tuple"),
        ((PlainReLU, np.ones((0, 5))), {}, ValueError, r"at least one image.*\(0, 5\)"),
        ((PlainReLU, (0, 5)), {}, ValueError, r"at least one image.*\(0, 5\)"),
        ((PlainReLU, ()), {}, ValueError, "at least one image"),
        ((PlainReLU, np.array(1.0)), {}, ValueError, "at least one image"),
        ((PlainReLU, np.array([[np.nan]])), {}, ValueError, "nan"),
        ((PlainReLU, (3, 5)), {"checks": ("values", "speed")}, ValueError, "'speed'.*values, contract"),
        ((PlainReLU, (3, 5)), {"checks": "values"}, TypeError, r"tuple.*\('values',\)"),
        ((PlainReLU, (3, 5)), {"budget": 30}, ValueError, r"at least \d+ for 1 tensor"),
        ((3.0, (3, 5)), {}, TypeError, "a layer or a function.*float"),
        ((dict, (3, 5)), {}, TypeError, "dict has no forward"),
        ((lambda: SimpleNamespace(forward=abs), (3, 5)), {}, TypeError, "has no backward"),
    ],
)
def test_questions_without_an_answer(arguments, options, error, words):
    with pytest.raises(error, match=words) as caught:
        check_layer(*arguments, **options)
    assert "\n" not in str(caught.value)


def test_the_state_of_the_process_is_left_as_it_was(capsys):
    class Careless(PlainReLU):
        def forward(self, x):
            np.random.seed(3)
            random.seed(4)
            np.seterr(all="raise")
            warnings.simplefilter("error")
            return super().forward(x)

    np.random.seed(1)
    random.seed(2)
    filters, handling = list(warnings.filters), np.geterr()
    states = [np.random.get_state()[1].tolist(), random.getstate()]
    for make in (Careless, planted("draws from np.random"), LostLinear, BlankReLU):
        check_layer(make, (3, 5))
        assert [np.random.get_state()[1].tolist(), random.getstate()] == states
        assert warnings.filters == filters and np.geterr() == handling
    assert capsys.readouterr() == ("", "")


def test_the_same_seed_gives_the_same_report():
    one, two = (dataclasses.replace(check_wrong("= for +="), seconds=0.0) for _ in range(2))
    assert one == two
    other = check_layer(PlainLinear, (3, 5), seed=1)
    assert other.entries[1].expected != check_layer(PlainLinear, (3, 5), seed=0).entries[1].expected


def test_labels_are_cut_along_with_the_images():
    seen = []

    class Loss(LogSumExpLoss):
        def forward(self, logits, labels, scale):
            seen.append((len(logits), labels.tolist(), scale))
            return super().forward(logits, labels)

    labels = np.array([4, 0, 6])
    assert check_layer(Loss, (3, 7), labels, 2.5).ok
    assert (3, [4, 0, 6], 2.5) in seen and (2, [4, 0], 2.5) in seen and {len(labels) == n for n, labels, _ in seen} == {True}

    class Relabelling(LogSumExpLoss):
        def forward(self, logits, labels):
            loss = super().forward(logits, labels.copy())
            labels[:] = 1
            return loss

    assert check_layer(Relabelling, (3, 7), labels).ok
    assert labels.tolist() == [4, 0, 6]


def files_and_imports():
    """name of each file of the checker -> the modules that it imports."""
    root, found = Path(gradcheck.__file__).parents[1], {}
    for file in Path(gradcheck.__file__).parent.rglob("*.py"):
        name = ".".join(["minigrad", *file.relative_to(root).with_suffix("").parts]).removesuffix(".__init__")
        lines = re.findall(r"^ *(?:from ([\w.]+) )?import ([\w., ]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = {f"{module}.{imported}".strip(".") for module, names in lines for imported in names.split(", ")}
    return found


def test_the_checker_knows_numpy_and_nothing_of_the_package():
    imported = {module.split(" ")[0] for modules in files_and_imports().values() for module in modules}
    assert "numpy" in imported
    others = {module.split(".")[0] for module in imported if not module.startswith("minigrad.gradcheck.")}
    assert others <= {"numpy", *sys.stdlib_module_names}


def test_no_circle_of_imports_in_the_checker():
    files = files_and_imports()
    graph = {name: {other for other in files if any(f"{m}.".startswith(f"{other}.") for m in files[name])} for name in files}
    for name in graph:
        graph[name] -= {"minigrad.gradcheck", name}  # each file lies in the package, whose own file imports it
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError
