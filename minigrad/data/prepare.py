"""Preparing a data set: every image is resized once to its central square of 256 pixels (paper §2), on all cores, into the files that
shards.py reads.

A shard is done when its record is there as well; after a run that was killed, the next one makes the other shards and compares the
checksums of these. The sums from which the mean image and the components of colour follow are added up on the way."""

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigrad.data.checks import DataError
from minigrad.data.colour import FEW, IMAGENET, components, second_moment
from minigrad.data.images import read_square
from minigrad.data.shards import FORMAT, SET, is_prepared, read_set
from minigrad.data.sources import ImageFile, find
from minigrad.device import cores
from minigrad.files import leftovers, replacing, write_text

SHARD = 4096  # images: 805 MB at 256 pixels; ImageNet has 326 such files, fewer than a process may have open
PLAN = "plan.json"
RESERVE = 0.5  # GB that must stay free on the disk


class Task(NamedTuple):
    """A shard to be made or checked: files is a list of (label, ImageFile); checksum is that of the finished shard, if it is known."""

    number: int  # among all tasks
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


def prepare(source, out, *, side=256, labels=None, skip_bad=False, workers=None, stream=None):
    """Make the prepared set `out` of the images in `source` (see sources.py), or go on with a set that is not finished, or check one that
    is. Prints to `stream` (standard error if None) the space needed, a progress bar, and every file that is damaged or not RGB.

    side      of the square images that are written, in pixels
    labels    the file with the labels of validation images without class folders, if it is not in `source`
    skip_bad  leave damaged images out; otherwise they are an error once all others are done
    workers   processes, by default one for each core

    Raises DataError in one sentence."""
    stream = sys.stderr if stream is None else stream
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        plan, files = planned(Path(source), out, side, labels)
        finished = is_prepared(out)
        for path in leftovers(out):  # of a run that was killed
            path.unlink()
        tasks = tasks_of(plan, files, out, skip_bad)
        check_disk(tasks, out, side, stream)
        reports = run_tasks(tasks, workers or cores(), stream)
        bad = list_files(reports, stream)
        if bad and not skip_bad:
            raise DataError(
                f"{bad:,} of {sum(map(len, files.values())):,} images cannot be decoded (listed above): mend them and run the same "
                "command again, or leave them out with --skip-bad; what is done is kept."
            )
        if not finished:
            finish(plan, tasks, reports, out)
    except OSError as error:
        path = Path(error.filename or out)
        failed = "written" if path.is_relative_to(out) else "read"
        raise DataError(f"{path} cannot be {failed}: {error.strerror}; what is done is kept.") from None
    counts = dict.fromkeys(files, 0)
    for task, report in zip(tasks, reports, strict=True):
        counts[task.split] += report["count"]
    state = "is complete, and every checksum right" if finished else "is ready"
    print(f"{out} {state}: {counts['train']:,} images to train, {counts['val']:,} to validate.", file=stream)


# ---- the plan


def planned(source, out, side, labels):
    """What is to be made: a dict, and {split: [(label, ImageFile), ...]}. A plan that is in `out` already is followed as it is."""
    if is_prepared(out) or (out / PLAN).exists():
        finished = is_prepared(out)
        plan = read_set(out) if finished else json.loads((out / PLAN).read_text(encoding="utf-8"))
        for what, there, asked in (("images from", plan["source"], str(source.resolve())), ("pixels:", plan["side"], side)):
            if there != asked:
                raise DataError(f"{out} was begun with {what} {there}, not {asked}: name another --out.")
        return plan, {split: read_image_files(out / f"{'' if finished else 'plan-'}{split}.jsonl") for split in ("train", "val")}
    if any(not path.name.startswith("plan") for path in out.iterdir()):
        raise DataError(f"{out} is not empty and holds no prepared set: name another --out.")
    found = find(source, labels)
    plan = {"format": FORMAT, "name": found.root.resolve().name or "images", "source": str(found.root.resolve()), "side": side}
    plan |= {"ids": found.ids, "names": found.names}
    for split, files in found.splits.items():
        write_image_files(out / f"plan-{split}.jsonl", files)
    write_json(out / PLAN, plan)  # last: a plan is there when all of it is
    return plan, found.splits


def write_json(path, value):
    write_text(path, json.dumps(value, indent=1), durable=True)


def write_image_files(path, files):
    with replacing(path, durable=True) as temporary, open(temporary, "wb") as file:
        file.writelines(json.dumps([label, *image]).encode() + b"\n" for label, image in files)


def write_array(path, array):
    with replacing(path, durable=True) as temporary:
        np.save(temporary, array)


def read_image_files(path):
    with open(path, encoding="utf-8") as file:
        return [(row[0], ImageFile(*row[1:])) for row in map(json.loads, file)]


def tasks_of(plan, files, out, skip_bad):
    """A task for each shard. In a finished set the shards are those of set.json."""
    tasks = []
    for split, all_files in files.items():
        if "splits" in plan:
            counts = [shard["count"] for shard in plan["splits"][split]]
            checksums = [shard["sha256"] for shard in plan["splits"][split]]
        else:
            number = -(-len(all_files) // min(SHARD, max(1, -(-len(all_files) // 16))))  # of few images 16 shards, to occupy many cores
            edges = [len(all_files) * i // number for i in range(number + 1)]
            counts, checksums = np.diff(edges).tolist(), [None] * number
        start = 0
        for i, (count, checksum) in enumerate(zip(counts, checksums, strict=True)):
            name, chosen = f"{split}-{i:05}", all_files[start : start + count]
            tasks.append(Task(len(tasks), split, out, name, Path(plan["source"]), plan["side"], chosen, not skip_bad, checksum))
            start += count
    return tasks


def check_disk(tasks, out, side, stream):
    """Print how much space the shards take. Raises DataError if the disk has less."""
    needed = 3 * side * side * sum(len(task.files) for task in tasks) / 1e9
    shards = [task.path for task in tasks if task.path.exists()]
    there = sum(path.stat().st_size for path in shards) / 1e9
    free = shutil.disk_usage(out).free / 1e9
    print(f"{out}: {needed:,.2f} GB in {len(tasks):,} files, {there:,.2f} GB of it there; {free:,.1f} GB are free", file=stream)
    if needed > there and needed - there + RESERVE > free:
        raise DataError(
            f"{out} needs {needed - there:,.2f} GB more, and {RESERVE} GB to spare, but only {free:,.2f} GB are free there: "
            "name another --out or make room."
        )


# ---- the work


def run_tasks(tasks, workers, stream):
    """The reports of all tasks, in their order, made by worker processes."""
    from tqdm import tqdm

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
            for worker in multiprocessing.active_children():  # the pool does not end one that was starting when another died
                worker.terminate()
            raise DataError(
                "A worker process ended unexpectedly, killed or short of memory; what is done is kept: run the same command again to go on."
            ) from None
        finally:
            stop.value = 1
            pool.shutdown(wait=True, cancel_futures=True)
    return reports


def begin(done, stop):
    """Run by each worker process before its first task."""
    global counters, stopping
    counters, stopping = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
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
        with np.load(record, allow_pickle=False) as arrays:
            report = json.loads(str(arrays["report"]))
    if report is not None and not (task.mend and report["bad"]) and checksum_of(path) == report["sha256"]:
        counters[task.number] = len(task.files)
        return report
    record.unlink(missing_ok=True)
    report = make_shard(task)
    if expected not in (None, report["sha256"]):
        raise DataError(f"{path} was damaged and cannot be made again as it was, because the images in {task.root} are others now.")
    return report


def checksum_of(path):
    """The SHA-256 of a file, or None if there is no such file."""
    if not path.exists():
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def make_shard(task):
    """Decode the images of a shard into its file, then write its record: the report, and sums over its pixels."""
    side, digest = task.side, hashlib.sha256()
    total, moment, kept, bad, remarks = np.zeros((side, side, 3), np.uint32), np.zeros((3, 3)), [], [], []

    with replacing(task.path, durable=True) as temporary, open(temporary, "wb") as file:
        for i, (_, image) in enumerate(task.files):
            if stopping.value:
                raise DataError("Preparation was stopped; run the same command again to go on.")
            try:
                pixels, remark = read_square(str(image), side, image.read(task.root))
            except DataError as error:
                bad.append(str(error))
            else:
                file.write(pixels)
                digest.update(pixels)
                np.add(total, pixels, out=total)
                np.add(moment, second_moment(pixels), out=moment)
                kept.append(i)
                if remark:
                    remarks.append(f"{image} {remark}")
            counters[task.number] = i + 1
    report = {"file": task.path.name, "count": len(kept), "sha256": digest.hexdigest(), "bad": bad, "remarks": remarks, "kept": kept}
    if task.checksum is None:
        with replacing(task.record, durable=True) as temporary:
            np.savez(temporary, total=total, moment=moment, report=json.dumps(report))
    return report


# ---- the end


def list_files(reports, stream):
    """Print every file that is damaged or had to be converted; returns the number of damaged ones."""
    bad = [sentence for report in reports for sentence in report["bad"]]
    remarks = [sentence for report in reports for sentence in report["remarks"]]
    for what, sentences in (("Not plain RGB, converted", remarks), ("Damaged", bad)):
        if sentences:
            print(f"{what}, {len(sentences):,} files:", *sentences, sep="\n  ", file=stream)
    return len(bad)


def finish(plan, tasks, reports, out):
    """Write mean, labels, files and, last, set.json, which makes the set complete; then remove what only a restart needs."""
    splits, kept = {"train": [], "val": []}, {"train": [], "val": []}
    total, moment = np.zeros((plan["side"], plan["side"], 3)), np.zeros((3, 3))
    for task, report in zip(tasks, reports, strict=True):
        splits[task.split].append({key: report[key] for key in ("file", "count", "sha256")})
        kept[task.split] += [task.files[i] for i in report["kept"]]
        if task.split == "train":
            with np.load(task.record, allow_pickle=False) as record:
                total += record["total"]
                moment += record["moment"]
    for split, files in kept.items():
        if not files:
            raise DataError(f"None of the {split} images in {plan['source']} can be decoded.")
        write_array(out / f"{split}-labels.npy", np.array([label for label, _ in files], np.int64))
        write_image_files(out / f"{split}.jsonl", files)
    N = len(kept["train"])
    write_array(out / "mean.npy", (total / N).astype(np.float32))
    std, directions = IMAGENET if N < FEW else components(N * plan["side"] ** 2, total.sum(axis=(0, 1)), moment)
    colours = {"std": std.tolist(), "directions": directions.tolist()}
    write_json(out / SET, {**plan, "colours": colours, "splits": splits})
    for path in (*out.glob("*.npz"), *out.glob("plan*")):
        path.unlink()
