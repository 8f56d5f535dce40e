"""Worker threads, and BLAS held to one thread while they work."""

import multiprocessing
import os
import signal
import sys
import threading
import time

import pytest

from minigrad import Conv2d, Device
from minigrad.engine.blas import one_blas_thread
from minigrad.engine.workers import Workers


def blas_threads():
    return [library.num_threads for library in one_blas_thread.libraries.lib_controllers]


needs_a_blas_that_can_be_held = pytest.mark.skipif(
    sys.platform == "darwin" and not blas_threads(), reason="Apple's Accelerate cannot be held to one thread"
)


@needs_a_blas_that_can_be_held
def test_a_task_may_have_tasks_which_it_does_alone():
    device = Device("cpu", threads=2)

    def work(task):
        return device.run(lambda inner: (task, inner, threading.get_ident(), *blas_threads()), range(3)), threading.get_ident()

    for task, (inner, me) in enumerate(device.run(work, range(2))):
        assert inner == [(task, i, me, *[1] * len(blas_threads())) for i in range(3)]
    assert len({ident for _, _, ident in device.run(lambda i: (time.sleep(0.2), i, threading.get_ident()), range(2))}) == 2


def test_an_error_leaves_nobody_at_work():
    """The first exception comes out once the task that is under way is done, and no other task is begun."""
    done, started = [], threading.Event()

    def work(task):
        if task == 0:
            started.wait(10)
            raise RuntimeError("task 0")
        started.set()
        time.sleep(0.05)
        done.append(task)

    with pytest.raises(RuntimeError, match="task 0"):
        Device("cpu", threads=2).run(work, range(50))
    before = list(done)
    time.sleep(0.15)
    assert done == before and len(done) < 49


def test_an_error_of_the_calling_thread_waits_for_the_other():
    ended, both = [], threading.Barrier(2)

    def work(task):
        both.wait(10)
        if threading.current_thread() is threading.main_thread():
            raise RuntimeError("here")
        time.sleep(0.05)
        ended.append(task)

    with pytest.raises(RuntimeError, match="here"):
        Workers(2).run(work, range(2))
    assert len(ended) == 1


def test_results_come_in_the_order_of_the_tasks():
    assert Device("cpu", threads=3).run(lambda n: n**2, range(20)) == [n**2 for n in range(20)]


@needs_a_blas_that_can_be_held
def test_blas_is_on_one_thread_within_tasks_and_as_before_afterwards():
    before = blas_threads()
    assert {n for found in Workers(2).run(lambda _: blas_threads(), range(4)) for n in found} == {1}
    assert blas_threads() == before


@needs_a_blas_that_can_be_held
def test_blas_is_released_by_whichever_thread_leaves_last():
    """Two towers on two halves of a CPU: the thread that held BLAS first is gone before the other is done."""
    before, first_is_gone = blas_threads(), threading.Event()
    entered = threading.Barrier(2)

    def first():
        Workers(1).run(lambda _: entered.wait(10), [0])
        first_is_gone.set()

    def last():
        def work(_):
            entered.wait(10)
            first_is_gone.wait(10)
            time.sleep(0.01)
            return blas_threads()

        found.extend(Workers(1).run(work, [0])[0])

    found = []
    threads = [threading.Thread(target=target) for target in (first, last)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {1}
    assert blas_threads() == before


@pytest.mark.parametrize("number", range(6))
def test_ctrl_c_at_any_call_leaves_blas_as_it_was(number):
    """Python looks for signals where functions begin: here in those that hold BLAS and let it go, of which the last may be the second
    try."""
    before, calls = blas_threads(), iter(range(number, -1, -1))

    def tracer(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.endswith("blas.py") and next(calls, -1) == 0:
            raise KeyboardInterrupt

    sys.settrace(tracer)
    try:
        Workers(1).run(lambda _: None, [0])
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    assert blas_threads() == before
    assert not one_blas_thread.inside


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.skipif(sys.platform == "darwin", reason="Apple's Accelerate does not survive a fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_a_forward_computes_too(rng):
    layer, x = Conv2d(3, 4, 3).to(Device("cpu", threads=2)), rng.standard_normal((8, 90, 90, 3))
    y, context = layer.forward(x), multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(layer.forward(x).sum()))
    process.start()
    try:
        assert receiver.poll(20), "the child hangs"
        assert receiver.recv() == y.sum()
    finally:
        process.kill()
        process.join()


@needs_a_blas_that_can_be_held
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_blas_is_held_lets_it_go_in_the_child():
    before = blas_threads()
    one_blas_thread.enter()
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if not one_blas_thread.inside and blas_threads() == before else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        one_blas_thread.leave()
    assert blas_threads() == before


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_waits_for_the_end_of_the_work():
    """Ctrl-C while two threads are at work: all tasks are done, and no thread is at work when it comes out."""
    ended, both = [], threading.Barrier(2)

    def work(task):
        if task < 2:
            both.wait(10)
            if task == 0:
                os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.005 if threading.current_thread() is threading.main_thread() else 0.03)  # Ctrl-C comes while either is at work
        ended.append(task)

    with pytest.raises(KeyboardInterrupt):
        Workers(2).run(work, range(20))
    assert sorted(ended) == list(range(20))
