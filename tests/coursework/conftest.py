"""What all tests of the coursework share."""

import importlib.util
import sys

import pytest

from minigrad.device import CPU


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Handing three tiny images to threads takes longer than computing them."""
    monkeypatch.setattr(CPU, "threads", 1)


# ---- a module of which tests of source.py, blanks.py and worksheets.py make use

MODULE = '''
import math
import numpy as np
from collections import OrderedDict


def _doubled(x):
    """Twice x."""
    return _once(x) + _once(x)


def _once(x):
    return x


def _given(x):
    return x


def shared(x):
    return np.asarray(x)


class Thing:
    """A thing."""

    def one_line(self): return 1
    def documented(self): "What it does."; return math.pi

    def plain(self, x,
              y=2):
        # This comment belongs to the body.
        # So does this one.
        z = x + y  # and this

        return self._helper(z)

    def with_docstring(self, x):
        """The sum
        over two lines."""

        # A comment above the first statement.
        total = _doubled(x)
        for _ in range(2):
            total += 1
        return total

    @property
    def decorated(self):
        """A property."""
        return self._kept()

    def nested(self):
        @staticmethod
        def inner():
            return "ü"

        return inner, shared(3)

    def _helper(self, z):
        return self._deeper(z)

    def _deeper(self, z):
        return z

    def _kept(self):
        return _given(1)

    def empty(self):
        """Nothing but words."""
'''


@pytest.fixture(scope="module")
def thing(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "a_module.py"
    path.write_text(MODULE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("a_module", path)
    module = sys.modules["a_module"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.Thing
    del sys.modules["a_module"]
