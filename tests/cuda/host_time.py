"""The host's time for a GPU's training step, without a GPU: the real CuPy on a CUDA that computes nothing (fake/).

    PYTHONPATH=.:tests/cuda/fake python tests/cuda/host_time.py                        every row
    PYTHONPATH=.:tests/cuda/fake python tests/cuda/host_time.py paper 0,1 --profile
    PYTHONPATH=.:tests/cuda/fake python tests/cuda/host_time.py --graph                steps that are recorded

A launch costs the driver some 2 microseconds more each, which are not in it. Milliseconds are CPU time of all threads: the least and the
median of so many steps."""

import argparse
import cProfile
import pstats
import statistics
import time

import fake_cuda
import numpy as np

ROWS = [("paper", "0"), ("paper", "0,0"), ("paper", "0,1"), ("owt", "0"), ("small", "0"), ("small", "0,0"), ("small", "0,1")]
COLUMNS = "kernels", "gemm", "event record", "stream wait", "copy peer", "memset", "graph launches"


def measure(gpus, variant, devices, batch_size, steps, profile, graph, bf16):
    from alexnet import AlexNet
    from minigrad.commands.benchmark.cpu import Ours
    from minigrad.cuda.graph import Recorder

    gpus.reset()
    gpus.set(devices=2, policy=fake_cuda.NEVER)
    net = AlexNet(variant, devices)
    for device in net.towers.devices if bf16 else ():
        device.use_bfloat16()
    ours, size = Ours(net), net.image_size
    ours.train_on = Recorder(ours.train_on) if graph else ours.train_on
    x, y = net.device.empty((batch_size, size, size, 3), np.float32), np.zeros(batch_size, np.int64)
    for _ in range(3):
        ours.step(x, y)
    before = [gpus.count(what) for what in COLUMNS]
    ours.step(x, y)
    counts = [gpus.count(what) - earlier for what, earlier in zip(COLUMNS, before, strict=True)]
    seconds = []
    for _ in range(steps):
        start = time.process_time()
        ours.step(x, y)
        seconds.append(1e3 * (time.process_time() - start))
    print(
        f"{variant:8} {devices:6}",
        *(f"{count:12}" for count in counts),
        f"{min(seconds):9.2f} {statistics.median(seconds):9.2f}",
        flush=True,
    )
    if profile:
        with cProfile.Profile() as profiler:
            for _ in range(20):
                ours.step(x, y)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", nargs="?")
    parser.add_argument("devices", nargs="?", default="0")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--profile", action="store_true", help="the functions that take the most of it")
    parser.add_argument("--graph", action="store_true", help="recorded as CUDA graphs")
    a = parser.parse_args()
    gpus = fake_cuda.boot()
    print(f"{'network':8} {'on':6}", *(f"{column:>12}" for column in COLUMNS), f"{'least ms':>9} {'median ms':>9}")
    for variant, devices in [(a.variant, a.devices)] if a.variant else ROWS:
        measure(gpus, variant, devices, a.batch_size, a.steps, a.profile, a.graph, a.bf16)
