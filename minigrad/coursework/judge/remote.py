"""A student's class or function, seen from outside its process: it is called as if it were here, and its answers are plain values.

The judge keeps the numbers of all parameters. What a call may change comes back and is changed here as well: arrays that were handed
over, parameters, gradients."""

import ast
import builtins
import copy
import functools
import inspect
import linecache
import math
import sys
import warnings

import numpy as np

import minigrad
from minigrad.coursework.judge.cage import Ended
from minigrad.coursework.judge.caged.wire import BadMessage, Reader, Writer
from minigrad.coursework.judge.capture import Output
from minigrad.layers import Parameter

LARGEST_NETWORKS = 1 << 20  # of an answer, as `numbers_in` counts
LAYERS = ("Conv2d", "Linear", "ReLU", "Tanh", "LocalResponseNorm", "MaxPool2d", "Dropout", "Flatten", "Sequential")


class Session:
    """The conversation with one cage. calls: how many requests there were."""

    def __init__(self, cage):
        self.cage, self.calls, self.objects = cage, 0, 0
        self.dropped, self.copies, self.networks, self.room = [], [], {}, LARGEST_NETWORKS

    def ask(self, header, writer, me=None):
        """-> the answer, a dict, and the `Reader` of its values. Raises Ended, and what the solution raises, except in a call."""
        self.calls += 1
        header |= {"drop": self.dropped, "copies": self.copies}
        self.dropped, self.copies, self.networks, self.room = [], [], {}, LARGEST_NETWORKS
        reply, body = self.cage.ask(writer.message(header))
        reader = Reader(body, writer.arrays, me, self.network)
        self.pass_on(reply)
        if "raised" in reply and "changed" not in reply:
            raise_again(reply["raised"])
        return reply, reader

    def number(self):
        """The number of a new object."""
        self.objects += 1
        return self.objects

    def pass_on(self, reply):
        """Print what was printed and warn of what was warned of, as if it had happened here."""
        notes, printed = reply.get("notes"), reply.get("printed")
        for note in notes if isinstance(notes, list) else ():
            if isinstance(note, list) and len(note) == 3 and isinstance(note[2], int):
                warnings.warn_explicit(str(note[0])[:500], UserWarning, str(note[1]), note[2])
        if isinstance(printed, list) and len(printed) == 2 and isinstance(printed[0], str) and isinstance(printed[1], int):
            if printed[0]:
                sys.stdout.write(printed[0])
            if isinstance(sys.stdout, Output) and printed[1] > 0:
                sys.stdout.length += min(printed[1], 1 << 60)

    def network(self, text, identity):
        """The network that a text such as "Sequential(fc=Linear(3, 4))" describes; the same object for the same identity."""
        if identity not in self.networks:
            tree = ast.parse(text, mode="eval").body
            self.room -= numbers_in(tree)
            if self.room < 0:
                raise BadMessage("the networks of an answer are too large")
            self.networks[identity] = built(tree)
        return self.networks[identity]


def numbers_in(node):
    """How much a network may hold, or add to an image, for what stands in its text: for each layer the product of its whole numbers."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sequential":
        return sum(numbers_in(keyword.value) for keyword in node.keywords)
    numbers = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and type(part.value) is int]
    return math.prod(max(1, number) for number in numbers)


def built(node):
    """A layer made of the syntax of its text. Raises ValueError unless that is a layer of minigrad's with plain arguments."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in LAYERS:
        raise ValueError("no layer of minigrad's")
    name = node.func.id
    value = built if name == "Sequential" else ast.literal_eval
    return getattr(minigrad, name)(*[ast.literal_eval(arg) for arg in node.args], **{k.arg: value(k.value) for k in node.keywords})


# ---- errors


def raise_again(described):
    """Raise here what the solution raised there, in the student's line."""
    try:
        names, words, where = described["names"], described["words"], described["where"]
        names = [str(name) for name in names]
        words = str(words)
        number, file, line = (int(where[0]), str(where[1]), str(where[2])) if where else (0, "", "")
    except (KeyError, TypeError, ValueError, IndexError):
        raise Ended("The solution's process gave an answer that is no answer.") from None
    error = error_class(names[0] if names else "Exception", tuple(names))(words)
    if not where or not 0 < number < 1_000_000:
        raise error
    if file not in linecache.cache or linecache.cache[file][1] is None:
        lines = linecache.cache[file][2] if file in linecache.cache else []
        lines = [*lines, *["\n"] * (number - len(lines))]
        lines[number - 1] = line + "\n"
        linecache.cache[file] = 1, None, lines, file
    exec(compile("\n" * (number - 1) + "raise error", file, "exec"), {"error": error})


@functools.cache
def error_class(name, names):
    """An exception class of this name below the first of `names` that Python has."""
    known = [getattr(builtins, n, None) for n in names]
    base = next((cls for cls in known if isinstance(cls, type) and issubclass(cls, Exception | SystemExit)), Exception)
    name = name if name.isidentifier() and len(name) <= 100 else "Exception"

    def __init__(self, words):
        self.words = words

    return type(name, (base,), {"__init__": __init__, "__new__": lambda cls, words: base.__new__(cls), "__str__": lambda self: self.words})


# ---- values that come and go


def call(session, number, method, args, kwargs, me=None):
    """Call a method of a remote object, or the remote function -> its result. What the call changed is changed here, too."""
    writer = Writer()
    state = me._state_to_send(writer) if me is not None else []
    before = len(writer.arrays)
    header = {"do": "call", "number": number, "method": method, "state": state}
    header["args"] = [writer.encode(value) for value in args]
    header["kwargs"] = {name: writer.encode(value) for name, value in kwargs.items()}
    handed_over = writer.arrays[before:]
    writer.arrays = handed_over
    try:
        reply, reader = session.ask(header, writer, me)
        result = reader.decode(reply.get("value"))
        for k, encoded in reply.get("changed", ()):
            write_back(handed_over[k], reader.decode(encoded))
        if me is not None:
            me._take_state(reply.get("state", ()), reader)
    except (BadMessage, TypeError, ValueError, IndexError, KeyError) as error:
        if getattr(error, "words", None) is not None:  # the solution's own
            raise
        raise Ended("The solution's process gave an answer that is no answer.") from None
    if "raised" in reply:
        raise_again(reply["raised"])
    return result


def write_back(array, numbers):
    if array.flags.writeable and numbers.shape == array.shape and numbers.dtype == array.dtype:
        array[...] = numbers


class RemoteObject:
    """A layer or an optimiser that lives in the cage. Subclasses, made by `remote_class`, have its methods.

    _own: the `Parameter`s that it has or was handed; _known: what the other side has of each: (bytes of the value, writeable)."""

    def __init__(self, *args, **kwargs):
        writer = Writer()
        number = type(self)._session.number()
        header = {
            "do": "new",
            "number": number,
            "args": [writer.encode(v) for v in args],
            "kwargs": {k: writer.encode(v) for k, v in kwargs.items()},
        }
        reply, reader = type(self)._session.ask(header, writer)
        given = [p for arg in args if isinstance(arg, list) for p in arg if isinstance(p, Parameter)]
        self.__dict__.update(_number=number, _own=given, _known=[None] * len(given), _grads=[None] * len(given), _given=bool(given))
        self._take_state(reply.get("state", ()), reader)

    def __del__(self):
        if "_number" in self.__dict__:
            type(self)._session.dropped.append(self._number)

    def __deepcopy__(self, memo):
        writer = Writer()
        session, state = type(self)._session, self._state_to_send(writer)
        if any(part is not None for parts in state for part in parts):
            session.ask({"do": "bring", "number": self._number, "state": state}, writer)
        number = session.number()
        session.copies.append((number, self._number))  # made before the next request is answered
        twin = object.__new__(type(self))
        own = self._own if self._given else [Parameter(p.name, copied(p.value), copied(p.grad)) for p in self._own]
        twin.__dict__.update(_number=number, _own=own, _known=list(self._known), _grads=[p.grad for p in own], _given=self._given)
        return twin

    def __getattr__(self, name):
        if name.startswith("_") or name in type(self)._methods:
            raise AttributeError(name)
        reply, reader = type(self)._session.ask({"do": "get", "number": self._number, "name": name}, Writer())
        return reader.decode(reply.get("value"))

    def __setattr__(self, name, value):
        if name.startswith("_"):
            self.__dict__[name] = value
            return
        writer = Writer()
        type(self)._session.ask({"do": "set", "number": self._number, "name": name, "value": writer.encode(value)}, writer)

    def _state_to_send(self, writer):
        """For each parameter (value or None, gradient or None): what has changed here since the other side last told or was told."""
        states = []
        for i, p in enumerate(self._own):
            mark = is_array(p.value) and (p.value.tobytes(), p.value.flags.writeable)
            value = writer.encode(p.value) if is_array(p.value) and mark != self._known[i] else None
            grad = writer.encode(p.grad) if is_array(p.grad) and self._given and p.grad is not self._grads[i] else None
            self._known[i], self._grads[i] = mark, p.grad
            states.append([value, grad])
        return states

    def _take_state(self, states, reader):
        """Take over what a call has changed: [name, value or None, whether it is the same array, gradient or None or "="] each."""
        if len(states) != len(self._own):
            self._own = [Parameter("", None, None) for _ in states]
            self._known, self._grads = [None] * len(states), [None] * len(states)
        for i, (p, (name, value, same, grad)) in enumerate(zip(self._own, states, strict=True)):
            p.name = name if isinstance(name, str) else reader.decode(name)
            if value is not None:
                numbers = reader.decode(value)
                fits = same and is_array(p.value) and is_array(numbers) and (p.value.shape, p.value.dtype) == (numbers.shape, numbers.dtype)
                if fits and p.value.flags.writeable:
                    p.value[...] = numbers
                else:
                    p.value = copied(numbers)
            elif not same:
                p.value = copied(p.value)
            if grad != "=":
                p.grad = copied(reader.decode(grad))
            self._known[i] = is_array(p.value) and (p.value.tobytes(), p.value.flags.writeable)
            self._grads[i] = p.grad


def is_array(value):
    return isinstance(value, np.ndarray)


def copied(value):
    return np.array(value, order="K") if is_array(value) else copy.copy(value)


# ---- the solution


def blank(*args, **kwargs):
    raise NotImplementedError


def remote_solution(session, exercise, about):
    """The class or function that the answer to a load request tells of. Raises Ended for an answer that tells nothing."""
    name = exercise.source.__name__
    try:
        arguments = [str(a) for a in about["arguments"]]
        methods = [str(m) for m in about["methods"] if str(m).isidentifier() and not str(m).startswith("_")]
        still_blank, is_class = set(map(str, about["blank"])), about["class"] is True
    except (KeyError, TypeError):
        raise Ended("The solution's process gave an answer that is no answer.") from None
    if not is_class:
        return blank if still_blank else lambda *args, **kwargs: call(session, 0, "", args, kwargs)
    kinds = [inspect.Parameter(a, inspect.Parameter.POSITIONAL_OR_KEYWORD) for a in dict.fromkeys(arguments) if a.isidentifier()]
    body = {"_session": session, "_methods": frozenset(methods), "__signature__": inspect.Signature(kinds), "__module__": "solution"}
    for method in methods:
        body[method] = blank if method in still_blank else remote_method(method)
    return type(name, (RemoteObject,), body)


def remote_method(method):
    if method == "parameters":
        return lambda self: iter(list(self._own))

    def function(self, *args, **kwargs):
        return call(type(self)._session, self._number, method, args, kwargs, self)

    return function
