"""The request's own part of judging: what holds for the whole process."""

import pytest

from minigrad.coursework.judge.request import limit_memory


@pytest.mark.parametrize("error", [ValueError("current limit exceeds maximum limit"), OSError(22, "Invalid argument")])
def test_a_system_that_refuses_to_limit_memory_does_without(monkeypatch, error):
    resource = pytest.importorskip("resource", reason="limits are POSIX's")
    asked = []

    def refuse(*limit):
        asked.append(limit)
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limit_memory(4 << 30)
    assert asked == [(resource.RLIMIT_AS, (4 << 30, 4 << 30))]
