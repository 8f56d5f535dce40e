"""Full disks and odd surroundings: a command is done, or says in a sentence why not; what was there before is whole."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from faults.common import FLAGS, PATIENCE, ROOT, ended, outside, random, said, trained

from minigrad.data import load
from minigrad.training import load_checkpoint

# ---- full disks


def disks(work, seed, first, count):
    """Sizes from too small for a config to large enough for all: training, `evaluate`, `figures` and `export` on a small tmpfs (where it
    cannot be mounted, under a limit on the size of files), `prepare`, which asks for room to spare first, under such a limit."""
    folder, run = trained(work)
    place = work / "disk"
    place.mkdir()
    for number in range(first, first + count):
        kilobytes = 4 + int(random(seed, "disks", number).integers(12_000) * (number + 1) / max(count, 10))
        mounted = not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", place], capture_output=True, check=False
        ).returncode
        limited = {} if mounted else {"preexec_fn": limit(kilobytes)}
        try:
            for word, argv in (
                ("train", ("--data", folder, "--epochs", "2", *FLAGS, "--output", place / "run")),
                ("evaluate", ("evaluate", "--checkpoint", run, "--output", place / "evaluated")),
                ("figures", ("figures", "--checkpoint", run, "--output", place / "figures")),
                ("export", ("export", "--checkpoint", run, "--to", "onnx", "--out", place / "net.onnx")),
            ):
                outcome = ended(outside(*argv, **limited))
                if (place / "run" / "checkpoint.safetensors").exists():
                    load_checkpoint(place / "run")  # whole, or it is no "used" and no "refused"
                if word != "train":
                    for path in [*place.glob("*.tmp*"), *place.glob("*/*.tmp*")]:
                        outcome = f"left behind: {path.name}"
                shutil.rmtree(place / {"train": "none", "evaluate": "evaluated", "export": "none"}.get(word, word), ignore_errors=True)
                yield f"{word} on {kilobytes} kB", outcome
        finally:
            if mounted:
                subprocess.run(["umount", place], check=True)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        out = work / f"set{number}"
        argv = ("prepare", "--data", folder, "--out", out, "--size", "128", "--workers", "1")
        outcome = ended(outside(*argv, preexec_fn=limit(kilobytes // 40)))
        if outcome == "refused" and ended(outside(*argv)) != "used":
            outcome = "LOSS: it does not go on when there is room"
        if outcome in ("used", "refused") and len(load(out).train_labels) != 30:
            outcome = "LOSS"
        yield f"prepare with files up to {kilobytes // 40} kB", outcome
        shutil.rmtree(out)


def limit(kilobytes):
    def apply():
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10, kilobytes << 10))

    return apply


# ---- surroundings

# What is put before a command, or around it: {} is the command. $W is a folder for it alone, $O where it should write.
EVERYWHERE = {
    "no HOME": "env -u HOME {}",
    "HOME that is not there": "HOME=/nowhere {}",
    "TMPDIR that is not there": "TMPDIR=/nowhere {}",
    "empty environment": "env -i {}",
    "locale C": "LC_ALL=C PYTHONUTF8=0 {}",
    "locale that is not there": "LC_ALL=xx_XX.KOI8-R {}",
    "output cp1252": "PYTHONIOENCODING=cp1252 {}",
    "output utf-16": "PYTHONIOENCODING=utf-16 {}",
    "stdin closed": "{} <&-",
    "stdout closed": "{} >&-",
    "stderr closed": "{} 2>&-",
    "all closed": "{} <&- >&- 2>&-",
    "stderr full": "{} 2>/dev/full",
    "stdout full": "{} >/dev/full",
    "a reader that goes": "{{ {} 2>&3 | true; }} 3>&2",
    "24 descriptors": "ulimit -n 24; {}",
    "12 descriptors": "ulimit -n 12; {}",
    "1.5 GB of addresses": "ulimit -v 1500000; {}",
    "0.8 GB of addresses": "ulimit -v 800000; {}",
    "files of 100 kB": "ulimit -f 100; {}",
    "a stack of 256 kB": "ulimit -s 256; {}",
    "one core": "taskset -c 0 {}",
    "nohup": "nohup {}",
    "a name of 300 letters": "O=$(printf %0300d 0); {}",
    "a folder that is gone": 'mkdir "$W/gone"; cd "$W/gone"; rmdir "$W/gone"; {}',
    "python -O": "PYTHONOPTIMIZE=2 {}",
    "python -W error": "PYTHONWARNINGS=default {}",
}
AS_ROOT = {  # as a user without rights, and with mounts of its own; {} is what `sh -c` is given as its arguments
    "not root": 'chown nobody "$W"; $NOBODY "$@"',
    "not root, and a folder of root's": '$NOBODY "$@"',
    "not root, and 5 processes": 'chown nobody "$W"; $NOBODY prlimit --nproc=5 "$@"',
    "no place for temporary files": (
        "for place in /var/tmp /usr/tmp /dev/shm; do mount -t tmpfs -o ro none $place 2>/dev/null; done; "
        'mount --rbind "$W" "$W"; mount --rbind /tmp /tmp; mount -o remount,bind,ro /tmp; cd /; "$@"'
    ),
    "a read-only folder": 'mount -t tmpfs -o ro none "$W"; "$@"',
    "no /proc": 'mount -t tmpfs none /proc; "$@"',
    "no /sys": 'mount -t tmpfs none /sys; "$@"',
    "no /dev/shm": 'mount -t tmpfs -o ro,mode=000 none /dev/shm; "$@"',
    "a disk of another kind": (
        'truncate -s 60M "$W/disk"; mkfs.ext4 -q "$W/disk"; mkdir "$W/out"; mount -o loop "$W/disk" "$W/out"; rmdir "$W/out"/l*; "$@"'
    ),
}
NOBODY = "setpriv --reuid=nobody --regid=nogroup --clear-groups"


def in_a_namespace(how, command):
    """A shell command with mounts of its own, in which the interpreter can be reached by everybody, also if it lies in somebody's home."""
    lines = [f'NOBODY="{NOBODY}"', "shift"]
    for folder in reversed(Path(sys.executable).resolve().parents):
        if not folder.stat().st_mode & 0o001:
            inner = Path(sys.executable).resolve().relative_to(folder).parts[0]
            lines += [f"mount --bind {folder}/{inner} /mnt", f"mount -t tmpfs -o mode=755 none {folder}", f"mkdir {folder}/{inner}"]
            lines += [f"mount --bind /mnt {folder}/{inner}"]
            break
    return f"unshare -m sh -c {shlex.quote('; '.join(lines) + '; ' + how.strip())} sh sh {command}"


def environments(work, seed, first, count):
    """Training, `prepare` and `predict` in each of them."""
    folder, run = trained(work)
    alexnet = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'alexnet.py'))}"
    photo = next((folder / "val" / "dark").iterdir())
    words = {
        "train": f'{alexnet} --data {folder} --epochs 1 {" ".join(FLAGS)} --output "$O"',
        "prepare": f'{alexnet} prepare --data {folder} --size 16 --workers 1 --out "$O"',
        "predict": f"{alexnet} predict --checkpoint {run} {photo}",
    }
    every = [(name, how.format(words[word]), word) for name, how in EVERYWHERE.items() for word in words]
    every += [(name, in_a_namespace(how, words[word]), word) for name, how in (AS_ROOT if root() else {}).items() for word in words]
    for number, (name, command, word) in list(enumerate(every))[first : None if count is None else first + count]:
        place = work / f"environment {number}"
        place.mkdir()
        environment = {**os.environ, "W": str(place), "O": str(place / "out")}
        try:
            done = subprocess.run(
                ["sh", "-c", command],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                check=False,
                cwd=work,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            yield f"{name}, {word}", "HANG"
            continue
        nowhere = done.returncode == 2 and ("stderr" in name or "all closed" in name)  # to say it
        yield f"{name}, {word}", "refused" if nowhere else said(done.returncode, done.stderr)


def root():
    """Whether this user may mount and become another."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and not subprocess.run(["unshare", "-m", "true"], check=False).returncode
