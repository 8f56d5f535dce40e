"""For all tests of the gradient checker."""

import pytest

from minigrad.device import CPU


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Handing three tiny images to threads takes longer than computing them."""
    monkeypatch.setattr(CPU, "threads", 1)
