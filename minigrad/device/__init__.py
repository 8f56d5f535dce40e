"""Devices: what a CPU and a GPU have in common, the CPU, and names for them."""

from minigrad.device.cpu import CPU, Device, share_cores
from minigrad.device.parse import parse
from minigrad.engine.processors import cores

__all__ = ["CPU", "Device", "cores", "parse", "share_cores"]
