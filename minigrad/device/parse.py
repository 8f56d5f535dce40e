"""What `--device` and `Towers` understand: "cpu", "cpu,cpu", "0", "0,1", "0,0", "0,cpu", "auto"."""

from importlib import import_module

from minigrad.device.cpu import Device, is_number
from minigrad.engine.processors import cores


def parse(text, towers=2):
    """The devices of such a description, in order: a list of `Device`.

    Several CPUs share the cores of this process equally. "auto" is a GPU for each of so many towers, as far as there are GPUs, and
    the CPU where there is none. Raises ValueError if there is no such device."""
    if text.strip() == "auto":
        gpus = import_module("minigrad.cuda").count()  # asked for late, as in cpu.py
        text = ",".join(map(str, range(min(gpus, towers)))) or "cpu"
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != "cpu" and not is_number(name):
            raise ValueError(
                f"there is no device {name!r}: say 'cpu', or 'cpu,cpu' to give each tower half of its cores, "
                f"or the number of a GPU ('0', '0,1', or '0,0' for both towers on one), or 'auto'"
            )
    share = max(1, cores() // max(1, names.count("cpu")))
    return [Device(name) if is_number(name) else Device(name, share) for name in names]
