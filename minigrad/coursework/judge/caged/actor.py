"""The process of a student's code: it loads the solution and answers what the judge outside asks, one request after the other. It knows no
expected values, no cases and no verdicts, so a solution that takes it over has gained nothing: its answers are what is judged."""

import contextlib
import copy
import io
import json
import os
import random
import sys
import threading
import types
import warnings

import numpy as np

import minigrad.coursework  # noqa: F401 before the fences, as students' files do
from minigrad.layers import Parameter

from . import fences
from .blank import is_blank
from .errors import place_of, words_of
from .modules import CannotLoad, import_file, kernel_loop
from .wire import HEAD, Reader, Writer

LONGEST_OUTPUT = 10_000  # characters that are kept of what is printed


def main():
    requests, replies = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # what a solution writes past Python is dropped, and what it asks for is never answered
        os.dup2(nowhere, stream)
    if hasattr(os, "register_at_fork"):  # what a solution forks off has no share in the conversation
        os.register_at_fork(after_in_child=lambda: (os.close(requests), os.close(replies)))
    actor, me = Actor(), os.getpid()
    while (message := receive(requests)) is not None:
        answer = actor.answer(*message)
        if os.getpid() != me:  # forked off, and none of this process's is left in it
            os._exit(0)
        send(replies, answer)
    os._exit(0)


def receive(file):
    """-> header, body; None where the judge has gone."""
    head = exactly(file, HEAD.size)
    if head is None:
        return None
    length, size = HEAD.unpack(head)
    return json.loads(exactly(file, length)), exactly(file, size)


def exactly(file, length):
    parts = []
    while length:
        part = os.read(file, length)
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def send(file, data):
    data = memoryview(data)
    while len(data):
        data = data[os.write(file, data) :]


class Output(io.TextIOBase):
    """What is printed: the beginning of it, and how much more there was."""

    def __init__(self):
        self.text, self.room, self.more = "", LONGEST_OUTPUT, 0

    def writable(self):
        return True

    def write(self, text):
        kept = text[: self.room]
        self.text += kept
        self.room -= len(kept)
        self.more += len(text) - len(kept)
        return len(text)

    def taken(self):
        found = self.text, self.more
        self.text, self.more = "", 0
        return found


class Actor:
    """objects: number -> layer or optimiser; given: number -> the parameters that it was handed; solution: the class or function."""

    def __init__(self):
        self.objects, self.given, self.solution, self.output = {0: None}, {}, None, Output()

    def answer(self, header, body):
        """The bytes of the answer to a request."""
        notes = []

        def note(message, category, filename, lineno, file=None, line=None):
            notes.append([str(message)[:500], str(filename)[-200:], int(lineno)])

        try:
            with contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.output), np.errstate(all="warn", under="ignore"):
                with warnings.catch_warnings():
                    warnings.simplefilter("always")
                    warnings.showwarning = note
                    for number, source in header.get("copies", ()):
                        self.copy(number, source)
                    for number in header.get("drop", ()):
                        self.objects.pop(number, None)
                        self.given.pop(number, None)
                    reply, writer = getattr(self, "do_" + header["do"])(header, body)
        except (Exception, SystemExit) as error:
            reply, writer = {"raised": described(error)}, Writer()
        reply["notes"], reply["printed"] = notes[:50], self.output.taken()
        try:
            return writer.message(reply)
        except Exception as error:
            return Writer().message({"raised": described(error), "notes": [], "printed": ["", 0]})

    # ---- what may be asked

    def do_fence(self, header, body):
        """Limits and refusals; the last thing before the solution is loaded."""
        kernel_loop(threading.get_ident())  # it opens a pair of sockets, which the fences may refuse
        fences.limit(header["memory"], header["seconds"], header["processes"])
        fences.refuse(header["forbidden"], header["readable"], header["writeable"], header["alone"])
        return {}, Writer()

    def do_load(self, header, body):
        """Import the file -> what is there: signature, methods, which functions are blank."""
        try:
            module = import_file(header["file"], as_main=True)
        except CannotLoad as error:
            return {"problem": str(error)}, Writer()
        self.solution = getattr(module, header["name"], None)
        if self.solution is None:
            problems = getattr(module, "__problems__", None) or [""]
            return {"absent": True, "problem": problems[0]}, Writer()
        if isinstance(self.solution, type):
            self.fill_blanks(header["model"], header["name"], header["write"])
        return self.about_solution(header["write"]), Writer()

    def fill_blanks(self, text, name, write):
        """Functions of the model in place of blanks that belong to other exercises, so that nobody is blocked."""
        space = {"__name__": "model"}
        exec(compile(text, "<frozen model>", "exec"), space)
        model = {key: f for key, f in vars(space[name]).items() if isinstance(f, types.FunctionType) and key not in write}
        filled = {key: f for key, f in model.items() if is_blank(getattr(self.solution, key, None))}
        if filled:
            self.solution = type(name, (self.solution,), filled | {"__module__": self.solution.__module__})

    def about_solution(self, write):
        import inspect

        solution, is_class = self.solution, isinstance(self.solution, type)
        try:
            arguments = list(inspect.signature(solution).parameters)
        except (ValueError, TypeError):
            arguments = []
        found = {"class": is_class, "callable": callable(solution), "arguments": arguments, "methods": [], "blank": []}
        if is_class:
            found["methods"] = [name for name in dir(solution) if not name.startswith("_") and callable(getattr(solution, name, None))]
            found["blank"] = [name for name in write if is_blank(getattr(solution, name, None))]
        elif is_blank(solution):
            found["blank"] = list(write)
        return found

    def do_new(self, header, body):
        reader = Reader(body, parameter=Parameter)
        args, kwargs = [reader.decode(v) for v in header["args"]], {k: reader.decode(v) for k, v in header["kwargs"].items()}
        made = self.solution(*args, **kwargs)
        number = header["number"]
        self.objects[number] = made
        self.given[number] = [p for arg in args if isinstance(arg, list) for p in arg if isinstance(p, Parameter)]
        writer = Writer()
        return {"state": self.state_of(number, writer, [], all_of_it=True)}, writer

    def do_bring(self, header, body):
        self.bring_in(header, Reader(body, parameter=Parameter))
        return {}, Writer()

    def copy(self, number, source):
        self.objects[number] = copy.deepcopy(self.objects[source])
        self.given[number] = self.given.get(source, [])

    def do_get(self, header, body):
        value, writer = getattr(self.objects[header["number"]], header["name"]), Writer()
        return {"value": writer.encode(value)}, writer

    def do_set(self, header, body):
        setattr(self.objects[header["number"]], header["name"], Reader(body, parameter=Parameter).decode(header["value"]))
        return {}, Writer()

    def do_call(self, header, body):
        """Call a method of an object, or the function that is the solution (number 0)."""
        reader, number = Reader(body, parameter=Parameter), header["number"]
        own = self.bring_in(header, reader)
        reader.arrays.clear()
        args, kwargs = [reader.decode(v) for v in header["args"]], {k: reader.decode(v) for k, v in header["kwargs"].items()}
        before = [array.copy() for array in reader.arrays]
        thing = self.objects[number]
        function = self.solution if number == 0 else getattr(thing, header["method"])
        reply = {}
        try:
            result = function(*args, **kwargs)
        except (Exception, SystemExit) as error:
            result, reply["raised"] = None, described(error)
        writer = Writer(known=reader.arrays, me=thing)
        reply["value"] = writer.encode(result)
        writer.known = ()
        changed = [k for k, (array, old) in enumerate(zip(reader.arrays, before, strict=True)) if array.tobytes() != old.tobytes()]
        reply["changed"] = [[k, writer.array(np.array(reader.arrays[k]))] for k in changed]
        if number:
            reply["state"] = self.state_of(number, writer, own)
        return reply, writer

    # ---- parameters: the judge has copies of them, and both sides tell each other what has changed

    def parameters(self, number):
        if self.given.get(number):
            return self.given[number]
        thing = self.objects[number]
        return list(thing.parameters()) if callable(getattr(thing, "parameters", None)) else []

    def bring_in(self, header, reader):
        """Write the judge's numbers into the parameters -> [(value, its numbers)] as they are now."""
        states = header.get("state") or []
        own = self.parameters(header["number"]) if header["number"] and states else []
        before = []
        for p, (value, grad) in zip(own, states, strict=False):
            if value is not None:
                put(p, reader.decode(value))
            if grad is not None:
                p.grad = reader.decode(grad)
            before.append((p.value, np.array(p.value), None if p.grad is None else np.array(p.grad)))
        return before

    def state_of(self, number, writer, before, all_of_it=False):
        """For each parameter [name, value or None if nothing changed, whether it is the same array, gradient or None, "=" if unchanged]."""
        found = []
        for i, p in enumerate(self.parameters(number)):
            value, grad = p.value, getattr(p, "grad", None)
            old = before[i] if i < len(before) else (None, None, None)
            same_value = old[1] is not None and equal(value, old[1])
            same_grad = not all_of_it and i < len(before) and (grad is None and old[2] is None or equal(grad, old[2]))
            name = p.name if isinstance(p.name, str) else {"o": ["name", repr(p.name)[:100]]}
            encoded = None if same_value else writer.encode(value)
            found.append([name, encoded, old[0] is None or value is old[0], "=" if same_grad else writer.encode(grad)])
        return found


def equal(a, b):
    is_array = isinstance(a, np.ndarray) and isinstance(b, np.ndarray)
    return is_array and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def put(p, numbers):
    """Write numbers into a parameter where it lies; another array only where they do not fit."""
    value, writeable = p.value, numbers.flags.writeable
    if isinstance(value, np.ndarray) and value.shape == numbers.shape and value.dtype == numbers.dtype:
        with contextlib.suppress(ValueError):
            value.flags.writeable = True
            value[...] = numbers
            value.flags.writeable = writeable
            return
    p.value = numbers


def described(error):
    """What the judge needs to know of an exception: the names of its classes, its words, and the line of the student's code."""
    names = [cls.__name__ for cls in type(error).__mro__ if cls not in (object, BaseException)]
    place = place_of(error)
    where = [place[0], place[1][-300:], (place[2] or "")[:300]] if place else None
    try:
        words = str(error)[:2000]
    except Exception:
        words = words_of(error)
    return {"names": names, "words": words, "where": where}


# Before a solution can change them, the generators that nobody seeds are the same in every run.
random.seed(0)
np.random.seed(0)

if __name__ == "__main__":
    sys.modules.setdefault("caged.actor", sys.modules["__main__"])
    main()
