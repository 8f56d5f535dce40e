"""A case that goes to the gradient checker, once forward gives the right numbers."""

from dataclasses import replace

import numpy as np

from minigrad.coursework.judge.comparison import Value, copied
from minigrad.coursework.judge.errors import error_sentence
from minigrad.coursework.judge.inputs import build, in_mode, labels_of, parameters_of, second_batch, x_of
from minigrad.coursework.judge.summands import by_window, overwritten
from minigrad.coursework.judge.values import by_values, known, report_title
from minigrad.coursework.source import plant
from minigrad.gradcheck import Finding, Report, check_layer


def by_gradients(exercise, solution, case, seed):
    """Compare what forward gives, then ask the gradient checker -> Report. Known mistakes are its suspects. Raises NotWritten."""
    if not exercise.random:
        report = by_values(exercise, solution, case, seed, only="y")
        if not report.ok:
            return report
    report = checked(exercise, solution, case, seed, known(exercise))
    if report.status == "not started" and (missing := nothing_returned(made(solution, case, seed)(), case, seed)):
        finding = Finding("contract", "missing", "", missing)
        return replace(report, status="failed", notes=(), findings=(finding,), cause=missing)
    if report.status == "error" and report.cause not in [mistake.hint for mistake in known(exercise)]:
        try:
            forward_and_backward(made(solution, case, seed)(), case, seed)
        except Exception as error:  # the solution's own line, where the checker shows that of a helper which it calls
            report = replace(report, findings=(Finding("contract", "raises", "", error_sentence(error)),), cause="")
    if report.status in ("failed", "error") and not any(mistake.hint in report.cause for mistake in known(exercise)):
        return replace(report, cause=second_thought(exercise, solution, case, seed, report) or report.cause)
    if report.ok and exercise.random and case.mode == "train":
        return by_mask(exercise, made(solution, case, seed)(), case, seed) or report
    return report


def made(cls, case, seed):
    """A function that makes the layer of a case."""
    return lambda: in_mode(build(cls, case, seed), case, seed)


def checked(exercise, solution, case, seed, mistakes):
    """The gradient checker's report. mistakes: its suspects."""
    return check_layer(
        made(solution, case, seed) if case.mode == "train" else made(solution, case, seed)(),  # what has trained has done a forward
        x_of(case, seed),
        *labels_of(case),
        seed=seed,
        suspects=[(mistake.hint, made(plant(exercise.source, mistake), case, seed)) for mistake in mistakes],
        reference=made(plant(exercise.source), case, seed),
        budget=case.budget,
        title=report_title(exercise, case),
    )


def second_thought(exercise, solution, case, seed, report):
    """The cause of what no known mistake explains, or "": one window overwrites what another wrote, or the fault lies in forward."""
    model, overwriting = plant(exercise.source), [mistake for mistake in known(exercise) if mistake.overwrites]
    if overwriting and {finding.tensor for finding in report.findings} == {"x"}:
        _, (dy,), dx = forward_and_backward(made(solution, case, seed)(), case, seed)
        layer = made(model, case, seed)()
        layer.forward(x_of(case, seed))
        if overwritten(dx, by_window(layer.backward, dy, len(dy))):
            return overwriting[0].hint
    if known(exercise) and "forward" not in exercise.write and "forward" not in report.cause:
        try:
            if right_without_forward(solution, model, case, seed):
                return "The fault lies in forward: with what the model's forward keeps, this backward is right."
        except Exception:  # backward needs something else than the model's does
            return ""
    return ""


def right_without_forward(solution, model, case, seed):
    """Whether backward gives the model's gradients, called twice, with what the model's forward keeps: for two batches one after the other,
    in float64, in Fortran order, in float32. Raises whatever backward raises."""
    first = x_of(case, seed), labels_of(case)
    for dtype, layout in ((np.float64, np.array), (np.float64, np.asfortranarray), (np.float32, np.array)):
        layer, right = (in_mode(build(cls, case, seed, dtype), case, seed) for cls in (solution, model))
        for x, labels in (first, second_batch(*first)):
            before = dict(vars(right))
            y = right.forward(x.astype(dtype), *labels)
            for name, kept in vars(right).items():
                if kept is not before.get(name):
                    setattr(layer, name, copied(kept))
            dy = [] if np.ndim(y) == 0 else [layout(np.random.default_rng(seed).standard_normal(y.shape).astype(dtype))]
            expected = gradients_of(right, [each.copy() for each in dy])
            given = [layout(each) for each in dy]
            for found in (gradients_of(layer, given), gradients_of(layer, given)):
                if not all(map(equal_enough, found, expected)) or not all(map(np.array_equal, given, dy)):
                    return False
    return True


def gradients_of(layer, dy):
    """Copies of dx and of the gradients of the parameters."""
    dx = layer.backward(*dy)
    return [copied(gradient) for gradient in (dx, *(p.grad for p in parameters_of(layer)))]


def equal_enough(found, expected):
    if not isinstance(found, np.ndarray) or (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return False
    tolerance = 1e-9 if found.dtype == np.float64 else 1e-5
    return bool(abs(found - expected).max(initial=0) <= tolerance * abs(expected).max(initial=0))


def by_mask(exercise, layer, case, seed):
    """A layer that drops numbers multiplies x by a mask, and dy by the same: a report if that is not so, else None.

    Its forward is random, so nothing else says that the forward whose slopes were taken is the one that is wanted."""
    x = x_of(case, seed)
    y = np.asarray(layer.forward(x.copy()))
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    value = Value("dx", layer.backward(dy.copy()), dy * (y / x), 1e-9)
    if not (sentence := value.sentence()):
        return None
    return Report("failed", report_title(exercise, case), seed, 0.0, findings=(Finding("values", "wrong", "dx", sentence),), cause=sentence)


def forward_and_backward(layer, case, seed):
    """Call forward and backward once, as the case wants it -> y, dy (none for a loss), dx."""
    y = copied(layer.forward(x_of(case, seed), *labels_of(case)))
    dy = [] if np.ndim(y) == 0 else [np.random.default_rng(seed).standard_normal(np.shape(y))]
    return y, dy, layer.backward(*[each.copy() for each in dy])


def nothing_returned(layer, case, seed):
    """A sentence about a forward or backward that gives None, or ""."""
    try:
        y, _, dx = forward_and_backward(layer, case, seed)
    except Exception:
        return ""
    return next((Value(name, value, 0).sentence() for name, value in (("y", y), ("dx", dx)) if value is None), "")
