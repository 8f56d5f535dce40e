"""Preparing a data set: every image is resized once to its central square of 256 pixels (paper §2), into the files that shards.py reads.

Here is what comes before the work and after it: the plan, which a run that goes on follows, the space it takes, and at the end mean image,
labels and set.json. The work itself is in making.py, what is damaged of a finished set in mending.py."""

import json
import multiprocessing
import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from minigrad.data.checks import DataError, at_home
from minigrad.data.colour import FEW, IMAGENET, components
from minigrad.data.making import Task, run_tasks
from minigrad.data.mending import mend, mend_rows
from minigrad.data.records import (
    FORMAT,
    PLAN,
    SET,
    SPLITS,
    array_file,
    image_rows,
    labels_file,
    pixels,
    read_image_rows,
    read_plan,
    read_report,
    read_set,
    sha256,
    signed,
)
from minigrad.data.shards import is_prepared
from minigrad.data.sources import find
from minigrad.device import cores
from minigrad.files import LOCK, leftovers, locked, removed_if_empty, write_bytes, write_text
from minigrad.names import shown
from minigrad.ranks import ALONE

SHARD = 4096  # images: 805 MB at 256 pixels; ImageNet has 326 such files, fewer than a process may have open
TOO_MANY = "No more processes can be started here: raise the limit (ulimit -u), or use fewer --workers; what is done is kept."
RESERVE = 0.5  # GB that must stay free on the disk


def prepare(source, out, *, side=256, labels=None, skip_bad=False, workers=None, stream=None, ranks=ALONE):
    """Make the prepared set `out` of the images in `source` (see sources.py), or go on with a set that is not finished, or check one that
    is. Prints to `stream` (standard error if None) the space needed, a progress bar, and every file that is damaged or not RGB.

    side      of the square images that are written, in pixels
    labels    the file with the labels of validation images without class folders, if it is not in `source`
    skip_bad  leave damaged images out; otherwise they are an error once all others are done
    workers   processes, by default one for each core
    ranks     which share the work: each makes its share of the shards, rank 0 what comes before and after

    Raises DataError in one sentence."""
    stream = sys.stderr if stream is None else stream
    source, out = at_home(source), at_home(out)
    if not pixels(side):
        raise DataError(f"size must be {pixels.__doc__}, not {side}.")
    if multiprocessing.parent_process() is not None and multiprocessing.current_process()._inheriting:
        raise DataError('prepare starts processes, which read the script that calls it: call it under `if __name__ == "__main__":`.')
    if any(Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source / split)) for split in SPLITS):
        raise DataError(f"{out} lies among the images of {source}, where it would be taken for one of their classes: name another --out.")
    try:
        with ExitStack() as holding:
            ranks.told(lambda: begun(out, holding))
            make(source, out, side, labels, skip_bad, workers or cores(), stream, ranks)
    except RuntimeError as error:
        if "thread" not in str(error):
            raise
        raise DataError(TOO_MANY) from None
    except BlockingIOError:  # of a process that cannot be started
        raise DataError(TOO_MANY) from None
    except OSError as error:
        path = Path(error.filename or out)
        failed = "written" if path.is_relative_to(out) else "read"
        raise DataError(f"{path} cannot be {failed}: {error.strerror}; what is done is kept.") from None


def begun(out, holding):
    """Make the folder and hold its lock."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    if made:
        holding.enter_context(removed_if_empty(out))
    try:
        holding.enter_context(locked(out))
    except BlockingIOError:
        raise DataError(f"Another process is writing into {out}: wait until it has ended, or name another --out.") from None


def make(source, out, side, labels, skip_bad, workers, stream, ranks):
    """`prepare` in a folder that no other process writes to. Raises OSError, too."""
    plan, files, finished = ranks.told(lambda: planned_and_swept(source, out, side, labels))
    tasks = tasks_of(plan, files, out, skip_bad)
    ranks.told(lambda: check_disk(tasks, out, side, stream))
    reports = sum(ranks.all(run_tasks(tasks[ranks.share(len(tasks))], workers, stream)), [])
    bad = list_files(reports, stream)
    if bad and not skip_bad:
        raise DataError(
            f"{bad:,} of {sum(map(len, files.values())):,} images cannot be decoded (listed above): mend them and run the same "
            "command again, or leave them out with --skip-bad; what is done is kept."
        )
    ranks.told(lambda: mend(plan, files, out, stream) if finished else finish(plan, tasks, reports, out))
    ranks.told(lambda: remove([*out.glob("*.npz"), *out.glob("plan*"), *half_written(out)]))
    counts = dict.fromkeys(files, 0)
    for task, report in zip(tasks, reports, strict=True):
        counts[task.split] += report["count"]
    if plan.get("left"):
        print(plan["left"], file=stream)
    state = "is complete, and every checksum right" if finished else "is ready"
    print(shown(f"{out} {state}: {counts['train']:,} images to train, {counts['val']:,} to validate."), file=stream)


# ---- the plan


def planned_and_swept(source, out, side, labels):
    """What is to be made, as `planned` gives it, and whether all of it is there; what a run left that was killed is removed."""
    check_links(out)
    plan, files = planned(source, out, side, labels)
    remove(half_written(out))
    return plan, files, is_prepared(out)


def half_written(out):
    """Files of a run that was killed, or of its worker processes, which may outlive it by a moment; *.bin.tmp are of version 0.1.0."""
    return [*leftovers(out), *out.glob("*.bin.tmp")]


def remove(paths):
    for path in paths:
        path.unlink(missing_ok=True)


def check_links(out):
    """Raise DataError if something in `out` is a link: what is written there would go elsewhere."""
    for path in out.iterdir():
        if path.is_symlink():
            raise DataError(f"{path} is a link to another place, which prepare does not write to: remove it, or name another --out.")


def planned(source, out, side, labels):
    """What is to be made: a dict, and {split: [(label, ImageFile), ...]}. A plan that is in `out` already is followed as it is."""
    finished = is_prepared(out)
    if finished or (out / PLAN).exists():
        plan = read_set(out) if finished else read_plan(out)
        for what, there, asked in (("images from", plan["source"], str(source.resolve())), ("pixels:", plan["side"], side)):
            if there != asked:
                raise DataError(f"{out} was begun with {what} {there}, not {asked}: name another --out.")
        if finished:
            mend_rows(plan, source, labels, out)
        return plan, {split: read_image_rows(out, f"{'' if finished else 'plan-'}{split}.jsonl", plan) for split in SPLITS}
    if any(not path.name.startswith("plan") for path in out.iterdir() if path.name != LOCK):
        raise DataError(f"{out} is not empty and holds no prepared set: name another --out.")
    found = find(source, labels)
    plan = {"format": FORMAT, "name": found.root.resolve().name or "images", "source": str(found.root.resolve()), "side": side}
    plan |= {"ids": list(found.ids), "names": list(found.names), "left": str(found.left), "digests": {}}
    for split, files in found.splits.items():
        write(out / f"plan-{split}.jsonl", image_rows(files), plan["digests"])
    write_json(out / PLAN, signed(plan))  # last: a plan is there when all of it is
    return plan, found.splits


def write(path, content, digests):
    """Write a file, and its digest into the dict `digests`."""
    write_bytes(path, content, durable=True)
    digests[path.name] = sha256(content)


def write_json(path, value):
    write_text(path, json.dumps(value, indent=1), durable=True)


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


# ---- the end


def list_files(reports, stream):
    """Print every file that is damaged or had to be converted; returns the number of damaged ones."""
    bad = [sentence for report in reports for sentence in report["bad"]]
    remarks = [sentence for report in reports for sentence in report["remarks"]]
    for what, sentences in (("Not plain RGB, converted", remarks), ("Damaged", bad)):
        if sentences:
            print(f"{what}, {len(sentences):,} files:", *(shown(s).replace("\n", "\\n") for s in sentences), sep="\n  ", file=stream)
    return len(bad)


def finish(plan, tasks, reports, out):
    """Write mean, labels, files and, last, set.json, which makes the set complete and the plan and records needless."""
    splits, kept, digests = {"train": [], "val": []}, {"train": [], "val": []}, {}
    total, moment = np.zeros((plan["side"], plan["side"], 3)), np.zeros((3, 3))
    for task, report in zip(tasks, reports, strict=True):
        splits[task.split].append({key: report[key] for key in ("file", "count", "sha256")})
        kept[task.split] += [task.files[i] for i in report["kept"]]
        if task.split == "train":
            found = read_report(task.record, task.side, len(task.files))
            if found is None:
                raise DataError(f"{task.record} was altered meanwhile: run the same command again.")
            total += found[1]
            moment += found[2]
    for split, files in kept.items():
        if not files:
            raise DataError(f"None of the {split} images in {plan['source']} can be decoded.")
        write(out / f"{split}-labels.npy", labels_file(files), digests)
        write(out / f"{split}.jsonl", image_rows(files), digests)
    N = len(kept["train"])
    write(out / "mean.npy", array_file((total / N).astype(np.float32)), digests)
    std, directions = IMAGENET if N < FEW else components(N * plan["side"] ** 2, total.sum(axis=(0, 1)), moment)
    colours = {"std": std.tolist(), "directions": directions.tolist()}
    plan = {name: plan[name] for name in plan if name != "sha256"}
    write_json(out / SET, signed({**plan, "colours": colours, "splits": splits, "digests": digests}))
