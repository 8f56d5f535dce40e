"""The shards of a prepared set, made or checked on all cores by worker processes.

A shard is done when its record is there as well; after a run that was killed, the next one makes the other shards and compares the
checksums of these. The sums from which the mean image and the components of colour follow are added up on the way."""

import hashlib
import json
import logging
import multiprocessing
import os
import signal
import threading
import warnings
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.data.checks import DataError
from minigrad.data.colour import second_moment
from minigrad.data.images import read_square
from minigrad.data.records import file_digest, read_report
from minigrad.files import replacing


class Task(NamedTuple):
    """A shard to be made or checked: files is a list of (label, ImageFile); checksum is that of the finished shard, if it is known."""

    number: int  # among the tasks of this process
    split: str
    out: Path
    name: str
    root: Path
    side: int
    files: list
    mend: bool  # make it again if it lacks images that could not be decoded
    checksum: str | None

    @property
    def path(self):
        return self.out / f"{self.name}.bin"

    @property
    def record(self):
        return self.out / f"{self.name}.npz"


def run_tasks(tasks, workers, stream):
    """The reports of all tasks, in their order, made by worker processes."""
    from tqdm import tqdm

    if not tasks:  # fewer than ranks
        return []
    tasks = [task._replace(number=i) for i, task in enumerate(tasks)]

    context = multiprocessing.get_context("spawn")
    # Each task has a counter of its own, so that no lock is needed, which a worker that dies could leave locked.
    done, stop = context.RawArray("q", len(tasks)), context.RawValue("b", 0)
    reports = [None] * len(tasks)
    images = sum(len(task.files) for task in tasks)
    with (
        ProcessPoolExecutor(min(workers, len(tasks)), context, begin, (done, stop)) as pool,
        tqdm(total=images, desc="preparing", unit=" images", file=stream, disable=None, leave=False, dynamic_ncols=True) as bar,
    ):
        try:
            waiting = {pool.submit(check_or_make, task): task for task in tasks}
            while waiting:
                ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ready:
                    reports[waiting.pop(future).number] = future.result()
                bar.update(sum(done) - bar.n)
        except (BrokenProcessPool, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of a file; the pool's own, "handle is closed", has no number
                raise
            end_workers()
            raise DataError(
                "A worker process ended unexpectedly, killed or short of memory; what is done is kept: run the same command again to go on "
                '(a script calls prepare under `if __name__ == "__main__":`).'
            ) from None
        except RuntimeError:  # its thread cannot be started
            end_workers()
            raise
        finally:
            stop.value = 1
            pool.shutdown(wait=True, cancel_futures=True)
    return reports


def end_workers():
    """End what the pool does not: a process that was starting when it broke."""
    for worker in multiprocessing.active_children():
        worker.terminate()


def begin(done, stop):
    """Run by each worker process before its first task."""
    global counters, stopping
    counters, stopping = done, stop
    warnings.simplefilter("ignore")  # of large images: they are in the list of remarks
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
    with suppress(RuntimeError):  # no more threads can be started; the parent ends its workers unless it is killed
        threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def check_or_make(task):
    """Check or make a shard. Returns its report, a dict: file, count, sha256, bad and remarks (lists of sentences), kept (indices of its
    files)."""
    path, record = task.path, task.record
    expected, report = task.checksum, None
    if expected is not None:
        report = {"file": path.name, "count": len(task.files), "sha256": expected, "bad": [], "remarks": []}
    elif record.exists():
        found = read_report(record, task.side, len(task.files))
        report = found and found[0]
    if report is not None and not (task.mend and report["bad"]) and file_digest(path) == report["sha256"]:
        counters[task.number] = len(task.files)
        return report
    record.unlink(missing_ok=True)
    report = make_shard(task)
    if expected not in (None, report["sha256"]):
        raise DataError(f"{path} was damaged and cannot be made again as it was, because the images in {task.root} are others now.")
    return report


def make_shard(task):
    """Decode the images of a shard into its file, then write its record: the report, and sums over its pixels."""
    side, digest = task.side, hashlib.sha256()
    total, moment, kept, bad, remarks = np.zeros((side, side, 3), np.uint32), np.zeros((3, 3)), [], [], []

    with replacing(task.path, durable=True) as temporary, open(temporary, "wb") as file:
        for i, (_, image) in enumerate(task.files):
            if stopping.value:
                raise DataError("Preparation was stopped; run the same command again to go on.")
            try:
                square, remark = read_square(str(image), side, image.read(task.root))
            except DataError as error:
                bad.append(str(error))
            else:
                file.write(square)
                digest.update(square)
                np.add(total, square, out=total)
                np.add(moment, second_moment(square), out=moment)
                kept.append(i)
                if remark:
                    remarks.append(f"{image} {remark}")
            counters[task.number] = i + 1
    report = {"file": task.path.name, "count": len(kept), "sha256": digest.hexdigest(), "bad": bad, "remarks": remarks, "kept": kept}
    if task.checksum is None:
        with replacing(task.record, durable=True) as temporary:
            np.savez(temporary, total=total, moment=moment, report=json.dumps(report))
    return report
