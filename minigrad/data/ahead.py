"""Working ahead: results are prepared by threads while their consumer is busy with earlier ones."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice


def ahead(work, tasks, workers, limit):
    """Yield work(task) for each of `tasks`, in their order, computed by `workers` threads.

    At most `limit` tasks are taken before the result of the first of them is asked for. An exception of `work` is
    raised here, when its turn comes. However the generator ends (closed, exhausted, by an exception), tasks not yet
    begun are dropped and its threads have ended."""
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
