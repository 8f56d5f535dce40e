"""How many cores a process takes, alone and beside others."""

import math

import numpy as np

from minigrad.device import CPU, share_cores
from minigrad.engine import processors
from minigrad.engine.processors import cores, quota


def test_processes_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr(processors, "quota", lambda: 6.0)
    monkeypatch.setattr(processors, "share", math.inf)
    monkeypatch.setattr(processors, "bound_to", lambda: set(range(8)))
    monkeypatch.setattr(CPU, "threads", CPU.threads)
    group = processors.control_group()
    for others, expected in (
        ([], 6),
        ([(set(range(8)), ("elsewhere", ""))], 4),  # another container, with a quota of its own
        ([(set(range(8)), group)], 3),
        ([(set(range(8)), group)] * 2, 2),
        ([(set(range(8)), group)] * 20, 1),
        ([({0, 1, 2, 3}, ("elsewhere", ""))], 6),  # 4 of its own, and half of the others
        ([({8, 9}, group)], 3),
    ):
        processors.share = math.inf
        share_cores(lambda mine, others=others: [mine, *others])
        assert processors.cores() == CPU.threads == expected


def test_cores_are_no_more_than_a_containers_quota(tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert quota(tmp_path, own) == float("inf")
    (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
    assert quota(tmp_path, own) == float("inf")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    assert quota(tmp_path, own) == 1.5
    old = tmp_path / "cpu"
    old.mkdir()
    (old / "cpu.cfs_quota_us").write_text("50000\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    assert quota(tmp_path, own) == 0.5
    monkeypatch.setattr("minigrad.engine.processors.quota", lambda: 0.5)
    assert cores() == 1
    monkeypatch.setattr("minigrad.engine.processors.quota", lambda: float("inf"))
    assert cores() >= 1 and np.isfinite(cores())
