"""Preparing a data set: every image once brought to its central square of 256 pixels (paper §2), by all cores, into the files
that shards.py reads.

A shard is done when its record lies beside it; a run that was killed goes on with the others, and checks the checksums of
those. What all images have in common, their mean and the covariance of their colours, is added up on the way."""

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

from minigrad.data.colour import FEW, IMAGENET, components, second_moment
from minigrad.data.images import DataError, read_square
from minigrad.data.shards import FORMAT, SET, is_prepared, read_set, write_whole
from minigrad.data.sources import Place, find
from minigrad.device import cores

SHARD = 4096  # images: 805 MB at 256 pixels, and 326 files for ImageNet, fewer than a process may have open
PLAN = "plan.json"
RESERVE = 0.5  # GB of the disk that stay free


class Task(NamedTuple):
    """A shard to be made or checked: places is a list of (label, Place); checksum, if known, is what must come out."""

    number: int  # among all tasks
    split: str
    out: Path
    name: str
    root: Path
    side: int
    places: list
    mend: bool  # make it anew if images could not be read the last time
    checksum: str | None


def prepare(source, out, *, side=256, labels=None, skip_bad=False, workers=None, stream=None):
    """Make the prepared set `out` of the images in `source` (see sources.py), or go on where that was interrupted, or check the
    finished set. Prints what it needs, a progress bar, and at the end every file that is damaged or not RGB.

    side      of the square images that are kept, in pixels
    labels    the file that says what flat validation images show, if it is not in `source`
    skip_bad  leave damaged images out; otherwise they are an error, once all others are done
    workers   processes, by default one for each core

    Raises DataError in one sentence."""
    stream = sys.stderr if stream is None else stream
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        plan, places = _planned(Path(source), out, side, labels)
        finished = is_prepared(out)
        tasks = _tasks(plan, places, out, skip_bad)
        _check_disk(tasks, out, side, stream)
        reports = _run(tasks, workers or cores(), stream)
        bad = _list_files(reports, stream)
        if bad and not skip_bad:
            raise DataError(
                f"{bad:,} of {sum(map(len, places.values())):,} images cannot be decoded (listed above): mend them and run the same "
                "command again, or leave them out with --skip-bad; what is done is kept."
            )
        if not finished:
            _finish(plan, tasks, reports, out)
    except OSError as error:
        place = Path(error.filename or out)
        failed = "written" if place.is_relative_to(out) else "read"
        raise DataError(f"{place} cannot be {failed}: {error.strerror}; what is done is kept.") from None
    counts = dict.fromkeys(places, 0)
    for task, report in zip(tasks, reports, strict=True):
        counts[task.split] += report["count"]
    state = "is complete, and every checksum right" if finished else "is ready"
    print(f"{out} {state}: {counts['train']:,} images to train, {counts['val']:,} to validate.", file=stream)


# ---- the plan


def _planned(source, out, side, labels):
    """What is to be made: a dict, and {split: [(label, Place), ...]}. A plan that lies in `out` is followed as it is."""
    if is_prepared(out) or (out / PLAN).exists():
        finished = is_prepared(out)
        plan = read_set(out) if finished else json.loads((out / PLAN).read_text(encoding="utf-8"))
        for what, there, asked in (("images from", plan["source"], str(source.resolve())), ("pixels:", plan["side"], side)):
            if there != asked:
                raise DataError(f"{out} was begun with {what} {there}, not {asked}: name another --out.")
        return plan, {split: _read_places(out / f"{'' if finished else 'plan-'}{split}.jsonl") for split in ("train", "val")}
    if any(not path.name.startswith("plan") for path in out.iterdir()):
        raise DataError(f"{out} is not empty and holds no prepared set: name another --out.")
    found = find(source, labels)
    plan = {"format": FORMAT, "name": found.root.resolve().name or "images", "source": str(found.root.resolve()), "side": side}
    plan |= {"ids": found.ids, "names": found.names}
    for split, places in found.splits.items():
        _write_places(out / f"plan-{split}.jsonl", places)
    _write_json(out / PLAN, plan)  # last: a plan is there when all of it is
    return plan, found.splits


def _write_json(path, value):
    write_whole(path, lambda file: file.write(json.dumps(value, indent=1).encode()))


def _write_places(path, places):
    write_whole(path, lambda file: file.writelines(json.dumps([label, *place]).encode() + b"\n" for label, place in places))


def _read_places(path):
    with open(path, encoding="utf-8") as file:
        return [(row[0], Place(*row[1:])) for row in map(json.loads, file)]


def _tasks(plan, places, out, skip_bad):
    """A task for each shard. In a finished set the shards are those of its record."""
    tasks = []
    for split, all_places in places.items():
        if "splits" in plan:
            counts = [shard["count"] for shard in plan["splits"][split]]
            checksums = [shard["sha256"] for shard in plan["splits"][split]]
        else:
            number = -(-len(all_places) // min(SHARD, max(1, -(-len(all_places) // 16))))  # few images still occupy many cores
            edges = [len(all_places) * i // number for i in range(number + 1)]
            counts, checksums = np.diff(edges).tolist(), [None] * number
        start = 0
        for i, (count, checksum) in enumerate(zip(counts, checksums, strict=True)):
            name, chosen = f"{split}-{i:05}", all_places[start : start + count]
            tasks.append(Task(len(tasks), split, out, name, Path(plan["source"]), plan["side"], chosen, not skip_bad, checksum))
            start += count
    return tasks


def _check_disk(tasks, out, side, stream):
    """Say how much the shards take, and refuse to begin if the disk has not that much."""
    needed = 3 * side * side * sum(len(task.places) for task in tasks) / 1e9
    there = sum(path.stat().st_size for path in out.glob("*.bin")) / 1e9
    free = shutil.disk_usage(out).free / 1e9
    print(f"{out}: {needed:,.2f} GB in {len(tasks):,} files, {there:,.2f} GB of it there; {free:,.1f} GB are free", file=stream)
    if needed > there and needed - there + RESERVE > free:
        raise DataError(
            f"{out} needs {needed - there:,.2f} GB more, and {RESERVE} GB to spare, but only {free:,.2f} GB are free there: "
            "name another --out or make room."
        )


# ---- the work


def _run(tasks, workers, stream):
    """The reports of all tasks, in their order, from worker processes."""
    from tqdm import tqdm

    context = multiprocessing.get_context("spawn")
    # Each worker counts in places of its own, so that one that dies in the middle leaves no lock behind.
    done, stop = context.RawArray("q", len(tasks)), context.RawValue("b", 0)
    reports = [None] * len(tasks)
    images = sum(len(task.places) for task in tasks)
    with (
        ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (done, stop)) as pool,
        tqdm(total=images, desc="preparing", unit=" images", file=stream, disable=None, leave=False, dynamic_ncols=True) as bar,
    ):
        try:
            waiting = {pool.submit(_work, task): task for task in tasks}
            while waiting:
                ready, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                for future in ready:
                    reports[waiting.pop(future).number] = future.result()
                bar.update(sum(done) - bar.n)
        except BrokenProcessPool:
            for worker in multiprocessing.active_children():  # the pool forgets one that it was starting when another died
                worker.terminate()
            raise DataError(
                "A worker process ended unexpectedly, killed or short of memory; what is done is kept: run the same command again to go on."
            ) from None
        finally:
            stop.value = 1
            pool.shutdown(wait=True, cancel_futures=True)
    return reports


def _begin(done, stop):
    """What each worker process does first."""
    global _done, _stop
    _done, _stop = done, stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    multiprocessing.parent_process().join()
    os._exit(1)


def _work(task):
    """Check or make a shard; returns its report: file, count, sha256, bad and remarks (lists of sentences), kept (places' numbers)."""
    path, record = task.out / f"{task.name}.bin", task.out / f"{task.name}.npz"
    expected, report = task.checksum, None
    if expected is not None:
        report = {"file": path.name, "count": len(task.places), "sha256": expected, "bad": [], "remarks": []}
    elif record.exists():
        report = json.loads(str(np.load(record, allow_pickle=False)["report"]))
    if report is not None and not (task.mend and report["bad"]) and _checksum(path) == report["sha256"]:
        _done[task.number] = len(task.places)
        return report
    record.unlink(missing_ok=True)
    report = _make(task, path, record)
    if expected not in (None, report["sha256"]):
        raise DataError(f"{path} was damaged and cannot be made again as it was, because the images in {task.root} are others now.")
    return report


def _checksum(path):
    if not path.exists():
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _make(task, path, record):
    """Decode the images of a shard into its file, and write its record, with sums over its pixels, once that is complete."""
    side, digest = task.side, hashlib.sha256()
    total, moment, kept, bad, remarks = np.zeros((side, side, 3), np.uint32), np.zeros((3, 3)), [], [], []

    def write(file):
        for i, (_, place) in enumerate(task.places):
            if _stop.value:
                raise DataError("Preparation was stopped; run the same command again to go on.")
            try:
                pixels, remark = read_square(str(place), side, place.read(task.root))
            except DataError as error:
                bad.append(str(error))
            else:
                file.write(pixels)
                digest.update(pixels)
                np.add(total, pixels, out=total)
                np.add(moment, second_moment(pixels), out=moment)
                kept.append(i)
                if remark:
                    remarks.append(f"{place} {remark}")
            _done[task.number] = i + 1

    write_whole(path, write)
    report = {"file": path.name, "count": len(kept), "sha256": digest.hexdigest(), "bad": bad, "remarks": remarks, "kept": kept}
    if task.checksum is None:
        write_whole(record, lambda file: np.savez(file, total=total, moment=moment, report=json.dumps(report)))
    return report


# ---- the end


def _list_files(reports, stream):
    """Print every file that is damaged or had to be converted; returns the number of damaged ones."""
    bad = [sentence for report in reports for sentence in report["bad"]]
    remarks = [sentence for report in reports for sentence in report["remarks"]]
    for what, sentences in (("Not plain RGB, converted", remarks), ("Damaged", bad)):
        if sentences:
            print(f"{what}, {len(sentences):,} files:", *sentences, sep="\n  ", file=stream)
    return len(bad)


def _finish(plan, tasks, reports, out):
    """Write mean, colours, labels and, last, the record that makes the set complete; then remove what only a restart needs."""
    splits, kept = {"train": [], "val": []}, {"train": [], "val": []}
    total, moment = np.zeros((plan["side"], plan["side"], 3)), np.zeros((3, 3))
    for task, report in zip(tasks, reports, strict=True):
        splits[task.split].append({key: report[key] for key in ("file", "count", "sha256")})
        kept[task.split] += [task.places[i] for i in report["kept"]]
        if task.split == "train":
            with np.load(out / f"{task.name}.npz", allow_pickle=False) as record:
                total += record["total"]
                moment += record["moment"]
    for split, places in kept.items():
        if not places:
            raise DataError(f"None of the {split} images in {plan['source']} can be decoded.")
        labels = np.array([label for label, _ in places], np.int64)
        write_whole(out / f"{split}-labels.npy", lambda file, labels=labels: np.save(file, labels))
        _write_places(out / f"{split}.jsonl", places)
    N = len(kept["train"])
    write_whole(out / "mean.npy", lambda file: np.save(file, (total / N).astype(np.float32)))
    std, directions = IMAGENET if N < FEW else components(N * plan["side"] ** 2, total.sum(axis=(0, 1)), moment)
    colours = {"std": std.tolist(), "directions": directions.tolist()}
    _write_json(out / SET, {**plan, "colours": colours, "splits": splits})
    for path in (*out.glob("*.npz"), *out.glob("*.tmp"), *out.glob("plan*")):
        path.unlink()
