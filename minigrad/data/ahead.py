"""Working ahead: threads prepare results while their consumer is busy with earlier ones."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from minigrad.device import cores


def ahead(work, tasks, workers, limit):
    """Yield work(task) for each of `tasks`, in their order, computed by `workers` threads.

    At most `limit` results are computed or waiting at a time. An exception of `work` is raised here, in place of its result. However the
    generator ends (closed, exhausted, by an exception), tasks not yet begun are dropped, and its threads end before it does."""
    executor = ThreadPoolExecutor(workers, thread_name_prefix="minigrad-data")
    try:
        tasks = iter(tasks)
        pending = deque(executor.submit(work, task) for task in islice(tasks, limit))
        while pending:
            result = pending.popleft().result()
            pending.extend(executor.submit(work, task) for task in islice(tasks, 1))
            yield result
    finally:
        executor.shutdown(cancel_futures=True)


def on_all_cores(work, tasks):
    """`ahead` with a thread for each core of this process, four tasks ahead for each."""
    workers = cores()
    return ahead(work, tasks, workers, 4 * workers)
