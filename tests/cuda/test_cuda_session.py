"""tests/gpu_session.py, which measures on a real GPU, runs on a fake one: it must not fail on the day."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from backends import NO_FAKE
from gpu_session import Session, kernel_times

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(bool(NO_FAKE), reason=str(NO_FAKE))


@pytest.fixture
def environment(tmp_path):
    """That of a process whose CuPy finds two fake GPUs."""
    (tmp_path / "sitecustomize.py").write_text("import fake_cuda\nfake_cuda.boot().set(devices=2, policy=fake_cuda.NEVER)\n")
    places = os.pathsep.join(map(str, (tmp_path, ROOT / "tests" / "cuda" / "fake")))
    return os.environ | {"OUT": str(tmp_path / "out"), "PYTHONPATH": places}


def test_parts_on_fake_gpus(environment, tmp_path):
    command = [sys.executable, "tests/gpu_session.py", "clocks", "products", "errors", "loading", "bits", "steps", "ncu", "--tiny"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for line in (
        "small on 0,1, batch 4: step",
        "conv1 ",
        "products of these convolutions in bfloat16",
        "gradients of a step, --bf16: logits",
        "small on 0 --bf16, batch 4: step",
        "ten steps on 0 --bf16 (float32, convolutions in bfloat16, other products in TF32): loss",
        "small, loading with 8 threads",
        "bits of 0,0, memory",
        "ten steps on 0,1",
        "ncu: not run",
    ):
        assert line in done.stdout, done.stdout
    assert done.stdout.count("exit code 0") == 7 and [path.name for path in (tmp_path / "out").iterdir()] == [
        "clocks_products_errors_loading_bits_steps_ncu.txt"
    ]


def test_a_call_that_has_no_time_left(tmp_path):
    session = Session(tmp_path, "first", 2, tiny=True)
    sleep = [sys.executable, "-c", "import time; print('= begun', flush=True); time.sleep(60)"]
    session.run("long", sleep, 100)
    session.run("late", sleep, 100)
    assert (
        session.summary[0] == "begun"
        and session.summary[1].startswith("long: stopped after 2 s")
        and session.summary[2] == "late: no time left"
    )


def test_times_of_kernels():
    text = """noise
"ID","Kernel Name","Metric Name","Metric Unit","Metric Value"
"0","im2col(const float *)","dram__bytes.sum","byte","4,000,000"
"0","im2col(const float *)","gpu__time_duration.sum","ns","2,000"
"1","sgd(Moves)","dram__bytes.sum","byte","1000000"
"1","sgd(Moves)","gpu__time_duration.sum","ns","500"
"2","im2col(const float *)","dram__bytes.sum","byte","4000000"
"2","im2col(const float *)","gpu__time_duration.sum","ns","2000"
"3","sgd(Moves)","dram__bytes.sum","byte","1000000"
"3","sgd(Moves)","gpu__time_duration.sum","ns","500"
"""
    assert kernel_times(text) == [
        "   0.002 ms a step,  2.00 TB/s,   1 launches  im2col",
        "   0.001 ms a step,  2.00 TB/s,   1 launches  sgd",
    ]
    assert kernel_times("ncu: command not found") == []
